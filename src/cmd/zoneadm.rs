//! `zoneadm`: which zones there are, and the verbs that change their state.
//!
//! An exit code of 0 proves nothing: `boot` and `halt` are content with a zone that is already so (also with
//! one that is just going down), and illumos's `attach` when its last hook failed. So each verb is followed
//! by a look at the state. A second zoneadm on a zone waits for the first one's lock: every call has a
//! deadline.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CmdError, ParseError};
use crate::job::name::ZoneName;
use crate::process::{Argv, Output, Programs, Status};

/// A zone's state, as `zoneadm list` spells it (`libzonecfg.h`; `unavailable` is Solaris 11.2's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ZoneState {
    /// Known by its configuration alone: never installed, or detached.
    Configured,
    /// An install, uninstall or update did not come to its end.
    Incomplete,
    /// Installed or attached, and down.
    Installed,
    /// Set up in the kernel, nothing runs.
    Ready,
    /// Its init was started. Its services need not be up.
    Running,
    /// Going down.
    ShuttingDown,
    /// Down but not gone from the kernel: something still holds it.
    Down,
    /// Up as a scratch zone for patching.
    Mounted,
    /// Installed, but its storage can't be had.
    Unavailable,
}

impl ZoneState {
    const ALL: [(&'static str, ZoneState); 9] = [
        ("configured", Self::Configured),
        ("incomplete", Self::Incomplete),
        ("installed", Self::Installed),
        ("ready", Self::Ready),
        ("running", Self::Running),
        ("shutting_down", Self::ShuttingDown),
        ("down", Self::Down),
        ("mounted", Self::Mounted),
        ("unavailable", Self::Unavailable),
    ];

    /// Reads zoneadm's word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(text, _)| *text == word).map(|&(_, state)| state)
    }

    /// zoneadm's word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|&&(_, state)| state == self).map_or("", |&(text, _)| text)
    }
}

impl fmt::Display for ZoneState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line of `zoneadm list -p`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneLine {
    /// The kernel's number for it, while it knows the zone.
    pub id: Option<u32>,
    /// Its name; `global` for the global zone.
    pub name: String,
    /// Its state at that moment.
    pub state: ZoneState,
    /// Its zonepath; empty for one that has none (a kernel zone may show `-`).
    pub zonepath: PathBuf,
    /// Its UUID: none while configured, another one after each attach. No identity.
    pub uuid: Option<String>,
    /// Its brand; not told before Solaris 10 8/07.
    pub brand: Option<String>,
    /// `shared` or `excl`; not told before Solaris 10 8/07.
    pub ip_type: Option<String>,
}

/// All zones of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneList {
    /// Those that could be told, the global zone included.
    pub zones: Vec<ZoneLine>,
    /// What zoneadm complained about. If it isn't empty, zones with a broken configuration were **left out**,
    /// at exit code 0: the absence of a name proves nothing.
    pub complaints: String,
}

impl ZoneList {
    /// The zone of this name.
    pub fn find(&self, name: &str) -> Option<&ZoneLine> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    /// Whether every zone is in the list.
    pub fn is_complete(&self) -> bool {
        self.complaints.trim().is_empty()
    }

    /// zoneadm's first complaint, escaped and bounded.
    pub fn complaint(&self) -> String {
        let line = self.complaints.trim().lines().next().unwrap_or_default();
        line.chars().take(200).flat_map(char::escape_debug).collect()
    }
}

/// How strictly `attach` compares the zone's software with the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachMode {
    /// It must match.
    Strict,
    /// `-u`: what must match is updated.
    Update,
    /// `-U`: everything is updated. Solaris 10 9/10 and Solaris 11.
    UpdateAll,
    /// `-F`: nothing is compared and no hook run; leaves an ipkg-like zone unbootable.
    Force,
}

/// `zoneadm list -cp`: all zones in all states. `-i` would leave out incomplete ones.
pub fn list() -> Argv {
    Argv::new("zoneadm").args(["list", "-cp"])
}

/// `zoneadm -z Z list -p`: one zone, in whatever state.
pub fn list_one(zone: &ZoneName) -> Argv {
    verb(zone, &["list", "-p"])
}

/// Boots an installed zone. Ends when init was started.
pub fn boot(zone: &ZoneName) -> Argv {
    verb(zone, &["boot"])
}

/// Halts a zone without its shutdown scripts.
pub fn halt(zone: &ZoneName) -> Argv {
    verb(zone, &["halt"])
}

/// Detaches an installed zone: afterwards it is configured, and `SUNWdetached.xml` lies in its zonepath.
pub fn detach(zone: &ZoneName) -> Argv {
    verb(zone, &["detach"])
}

