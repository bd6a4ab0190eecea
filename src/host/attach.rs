//! `zoneadm attach` on either host, and what the brand's log has to say when it fails.
//!
//! A hook's stderr goes to its log, and with it the reason why `pkg` refused: zoneadm prints little of it (seen in
//! omniosorg/omnios-build #4152: the plan's progress and exit 1). So the log is looked for, by the line with which older hooks name
//! it, else as the file that has come to be where hooks make theirs:
//!
//! | brand | log |
//! | --- | --- |
//! | ipkg, lipkg, sparse, pkgsrc, Tribblix's | `/var/tmp/ZONE.attach_log.XXXXXX` (their attach scripts) |
//! | solaris | `/var/log/zones/zoneadm.TIME.ZONE.attach` (as for an install; for an attach unverified) |
//! | native, illumos | none |
//!
//! Only a file of such a name, a regular one and our own user's, is read. A log that isn't there changes nothing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::StepError;
use super::brand::Brand;
use crate::cmd::zoneadm::{self, AttachMode, BootEnvironment, ZoneFault};
use crate::job::name::ZoneName;
use crate::job::record::Job;
use crate::job::request::Attach;
use crate::process::{Argv, Output, Programs, RunError};

/// Where hooks make their logs.
const DIRECTORIES: [&str; 2] = ["/var/tmp", "/var/log/zones"];
/// How much of a log's end is read.
const READ: u64 = 16 << 10;
/// How many of its lines go to the job's log.
const LINES: usize = 60;
/// How much of its end goes into the outcome, in bytes.
const TOLD: usize = 320;

/// The command that attaches a job's zone on the target. A boot environment is attached as it came: by its clone the zone
/// would be left with two, and every further move would carry both.
pub fn on_target(job: &Job) -> Argv {
    let mode = match job.request.target.attach {
        Attach::Strict => AttachMode::Strict,
        Attach::Update => AttachMode::Update,
        Attach::UpdateAll => AttachMode::UpdateAll,
        Attach::Force => AttachMode::Force,
    };
    let brand = job.survey.as_ref().and_then(|survey| Brand::carried(&survey.zone.brand));
    let clones = brand.is_some_and(|brand| brand.clones_at_attach);
    let root = if clones { BootEnvironment::InPlace } else { BootEnvironment::Usual };
    zoneadm::attach(job.zone(), mode, root)
}

/// One run of attach. Whether it did anything is for the caller to look at.
pub struct Attempt<'a> {
    argv: &'a Argv,
    output: Output,
    log: Option<Log>,
}

/// Runs it.
///
/// # Errors
/// When it could not be run, or not to its end.
pub fn attempt<'a>(programs: &Programs, zone: &ZoneName, argv: &'a Argv) -> Result<Attempt<'a>, RunError> {
    let before = Candidates::of(&DIRECTORIES, zone);
    let output = programs.run(argv)?;
    Ok(Attempt { argv, output, log: None }.with_log(zone, &before))
}

impl Attempt<'_> {
    fn with_log(mut self, zone: &ZoneName, before: &Candidates) -> Self {
        let path = named(&self.output.stdout, zone).or_else(|| before.new_one(&DIRECTORIES, zone));
        self.log = path.and_then(|path| Log::read(&path));
        self
    }

    /// Why it was refused.
    pub fn fault(&self) -> ZoneFault {
        let log = self.log.as_ref().map_or("", |log| &log.text);
        ZoneFault::of_text(&[&self.output.stderr, &self.output.stdout, log])
    }

    /// What went wrong, with the end of the brand's log; that log's last lines go to the job's. `although` is what to say when
    /// zoneadm was content.
    pub fn failed(self, programs: &Programs, although: impl FnOnce(&Argv) -> StepError) -> StepError {
        let Some(log) = &self.log else {
            return match self.output.into_ok(self.argv) {
                Err(error) => error.into(),
                Ok(_) => although(self.argv),
            };
        };
        programs.note(&format!("attach log {}:", log.path.display()));
        log.last_lines(LINES).iter().for_each(|line| programs.note(&format!("attach log: {line}")));
        let reason = format!("{}; attach log {}", log.reason(), log.path.display());
        // What is on stdout stands in the log too.
        let output = Output { stdout: String::new(), ..self.output };
        let error = match output.into_ok(self.argv) {
            Err(error) => StepError::from(error),
            Ok(_) => although(self.argv),
        };
        StepError { text: format!("{}: {reason}", error.text), ..error }
    }
}

/// The log that a hook names in what it prints.
fn named(stdout: &str, zone: &ZoneName) -> Option<PathBuf> {
    let lines = stdout.lines().map(str::trim);
    let path = lines.filter_map(|line| {
        line.strip_prefix("Log File: ").or_else(|| line.strip_prefix("Progress being logged to "))
    });
    path.map(PathBuf::from).find(|path| path.is_absolute() && is_log(path, zone))
}

fn is_log(path: &Path, zone: &ZoneName) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let legal = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let of_ipkg = name.strip_prefix(&format!("{zone}.attach_log.")).is_some_and(legal);
    let of_solaris =
        name.strip_prefix("zoneadm.").and_then(|rest| rest.strip_suffix(&format!(".{zone}.attach")));
    of_ipkg || of_solaris.is_some_and(legal)
}

/// The logs of a zone's attaches that are there.
struct Candidates(BTreeSet<PathBuf>);

impl Candidates {
    fn of<D: AsRef<Path>>(directories: &[D], zone: &ZoneName) -> Self {
        let entries =
            directories.iter().flat_map(|dir| fs::read_dir(dir.as_ref()).into_iter().flatten().flatten());
        Self(entries.map(|entry| entry.path()).filter(|path| is_log(path, zone)).collect())
    }

