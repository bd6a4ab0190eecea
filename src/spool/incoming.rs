//! Requests that are dropped into the spool: found by a scan, claimed by a rename, and only then looked at.
//!
//! Guarantees: a name in `incoming/` that does not begin with a dot ends as a request in the caller's hands,
//! or in `rejected/` with a reason, or, where it can't be moved at all, is left alone with one warning.
//! Whatever it is (a link, a FIFO, a device, 40 GB, not UTF-8, somebody else's), it is not followed, waited
//! for or read beyond
//! 64 KiB, and it does not stop the daemon. Never does: parse, decide which job it becomes.
//!
//! Half-written files: the sure way to drop a request is a dot name, then a rename. For those who write in
//! place, a regular file is left until it has *settled*: it was last written 2 seconds ago or more, or it was
//! changed otherwise since (a rename moves `ctime` past `mtime`), or its mode lets nobody write, which is how
//! a dropper says that it is final. The content is not asked: half a request can be a whole one that
//! says something else. A writer that pauses for longer than that is cut short.
//!
//! Whose request it is: its owner's, as the system says of the very file that is read, once it is claimed. A site may let
//! others write into `incoming/`, and then nothing there is as it was at the look before. So the owner's right is asked
//! for first, by the name, so that a request whose owner nobody can tell about stays where he can take it back;
//! and again, of the claimed file. What lets one user speak for another is refused as far as it can be seen: a hard link to
//! another's file, a file that others can write, a directory without the sticky bit, a system on which files can be given
//! away. Not seen: a file of another's that a user has moved here, out of a directory of the same file system in which he may
//! rename it (a spool that is a dataset of its own has none); and what an ACL allows besides the mode.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::look::{exists, read_dir};
use super::read::{open_dir, read_bounded};
use super::{Spool, SpoolError, durable, folders};
use crate::guard::{OTHERS_WRITE, is_ours};

/// No request is larger.
pub const MAX_REQUEST: u64 = 64 << 10;

/// How long a file that was written in place has to be left in peace.
pub const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The longest suffix that a rejected name gets: `.9999.reason`, under a dot name.
const ROOM_FOR_SUFFIX: usize = 32;

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub struct Scan {
    /// Names to [`Incoming::take`], oldest first; what an earlier daemon had claimed comes before all.
    pub ready: Vec<OsString>,
    /// Scan again after this time, since something has not settled yet.
    pub again_in: Option<Duration>,
}

/// A request that was claimed and can be read. It stays claimed until it is admitted ([`Spool::admit`]) or
/// rejected ([`Incoming::reject`]); dropping this value decides nothing, the next scan finds it again.
#[derive(Debug)]
pub struct Taken {
    /// The name under which it was dropped.
    pub name: OsString,
    /// Its text.
    pub text: String,
    /// Who owns the file: the user who submitted it.
    pub uid: u32,
}

/// Something that is now in `rejected/`.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The name under which it was dropped, escaped: for messages.
    pub name: String,
    /// Why, as it stands in the file beside it.
    pub reason: String,
    /// Where it is now.
    pub path: PathBuf,
}

/// Whether a user may submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum May {
    /// He may.
    Submit,
    /// He may not: why, as a fragment that goes behind the file's name.
    Not(String),
    /// Nobody can say yet: his requests wait.
    NotYet,
}

/// Says whether the user with this id may submit. About root and the daemon's own user nobody is asked.
pub type Asked<'a> = dyn Fn(u32) -> May + 'a;

/// What became of a name.
#[derive(Debug)]
pub enum Taking {
    /// A request to decide about.
    Request(Taken),
    /// It can't be a request and lies in `rejected/`.
    Rejected(Rejection),
    /// It can't be moved and stays where it is.
    LeftAlone {
        /// The name, escaped: for messages.
        name: String,
        /// Why.
        why: io::Error,
        /// Whether this is the first time, and so the time to warn.
        warn: bool,
    },
    /// Whether its owner may submit is not known yet: it stays where it is, and a later scan finds it again.
    NotYet,
    /// Nothing has this name any more: whoever dropped it took it back.
    Gone,
}