/// What becomes of a boot environment that belongs to another host's. Brand `solaris` alone knows the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootEnvironment {
    /// The brand's own way: Solaris 11 clones one of another host, attaches the clone and keeps both.
    Usual,
    /// `-x deny-zbe-clone`, Solaris 11.3 and later: it is attached as it is (docs.oracle.com, "-x deny-zbe-clone Option").
    InPlace,
}

/// How long an attach may take. `-u` waits for `pkg` and a network, and brand hooks walk the whole zone. One that is
/// killed leaves the zone `incomplete`, so the general deadline of `[commands] timeout` does not apply. The stop method
/// in `smf/zmigrate.xml` has more time, or SMF would kill the daemon first.
const ATTACH_TIMEOUT: Duration = Duration::from_hours(1);

/// Attaches a configured zone. One option at most where Solaris 10 may see it: the parser of 10/08 looks at the first one
/// only. A forced attach runs no hook, so there is nobody to take `-x`.
pub fn attach(zone: &ZoneName, mode: AttachMode, root: BootEnvironment) -> Argv {
    let option = match mode {
        AttachMode::Strict => None,
        AttachMode::Update => Some("-u"),
        AttachMode::UpdateAll => Some("-U"),
        AttachMode::Force => Some("-F"),
    };
    let in_place = root == BootEnvironment::InPlace && mode != AttachMode::Force;
    let kept: &[&str] = if in_place { &["-x", "deny-zbe-clone"] } else { &[] };
    verb(zone, &["attach"]).args(kept.iter().copied()).args(option).within(ATTACH_TIMEOUT)
}

fn verb(zone: &ZoneName, words: &[&str]) -> Argv {
    Argv::new("zoneadm").args(["-z", zone.as_str()]).args(words.iter().copied())
}

/// All zones of this host.
///
/// # Errors
/// When the command fails or a line isn't understood.
pub fn zones(programs: &Programs) -> Result<ZoneList, CmdError> {
    let argv = list();
    let output = programs.ok(&argv)?;
    let zones = parse_list(&output.stdout).map_err(CmdError::unreadable(&argv))?;
    Ok(ZoneList { zones, complaints: output.stderr })
}

/// One zone, or `None` if this host has none of that name.
///
/// zoneadm says "No such zone configured" about a zone whose document is broken or missing, too. So this is believed only
/// when the list of all zones is complete and does not have the zone.
///
/// # Errors
/// When the command fails otherwise, or zoneadm could not list every zone.
pub fn zone(programs: &Programs, zone: &ZoneName) -> Result<Option<ZoneLine>, CmdError> {
    let argv = list_one(zone);
    let output = programs.run(&argv)?;
    if says_no_such_zone(&output, zone) {
        let mut all = zones(programs)?;
        let at = all.zones.iter().position(|line| line.name == zone.as_str());
        return match at {
            Some(at) => Ok(Some(all.zones.swap_remove(at))),
            None if all.is_complete() => Ok(None),
            None => Err(CmdError::Incomplete { zone: zone.clone(), why: all.complaint() }),
        };
    }
    let output = output.into_ok(&argv)?;
    let mut lines = parse_list(&output.stdout).map_err(CmdError::unreadable(&argv))?;
    match lines.pop() {
        Some(line) if lines.is_empty() && line.name == zone.as_str() => Ok(Some(line)),
        _ => Err(CmdError::unreadable(&argv)(ParseError::at(0, &output.stderr, "is not the zone asked for"))),
    }
}

/// zoneadm: X: No such zone configured
fn says_no_such_zone(output: &Output, zone: &ZoneName) -> bool {
    let wanted = format!("zoneadm: {zone}: No such zone configured");
    output.status == Status::Exit(1) && output.stderr.lines().any(|line| line == wanted)
}

/// Reads `zoneadm list -p`.
///
/// ```text
/// 3:dbbackup:running:/export/zones/dbbackup:e4b2f6d0-…:native:shared
/// ```
/// Seven fields on Solaris 10 8/07 and illumos, up to eleven elsewhere, four at the beginning; the manual
/// promises more to come, so what is behind the seventh is not looked at. A `:` in the zonepath is written
/// `\:`, a backslash is not escaped.
///
/// # Errors
/// On a line with less than four fields, an id that is no number, or an unknown state.
pub fn parse_list(text: &str) -> Result<Vec<ZoneLine>, ParseError> {
    text.lines()
        .enumerate()
        .map(|(index, line)| parse_line(line).map_err(|why| ParseError::at(index, line, why)))
        .collect()
}

