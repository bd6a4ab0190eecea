//! The request's zonecfg commands, done on the configuration as zonecfg would: what comes out is
//! what gets judged.
//!
//! An edit that zonecfg would fail at, or that isn't understood here, is a reason to refuse: later
//! it would fail after the handoff. The form of the commands has been checked with the request (no
//! `;`, scopes closed, quotes paired). Not the last word: the configured zone is judged again
//! before its attach.

use super::text::shown;
use crate::cmd::zonecfg::{Property, Resource, ZoneConfig};

/// Does the commands on `config`. Gives the reasons why some can't be done; those are left out.
pub(super) fn apply(config: &mut ZoneConfig, commands: &[String]) -> Vec<String> {
    let mut refusals = Vec::new();
    let mut open: Option<Resource> = None;
    // A scope that could not be opened is skipped, so that one fault does not bring forth others.
    let mut lost = false;
    for command in commands {
        let (verb, rest) = command.split_once([' ', '\t']).unwrap_or((command, ""));
        let rest = rest.trim();
        if lost {
            lost = verb != "end";
            continue;
        }
        let done = match (&mut open, verb) {
            (Some(_), "end") => {
                config.resources.extend(open.take());
                Ok(())
            }
            (Some(resource), _) => within(resource, verb, rest),
            (None, "add") => {
                open = is_word(rest).then(|| Resource { kind: rest.to_owned(), properties: Vec::new() });
                open.as_ref().map(drop).ok_or(NOT_UNDERSTOOD)
            }
            (None, "select") => select(config, rest).map(|resource| open = Some(resource)),
            (None, _) => outside(config, verb, rest),
        };
        if let Err(why) = done {
            lost = open.is_none() && matches!(verb, "add" | "select");
            refusals.push(format!("[target.zonecfg] '{}' {why}", shown(command)));
        }
    }
    refusals
}

const NOT_UNDERSTOOD: &str = "is not understood; write it in zonecfg's plain form";
const NO_MATCH: &str = "does not fit exactly one resource of the zone";

/// A command on the zone itself.
fn outside(config: &mut ZoneConfig, verb: &str, rest: &str) -> Result<(), &'static str> {
    match verb {
        "set" => {
            let (name, value) = assignment(rest).ok_or(NOT_UNDERSTOOD)?;
            config.globals.insert(name, value);
        }
        "clear" => {
            let name = is_word(rest).then_some(rest).ok_or(NOT_UNDERSTOOD)?;
            config.globals.remove(name);
        }
        "remove" => {
            let rest = rest.strip_prefix("-F").map_or(rest, str::trim_start);
            let (kind, filter) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            let filter = filters(filter).ok_or(NOT_UNDERSTOOD)?;
            let before = config.resources.len();
            config.resources.retain(|resource| !fits(resource, kind, &filter));
            // Without a property it removes all of the kind; with one it means one.
            let gone = before - config.resources.len();
            if gone == 0 || (gone > 1 && !filter.is_empty()) {
                return Err(NO_MATCH);
            }
        }
        _ => return Err(NOT_UNDERSTOOD),
    }
    Ok(())
}

/// A command within the resource that is open.
fn within(resource: &mut Resource, verb: &str, rest: &str) -> Result<(), &'static str> {
    match verb {
        "set" => {
            let (name, value) = assignment(rest).ok_or(NOT_UNDERSTOOD)?;
            resource.properties.retain(|property| property.added || property.name != name);
            resource.properties.push(Property { name, value, added: false });
        }
        "add" => {
            let (name, value) = rest.split_once([' ', '\t']).ok_or(NOT_UNDERSTOOD)?;
            let value = unquoted(value.trim()).ok_or(NOT_UNDERSTOOD)?;
            resource.properties.push(Property { name: name.to_owned(), value, added: true });
        }
        "remove" => {
            let (name, value) = rest.split_once([' ', '\t']).ok_or(NOT_UNDERSTOOD)?;
            let value = unquoted(value.trim()).ok_or(NOT_UNDERSTOOD)?;
            resource.properties.retain(|p| !(p.added && p.name == name && p.value == value));
        }
        "clear" => resource.properties.retain(|property| property.name != rest),
        _ => return Err(NOT_UNDERSTOOD),
    }
    Ok(())
}

/// Takes the one resource out of the configuration; it comes back with `end`. `select net` without
/// a property is an error even where there is only one (the fact sheet of the zones, 3.2).
fn select(config: &mut ZoneConfig, rest: &str) -> Result<Resource, &'static str> {
    let (kind, filter) = rest.split_once([' ', '\t']).ok_or("names no property of the resource")?;
    let filter = filters(filter).filter(|filter| !filter.is_empty()).ok_or(NOT_UNDERSTOOD)?;
    let mut found = config.resources.iter().enumerate().filter(|(_, resource)| fits(resource, kind, &filter));
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(config.resources.remove(at)),
        _ => Err(NO_MATCH),
    }
}

