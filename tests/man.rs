//! The manual pages against the program: nothing undocumented, nothing documented that does not exist. Options come
//! from clap, keys from the readers of TOML, events from the sources; every example ([`examples`]) goes through the parser for
//! which it is meant.

#[path = "man/examples.rs"]
mod examples;
#[path = "man/known.rs"]
mod known;
#[path = "man/page.rs"]
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::{Command, CommandFactory};
use page::Page;
use zmigrate::config::Config;
use zmigrate::daemon::{self, exit, report};
use zmigrate::job::message::{Ack, Answer, Handoff, Message, Offer, Receipt, Revoked, Verdict, Withdraw};
use zmigrate::job::name::{Bytes, HostName, JobId, ZoneName};
use zmigrate::job::progress::Progress;
use zmigrate::job::request::Request;
use zmigrate::log::{Ending, Outcome};
use zmigrate::{cli, job};

/// Pages of others that ours refer to, by illumos's and Solaris 11.4's sections.
const OTHERS: [&str; 28] = [
    "acl.7",
    "attributes.7",
    "auths.1",
    "cat.1",
    "contract.5",
    "privileges.7",
    "smf.7",
    "smf_method.7",
    "ssh.1",
    "ssh_config.5",
    "sshd.8",
    "sshd_config.5",
    "svcadm.8",
    "svcs.1",
    "syslog.3C",
    "syslog.conf.5",
    "syslogd.8",
    "zfs.8",
    "zlogin.1",
    "zoneadm.8",
    "zoneadmd.8",
    "zonecfg.8",
    "zones.7",
    "zmigrate-request.5",
    "zmigrate-spool.5",
    "zmigrate.8",
    "zmigrate.toml.5",
    "zmigrated.8",
];

/// Files that name an event otherwise than as a literal behind `"event"`, with the words that they use.
const EVENTS_BY_NAME: [(&str, &[&str]); 4] = [
    ("daemon/dropboxes.rs", &["dropbox-accepted", "dropbox-refused"]),
    ("daemon/engine/doubt.rs", &["in-doubt", "no-ack", "overdue"]),
    ("daemon/engine/mod.rs", &["defect", "held", "spool", "undo-failed"]),
    ("daemon/loghost.rs", &["loghost-answers", "loghost-deferred"]),
];

fn set<T: Into<String>>(words: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    words.into_iter().map(Into::into).collect()
}

/// What clap knows: each option with its argument in lower case, empty if it takes none.
fn options(command: &Command) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let takes = arg.get_action().takes_values();
        let names = arg.get_value_names().filter(|_| takes).unwrap_or_default();
        let argument = names.join(" ").to_lowercase();
        if let Some(short) = arg.get_short() {
            options.insert(format!("-{short}"), String::new());
        }
        if let Some(long) = arg.get_long() {
            options.insert(format!("--{long}"), argument);
        }
    }
    options
}

fn built(mut command: Command) -> Command {
    command.build();
    command
}

/// The product's sources by their path below `src/`, without their tests.
fn sources() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut dirs) = (BTreeMap::new(), vec![src.clone()]);
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let file = path.strip_prefix(&src).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            found.insert(file, code);
        }
    }
    found
}

#[test]
fn the_daemons_page_has_its_options_signals_and_exit_statuses() {
    let page = Page::read("zmigrated.8");
    let command = built(daemon::Args::command());
    assert_eq!(page.section("DESCRIPTION").options(), options(&command));
    let statuses = [0, 2, exit::FATAL, exit::CONFIG, exit::PERM].map(|status| status.to_string());
    assert_eq!(set(page.section("EXIT STATUS").item_words("Sy")), set(statuses));
    let sources = sources();
    let heard = sources["daemon/wake.rs"].split("Signals::new([").nth(1).unwrap().split(']').next().unwrap();
    assert_eq!(set(page.section("SIGNALS").item_words("Dv")), set(heard.split(", ")));
}