    /// The one that has come since; of several, nobody knows which.
    fn new_one<D: AsRef<Path>>(&self, directories: &[D], zone: &ZoneName) -> Option<PathBuf> {
        let now = Self::of(directories, zone);
        let mut new = now.0.difference(&self.0);
        match (new.next(), new.next()) {
            (Some(path), None) => Some(path.clone()),
            _ => None,
        }
    }
}

/// A log's end.
struct Log {
    path: PathBuf,
    text: String,
}

impl Log {
    /// Nothing is followed and nothing is waited for: anybody may put files into /var/tmp.
    fn read(path: &Path) -> Option<Self> {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let mut file = File::options().read(true).custom_flags(flags).open(path).ok()?;
        let meta = file.metadata().ok()?;
        if !meta.is_file() || meta.uid() != nix::unistd::geteuid().as_raw() {
            return None;
        }
        file.seek(SeekFrom::Start(meta.len().saturating_sub(READ))).ok()?;
        let mut bytes = Vec::new();
        file.take(READ).read_to_end(&mut bytes).ok()?;
        Some(Self { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
    }

    fn last_lines(&self, most: usize) -> Vec<&str> {
        let lines: Vec<_> =
            self.text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(most)..].to_vec()
    }

    /// The end of what it says, on one line: without dates, and without the line that only says that it failed.
    fn reason(&self) -> String {
        let lines = self.last_lines(LINES).into_iter().map(undated);
        let said: Vec<_> = lines.filter(|line| *line != "Result: Attach Failed.").collect();
        let line: String = said.join("; ").chars().flat_map(escaped).collect();
        if line.len() <= TOLD {
            return line;
        }
        let start = (line.len() - TOLD..line.len()).find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        format!("…{}", &line[start..])
    }
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_debug().collect() } else { vec![c] }
}

/// `[July  6, 2026 at 04:52:20 AM UTC] Log File: …` without its date.
fn undated(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    rest.map_or(line, |(_, rest)| rest).trim()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::cmd::sample::sample;
    use crate::process::Status;

    fn zone() -> ZoneName {
        ZoneName::new("services0").unwrap()
    }

    #[test]
    fn the_reason_is_the_end_of_the_log_without_its_dates() {
        let log = Log { path: "/x".into(), text: sample!("zoneadm/attach-log-omnios.txt").to_owned() };
        let reason = log.reason();
        assert!(reason.ends_with("driver/network/cxgbe can be installed"), "{reason}");
        assert!(reason.contains("No matching version of entire can be installed"), "{reason}");
        assert!(!reason.contains("2026") && reason.len() <= TOLD + 3, "{reason}");
        let attempt = Attempt { argv: &Argv::new("zoneadm"), output: refused(""), log: Some(log) };
        assert_eq!(attempt.fault(), ZoneFault::OutOfSync);
    }

    fn refused(stdout: &str) -> Output {
        Output {
            status: Status::Exit(1),
            stdout: stdout.to_owned(),
            stderr: String::new(),
            stderr_cut: false,
        }
    }

    #[test]
    fn a_control_character_of_a_log_stays_in_it() {
        let log = Log { path: "/x".into(), text: "a\u{1b}[2J\nb\n".to_owned() };
        assert_eq!(log.reason(), "a\\u{1b}[2J; b");
    }

    #[test]
    fn the_log_that_is_named_is_taken_if_its_name_is_one() {
        for (line, wanted) in [
            ("Log File: /var/tmp/services0.attach_log.vAaGlb", true),
            ("Progress being logged to /var/log/zones/zoneadm.20111113T200358Z.services0.attach", true),
            ("Log File: /etc/shadow", false),
            ("Log File: /var/tmp/other.attach_log.vAaGlb", false),
            ("Log File: services0.attach_log.vAaGlb", false),
            ("Progress being logged to /var/log/zones/zoneadm.x.services0.install", false),
        ] {
            let found = named(&format!("x\n{line}\n"), &zone());
            assert_eq!(found.is_some(), wanted, "{line}: {found:?}");
        }
    }

    #[test]
    fn of_unnamed_logs_the_one_that_has_come_is_taken_and_of_two_none() {
        let home = tempfile::tempdir().unwrap();
        let dirs = [home.path().join("tmp"), home.path().join("none")];
        fs::create_dir(&dirs[0]).unwrap();
        let make = |name: &str| fs::write(dirs[0].join(name), "reason\n").unwrap();
        make("services0.attach_log.oooooo");
        make("unrelated");
        let before = Candidates::of(&dirs, &zone());
        assert_eq!(before.new_one(&dirs, &zone()), None);
        make("services0.attach_log.nnnnnn");
        make("services00.attach_log.nnnnnn");
        let found = before.new_one(&dirs, &zone()).unwrap();
        assert_eq!(found, dirs[0].join("services0.attach_log.nnnnnn"));
        assert_eq!(Log::read(&found).unwrap().text, "reason\n");
        make("zoneadm.20111113T200358Z.services0.attach");
        assert_eq!(before.new_one(&dirs, &zone()), None);
    }

    #[test]
    fn what_is_no_plain_file_is_not_read_and_of_a_long_one_the_end() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        symlink("/etc/passwd", at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(Log::read(&at("link")).is_none() && Log::read(&at("fifo")).is_none());
        assert!(Log::read(home.path()).is_none() && Log::read(&at("none")).is_none());
        fs::write(at("long"), format!("{}\nthe end\n", "x".repeat(100_000))).unwrap();
        let log = Log::read(&at("long")).unwrap();
        assert_eq!(log.text.len() as u64, READ);
        assert!(log.reason().ends_with("the end"));
    }
}
