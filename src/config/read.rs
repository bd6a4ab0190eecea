//! The configuration's TOML, key by key. The order of the keys here is the order in which a fault
//! lists them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::network::{Network, link};
use super::peer::directory;
use super::{Accept, Commands, Config, Jobs, Scratch, Syslog, peer};
use super::{
    COMMAND_PATH, COMMAND_TIMEOUT, DOUBT_AFTER, ENTERPRISE, FACILITY, FORMAT, LIMITPRIV, OFFERS, PARALLEL,
};
use super::{PART, SCRATCH, SCRATCH_MAX, SPOOL};
use crate::job::fault::Fault;
use crate::job::name::{Bytes, DatasetName, HostName};
use crate::job::path;
use crate::job::sheet::{Section, Sheet};
use crate::job::units;
use crate::log::Facility;
use crate::log::remote::{Address, Format};

const MIB: u64 = 1 << 20;

impl Config {
    /// Reads a configuration's text. `file` is the name that faults show; `default_host` is this
    /// host's own name.
    ///
    /// # Errors
    /// All faults of the text, in the order of its lines; never none.
    pub fn parse(file: &str, text: &str, default_host: &str) -> Result<Self, Vec<Fault>> {
        let sheet = Sheet::new(file, text);
        let read = config(sheet.top(), default_host);
        match (read, sheet.finish()) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (None, faults) if faults.is_empty() => Err(vec![Fault::of_file(file, "names no host")]),
            (_, faults) => Err(faults),
        }
    }
}

/// `None` when a value without a default is absent or faulty; the fault is in the sheet.
fn config(mut top: Section<'_>, default_host: &str) -> Option<Config> {
    let host = host(top.section("host"), default_host);
    let spool = spool(top.section("spool"));
    let scratch = scratch(top.section("scratch"));
    let syslog = syslog(top.section("syslog"));
    let commands = commands(top.section("commands"));
    let jobs = jobs(top.section("jobs"));
    let peers = by_host(top.section("peer"), host.as_ref(), peer::peer);
    let accept = by_host(top.section("accept"), host.as_ref(), accept);
    // Everything has been read before the first absent value ends it: all faults come at once.
    top.close();
    Some(Config { host: host?, spool, scratch, syslog, commands, jobs, peers, accept })
}

fn host(mut section: Section<'_>, default: &str) -> Option<HostName> {
    let read = section.text("name", str::parse::<HostName>);
    let host = if section.has("name") {
        read
    } else {
        let why = |error| section.fault("name", &format!("is not given, and this host's own name {error}"));
        default.parse().map_err(why).ok()
    };
    section.close();
    host
}

fn spool(mut section: Section<'_>) -> PathBuf {
    let dir = section.text("dir", directory).unwrap_or_else(|| SPOOL.into());
    section.close();
    dir
}

fn scratch(mut section: Section<'_>) -> Scratch {
    let dir = section.text("dir", directory).unwrap_or_else(|| SCRATCH.into());
    let max = section.text("max", units::size).unwrap_or(SCRATCH_MAX);
    let part = section.text("part", part).unwrap_or(PART);
    // One part is written while the one before it travels.
    if max.0 / 2 < part.0 {
        section.fault(
            "max",
            &format!("{} is less than two parts of {}", units::size_text(max), units::size_text(part)),
        );
    }
    section.close();
    Scratch { dir, max, part }
}

fn part(text: &str) -> Result<Bytes, String> {
    let size = units::size(text).map_err(|why| why.to_string())?;
    let legal = (MIB..=4096 * MIB).contains(&size.0) && size.0.is_multiple_of(MIB);
    if legal { Ok(size) } else { Err(format!("'{text}' is not a whole number of MiB from 1M to 4G")) }
}

fn syslog(mut section: Section<'_>) -> Syslog {
    let facility = section.text("facility", str::parse::<Facility>).unwrap_or(FACILITY);
    let remote = section.text("remote", str::parse::<Address>);
    let formats = [("rfc3164", Format::Rfc3164), ("rfc5424", Format::Rfc5424)];
    let format = section.word("format", &formats).unwrap_or(FORMAT);
    let enterprise = section.count("enterprise", 1..=u32::MAX).unwrap_or(ENTERPRISE);
    section.close();
    Syslog { facility, remote, format, enterprise }
}

