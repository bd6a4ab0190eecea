//! Who may know whom: the index of the architecture, checked against the sources.
//!
//! [`KNOWS`] has one row for each folder of `src/`, with the reason for everything that it may use; what it says
//! and nothing uses is a fault, too, so that the table stays true. [`BANS`] names what may be written only in
//! one place. Test code inside `src/` is left out, comments and string literals as well.

#[path = "layers/source.rs"]
mod source;
#[path = "layers/uses.rs"]
mod uses;

use std::collections::{BTreeMap, BTreeSet};

use source::{Source, sources};

/// A folder (or file of one) of `src/`, what it knows, and why.
struct Row {
    who: &'static str,
    /// Paths below `crate::`, with the reason.
    knows: &'static [(&'static str, &'static str)],
}

/// Lowest first. `job::name` is a node of its own: the vocabulary that everybody may use.
const KNOWS: &[Row] = &[
    Row { who: "job::name", knows: &[] },
    Row { who: "guard", knows: &[] },
    Row { who: "stream", knows: &[("job::name", "bytes and guids of a stream")] },
    Row {
        who: "job",
        knows: &[
            ("job::name", "its own vocabulary"),
            ("stream::PartDigest", "an entry carries its part's digest"),
        ],
    },
    Row { who: "process", knows: &[] },
    Row {
        who: "cmd",
        knows: &[
            ("process", "commands run as processes"),
            ("job::name", "zones, datasets and snapshots in argument lists; no jobs"),
        ],
    },
    Row { who: "log", knows: &[("job::name", "an outcome names its job and hosts")] },
    Row {
        who: "spool",
        knows: &[
            ("job::name", "a job's folder is called by its id; no ZFS, no zones"),
            ("guard", "nothing is believed in a directory that others can write"),
        ],
    },
    Row {
        who: "config",
        knows: &[
            ("job::name", "hosts and datasets"),
            ("guard", "the file says what root runs: nobody else may write it"),
            ("job::fault", "faults by line and key, as a request's"),
            ("job::path", "zonepaths that a peer may use"),
            ("job::sheet", "the reader of TOML with places, shared with requests"),
            ("job::units", "durations and sizes are written as in requests"),
            ("log::Facility", "one list of facilities for the file and the lines"),
            ("log::remote", "a log host's address and format"),
        ],
    },
    Row {
        who: "transport",
        knows: &[
            ("job::name", "a dropbox has a folder for each job id"),
            ("cmd", "SFTP is spoken with the system's ssh"),
            ("process", "which only `process` may start"),
            ("config", "how a peer is reached"),
            ("guard", "a dropbox is the peer's alone"),
            ("job::retry", "the pauses between logins are those of the steps"),
            ("spool::SpoolError", "what durable and read fail with"),
            ("spool::durable", "the one place that knows the order of fsync and rename"),
            ("spool::read", "the one place that opens others' files without following links"),
        ],
    },
    Row {
        who: "host",
        knows: &[
            ("job", "it performs a job's steps and gives its events"),
            ("job::name", "names"),
            ("cmd", "ZFS and zones are commands"),
            ("process", "commands and streams run as processes"),
            ("stream", "parts are hashed and checked as they pass"),
            ("transport", "images pass through the dropbox"),
            ("config", "what a peer may (`Accept`)"),
            (
                "spool::durable",
                "staged parts are files that must survive a crash; the spool itself it does not know",
            ),
        ],
    },
    Row {
        who: "daemon",
        knows: &[
            ("job", "the engine: phases"),
            ("job::name", "names"),
            ("spool", "journals and requests; only the engine knows both this and the host"),
            ("process", "where commands are found, and streams that outlived a daemon"),
            ("cmd", "zones and users as the commands report them"),
            ("stream", "the features that are accepted"),
            ("transport", "words between hosts"),
            ("host", "steps made real"),
            ("config", "loads it"),
            ("guard", "alerts what is wrong with a dropbox, with the remedy"),
            ("log", "outcomes and alerts; keeps those that a log host has still to be told"),
        ],
    },
    Row {
        who: "cli",
        knows: &[
            ("job", "shows jobs: a fold of their journals"),
            ("job::name", "names"),
            ("spool", "asks the daemon by files, reads journals"),
            ("config", "loads it"),
            ("guard", "`check` judges directories as the daemon does"),
            ("transport::Dropbox", "`plan` offers, `check` probes, over whatever the peer is reached by"),
            ("transport::arrivals", "`check` judges a dropbox as the daemon does"),
            ("transport::guard", "`check` names what sshd would refuse on the way to it"),
            ("transport::TransportError", "why a peer can't be asked or probed"),
            ("host::survey", "`plan` looks at the zone, as the source's first step does"),
            ("host::plan", "`plan` shows the commands"),
            ("host::environment", "`plan` and `check` warn of other boot environments' zones"),
            ("host::rights", "`submit` tells a user why his request would be rejected where he can't look"),
            ("process", "commands of `check` and `peer` run as processes"),
            (
                "cmd",
                "`check` looks whether commands are found, `peer` shows and runs those that make an account",
            ),
            ("log", "`check` tells the log host a line; `status` names it"),
        ],
    },
];

