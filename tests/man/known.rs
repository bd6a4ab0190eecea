//! The keys that a reader of TOML knows, from the words with which it refuses one that it doesn't: that is the list by
//! which it reads.

use std::collections::{BTreeMap, BTreeSet};

use zmigrate::job::fault::Fault;

/// Near no key, so that all are named.
const UNKNOWN: &str = "no_key_of_this_name";

/// Keys by section. A section whose keys are the writer's choice has none; one that has such sections is called
/// `peer.NAME`.
pub fn keys(faults: impl Fn(&str) -> Vec<Fault>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    look(&faults, "", &mut found);
    // A section is not a key of the one above.
    let sections: Vec<String> = found.keys().cloned().collect();
    for (section, keys) in &mut found {
        let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
        keys.retain(|key| {
            let path = format!("{prefix}{key}");
            !sections.iter().any(|other| *other == path || *other == format!("{path}.NAME"))
        });
    }
    found
}

fn look(faults: &impl Fn(&str) -> Vec<Fault>, path: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let (head, key) = match path {
        "" => (String::new(), UNKNOWN.to_owned()),
        _ => (format!("[{path}]\n"), format!("{path}.{UNKNOWN}")),
    };
    let faults_here = faults(&format!("{head}{UNKNOWN} = 1\n"));
    let said = |begin: &str| {
        faults_here.iter().find_map(|fault| fault.message.strip_prefix(begin).map(str::to_owned))
    };
    if let Some(listed) = said(&format!("unknown key `{key}`, expected ")) {
        let keys: BTreeSet<String> = listed.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        found.insert(path.to_owned(), keys.clone());
        for key in &keys {
            look(faults, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found);
        }
    } else if said(&format!("`{key}`: expected a section")).is_some() {
        let below = format!("{path}.NAME");
        look(faults, &below, found);
        if !found.contains_key(&below) {
            found.insert(path.to_owned(), BTreeSet::new());
        }
    } else if said(&format!("`{key}`: expected a string")).is_some() && !path.ends_with(".NAME") {
        found.insert(path.to_owned(), BTreeSet::new());
    }
}
