//! `zoneadm list`.

use anyhow::Result;

use super::kernel::State;
use super::{Zones, configuration};
use crate::world::{Host, Profile, Settings};

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
    /// OmniOS: the document's debug ID.
    debug: String,
}

/// How a release prints a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Solaris 10 8/07: seven fields.
    Seven,
    /// OmniOS: the zone's debug ID besides.
    Debug,
    /// Solaris 11: r/w and file-mac-profile, and this number of fields in all: 9 (11.0, 11.1), 10 (11.2 to 11.4), 11 (from SRU 43 of
    /// 11.4). The tenth and the eleventh are empty for a zone that is not a kernel zone.
    Solaris11(usize),
}

impl Form {
    fn of(settings: &Settings) -> Self {
        match settings.profile {
            Profile::Solaris10 => Self::Seven,
            Profile::Omnios => Self::Debug,
            Profile::Solaris11 => {
                let numbers: Vec<u32> = settings.kernel.split('.').filter_map(|n| n.parse().ok()).collect();
                Self::Solaris11(match numbers.as_slice() {
                    [11, 0 | 1, ..] => 9,
                    [11, 4, sru, ..] if *sru >= 43 => 11,
                    _ => 10,
                })
            }
        }
    }

    /// The verbose form's widths; those of Solaris 11 are of 11.2 and later.
    fn widths(self) -> [usize; 4] {
        match self {
            Self::Seven | Self::Debug => [16, 10, 30, 8],
            Self::Solaris11(_) => [16, 11, 28, 10],
        }
    }

    /// The text after the seventh field, including its colon.
    fn rest(self, global: bool, debug: &str) -> String {
        match self {
            Self::Seven => String::new(),
            Self::Debug => format!(":{debug}"),
            Self::Solaris11(fields) => {
                // [captured] `-:none` of the global zone, `-:` of others; r/w of a running zone is unverified.
                let profile = if global { "none" } else { "" };
                format!(":-:{profile}{}", ":".repeat(fields - 9))
            }
        }
    }
}

/// Lists by the options; `only` is the zone of `-z`, which exists.
pub fn main(host: &Host, only: Option<&str>, args: &[String]) -> Result<i32> {
    let settings = host.settings()?;
    let form = Form::of(&settings);
    let mut options = Options::default();
    for letter in args.iter().flat_map(|arg| arg.strip_prefix('-').unwrap_or("!").chars()) {
        match letter {
            'c' => options.all = true,
            'i' => options.installed = true,
            'v' => options.verbose = true,
            'p' => options.parsable = true,
            // Not known to be in Solaris 11.
            'n' if settings.profile == Profile::Omnios => options.no_global = true,
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
        verbose(form, "ID", "NAME", "STATUS", "PATH", "BRAND", "IP");
    }
    let zones = Zones::look(host)?;
    if only.is_none_or(|name| name == "global") && !options.no_global {
        let brand = match settings.profile {
            Profile::Omnios => "ipkg",
            Profile::Solaris10 => "native",
            Profile::Solaris11 => "solaris",
        };
        print(
            &options,
            form,
            &Line {
                id: Some(0),
                name: "global".into(),
                state: State::Running,
                path: "/".into(),
                uuid: String::new(),
                brand: brand.into(),
                shared: true,
                debug: "0".into(),
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
            print(&options, form, &line);
        }
    }
    Ok(0)
}

/// A zone without a readable document has no line, and that changes no exit status.
fn line(host: &Host, zones: &Zones, name: &str, id: Option<u32>, state: State) -> Result<Option<Line>> {
    let Some(config) = configuration(host, name)? else {
        // libzonecfg's errors for a document that is missing, and for one that is not XML (recorded).
        let there = host.file("etc/zones").join(format!("{name}.xml")).exists();
        let why = if there { "OK" } else { "Wrong document type" };
        err!("zoneadm: {name}: could not get brand name: {why}");
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
        debug: config.debug_id,
        brand: config.brand,
    }))
}

fn print(options: &Options, form: Form, line: &Line) {
    if options.parsable {
        out!("{}", parsable(line, form));
    } else if options.verbose {
        let id = line.id.map_or("-".to_owned(), |id| id.to_string());
        let ip = if line.shared { "shared" } else { "excl" };
        verbose(form, &id, &line.name, line.state.word(), &line.path, &line.brand, ip);
    } else {
        out!("{}", line.name);
    }
}

fn verbose(form: Form, id: &str, name: &str, state: &str, path: &str, brand: &str, ip: &str) {
    let [w1, w2, w3, w4] = form.widths();
    out!("{id:>4} {name:<w1$} {state:<w2$} {path:<w3$} {brand:<w4$} {ip:<6}");
}

fn parsable(line: &Line, form: Form) -> String {
    let id = line.id.map_or("-".to_owned(), |id| id.to_string());
    let ip = if line.shared { "shared" } else { "excl" };
    let path = line.path.replace(':', "\\:");
    let rest = form.rest(line.name == "global", &line.debug);
    format!("{id}:{}:{}:{path}:{}:{}:{ip}{rest}", line.name, line.state.word(), line.uuid, line.brand)
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
            debug: "429".into(),
        };
        assert_eq!(parsable(&line, Form::Debug), "-:web:configured:/export/a\\:b::sparse:excl:429");
        assert_eq!(parsable(&line, Form::Seven), "-:web:configured:/export/a\\:b::sparse:excl");
        for (kernel, fields) in
            [("11.1", 9), ("11.3", 10), ("11.4.42.111.0", 10), ("11.4.43.113.3", 11), ("11.4.69.170.2", 11)]
        {
            let settings = Settings { kernel: kernel.into(), ..Settings::solaris11("zhost1", 1) };
            let form = Form::of(&settings);
            assert_eq!(form, Form::Solaris11(fields), "{kernel}");
            assert_eq!(parsable(&line, form).replace("\\:", "").split(':').count(), fields, "{kernel}");
        }
        // [captured], Solaris 11.2 and later
        let global = Line {
            id: Some(0),
            name: "global".into(),
            state: State::Running,
            path: "/".into(),
            shared: true,
            brand: "solaris".into(),
            ..line
        };
        assert_eq!(parsable(&global, Form::Solaris11(10)), "0:global:running:/::solaris:shared:-:none:");
    }
}