/// Something that may be written only in some files.
struct Ban {
    what: &'static [&'static str],
    /// Where it is looked for: files that begin so.
    below: &'static [&'static str],
    /// Where it may be: files that begin so.
    but_in: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        what: &["Command::new"],
        below: &[""],
        but_in: &["process/run.rs"],
        why: "one function starts processes: it clears the environment, bounds the output and sets a deadline",
    },
    Ban {
        what: &[
            "std::fs",
            "fs::File",
            "File::open",
            "File::create",
            "std::process",
            "TcpStream",
            "UdpSocket",
            "std::env",
            "std::thread",
        ],
        below: &[
            "job/",
            "stream/",
            "cmd/zfs/",
            "cmd/zonecfg/",
            "cmd/parse.rs",
            "cmd/svcs.rs",
            "cmd/zoneadm.rs",
            "host/check/",
        ],
        but_in: &[],
        why: "the core, parsers and judgements are pure: text in, value out, so that the model and the tables can run them",
    },
    Ban {
        what: &["Utc::now", "Local::now", "Instant::now", "SystemTime::now"],
        below: &[""],
        but_in: &["daemon/", "cli/clock.rs"],
        why: "the clock is the daemon's (and cli/clock.rs's): who needs the time is told it",
    },
    Ban {
        what: &["thread::sleep"],
        below: &[""],
        but_in: &["cli/clock.rs"],
        why: "nobody sleeps but `zmigrate watch`: wait at the bell, or parked, so that a stop and news are heard",
    },
    Ban {
        what: &[
            ".unwrap()",
            ".expect(",
            ".unwrap_err()",
            ".expect_err(",
            "todo!",
            "unimplemented!",
            "dbg!",
            "panic!",
        ],
        below: &[""],
        but_in: &[],
        why: "a daemon that moves zones does not die of a surprise: give an error that names the object",
    },
    Ban {
        what: &["#[allow(", "#![allow("],
        below: &[""],
        but_in: &[],
        why: "write #[expect(lint, reason = \"…\")]: it tells why, and when it is no longer needed",
    },
    Ban {
        what: &["crate::daemon", "crate::cli"],
        below: &["job/", "stream/", "spool/", "cmd/", "process/", "transport/", "host/", "config", "log"],
        but_in: &[],
        why: "the programs are at the top: nothing knows them",
    },
];

/// The row of a module's path: the longest `who` that it is or is below of.
fn row_of(path: &str) -> Option<&'static str> {
    KNOWS.iter().map(|row| row.who).filter(|who| is_within(path, who)).max_by_key(|who| who.len())
}