#[test]
fn the_commands_page_has_every_verb_with_its_arguments_and_options() {
    let page = Page::read("zmigrate.8");
    let (synopsis, description) = (page.section("SYNOPSIS"), page.section("DESCRIPTION"));
    let command = built(cli::Line::command());
    let verbs: Vec<&Command> = command.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
    let names = set(verbs.iter().map(|verb| verb.get_name()));
    assert_eq!(set(synopsis.marked("Cm")), names);
    let mut described = set(description.subs());
    assert!(described.remove("JSON"));
    assert_eq!(described, names);
    assert_eq!(set(page.section("EXIT STATUS").item_words("Sy")), set(["0", "1", "2"]));

    let of_all = options(&command);
    let preface = page.section("DESCRIPTION").text();
    for option in of_all.keys() {
        assert!(preface.contains(&format!("Fl {}", &option[1..])), "{option} is not described");
    }
    let of_request = description.sub("submit").options();
    for verb in verbs {
        let name = verb.get_name();
        let sub = description.sub(name);
        let mut wanted = options(verb);
        wanted.retain(|option, _| !of_all.contains_key(option));
        let mut found = sub.options();
        let shares = sub.text().contains("with the same options of a request");
        for (option, argument) in of_request.iter().filter(|_| shares) {
            if wanted.contains_key(option) {
                found.insert(option.clone(), argument.clone());
            }
        }
        assert_eq!(found, wanted, "{name}");
        let values = verb.get_arguments().filter(|arg| arg.get_action().takes_values());
        for value in values.flat_map(|arg| arg.get_possible_values()) {
            let value = value.get_name();
            assert!(sub.marked("Cm").iter().any(|word| word == value), "{name}: {value} is not described");
        }
        for arg in verb.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            for default in arg.get_default_values() {
                let default = default.to_str().unwrap();
                assert!(page.text().contains(default), "{name}: default {default} is not told");
            }
        }

        let lines: Vec<Page> = synopsis.by_name();
        let lines: Vec<&Page> = lines.iter().filter(|line| line.marked("Cm") == [name]).collect();
        let shown = set(lines.iter().flat_map(|line| line.marked("Fl")).map(|word| format!("-{word}")));
        let arguments = set(lines.iter().flat_map(|line| line.marked("Ar")));
        let known = set(options(verb).into_keys());
        let strange: Vec<_> = shown.difference(&known).collect();
        assert!(strange.is_empty(), "{name}: {strange:?} in the synopsis");
        if !arguments.contains("options") {
            let missing: Vec<_> = wanted.keys().filter(|option| !shown.contains(*option)).collect();
            assert!(missing.is_empty(), "{name}: {missing:?} not in the synopsis");
        }
        for positional in verb.get_positionals() {
            let names = positional.get_value_names().unwrap_or_default().join("|").to_lowercase();
            for argument in names.split('|') {
                assert!(arguments.contains(argument), "{name}: {argument} not in the synopsis");
            }
        }
    }
}

/// Sections and keys of a page, `.Ss [a.b]` and `.It Ic KEY`.
fn documented(page: &Page) -> BTreeMap<String, BTreeSet<String>> {
    let description = page.section("DESCRIPTION");
    let heads: Vec<String> = description.subs().into_iter().map(str::to_owned).collect();
    let sections = heads.iter().filter_map(|head| {
        let section = match head.as_str() {
            "The top" => "",
            head => head.strip_prefix('[')?.strip_suffix(']')?,
        };
        Some((section.to_owned(), set(description.sub(head).item_words("Ic"))))
    });
    sections.collect()
}

fn config_faults(text: &str) -> Vec<job::fault::Fault> {
    Config::parse("zmigrate.toml", text, "zhost1").err().unwrap_or_default()
}

fn request_faults(text: &str) -> Vec<job::fault::Fault> {
    Request::parse("request.toml", text).err().unwrap_or_default()
}

#[test]
fn the_configurations_page_has_the_keys_that_are_read() {
    let mut known = known::keys(config_faults);
    assert_eq!(known.remove(""), Some(BTreeSet::new()), "a key outside all sections");
    assert!(known.len() > 6 && known["scratch"].contains("part") && known["accept.NAME"].contains("route"));
    assert_eq!(documented(&Page::read("zmigrate.toml.5")), known);
}

#[test]
fn the_requests_page_has_the_keys_that_are_read() {
    let known = known::keys(request_faults);
    assert!(known[""].contains("give_up") && known["target.datasets"].is_empty());
    assert_eq!(documented(&Page::read("zmigrate-request.5")), known);
}