/// The incoming side of a spool. One for a daemon: it remembers what it has warned of.
#[derive(Debug)]
pub struct Incoming {
    spool: Spool,
    /// What was left alone, by name and inode: another file of that name is another case.
    left_alone: HashSet<(OsString, u64)>,
}

impl Incoming {
    /// The incoming side of an opened spool.
    pub fn new(spool: Spool) -> Self {
        Self { spool, left_alone: HashSet::new() }
    }

    /// Looks what there is. `now` is the wall clock's time, to be compared with files' times.
    ///
    /// # Errors
    /// When a directory can't be listed, or others can write where they must not: then nothing there is believed.
    pub fn scan(&mut self, now: SystemTime) -> Result<Scan, SpoolError> {
        folders::judge(self.spool.dir(), "incoming")?;
        let mut claimed: Vec<OsString> = read_dir(&self.spool.claims())?
            .into_iter()
            .map(|e| e.file_name())
            .filter(|n| !is_dot(n))
            .collect();
        claimed.sort();
        let mut again_in: Option<Duration> = None;
        let mut dropped = Vec::new();
        let mut seen = HashSet::new();
        for entry in read_dir(&self.spool.incoming_dir())? {
            let name = entry.file_name();
            if is_dot(&name) {
                continue;
            }
            // Of the name itself, not of what a link shows. Gone between the two looks: no business of ours.
            let Ok(meta) = entry.metadata() else { continue };
            seen.insert((name.clone(), meta.ino()));
            // Its name is taken until the claimed one of the same name has been decided.
            let wait = match claimed.binary_search(&name) {
                Ok(_) => Some(Duration::ZERO),
                Err(_) => unsettled(&meta, now),
            };
            match wait {
                Some(wait) => again_in = Some(again_in.map_or(wait, |other| other.min(wait))),
                None => dropped.push((meta.mtime(), meta.mtime_nsec(), name)),
            }
        }
        self.left_alone.retain(|known| seen.contains(known));
        dropped.sort();
        let mut ready = claimed;
        ready.extend(dropped.into_iter().map(|(_, _, name)| name));
        Ok(Scan { ready, again_in })
    }

    /// Takes one name of a scan: claims it, so that nobody can change it under us by name, and then looks
    /// what it is. Files of root and of the daemon's own user are always allowed; for others `may_submit` is
    /// asked.
    ///
    /// # Errors
    /// [`SpoolError::Full`] when there is no room for the reason of a rejection or for the rename; it is
    /// found again by the next scan.
    pub fn take(&mut self, name: &OsStr, may_submit: &Asked<'_>) -> Result<Taking, SpoolError> {
        if name.is_empty() || is_dot(name) || name.as_bytes().contains(&b'/') {
            return Ok(Taking::Gone);
        }
        let claim = self.spool.claims().join(name);
        // One that is claimed already goes first: a rename would put the other in its place.
        if !exists(&claim)? {
            let dropped = self.spool.incoming_dir().join(name);
            if let Ok(meta) = fs::symlink_metadata(&dropped)
                && meta.is_file()
                && judge(meta.uid(), may_submit) == May::NotYet
            {
                return Ok(Taking::NotYet);
            }
            match durable::rename(&dropped, &claim) {
                Ok(()) => {}
                Err(SpoolError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    return Ok(Taking::Gone);
                }
                // Only a sync failed: claimed or dropped after a crash, both are found again.
                Err(SpoolError::Io { .. }) if exists(&claim)? => {}
                Err(SpoolError::Io { source, .. }) => {
                    let inode = fs::symlink_metadata(&dropped).map_or(0, |meta| meta.ino());
                    let warn = self.left_alone.insert((name.to_owned(), inode));
                    return Ok(Taking::LeftAlone { name: shown(name), why: source, warn });
                }
                Err(e) => return Err(e),
            }
        }
        match self.look(name, may_submit) {
            Ok(Some(taken)) => Ok(Taking::Request(taken)),
            // Another file than the one that was asked about: it stays claimed.
            Ok(None) => Ok(Taking::NotYet),
            Err(reason) => self.spool.put_aside(&claim, &reason).map(Taking::Rejected),
        }
    }

    /// Rejects a request that was taken: it and its reason go to `rejected/`.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or another: it is still claimed then, and the next scan finds it again.
    pub fn reject(&mut self, taken: Taken, reason: &str) -> Result<Rejection, SpoolError> {
        self.spool.put_aside(&self.spool.claims().join(&taken.name), reason)
    }