fn is_within(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn faults(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for source in sources {
        let Some(who) = row_of(&source.module) else {
            if !source.is_top() && !source.is_program() {
                faults.push(format!("src/{}: module '{}' has no row in KNOWS", source.file, source.module));
            }
            continue;
        };
        let row = KNOWS.iter().find(|row| row.who == who);
        let knows = row.map(|row| row.knows).unwrap_or_default();
        for (line, path) in source.references() {
            if row_of(&path) == Some(who) {
                continue;
            }
            let allowed = knows.iter().map(|(other, _)| *other).filter(|other| is_within(&path, other));
            match allowed.max_by_key(|other| other.len()) {
                Some(other) => drop(used.insert((who, other))),
                None => faults.push(format!("src/{}:{line}: {who} must not know {path}", source.file)),
            }
        }
    }
    for row in KNOWS {
        for (other, why) in row.knows.iter().filter(|(other, _)| !used.contains(&(row.who, *other))) {
            faults.push(format!("KNOWS: {} does not use {other} ({why}): take it out of the table", row.who));
        }
    }
    faults.extend(sources.iter().filter(|source| !source.is_program()).flat_map(banned));
    faults
}

fn banned(source: &Source) -> Vec<String> {
    let begins = |list: &[&str]| list.iter().any(|start| source.file.starts_with(start));
    let mut faults = Vec::new();
    for ban in BANS.iter().filter(|ban| begins(ban.below) && !begins(ban.but_in)) {
        for (number, line) in source.code.lines().enumerate() {
            for what in ban.what.iter().filter(|what| line.contains(**what)) {
                faults.push(format!("src/{}:{}: `{what}`: {}", source.file, number + 1, ban.why));
            }
        }
    }
    for line in source.unsafe_without_safety() {
        faults.push(format!("src/{}:{line}: unsafe without `// SAFETY:` above it", source.file));
    }
    faults
}

/// Rows that can be reached from themselves.
fn cycles(rows: &[Row]) -> Vec<String> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = rows
        .iter()
        .map(|row| (row.who, row.knows.iter().filter_map(|(other, _)| row_of(other)).collect()))
        .collect();
    let mut faults = Vec::new();
    for row in rows {
        let (mut seen, mut next) = (BTreeSet::new(), vec![row.who]);
        while let Some(who) = next.pop() {
            for other in reach.get(who).into_iter().flatten().filter(|other| **other != who) {
                if *other == row.who {
                    faults.push(format!("{} knows itself by way of {who}", row.who));
                }
                if seen.insert(*other) {
                    next.push(other);
                }
            }
        }
    }
    faults
}

