//! What a resource takes, and what `end` finds wrong with it.

use super::session::Scope;
use crate::zones::config::{Config, Kind, Resource};

/// Judges a property's value. The error is a complaint, and whether it counts as an error: a file goes on
/// after one that does not.
pub fn accept(kind: &Kind, name: &str, value: &str) -> Result<(), (String, bool)> {
    match (kind.name, name) {
        ("net", "address") if !is_address(value) => {
            Err((format!("{value}: bogus host name or network address syntax"), true))
        }
        ("net", "physical") if value.is_empty() || !value.chars().all(in_a_link) => {
            Err((format!("{value}: invalid physical interface name"), true))
        }
        ("rctl", "name") if !value.starts_with("zone.") => {
            Err((format!("'{value}' is not a valid zone rctl name."), false))
        }
        _ => Ok(()),
    }
}

fn in_a_link(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.".contains(c)
}

/// An address with or without its prefix, or what could be a host's name; 300.1.2.3 could (recorded).
fn is_address(value: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let (host, prefix) = value.split_once('/').map_or((value, None), |(host, prefix)| (host, Some(prefix)));
    let six = host.parse::<std::net::Ipv6Addr>().is_ok()
        && prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|bits| bits <= 128));
    six || crate::net::address::parse(value).is_some()
        || value.len() < 256
            && value.chars().all(name)
            && edge(value.chars().next())
            && edge(value.chars().next_back())
}

/// A tuple as it is kept and exported, or what it lacks.
pub fn tuple(list: &str, pairs: &[(String, String)]) -> Result<String, String> {
    let order: &[&str] = if list == "property" { &["name", "value"] } else { &["priv", "limit", "action"] };
    let mut parts = Vec::new();
    for wanted in order {
        let Some((name, value)) = pairs.iter().find(|(name, _)| name == wanted) else {
            return Err(format!("{wanted} not specified"));
        };
        let quote = if list == "property" && name == "value" { "\"" } else { "" };
        parts.push(format!("{name}={quote}{value}{quote}"));
    }
    Ok(format!("({})", parts.join(",")))
}

/// Everything that keeps the resource from being added.
pub fn faults(config: &Config, scope: &Scope) -> Vec<String> {
    let resource = &scope.resource;
    let kind = resource.kind;
    let mut faults: Vec<String> = kind
        .required
        .iter()
        .filter(|name| resource.get(name).is_empty())
        .map(|name| format!("{name} not specified"))
        .collect();
    if kind.name == "rctl" && resource.list.is_empty() && faults.is_empty() {
        faults.push("no value specified".into());
    }
    if !faults.is_empty() {
        return faults;
    }
    if let Some(unique) = kind.unique {
        let value = resource.get(unique);
        let twin = config.resources.iter().enumerate().any(|(at, other)| {
            Some(at) != scope.selected && other.kind.name == kind.name && other.get(unique) == value
        });
        if twin {
            let article = if kind.name == "attr" { "An" } else { "A" };
            return vec![format!(
                "{article} {} resource with the {unique} '{value}' already exists.",
                kind.name
            )];
        }
    }
    if kind.name == "attr" { attribute(resource).into_iter().collect() } else { Vec::new() }
}

fn attribute(resource: &Resource) -> Option<String> {
    let (kind, value) = (resource.get("type"), resource.get("value"));
    let good = match kind {
        "string" => true,
        "int" => value.parse::<i64>().is_ok(),
        "uint" => value.parse::<u64>().is_ok(),
        "boolean" => matches!(value, "true" | "false"),
        _ => return Some(format!("invalid attr type '{kind}'")),
    };
    (!good).then(|| format!("invalid attr value for type={kind}"))
}

/// Sets a resource control to one limit.
pub fn limit(config: &mut Config, name: &str, limit: &str, action: &str) {
    config.resources.retain(|rctl| !(rctl.kind.name == "rctl" && rctl.get("name") == name));
    let mut rctl = Resource::of("rctl", &[("name", name)]);
    rctl.list.push(format!("(priv=privileged,limit={limit},action={action})"));
    config.resources.push(rctl);
}

/// OmniOS keeps a memory cap as resource controls (recorded).
pub fn cap_memory(config: &mut Config, cap: &Resource) {
    let controls =
        [("physical", "max-physical-memory"), ("swap", "max-swap"), ("locked", "max-locked-memory")];
    for (property, control) in controls {
        if let Some(bytes) = bytes(cap.get(property)) {
            limit(config, &format!("zone.{control}"), &bytes.to_string(), "deny");
        }
    }
}

/// `2g` as bytes.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.chars().next_back()?.to_ascii_lowercase() {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        't' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_shl(shift)
}
