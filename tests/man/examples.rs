//! Every example of the pages, read by the parser for which it is meant.

#[path = "shell.rs"]
mod shell;

use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;
use zmigrate::config::Config;
use zmigrate::{cli, daemon};

use super::page::Page;
use super::{config_faults, known, request_faults};

/// Asserts that a TOML text has all of these keys.
fn has_all(text: &str, known: &BTreeMap<String, BTreeSet<String>>) {
    let table: toml::Table = text.parse().unwrap();
    for (section, keys) in known {
        let mut at = &table;
        for part in section.split('.').filter(|part| !part.is_empty()) {
            let part = if part == "NAME" { "zhost2" } else { part };
            at = at
                .get(part)
                .and_then(toml::Value::as_table)
                .unwrap_or_else(|| panic!("no [{section}] in: {text}"));
        }
        for key in keys {
            assert!(at.contains_key(key), "[{section}] {key} is not in: {text}");
        }
    }
}

#[test]
fn examples_of_configurations_are_read_and_the_last_has_every_key_with_its_default() {
    let blocks = Page::read("zmigrate.toml.5").section("EXAMPLES").blocks();
    for text in &blocks {
        assert_eq!(config_faults(text), [], "{text}");
    }
    let last = blocks.last().unwrap();
    has_all(last, &known::keys(config_faults));
    let shown = Config::parse("last", last, "x").unwrap();
    let default = Config::parse("empty", "", "zhost1").unwrap();
    assert_eq!(
        (&shown.host, &shown.spool, &shown.scratch),
        (&default.host, &default.spool, &default.scratch)
    );
    assert_eq!((&shown.commands, &shown.jobs), (&default.commands, &default.jobs));
    let (shown, default) = (shown.syslog, default.syslog);
    assert_eq!(
        (shown.facility, shown.format, shown.enterprise),
        (default.facility, default.format, default.enterprise)
    );
}

#[test]
fn examples_of_requests_are_read_and_one_has_every_key() {
    let blocks = Page::read("zmigrate-request.5").section("EXAMPLES").blocks();
    let (commands, requests): (Vec<&String>, Vec<&String>) =
        blocks.iter().partition(|text| text.starts_with('#'));
    assert!(commands.len() == 1 && requests.len() > 2);
    for text in &requests {
        assert_eq!(request_faults(text), [], "{text}");
    }
    let longest = requests.iter().max_by_key(|text| text.len()).unwrap();
    has_all(longest, &known::keys(request_faults));
}

#[test]
fn command_lines_of_examples_are_ones_that_clap_takes() {
    let mut seen = BTreeSet::new();
    for page in Page::all() {
        for block in page.section("EXAMPLES").blocks() {
            for words in shell::commands(&block) {
                match words[0].as_str() {
                    "zmigrate" => {
                        let parsed = cli::Line::try_parse_from(&words);
                        assert!(parsed.is_ok(), "{}: {words:?}: {}", page.name, parsed.unwrap_err());
                        seen.extend(words.into_iter().nth(1));
                    }
                    "zmigrated" => {
                        let parsed = daemon::Args::try_parse_from(&words);
                        assert!(parsed.is_ok(), "{}: {words:?}: {}", page.name, parsed.unwrap_err());
                        seen.insert(words[0].clone());
                    }
                    _ => {}
                }
            }
        }
    }
    for verb in ["submit", "plan", "peer", "rollback", "zmigrated"] {
        assert!(seen.contains(verb), "no example of {verb}: {seen:?}");
    }
}