    /// Reads what was claimed, or says why it is no request; `None` while nobody can tell.
    fn look(&self, name: &OsStr, may_submit: &Asked<'_>) -> Result<Option<Taken>, String> {
        let content = open_dir(&self.spool.claims())
            .and_then(|claims| read_bounded(claims, name, MAX_REQUEST))
            .map_err(|e| e.to_string())?;
        let uid = content.meta.uid();
        match judge(uid, may_submit) {
            May::Submit => {}
            May::Not(why) => return Err(why),
            May::NotYet => return Ok(None),
        }
        // The owner of a file is not who put a second link to it here. Its content is not his either, where he doesn't
        // want to say it any more: with the last other name gone it would pass for his.
        if content.meta.nlink() != 1 {
            return Err(
                "has another name elsewhere (a hard link): drop a copy, and empty this file before it is \
                        removed, or whoever has the other name could submit it"
                    .to_owned(),
            );
        }
        let mode = content.meta.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 && self.is_open() {
            return Err(format!(
                "can be written by others than its owner (mode {mode:04o}), who answers for what it says: \
                 drop a copy that only he can write"
            ));
        }
        let text = String::from_utf8(content.bytes)
            .map_err(|e| format!("is not UTF-8 from byte {} on", e.utf8_error().valid_up_to()))?;
        Ok(Some(Taken { name: name.to_owned(), text, uid }))
    }

    /// Whether others than its owner can write into `incoming/`. When in doubt they can.
    fn is_open(&self) -> bool {
        fs::symlink_metadata(self.spool.incoming_dir()).map_or(true, |meta| meta.mode() & OTHERS_WRITE != 0)
    }
}

/// Root and the daemon's own user may; about others is asked.
fn judge(uid: u32, may_submit: &Asked<'_>) -> May {
    if is_ours(uid) { May::Submit } else { may_submit(uid) }
}

impl Spool {
    /// Moves a file of the spool to `rejected/`, with its reason beside it; what lies there is never
    /// replaced.
    pub(super) fn put_aside(&self, from: &Path, reason: &str) -> Result<Rejection, SpoolError> {
        let name = from.file_name().ok_or_else(|| SpoolError::no_name("put aside", from))?;
        let rejected = self.dir().join("rejected");
        let mut to = rejected.join(shortened(name, ""));
        let mut n = 0;
        while exists(&to)? {
            n += 1;
            to = rejected.join(shortened(name, &format!(".{n}")));
        }
        let shown = shown(name);
        // The reason first: a crash before the rename leaves the file claimed, and this is done again.
        let mut beside = to.clone().into_os_string();
        beside.push(".reason");
        durable::write(Path::new(&beside), format!("{shown}: {reason}\n").as_bytes())?;
        durable::rename(from, &to)?;
        Ok(Rejection { name: shown, reason: reason.to_owned(), path: to })
    }
}

/// How long to leave a file alone still, or `None` when it has settled.
fn unsettled(meta: &Metadata, now: SystemTime) -> Option<Duration> {
    let written = (meta.mtime(), meta.mtime_nsec());
    let changed = (meta.ctime(), meta.ctime_nsec());
    if !meta.is_file() || changed > written || meta.mode() & 0o222 == 0 {
        return None;
    }
    let mtime = meta.modified().ok()?;
    // A time in the future is another clock's; a little of it is this one's, read before the write.
    let age = now.duration_since(mtime).or_else(|_| mtime.duration_since(now)).ok()?;
    SETTLED_AFTER.checked_sub(age).filter(|wait| !wait.is_zero())
}

fn is_dot(name: &OsStr) -> bool {
    name.as_bytes().first() == Some(&b'.')
}

/// A name for messages: escaped, and of bounded length.
fn shown(name: &OsStr) -> String {
    name.to_string_lossy().escape_debug().take(255).collect()
}