fn parse_line(line: &str) -> Result<ZoneLine, &'static str> {
    let mut fields = fields(line).into_iter();
    let mut next = || fields.next();
    let (Some(id), Some(name), Some(state), Some(zonepath)) = (next(), next(), next(), next()) else {
        return Err("has less than four fields");
    };
    let id = if id == "-" { None } else { Some(id.parse().map_err(|_| "has no zone id")?) };
    if name.is_empty() {
        return Err("has no zone's name");
    }
    let state = ZoneState::read(&state).ok_or("has a state that is not known")?;
    let mut filled = || fields.next().filter(|field| !field.is_empty());
    Ok(ZoneLine {
        id,
        name,
        state,
        zonepath: zonepath.into(),
        uuid: filled(),
        brand: filled(),
        ip_type: filled(),
    })
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, fields.last_mut()) {
            ('\\', Some(field)) if chars.next_if_eq(&':').is_some() => field.push(':'),
            (':', _) => fields.push(String::new()),
            (c, Some(field)) => field.push(c),
            (_, None) => {}
        }
    }
    fields
}

/// Why a zoneadm verb was refused. The texts are those of `zoneadm.c` and the brands' hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneFault {
    /// No zone of this name.
    NoSuchZone,
    /// It is attached or installed already.
    AlreadyInstalled,
    /// It is booted, or was when it began to go down.
    AlreadyBooted,
    /// It is configured only.
    NotInstalled,
    /// It is in a state that the verb isn't for: it runs, is ready, goes down.
    WrongState,
    /// `incomplete`: it needs an uninstall.
    Incomplete,
    /// Its brand isn't installed here.
    NoBrand,
    /// Not allowed to this user.
    Permission,
    /// Its software differs from this host's, or is newer.
    OutOfSync,
    /// Mounted file systems below the zonepath stand against detaching.
    MountedBelow,
    /// A check of file systems, datasets or the zonepath failed.
    NotVerified,
    /// None of these.
    Other,
}

impl ZoneFault {
    /// What a failed verb said: on stderr, or, for a brand's hook, on stdout.
    pub fn of(output: &Output) -> Self {
        Self::of_text(&[&output.stderr, &output.stdout])
    }

    /// The same of texts, a brand's log among them.
    pub fn of_text(texts: &[&str]) -> Self {
        // Solaris 10 puts "zoneadm: " before "zone 'Z': ", illumos and Solaris 11 do not, verification has
        // neither: so pieces of the messages are looked for. None of them can stand in a zone's name, which
        // has no blank.
        const TEXTS: &[(&str, ZoneFault)] = &[
            ("No such zone configured", ZoneFault::NoSuchZone),
            ("is already installed", ZoneFault::AlreadyInstalled),
            ("zone is already booted", ZoneFault::AlreadyBooted),
            ("must be installed before", ZoneFault::NotInstalled),
            ("is already in state 'configured'", ZoneFault::NotInstalled),
            ("cannot manage a zone which is in state", ZoneFault::WrongState),
            ("operation is invalid for", ZoneFault::WrongState),
            ("zone is incomplete", ZoneFault::Incomplete),
            ("missing or invalid brand", ZoneFault::NoBrand),
            ("only a privileged user may", ZoneFault::Permission),
            ("is not authorized to", ZoneFault::Permission),
            ("are out of sync with the global zone", ZoneFault::OutOfSync),
            ("are inconsistent with this system", ZoneFault::OutOfSync),
            ("were not installed on the source system", ZoneFault::OutOfSync),
            ("Cannot attach to an earlier release", ZoneFault::OutOfSync),
            ("Version mismatch", ZoneFault::OutOfSync),
            // pkg's, in the brand's log (omniosorg/omnios-build #4152)
            ("No matching version of", ZoneFault::OutOfSync),
            ("These file systems are mounted on subdirectories of", ZoneFault::MountedBelow),
            ("could not verify", ZoneFault::NotVerified),
            ("cannot verify", ZoneFault::NotVerified),
            ("failed to verify", ZoneFault::NotVerified),
        ];
        let said = |piece: &str| texts.iter().any(|text| text.contains(piece));
        TEXTS.iter().find(|(piece, _)| said(piece)).map_or(Self::Other, |&(_, fault)| fault)
    }
}