fn fits(resource: &Resource, kind: &str, filter: &[(String, String)]) -> bool {
    resource.kind == kind && filter.iter().all(|(name, value)| resource.get(name) == Some(value.as_str()))
}

/// `name=value`, blanks around the `=` allowed.
fn assignment(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    is_word(name).then_some(())?;
    Some((name.to_owned(), unquoted(value.trim())?))
}

/// `a=b c="d e"`; empty for no filter at all.
fn filters(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let end = match value.strip_prefix('"') {
            Some(quoted) => quoted.find('"')? + 2,
            None => value.find([' ', '\t']).unwrap_or(value.len()),
        };
        let (value, behind) = value.split_at(end);
        found.push(assignment(&format!("{name}={value}"))?);
        rest = behind.trim();
    }
    Some(found)
}

fn unquoted(value: &str) -> Option<String> {
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inner.contains('"')).then(|| inner.to_owned())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

#[cfg(test)]
mod tests {
    use crate::host::check::fixture::{Case, case};

    fn edited(commands: &[&str]) -> Case {
        let mut case = case();
        case.offer.request.target.zonecfg = commands.iter().map(|&command| command.to_owned()).collect();
        case
    }

    #[test]
    fn edits_of_net_rctl_and_the_like_pass() {
        for commands in [
            &["select net physical=nge0", "set physical=bge0", "end"][..],
            &["select net address=192.0.2.10/24 physical=\"nge0\"", "set address = 192.0.2.11/24", "end"],
            &[
                "add net",
                "set physical=bge0",
                "set address=192.0.2.12",
                "end",
                "remove net address=192.0.2.12",
            ],
            &[
                "add rctl",
                "set name=zone.max-lwps",
                "add value (priv=privileged,limit=500,action=deny)",
                "end",
            ],
            &["set bootargs=\"-m verbose\"", "set pool=batch", "set cpu-shares=20", "clear limitpriv"],
            &["select attr name=comment", "set value=\"moved here\"", "end", "remove attr"],
            &["remove dataset name=data/zones/dbbackup/tank"],
        ] {
            assert_eq!(edited(commands).refusals(), "", "{commands:?}");
        }
        assert!(
            edited(&["select net physical=nge0", "set physical=bge0", "end"]).findings().contains("bge0")
        );
    }

    #[test]
    fn what_an_edit_brings_in_is_judged_like_the_rest() {
        for (commands, why) in [
            (&["add device", "set match=/dev/x", "end"][..], "has device /dev/x"),
            (&["add fs", "set dir=/a", "set special=/etc", "set type=lofs", "end"], "mounts /etc"),
            (&["add fs", "set special = \"/etc\"", "set dir=/a", "set type=lofs", "end"], "mounts /etc"),
            (&["select fs dir=/opt/pkgsrc", "set special=data/other", "end"], "mounts data/other"),
            (&["select fs dir=/opt/pkgsrc", "set type=lofs", "set special=/", "end"], "mounts / at"),
            (
                &["select dataset name=data/zones/dbbackup/tank", "set name=rpool", "end"],
                "delegates dataset 'rpool'",
            ),
            (&["set limitpriv=all"], "has limitpriv=all"),
            (&["set fs-allowed=ufs"], "fs-allowed"),
            (&["set scheduling-class=RT"], "scheduling-class RT"),
            (&["add admin", "set user=joe", "end"], "user 'joe'"),
        ] {
            let said = edited(commands).refusals();
            assert!(said.contains(why), "{commands:?}: {said}");
        }
    }

    #[test]
    fn what_zonecfg_would_fail_at_is_refused_once() {
        for (commands, why) in [
            (&["select net physical=bge9", "set physical=nge0", "end"][..], "does not fit exactly one"),
            (&["select net", "set physical=nge0", "end"], "names no property"),
            (&["remove device"], "does not fit exactly one"),
            (&["remove net physical"], "is not understood"),
            (&["add net x", "set physical=nge0", "end"], "is not understood"),
            (&["set pool=\"a\"b\""], "is not understood"),
        ] {
            let refusals = edited(commands).judge().refusals;
            assert_eq!(refusals.len(), 1, "{refusals:?}");
            assert!(
                refusals[0].text.contains(why) && refusals[0].text.starts_with("[target.zonecfg] '"),
                "{refusals:?}"
            );
        }
    }

    #[test]
    fn a_resource_that_the_request_removes_is_no_reason_to_refuse() {
        let mut case = edited(&["remove device match=/dev/x"]);
        case.offer.survey.zone.config += "add device\nset match=/dev/x\nend\n";
        assert_eq!(case.refusals(), "");
    }
}