#[test]
fn everybody_knows_only_whom_the_table_says_and_nobody_writes_what_is_banned() {
    let sources = sources();
    assert!(sources.len() > 50, "the sources were not found");
    let faults = faults(&sources);
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_folder_knows_itself_by_way_of_another() {
    assert_eq!(cycles(KNOWS), Vec::<String>::new());
}

#[test]
fn a_cycle_is_seen() {
    let rows = [Row { who: "cmd", knows: &[("host", "")] }, Row { who: "host", knows: &[("cmd", "")] }];
    assert_eq!(cycles(&rows).len(), 2);
}

#[test]
fn what_must_not_be_known_is_seen_in_every_spelling() {
    for text in [
        "use crate::cmd::zfs::Zfs;",
        "use crate::{job::name::JobId, cmd::Programs};",
        "fn f() { crate::cmd::run(); }",
        "use super::super::cmd;",
    ] {
        let faults = faults(&[Source::new("spool/admit.rs", text)]);
        assert!(
            faults.iter().any(|fault| fault.starts_with("src/spool/admit.rs:1: spool must not know cmd")),
            "{text}"
        );
    }
    for text in ["// use crate::cmd;", "let text = \"crate::cmd\";", "use crate::job::name::{self, JobId};"] {
        let faults = faults(&[Source::new("spool/admit.rs", text)]);
        assert!(!faults.iter().any(|fault| fault.starts_with("src/")), "{text}: {faults:?}");
    }
}

#[test]
fn what_is_banned_is_seen_and_left_alone_in_tests() {
    let seen = |file: &str, text: &str| !banned(&Source::new(file, text)).is_empty();
    for (file, text) in [
        ("host/send.rs", "let child = Command::new(\"zfs\");"),
        ("job/phase.rs", "use std::fs;"),
        ("host/send.rs", "let now = Instant::now();"),
        ("daemon/engine.rs", "std::thread::sleep(pause);"),
        ("daemon/engine.rs", "let x = y.unwrap();"),
        ("spool/mod.rs", "#[allow(dead_code)]"),
        ("log/local.rs", "unsafe { call() }"),
    ] {
        assert!(seen(file, text), "{text}");
    }
    for (file, text) in [
        ("process/run.rs", "let child = Command::new(\"zfs\");"),
        ("host/send.rs", "// Instant::now() is banned\nlet text = \"Instant::now()\";"),
        ("host/send.rs", "#[cfg(test)]\nmod tests {\n  fn f() { x.unwrap(); }\n}\n"),
        ("log/local.rs", "// SAFETY: of course.\nunsafe { call() }"),
        ("log/local.rs", "// SAFETY: of course,\n// on two lines.\nlet x = unsafe { call() };"),
    ] {
        assert!(!seen(file, text), "{text}");
    }
}

/// Circles that are still to be opened. The list only shrinks.
const CIRCLES: &[&[&str]] = &[
    &["daemon/context.rs", "daemon/loghost.rs", "daemon/rights.rs"],
    &["daemon/perform.rs", "daemon/transfer.rs", "daemon/words.rs", "daemon/words/read.rs"],
    &["host/receive/feed.rs", "host/receive/mod.rs"],
    &["host/send/copying.rs", "host/send/mod.rs", "host/send/sending.rs"],
];

/// What each circle of files consists of, without those that are listed.
fn circles_of_files(sources: &[Source], listed: &[&[&str]]) -> Vec<String> {
    let circles = uses::circles(&uses::Crate::new(sources).uses());
    let is_listed = |files: &BTreeSet<String>| {
        listed.iter().any(|listed| files.iter().all(|file| listed.contains(&file.as_str())))
    };
    let unlisted = circles.into_iter().filter(|(files, _)| !is_listed(files));
    unlisted.map(|(files, lines)| format!("{} files\n  {}", files.len(), lines.join("\n  "))).collect()
}

#[test]
fn no_file_uses_itself_by_way_of_another() {
    let faults = circles_of_files(&sources(), CIRCLES);
    assert!(faults.is_empty(), "{} circles\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_circle_of_files_is_seen_in_every_spelling() {
    let circles = |files: &[(&str, &str)]| {
        let sources: Vec<Source> = files.iter().map(|(file, text)| Source::new(file, text)).collect();
        circles_of_files(&sources, &[]).len()
    };
    let b = ("job/b.rs", "pub struct B;\nfn f() { crate::job::a::run() }");
    for text in [
        "use super::b::B;\npub fn run() {}",
        "use crate::job::{b::B, c};",
        "use super::b;\nfn f() -> b::B { b::B }",
        "use super::b as other;\nfn f() -> other::B { other::B }",
        "fn f() -> crate::job::b::B { loop {} }",
    ] {
        assert_eq!(circles(&[("job/a.rs", text), b]), 1, "{text}");
    }
    for text in
        ["// use super::b::B;", "use super::c::C;", "#[cfg(test)]\nmod tests { use super::super::b::B; }"]
    {
        assert_eq!(circles(&[("job/a.rs", text), b]), 0, "{text}");
    }
    // A parent that uses its child, and a child that uses what the parent defines.
    let child = ("job/x/c.rs", "use super::P;\npub struct C;");
    assert_eq!(circles(&[("job/x/mod.rs", "mod c;\npub struct P;\nfn f() -> c::C { c::C }"), child]), 1);
    // A parent that only shows the way to its children is no part of the circle; those who follow it are.
    let parent = ("job/x/mod.rs", "mod c;\nmod d;\npub use c::C;\npub use d::D;");
    let c = ("job/x/c.rs", "pub struct C;");
    assert_eq!(circles(&[parent, c, ("job/x/d.rs", "use super::C;\npub struct D;")]), 0);
    let c = ("job/x/c.rs", "use super::D;\npub struct C;");
    assert_eq!(circles(&[parent, c, ("job/x/d.rs", "use super::C;\npub struct D;")]), 1);
}

#[test]
fn every_pub_fn_is_used_outside_tests() {
    let unused = uses::unused(&sources());
    assert!(unused.is_empty(), "{} faults\n{}", unused.len(), unused.join("\n"));
}

#[test]
fn an_unused_pub_fn_is_seen() {
    let unused = |user: &str| {
        let a = "pub fn run() {}\npub struct A;\nimpl A {\n    pub(crate) fn go(&self) {}\n}\nfn run2() { A }\n\
                 #[cfg(test)]\nmod tests {\n    fn t() { super::run(); A.go(); }\n}\n";
        uses::unused(&[Source::new("job/a.rs", a), Source::new("job/b.rs", user)]).len()
    };
    assert_eq!(unused(""), 2);
    assert_eq!(unused("fn f() { super::a::run(); }"), 1);
    assert_eq!(unused("use super::a::{A, run};\nfn f(a: A) { a.go() }"), 0);
    assert_eq!(unused("// run go\nfn run() {}"), 2, "another function of the same name is no use");
}
