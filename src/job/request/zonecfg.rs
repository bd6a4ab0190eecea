//! The zonecfg subcommands that a request may carry: edits of the zone's configuration on the target.
//!
//! Only the form is judged here, because it goes into a script that is run as root: one subcommand a line, none
//! that leaves the edit (`commit`, `delete`, `exit`, `create` …), every resource scope closed. What the edits may bring in (devices,
//! lofs, datasets) is the target's to judge, on the configuration as it comes out.

use serde::{Deserialize, Deserializer, de::Error};

/// zonecfg(8)'s subcommands that edit a configuration; all others are refused.
const SUBCOMMANDS: [&str; 6] = ["add", "select", "set", "remove", "clear", "end"];

/// Properties of the zone that are zmigrate's own: they come from the request's other keys, and autoboot is the
/// door by which the zone could run on two hosts.
const OURS: [&str; 4] = ["zonepath", "zonename", "brand", "autoboot"];

/// More than a person would write; far less than would fit into a request.
const LONGEST: usize = 1000;

/// Follows the resource scopes through a list of commands: zonecfg's `add net` opens one, `end` closes it.
#[derive(Debug, Default)]
pub struct Scope {
    open: bool,
}

impl Scope {
    /// Checks the next command of the list.
    ///
    /// # Errors
    /// Says what is wrong with it. The scope is followed all the same, so that one fault does not bring forth others.
    pub fn take(&mut self, command: &str) -> Result<String, String> {
        let (subcommand, rest) = command.split_once([' ', '\t']).unwrap_or((command, ""));
        let rest = rest.trim();
        let was_open = self.open;
        match subcommand {
            // Within a scope `add` adds a value to a property and opens nothing.
            "add" | "select" => self.open = true,
            "end" => self.open = false,
            _ => {}
        }
        let ours = rest.split([' ', '\t', '=']).next().filter(|_| matches!(subcommand, "set" | "clear"));
        let why = if command.len() > LONGEST {
            "is longer than 1000 bytes"
        } else if command.chars().any(char::is_control) {
            "has a control character: write one command a line"
        } else if command.contains(';') {
            "has ';' in it: write one command a line"
        } else if !command.matches('"').count().is_multiple_of(2) {
            "has a quotation mark without its partner"
        } else if !SUBCOMMANDS.contains(&subcommand) {
            "is not one of zonecfg's add, select, set, remove, clear, end"
        } else if let Some(property) = ours.filter(|name| OURS.contains(name)) {
            return Err(format!("'{}': zmigrate sets {property} itself", command.escape_debug()));
        } else if ours.is_some_and(|name| !is_property(name)) {
            "does not name a property in zonecfg's way (lower-case letters, digits, '-', '.', ':')"
        } else if subcommand == "end" && !rest.is_empty() {
            "has something behind `end`"
        } else if subcommand != "end" && rest.is_empty() {
            "does not say what"
        } else if subcommand == "set" && !rest.contains('=') {
            "has no '='"
        } else if subcommand == "end" && !was_open {
            "ends a resource that no `add` or `select` opened"
        } else if subcommand == "select" && was_open {
            "comes before the `end` of the resource above"
        } else {
            return Ok(command.to_owned());
        };
        Err(format!("'{}' {why}", command.escape_debug()))
    }

    /// Checks that nothing is open after the last command.
    ///
    /// # Errors
    /// When an `end` is missing.
    pub fn close(self) -> Result<(), String> {
        if self.open { Err("the last `add` or `select` has no `end`".to_owned()) } else { Ok(()) }
    }
}

/// `limitpriv`, `ip-type`, `zonepath.template`.
fn is_property(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':');
    !name.is_empty() && name.bytes().all(legal)
}

/// The list as it stands in a journal or an offer: a peer's words, so checked as a request's are.
pub(super) fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let commands = Vec::<String>::deserialize(from)?;
    let mut scope = Scope::default();
    commands.iter().try_for_each(|command| scope.take(command).map(drop)).map_err(D::Error::custom)?;
    scope.close().map_err(D::Error::custom)?;
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(commands: &[&str]) -> Result<(), String> {
        let mut scope = Scope::default();
        commands.iter().try_for_each(|command| scope.take(command).map(drop))?;
        scope.close()
    }

    #[test]
    fn edits_of_the_configuration_pass() {
        for commands in [
            &[][..],
            &["select net physical=bge0", "set physical=nge0", "end"],
            &[
                "add fs",
                "set dir=/a",
                "set special=data/a",
                "set type=zfs",
                "add options [ro,nodevices]",
                "end",
            ],
            &["set limitpriv=default,dtrace_user", "set ip-type = shared", "clear bootargs"],
            &["remove net physical=bge0", "remove -F device", "add attr", "set value=\"a b\"", "end"],
        ] {
            assert_eq!(check(commands), Ok(()), "{commands:?}");
        }
    }

    #[test]
    fn whatever_leaves_the_edit_is_refused() {
        for (commands, why) in [
            (&["set zonepath=/"][..], "zmigrate sets zonepath itself"),
            (&["set zonepath =/"], "zmigrate sets zonepath itself"),
            (&["set  autoboot=true"], "zmigrate sets autoboot itself"),
            (&["clear autoboot"], "zmigrate sets autoboot itself"),
            (&["set brand=lx"], "zmigrate sets brand itself"),
            (&["set zonename=x"], "zmigrate sets zonename itself"),
            (&["set \"autoboot\"=true"], "does not name a property"),
            (&["set =true"], "does not name a property"),
            (&["set AUTOBOOT=true"], "does not name a property"),
            (&["set pool"], "has no '='"),
            (&["set pool=a; delete -F"], "';'"),
            (&["set pool=a\ndelete -F"], "control character"),
            (&["set pool=\"a"], "without its partner"),
            (&["delete -F"], "is not one of zonecfg's"),
            (&["commit"], "is not one of zonecfg's"),
            (&["create -b"], "is not one of zonecfg's"),
            (&["cancel"], "is not one of zonecfg's"),
            (&[" set pool=a"], "is not one of zonecfg's"),
            (&["#x"], "is not one of zonecfg's"),
            (&[""], "is not one of zonecfg's"),
            (&["add"], "does not say what"),
            (&["remove "], "does not say what"),
            (&["end"], "that no `add` or `select` opened"),
            (&["add net"], "has no `end`"),
            (&["add net", "end now"], "behind `end`"),
            (&["select net a=b", "select net a=c", "end"], "before the `end`"),
        ] {
            let said = check(commands).unwrap_err();
            assert!(said.contains(why), "{commands:?}: {said}");
            assert!(!said.contains('\n'), "{said:?}");
        }
        assert!(check(&[&format!("set pool={}", "a".repeat(1000))]).is_err());
    }
}
