//! `zoneadm list`.

use anyhow::Result;

use super::kernel::State;
use super::{Zones, configuration};
use crate::world::{Host, Profile};

/// Which zones are listed, and how.
#[derive(Debug, Clone, Copy, Default)]
struct Options {
    all: bool,
    installed: bool,
    verbose: bool,
    parsable: bool,
    no_global: bool,
}

/// A line's facts.
struct Line {
    id: Option<u32>,
    name: String,
    state: State,
    path: String,
    uuid: String,
    brand: String,
    shared: bool,
}

/// Lists by the options; `only` is the zone of `-z`, which exists.
pub fn main(host: &Host, only: Option<&str>, args: &[String]) -> Result<i32> {
    let omnios = host.settings()?.profile == Profile::Omnios;
    let mut options = Options::default();
    for letter in args.iter().flat_map(|arg| arg.strip_prefix('-').unwrap_or("!").chars()) {
        match letter {
            'c' => options.all = true,
            'i' => options.installed = true,
            'v' => options.verbose = true,
            'p' => options.parsable = true,
            'n' if omnios => options.no_global = true,
            _ => return Ok(usage()),
        }
    }
    if options.verbose && options.parsable {
        err!("zoneadm: list -p and -v are mutually exclusive.");
        return Ok(1);
    }
    if only.is_some() && (options.all || options.installed) {
        return Ok(usage());
    }
    if options.verbose {
        out!("{:>4} {:<16} {:<10} {:<30} {:<8} {:<6}", "ID", "NAME", "STATUS", "PATH", "BRAND", "IP");
    }
    let zones = Zones::look(host)?;
    if only.is_none_or(|name| name == "global") && !options.no_global {
        // Field 6 of OmniOS's own line is `ipkg`, of Solaris 10's `native`.
        let brand = if omnios { "ipkg" } else { "native" };
        print(
            &options,
            omnios,
            &Line {
                id: Some(0),
                name: "global".into(),
                state: State::Running,
                path: "/".into(),
                uuid: String::new(),
                brand: brand.into(),
                shared: true,
            },
        );
    }
    let booted = zones.kernel.zones.iter().map(|alive| (alive.name.as_str(), Some(alive.id)));
    let down = zones.index.iter().filter(|entry| zones.alive(&entry.name).is_none());
    for (name, id) in booted.chain(down.map(|entry| (entry.name.as_str(), None))) {
        let Some(state) = zones.state(host, name)? else { continue };
        let wanted = match only {
            Some(only) => only == name,
            None => options.all || state.in_kernel() || options.installed && state == State::Installed,
        };
        if wanted && let Some(line) = line(host, &zones, name, id, state)? {
            print(&options, omnios, &line);
        }
    }
    Ok(0)
}

/// A zone without a readable document has no line, and that changes no exit status.
fn line(host: &Host, zones: &Zones, name: &str, id: Option<u32>, state: State) -> Result<Option<Line>> {
    let Some(config) = configuration(host, name)? else {
        err!("zoneadm: {name}: could not get brand name: Invalid document");
        return Ok(None);
    };
    let entry = zones.entry(name);
    Ok(Some(Line {
        id: id.filter(|_| state.in_kernel()),
        name: name.to_owned(),
        state,
        path: entry.map_or_else(|| config.zonepath.clone(), |entry| entry.zonepath.clone()),
        uuid: entry.map_or_else(String::new, |entry| entry.uuid.clone()),
        shared: config.shared_ip(),
        brand: config.brand,
    }))
}

fn print(options: &Options, debug_id: bool, line: &Line) {
    if options.parsable {
        out!("{}", parsable(line, debug_id));
    } else if options.verbose {
        let id = line.id.map_or("-".to_owned(), |id| id.to_string());
        let ip = if line.shared { "shared" } else { "excl" };
        out!(
            "{id:>4} {:<16} {:<10} {:<30} {:<8} {ip:<6}",
            line.name,
            line.state.word(),
            line.path,
            line.brand
        );
    } else {
        out!("{}", line.name);
    }
}

fn parsable(line: &Line, debug_id: bool) -> String {
    let id = line.id.map_or("-".to_owned(), |id| id.to_string());
    let ip = if line.shared { "shared" } else { "excl" };
    let path = line.path.replace(':', "\\:");
    let last = if debug_id { ":" } else { "" };
    format!("{id}:{}:{}:{path}:{}:{}:{ip}{last}", line.name, line.state.word(), line.uuid, line.brand)
}

fn usage() -> i32 {
    err!("usage:\tzoneadm [-z <zone>] list [-cipv]");
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_as_each_release_has_them_and_colons_are_escaped() {
        let line = Line {
            id: None,
            name: "web".into(),
            state: State::Configured,
            path: "/export/a:b".into(),
            uuid: String::new(),
            brand: "sparse".into(),
            shared: false,
        };
        assert_eq!(parsable(&line, true), "-:web:configured:/export/a\\:b::sparse:excl:");
        assert_eq!(parsable(&line, false), "-:web:configured:/export/a\\:b::sparse:excl");
    }
}