#[test]
fn the_outcome_line_has_the_documented_keys_in_their_order() {
    let host = || HostName::new("zhost1").unwrap();
    let second = Some(Duration::from_secs(1));
    let outcome = Outcome {
        job: Some(JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap()),
        role: Some("source"),
        zone: Some(ZoneName::new("dbbackup").unwrap()),
        from: Some(host()),
        to: Some(host()),
        bytes: Some(Bytes(1)),
        downtime: second,
        total: second,
        steps: report::TOLD.map(|step| (step, Duration::from_secs(1))).into(),
        ticket: Some("x".into()),
        request: Some("x".into()),
        step: Some("x".into()),
        error: Some("x".into()),
        ..Outcome::new(Ending::Failed { undone: true }, host(), "2007-05-18T05:40:01Z".parse().unwrap())
    };
    let line = outcome.line().to_string();
    let keys: Vec<String> =
        line.split(' ').map(|field| field.split('=').next().unwrap().to_owned()).collect();
    let sub = Page::read("zmigrated.8").section("LOG").sub("The outcome line");
    assert_eq!(sub.item_words("Ic"), keys);
}

#[test]
fn the_daemons_page_has_the_events_that_are_sent() {
    let mut sent = BTreeSet::new();
    for (file, text) in sources() {
        let by_name = EVENTS_BY_NAME.iter().find(|(other, _)| *other == file).map(|(_, words)| *words);
        for rest in text.split("field(\"event\", ").skip(1) {
            match rest.strip_prefix('"') {
                Some(literal) => drop(sent.insert(literal.split('"').next().unwrap().to_owned())),
                None => assert!(by_name.is_some(), "{file}: an event by name: see EVENTS_BY_NAME"),
            }
        }
        for word in by_name.unwrap_or_default() {
            assert!(text.contains(&format!("\"{word}\"")), "{file} has no {word}");
            sent.insert((*word).to_owned());
        }
    }
    assert!(sent.len() > 15, "{sent:?}");
    let page = Page::read("zmigrated.8");
    assert_eq!(set(page.section("LOG").sub("Events").item_words("Cm")), sent);
}

/// The words that a JSON format takes, from its refusal of one that it doesn't.
fn variants<T: serde::de::DeserializeOwned>(json: &str) -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(json).err().unwrap().to_string();
    let listed = error.split("expected one of ").nth(1).unwrap_or_else(|| panic!("{error}"));
    set(listed.split('`').skip(1).step_by(2))
}

#[test]
fn the_spools_page_has_the_events_of_the_journal_and_the_messages() {
    let page = Page::read("zmigrate-spool.5").section("DESCRIPTION");
    let events = variants::<job::event::Event>(r#"{"event":"no-such"}"#);
    assert!(events.len() > 30, "{events:?}");
    assert_eq!(set(page.sub("The journal").marked("Cm")), events);
    let words = set(page.sub("The journal").marked("Li"));
    for step in
        variants::<job::step::Install>("\"no-such\"").union(&variants::<job::step::Undo>("\"no-such\""))
    {
        assert!(words.contains(step), "step {step} is not described");
    }
    let messages = [
        Offer::NAME,
        Answer::NAME,
        Progress::NAME,
        Handoff::NAME,
        Receipt::NAME,
        Verdict::NAME,
        Ack::NAME,
        Withdraw::NAME,
        Revoked::NAME,
    ];
    assert_eq!(set(page.sub("Messages").item_words("Cm")), set(messages));
}

#[test]
fn pages_refer_to_pages_that_are_there() {
    let pages = Page::all();
    let mut used = BTreeSet::new();
    for page in &pages {
        for line in page.text().lines().filter_map(|line| line.strip_prefix(".Xr ")) {
            let mut words = line.split(' ');
            let name = format!("{}.{}", words.next().unwrap(), words.next().unwrap_or_default());
            assert!(OTHERS.contains(&name.as_str()), "{}: {name}", page.name);
            used.insert(name);
        }
        assert!(page.section("ATTRIBUTES").text().contains("ZMGRzmigrate"), "{}", page.name);
        assert!(page.section("INTERFACE STABILITY").text().contains("Committed"), "{}", page.name);
        let (name, section) = page.name.rsplit_once('.').unwrap();
        let title = format!(".Dt {} {section}", name.to_uppercase());
        assert!(page.text().contains(&title), "{}: {title}", page.name);
    }
    for page in &pages {
        assert!(used.contains(&page.name), "nothing refers to {}", page.name);
    }
    assert_eq!(used, set(OTHERS), "OTHERS names pages that none of ours refers to");
}