fn commands(mut section: Section<'_>) -> Commands {
    let path = section.texts("path", |text| match directory(text) {
        Ok(_) if text.contains(':') => {
            Err(format!("'{}' has a colon in it, which PATH can't hold", text.escape_debug()))
        }
        read => read,
    });
    if path.as_ref().is_some_and(Vec::is_empty) {
        section.fault("path", "is empty: no command could be found");
    }
    let read = Commands {
        path: path.unwrap_or_else(|| COMMAND_PATH.map(PathBuf::from).to_vec()),
        timeout: section.text("timeout", units::duration).unwrap_or(COMMAND_TIMEOUT),
    };
    section.close();
    read
}

fn jobs(mut section: Section<'_>) -> Jobs {
    let read = Jobs {
        parallel: section.count("parallel", 1..=64).unwrap_or(PARALLEL),
        offers: section.count("offers", 1..=64).unwrap_or(OFFERS),
        doubt_after: section.text("doubt_after", units::duration).unwrap_or(DOUBT_AFTER),
        bandwidth: section.text("bandwidth", units::size).filter(|limit| limit.0 > 0),
    };
    section.close();
    read
}

/// `[peer.NAME]` or `[accept.NAME]`, all of them. A host is not its own peer.
fn by_host<'s, T>(
    section: Section<'s>,
    host: Option<&HostName>,
    read: impl Fn(Section<'s>) -> Option<T>,
) -> BTreeMap<HostName, T> {
    let mut all = BTreeMap::new();
    for entry in section.named() {
        let name = entry.key(str::parse::<HostName>);
        if name.is_some() && name.as_ref() == host {
            entry.fault_at_key("is this host itself");
        }
        if let (Some(name), Some(value)) = (name, read(entry.section())) {
            all.insert(name, value);
        }
    }
    all
}

fn accept(mut section: Section<'_>) -> Option<Accept> {
    let datasets = section.required_texts("datasets", str::parse::<DatasetName>);
    let quarantine = quarantine(&mut section, datasets.as_deref());
    let zonepaths = section.required_texts("zonepaths", path::absolute);
    for (key, is_empty) in [
        ("datasets", datasets.as_ref().is_some_and(Vec::is_empty)),
        ("zonepaths", zonepaths.as_ref().is_some_and(Vec::is_empty)),
    ] {
        if is_empty {
            section.fault(key, "is empty: no zone could land here");
        }
    }
    let lofs = section.texts("lofs", path::absolute).unwrap_or_default();
    let links = section.texts("links", link);
    let addresses = section.texts("addresses", Network::parse);
    let defrouters = section.texts("defrouters", Network::parse).unwrap_or_default();
    let devices = section.flag("devices").unwrap_or(false);
    let limitpriv = section.text("limitpriv", limitpriv).unwrap_or_else(|| LIMITPRIV.to_owned());
    let route = section.flag("route").unwrap_or(false);
    section.close();
    Some(Accept {
        datasets: datasets?,
        quarantine: quarantine?,
        zonepaths: zonepaths?,
        lofs,
        links,
        addresses,
        defrouters,
        devices,
        limitpriv,
        route,
    })
}

/// The quarantine as given, or `zmigrate` below the first of `datasets`. It is never one of
/// `datasets` itself: what is received must not lie where it would land.
fn quarantine(section: &mut Section<'_>, datasets: Option<&[DatasetName]>) -> Option<DatasetName> {
    let given = section.text("quarantine", str::parse::<DatasetName>);
    let datasets = datasets?;
    if !section.has("quarantine") {
        let why = |error| section.fault("quarantine", &format!("is not given, and the default {error}"));
        return datasets.first()?.join("zmigrate").map_err(why).ok();
    }
    let given = given?;
    if !datasets.iter().any(|top| given.is_within(top)) {
        section.fault("quarantine", &format!("'{given}' does not lie below one of `datasets`"));
    } else if datasets.contains(&given) {
        section.fault("quarantine", &format!("'{given}' is one of `datasets` itself: name one below it"));
    }
    Some(given)
}

/// A privilege set as zonecfg(8) has it under `limitpriv`: names with commas between, some with `!`
/// before.
fn limitpriv(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_name = |word: &str| {
        let name = word.strip_prefix('!').unwrap_or(word);
        !name.is_empty() && name.bytes().all(legal)
    };
    if text.len() <= 1000 && text.split(',').all(is_name) {
        return Ok(text.to_owned());
    }
    Err(format!("'{}' is not a set of privileges such as \"default,dtrace_user\"", text.escape_debug()))
}