/// Where a detached zone's configuration lies, below its zonepath.
pub fn detached_xml(zonepath: &Path) -> PathBuf {
    zonepath.join("SUNWdetached.xml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn lines_of_every_release_are_read() {
        let zones = parse_list(sample!("zoneadm/list-cp-releases.txt")).unwrap();
        let told: Vec<_> = zones
            .iter()
            .map(|z| {
                (z.id, z.name.as_str(), z.state.as_str(), z.zonepath.to_str().unwrap(), z.uuid.is_some())
            })
            .collect();
        let wanted = [
            (Some(0), "global", "running", "/", false),
            (None, "web", "configured", "/export/zones/web", false),
            (Some(3), "dbbackup", "running", "/export/zones/dbbackup", true),
            (Some(5), "omni", "running", "/zones/omni", true),
            (None, "s11", "installed", "/system/zones/s11", true),
            (None, "s112", "installed", "/system/zones/s112", true),
            (Some(4), "myzone", "installed", "/system/volatile/zones/myzone/zonepath", true),
            (None, "pioupiou", "installed", "/pioupiou/solaris11", true),
            (None, "iscsi", "unavailable", "/iscsi", true),
            (None, "odd", "incomplete", "/zones/a:b c", false),
            (Some(6), "old", "shutting_down", "/zones/old", false),
        ];
        assert_eq!(told, wanted);
        assert_eq!((zones[3].brand.as_deref(), zones[3].ip_type.as_deref()), (Some("sparse"), Some("excl")));
        assert_eq!((zones[10].brand.as_deref(), zones[10].ip_type.as_deref()), (None, None));
    }

    #[test]
    fn a_line_that_is_not_known_is_refused() {
        for bad in [
            "",
            "0:global:running",
            "x:web:running:/",
            "-::installed:/",
            "-:web:Running:/",
            "-:web:stopped:/",
        ] {
            assert!(parse_list(&format!("{bad}\n")).is_err(), "{bad:?}");
        }
        assert_eq!(parse_list(""), Ok(Vec::new()));
    }

    #[test]
    fn a_backslash_is_itself_unless_it_stands_before_a_colon() {
        assert_eq!(fields(r"a\b\:c:d\"), [r"a\b:c", r"d\"]);
    }

    #[test]
    fn verbs_name_the_zone_first() {
        let zone = ZoneName::new("web").unwrap();
        let usual = BootEnvironment::Usual;
        let in_place = BootEnvironment::InPlace;
        let cases: [(Argv, &[&str]); 11] = [
            (list(), &["list", "-cp"]),
            (list_one(&zone), &["-z", "web", "list", "-p"]),
            (boot(&zone), &["-z", "web", "boot"]),
            (halt(&zone), &["-z", "web", "halt"]),
            (detach(&zone), &["-z", "web", "detach"]),
            (attach(&zone, AttachMode::Strict, usual), &["-z", "web", "attach"]),
            (attach(&zone, AttachMode::Update, usual), &["-z", "web", "attach", "-u"]),
            (attach(&zone, AttachMode::Force, usual), &["-z", "web", "attach", "-F"]),
            (attach(&zone, AttachMode::Strict, in_place), &["-z", "web", "attach", "-x", "deny-zbe-clone"]),
            (
                attach(&zone, AttachMode::Update, in_place),
                &["-z", "web", "attach", "-x", "deny-zbe-clone", "-u"],
            ),
            (attach(&zone, AttachMode::Force, in_place), &["-z", "web", "attach", "-F"]),
        ];
        for (argv, wanted) in cases {
            assert_eq!(argv.program(), "zoneadm");
            assert_eq!(argv.arguments(), wanted);
        }
    }

    #[test]
    fn the_general_deadline_does_not_end_an_attach() {
        for mode in [AttachMode::Strict, AttachMode::Update, AttachMode::UpdateAll, AttachMode::Force] {
            let limit = attach(&ZoneName::new("web").unwrap(), mode, BootEnvironment::Usual).limit();
            assert!(limit.is_some_and(|limit| limit >= Duration::from_secs(3600)), "{mode:?}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn refusals_are_told_apart() {
        // [constructed] from the format strings of zoneadm.c and the brands' hooks
        for (stdout, stderr, fault) in [
            ("", "zoneadm: web: No such zone configured\n", ZoneFault::NoSuchZone),
            ("", "zone 'web': zone is already booted\n", ZoneFault::AlreadyBooted),
            ("", "zoneadm: zone 'web': detach operation is invalid for running zones.\n", ZoneFault::WrongState),
            ("", "zoneadm: zone 'web': must be installed before boot.\n", ZoneFault::NotInstalled),
            ("", "zoneadm: zone 'web': is already installed.\n", ZoneFault::AlreadyInstalled),
            ("", "could not verify zfs dataset d/t: dataset does not exist\nzoneadm: zone web failed to verify\n", ZoneFault::NotVerified),
            ("                Evaluation: Packages in zone web are out of sync with the global zone. To proceed, retry with the -u flag.\n", "", ZoneFault::OutOfSync),
            ("", "zone 'web': unable to boot zone: Not enough space\n", ZoneFault::Other),
        ] {
            let output = Output { status: Status::Exit(1), stdout: stdout.to_owned(), stderr: stderr.to_owned(), stderr_cut: false };
            assert_eq!(ZoneFault::of(&output), fault, "{stderr}{stdout}");
        }
    }
}