/// `name` with `suffix`, cut so that it and its reason still fit the 255 bytes of a file's name.
fn shortened(name: &OsStr, suffix: &str) -> OsString {
    let bytes = name.as_bytes();
    let mut short = bytes[..bytes.len().min(255 - ROOM_FOR_SUFFIX)].to_vec();
    short.extend_from_slice(suffix.as_bytes());
    OsString::from_vec(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    struct Fixture {
        tmp: tempfile::TempDir,
        incoming: Incoming,
    }

    fn fixture() -> Fixture {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        Fixture { tmp, incoming: Incoming::new(spool) }
    }

    impl Fixture {
        fn at(&self, name: impl AsRef<OsStr>) -> PathBuf {
            self.tmp.path().join("incoming").join(name.as_ref())
        }

        /// A file, last written at this second.
        fn write(&self, name: &str, text: &str, second: u64) {
            fs::write(self.at(name), text).unwrap();
            File::options().write(true).open(self.at(name)).unwrap().set_modified(time(second)).unwrap();
        }

        fn take(&mut self, name: impl AsRef<OsStr>) -> Taking {
            self.incoming.take(name.as_ref(), &|_| May::NotYet).unwrap()
        }

        fn rejection(&mut self, name: impl AsRef<OsStr>) -> Rejection {
            match self.take(name) {
                Taking::Rejected(rejection) => rejection,
                other => panic!("{other:?}"),
            }
        }

        fn scan(&mut self) -> Vec<String> {
            let scan = self.incoming.scan(SystemTime::now() + Duration::from_secs(60)).unwrap();
            scan.ready.into_iter().map(|n| n.into_string().unwrap()).collect()
        }
    }

    fn time(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn the_oldest_comes_first_and_dot_names_are_not_looked_at() {
        let mut f = fixture();
        f.write("b", "", 10);
        f.write("c", "", 5);
        f.write("a", "", 10);
        f.write(".d", "", 1);
        assert_eq!(f.scan(), ["c", "a", "b"]);
        assert!(matches!(f.take(".d"), Taking::Gone));
        assert!(matches!(f.take("../lock"), Taking::Gone));
        assert!(matches!(f.take("nothing"), Taking::Gone));
    }

    #[test]
    fn a_request_is_taken_with_its_text_and_owner() {
        let mut f = fixture();
        f.write("web.toml", "zone = \"web\"\n", 10);
        let Taking::Request(taken) = f.take("web.toml") else { panic!() };
        assert_eq!(taken.name, "web.toml");
        assert_eq!(taken.text, "zone = \"web\"\n");
        assert_eq!(taken.uid, nix::unistd::geteuid().as_raw());
        assert!(!f.at("web.toml").exists());
        // Not decided: the next scan has it again, ahead of others, and a second of its name waits.
        f.write("web.toml", "second", 1);
        f.write("a", "", 1);
        let scan = f.incoming.scan(time(100)).unwrap();
        assert_eq!(scan.ready, ["web.toml", "a"]);
        assert_eq!(scan.again_in, Some(Duration::ZERO));
        let Taking::Request(taken) = f.take("web.toml") else { panic!() };
        assert_eq!(taken.text, "zone = \"web\"\n");
        f.incoming.reject(taken, "unknown key").unwrap();
        let Taking::Request(taken) = f.take("web.toml") else { panic!() };
        assert_eq!(taken.text, "second");
        let again = f.incoming.reject(taken, "unknown key `x`").unwrap();
        assert_eq!(again.path, f.tmp.path().join("rejected/web.toml.1"));
        let reason = fs::read_to_string(f.tmp.path().join("rejected/web.toml.1.reason")).unwrap();
        assert_eq!(reason, "web.toml: unknown key `x`\n");
        assert_eq!(f.scan(), ["a"]);
    }

    #[test]
    fn a_file_written_in_place_is_left_until_it_has_settled() {
        let mut f = fixture();
        let path = f.at("half");
        fs::write(&path, "zone = ").unwrap();
        let meta = fs::metadata(&path).unwrap();
        let written = meta.modified().unwrap();
        let mut wait = |age| f.incoming.scan(written + age).unwrap();
        if meta.ctime_nsec() == meta.mtime_nsec() {
            let young = wait(Duration::from_millis(500));
            assert_eq!(young, Scan { ready: vec![], again_in: Some(Duration::from_millis(1500)) });
        }
        assert_eq!(wait(SETTLED_AFTER), Scan { ready: vec!["half".into()], again_in: None });

        // Final by its mode, or by a change (here its times') after the last write: taken at once.
        fs::write(f.at("final"), "x").unwrap();
        fs::set_permissions(f.at("final"), Permissions::from_mode(0o400)).unwrap();
        f.write("moved", "x", 1_000_000);
        let scan = f.incoming.scan(time(1_000_001)).unwrap();
        assert!(scan.ready.contains(&"moved".into()) && scan.ready.contains(&"final".into()), "{scan:?}");
    }

    #[test]
    fn whatever_is_no_request_ends_in_rejected_with_a_reason() {
        let mut f = fixture();
        let long = "l".repeat(255);
        symlink("/etc/passwd", f.at("link")).unwrap();
        fs::create_dir(f.at("dir")).unwrap();
        fs::write(f.at("dir").join("inside"), "kept").unwrap();
        nix::unistd::mkfifo(&f.at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(f.at("socket")).unwrap();
        fs::write(f.at("huge"), vec![b' '; MAX_REQUEST as usize + 1]).unwrap();
        fs::write(f.at("latin"), b"zone = \"\xe9\"").unwrap();
        fs::write(f.at(&long), b"\xff").unwrap();
        fs::write(f.at("linked"), "x").unwrap();
        fs::hard_link(f.at("linked"), f.at(".other")).unwrap();
        let odd = OsStr::from_bytes(b"odd\n\xff");
        fs::write(f.at(odd), b"\xff").unwrap();

        for (name, want) in [
            ("link", "is a symbolic link"),
            ("dir", "is a directory"),
            ("fifo", "is a FIFO"),
            ("socket", "is a socket"),
            ("huge", "has more than 65536 bytes"),
            ("latin", "is not UTF-8 from byte 8 on"),
            (&long, "is not UTF-8"),
            ("linked", "has another name elsewhere"),
        ] {
            let rejection = f.rejection(name);
            assert!(rejection.reason.starts_with(want), "{name}: {}", rejection.reason);
            assert!(fs::symlink_metadata(&rejection.path).is_ok(), "{name}");
            let reason = fs::read_to_string(format!("{}.reason", rejection.path.display())).unwrap();
            assert_eq!(reason, format!("{name}: {}\n", rejection.reason));
        }
        assert_eq!(f.rejection(odd).name, "odd\\n\u{fffd}");
        assert_eq!(fs::read(f.tmp.path().join("rejected/dir/inside")).unwrap(), b"kept");
        assert_eq!(f.scan(), [""; 0]);
    }

    /// What the daemon's thread would be told about one user; nobody is asked about another.
    fn only(uid: u32, may: May) -> impl Fn(u32) -> May {
        move |asked| if asked == uid { may.clone() } else { panic!("asked about {asked}") }
    }

    /// Only root can give a file away: `.ci/run` runs these as root.
    fn given_away(f: &Fixture, name: &str, text: &str, uid: u32) -> bool {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can give a file away");
            return false;
        }
        fs::write(f.at(name), text).unwrap();
        std::os::unix::fs::chown(f.at(name), Some(uid), None).unwrap();
        true
    }

    #[test]
    fn a_user_who_may_not_submit_is_rejected_and_one_who_may_is_not() {
        let mut f = fixture();
        for (name, uid) in [("no", 1001), ("yes", 1002)] {
            if !given_away(&f, name, "x", uid) {
                return;
            }
        }
        let why = "belongs to user joe";
        match f.incoming.take(OsStr::new("no"), &only(1001, May::Not(why.to_owned()))).unwrap() {
            Taking::Rejected(rejection) => assert_eq!(rejection.reason, why),
            other => panic!("{other:?}"),
        }
        match f.incoming.take(OsStr::new("yes"), &only(1002, May::Submit)).unwrap() {
            Taking::Request(taken) => assert_eq!(taken.uid, 1002),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn while_nobody_can_tell_the_request_stays_where_its_owner_can_take_it_back() {
        let mut f = fixture();
        if !given_away(&f, "x", "x", 1001) {
            return;
        }
        let take = |f: &mut Fixture, may| f.incoming.take(OsStr::new("x"), &only(1001, may)).unwrap();
        assert!(matches!(take(&mut f, May::NotYet), Taking::NotYet));
        assert!(f.at("x").exists());
        assert_eq!(f.scan(), ["x"]);
        assert!(matches!(take(&mut f, May::Submit), Taking::Request(_)));
    }

    /// Between the look at a name and its claim its owner puts another file there, or gives it away.
    #[test]
    fn the_owner_who_counts_is_that_of_the_file_that_was_claimed() {
        use std::cell::Cell;
        let mut f = fixture();
        if !given_away(&f, "x", "of joe", 1001) || !given_away(&f, ".other", "of jim", 1002) {
            return;
        }
        let (x, other) = (f.at("x"), f.at(".other"));
        let asked = Cell::new(0);
        let swaps = |uid| {
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                assert_eq!(uid, 1001);
                fs::rename(&other, &x).unwrap();
                return May::Submit;
            }
            assert_eq!(uid, 1002);
            May::NotYet
        };
        assert!(matches!(f.incoming.take(OsStr::new("x"), &swaps).unwrap(), Taking::NotYet));
        assert_eq!(asked.get(), 2);
        // Claimed by now: undecided still, and found again by any daemon.
        assert!(!x.exists());
        assert_eq!(f.scan(), ["x"]);
        match f.incoming.take(OsStr::new("x"), &only(1002, May::Not("no".to_owned()))).unwrap() {
            Taking::Rejected(rejection) => assert_eq!(fs::read(rejection.path).unwrap(), b"of jim"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn where_others_can_write_a_request_that_others_can_write_is_nobodys() {
        let mut f = fixture();
        let chmod = |path: PathBuf, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        for mode in [0o664, 0o646] {
            fs::write(f.at("x"), "x").unwrap();
            chmod(f.at("x"), mode);
            assert!(matches!(f.take("x"), Taking::Request(_)), "nobody else gets there");
            fs::remove_file(f.tmp.path().join("active/.claims/x")).unwrap();

            chmod(f.at(""), 0o1770);
            fs::write(f.at("x"), "x").unwrap();
            chmod(f.at("x"), mode);
            let reason = f.rejection("x").reason;
            assert!(reason.starts_with("can be written by others than its owner"), "{reason}");
            f.write("x", "x", 1);
            chmod(f.at("x"), 0o644);
            assert!(matches!(f.take("x"), Taking::Request(_)));
            fs::remove_file(f.tmp.path().join("active/.claims/x")).unwrap();
            chmod(f.at(""), 0o700);
        }
    }

    #[test]
    fn where_others_can_take_each_others_files_away_nothing_is_believed() {
        let mut f = fixture();
        f.write("x", "x", 1);
        fs::set_permissions(f.at(""), Permissions::from_mode(0o770)).unwrap();
        let error = f.incoming.scan(time(100)).unwrap_err().to_string();
        assert!(error.contains("incoming can be written by others without the sticky bit"), "{error}");
        fs::set_permissions(f.at(""), Permissions::from_mode(0o1770)).unwrap();
        assert_eq!(f.scan(), ["x"]);
    }

    /// A directory that the daemon can't write into, as on a filesystem that has become read-only.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_cannot_be_moved_is_left_alone_with_one_warning() {
        use nix::unistd::{Uid, geteuid, setfsuid};
        let mut f = fixture();
        f.write("x", "", 1);
        let chmod = |name: &str, mode| {
            fs::set_permissions(f.tmp.path().join(name), Permissions::from_mode(mode)).unwrap();
        };
        for name in ["", "active", "active/.claims"] {
            chmod(name, 0o755);
        }
        chmod("incoming", 0o555);
        // Root may write anywhere; this thread's file accesses are somebody else's for a while.
        let me = geteuid();
        let nobody = Uid::from_raw(65534);
        setfsuid(if me.is_root() { nobody } else { me });
        let takes = [(); 2].map(|()| f.incoming.take(OsStr::new("x"), &|_| May::NotYet));
        setfsuid(me);
        let warned = takes.map(|taking| match taking {
            Ok(Taking::LeftAlone { name, warn, .. }) => (name, warn),
            other => panic!("{other:?}"),
        });
        assert_eq!(warned, [("x".to_owned(), true), ("x".to_owned(), false)]);

        chmod("incoming", 0o700);
        assert_eq!(f.scan(), ["x"]);
        assert!(matches!(f.take("x"), Taking::Request(_)));
    }
}
