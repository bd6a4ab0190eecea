//! `zpool`: what a person reads, and making a pool.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::table;
use super::command::{self, Fail, Outcome, Session, print};
use super::create;
use super::name::{self, Kind};
use super::number::nice;
use super::options;
use super::release::Release;
use super::space::Space;
use super::state::{Pool, State, random};
use super::{feature, property, usage};

/// The smallest pool that ZFS makes.
const SMALLEST: u64 = 64 << 20;

/// Runs the command. Answers its exit status.
pub fn run(session: &Session, args: &[String]) -> i32 {
    let Some((verb, rest)) = args.split_first() else {
        return usage::general_pool("missing command");
    };
    let outcome = match verb.as_str() {
        "create" => create(session, rest),
        "get" => get(session, rest),
        "list" => list(session, rest),
        "set" if session.release.is_illumos() => feature::set(session, rest),
        "status" => status(session, rest),
        _ => return usage::general_pool(&format!("unrecognized command '{}'", verb.escape_debug())),
    };
    command::finish("zpool", verb, outcome)
}

/// `zpool create [-fn] [-o …] [-O property=value]… [-m mountpoint] pool vdev`: the vdev is a file of the
/// host, of which only the size counts.
fn create(session: &Session, args: &[String]) -> Outcome {
    let illumos = session.release.is_illumos();
    let parsed = options::parse(args, if illumos { "dfno:O:m:R:" } else { "fno:O:m:R:" })?;
    let (pool, vdevs) = match parsed.operands.split_first() {
        None => return Err(Fail::Usage("missing pool name argument".into())),
        Some((_, [])) => return Err(Fail::Usage("missing vdev specification".into())),
        Some(found) => found,
    };
    let state = session.read()?;
    let mut size = 0;
    for vdev in vdevs {
        let place = super::mounts::locate(&session.store, &state, vdev);
        let missing = |_| Fail::Text(format!("cannot open '{vdev}': No such file or directory"));
        size += std::fs::metadata(place).map_err(missing)?.len();
    }
    let mut disabled: BTreeSet<String> = BTreeSet::new();
    if parsed.has('d') {
        disabled.extend(feature::FEATURES.iter().map(|&name| name.to_owned()));
    }
    for given in parsed.values('o').filter_map(feature::given) {
        match given? {
            (name, true) => disabled.remove(name),
            (name, false) => disabled.insert(name.to_owned()),
        };
    }
    create_pool(session, pool, size, parsed.value('m'), disabled)?;
    for assignment in parsed.values('O') {
        super::set::set(session, &[assignment.to_owned(), pool.clone()])?;
    }
    Ok(0)
}

/// Makes a pool and mounts its root filesystem.
pub fn create_pool(
    session: &Session,
    pool: &str,
    size: u64,
    mountpoint: Option<&str>,
    disabled: BTreeSet<String>,
) -> Result<(), Fail> {
    let refuse = |reason: &str| Err(Fail::Text(format!("cannot create '{pool}': {reason}")));
    if name::pool_is_reserved(pool) {
        return refuse("pool name is reserved");
    }
    if let Err(reason) = name::check(pool, Kind::Filesystem) {
        return refuse(&reason);
    }
    if pool.contains('/') {
        return refuse("invalid character '/' in pool name");
    }
    if size < SMALLEST {
        return refuse("one or more devices is less than the minimum size (64M)");
    }
    let mut local = BTreeMap::new();
    if let Some(mountpoint) = mountpoint {
        let mountpoint =
            property::accept("mountpoint", mountpoint, session.release, true).map_err(Fail::Text)?;
        local.insert("mountpoint".to_owned(), mountpoint);
    }
    let complaints = session.store.change(|state| {
        if state.pools.contains_key(pool) {
            return Err(Fail::Text(format!("cannot create '{pool}': pool already exists")));
        }
        let zpl = session.release.newest_version();
        state.pools.insert(pool.to_owned(), Pool { size, guid: random()?, txg: 4, disabled, zpl });
        Ok(create::plant(session, state, pool, local)?)
    })??;
    match complaints.first() {
        Some(complaint) => Err(Fail::Text(complaint.clone())),
        None => Ok(()),
    }
}

const PROPERTIES: &[(&str, &str)] = &[
    ("name", "NAME"),
    ("size", "SIZE"),
    ("allocated", "ALLOC"),
    ("free", "FREE"),
    ("capacity", "CAP"),
    ("dedupratio", "DEDUP"),
    ("health", "HEALTH"),
    ("altroot", "ALTROOT"),
    ("guid", "GUID"),
    ("version", "VERSION"),
    ("bootfs", "BOOTFS"),
    ("delegation", "DELEGATION"),
    ("autoreplace", "REPLACE"),
    ("cachefile", "CACHEFILE"),
    ("failmode", "FAILMODE"),
    ("listsnapshots", "LISTSNAPS"),
];

/// Value and source.
fn value(
    session: &Session,
    state: &State,
    name: &str,
    property: &str,
    exact: bool,
) -> (String, &'static str) {
    let Some(pool) = state.pools.get(name) else { return ("-".into(), "-") };
    let used = Space::new(&session.store, state).used(name);
    let bytes = |bytes: u64| if exact { bytes.to_string() } else { nice(bytes) };
    match property {
        "name" => (name.into(), "-"),
        "size" => (bytes(pool.size), "-"),
        "allocated" => (bytes(used), "-"),
        "free" => (bytes(pool.size.saturating_sub(used)), "-"),
        "capacity" => (format!("{}{}", used * 100 / pool.size.max(1), if exact { "" } else { "%" }), "-"),
        "dedupratio" => ("1.00x".into(), "-"),
        "health" => ("ONLINE".into(), "-"),
        "guid" => (pool.guid.to_string(), "default"),
        // A pool with feature flags has none; Solaris 10 10/08 has 10; that of 11.4 is unverified.
        "version" => (if session.release == Release::Solaris10 { "10" } else { "-" }.into(), "default"),
        "delegation" => ("on".into(), "default"),
        "autoreplace" | "listsnapshots" => ("off".into(), "default"),
        "failmode" => ("wait".into(), "default"),
        _ => ("-".into(), "default"),
    }
}

fn properties(list: &str) -> Result<Vec<(&'static str, &'static str)>, Fail> {
    let full = |word: &str| match word {
        "alloc" => "allocated".to_owned(),
        "cap" => "capacity".into(),
        "dedup" => "dedupratio".into(),
        word => word.to_owned(),
    };
    let find = |word: &str| {
        let unknown =
            || Fail::Usage(format!("bad property list: invalid property '{}'", word.escape_debug()));
        PROPERTIES.iter().find(|(name, _)| *name == full(word)).copied().ok_or_else(unknown)
    };
    list.split(',').map(find).collect()
}

/// The pools named, or all; and whether all were found.
fn pools(state: &State, operands: &[String]) -> (Vec<String>, bool) {
    if operands.is_empty() {
        return (state.pools.keys().cloned().collect(), true);
    }
    let (found, missing): (Vec<_>, Vec<_>) =
        operands.iter().cloned().partition(|name| state.pools.contains_key(name));
    for name in &missing {
        command::complain(&format!("cannot open '{name}': no such pool"));
    }
    (found, missing.is_empty())
}

fn list(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, if session.release.is_illumos() { "Ho:p" } else { "Ho:" })?;
    let usual = "name,size,allocated,free,capacity,dedupratio,health,altroot";
    let columns = properties(parsed.value('o').unwrap_or(usual))?;
    let state = session.read()?;
    let (names, complete) = pools(&state, parsed.operands);
    let cell = |name: &str, property| value(session, &state, name, property, parsed.has('p')).0;
    let rows: Vec<Vec<String>> =
        names.iter().map(|name| columns.iter().map(|(property, _)| cell(name, property)).collect()).collect();
    let titles: Vec<String> = columns.iter().map(|(_, title)| (*title).to_owned()).collect();
    let numbers = ["size", "allocated", "free", "capacity", "dedupratio"];
    let right: Vec<bool> = columns.iter().map(|(property, _)| numbers.contains(property)).collect();
    if rows.is_empty() && complete && !parsed.has('H') {
        print("no pools available\n");
    } else if !rows.is_empty() {
        print(&table(&titles, &right, &rows, parsed.has('H')));
    }
    Ok(i32::from(!complete))
}

fn get(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, if session.release.is_illumos() { "Hpo:" } else { "" })?;
    let Some((list, operands)) = parsed.operands.split_first() else {
        return Err(Fail::Usage("missing property argument".into()));
    };
    let (features, list): (Vec<&str>, Vec<&str>) =
        list.split(',').partition(|word| session.release.is_illumos() && word.starts_with("feature@"));
    let wanted = match list.as_slice() {
        [] => Vec::new(),
        ["all"] => PROPERTIES[1..].to_vec(),
        list => properties(&list.join(","))?,
    };
    let mut features: Vec<&str> = features.iter().filter_map(|word| word.strip_prefix("feature@")).collect();
    if list == ["all"] && session.release.is_illumos() {
        features.extend(feature::FEATURES);
    }
    let fields: Vec<&str> = parsed.value('o').unwrap_or("name,property,value,source").split(',').collect();
    let state = session.read()?;
    let (names, complete) = pools(&state, operands);
    let mut rows = Vec::new();
    for name in &names {
        for (property, _) in &wanted {
            let (value, source) = value(session, &state, name, property, parsed.has('p'));
            let cell = |field: &&str| match *field {
                "name" => name.clone(),
                "property" => (*property).to_owned(),
                "value" => value.clone(),
                _ => source.to_owned(),
            };
            rows.push(fields.iter().map(cell).collect::<Vec<String>>());
        }
        for &wanted in &features {
            let pool = state.pools.get(name);
            let Some(value) = pool.and_then(|pool| feature::value(&state, name, pool, wanted)) else {
                let unknown = format!("bad property list: invalid property 'feature@{wanted}'");
                return Err(Fail::Usage(unknown));
            };
            let cell = |field: &&str| match *field {
                "name" => name.clone(),
                "property" => format!("feature@{wanted}"),
                "value" => value.to_owned(),
                _ => "local".to_owned(),
            };
            rows.push(fields.iter().map(cell).collect::<Vec<String>>());
        }
    }
    let titles: Vec<String> = fields.iter().map(|field| field.to_uppercase()).collect();
    if !rows.is_empty() {
        print(&table(&titles, &vec![false; fields.len()], &rows, parsed.has('H')));
    }
    Ok(i32::from(!complete))
}

fn status(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "vx")?;
    let state = session.read()?;
    let (names, complete) = pools(&state, parsed.operands);
    if names.is_empty() && complete {
        print("no pools available\n");
    }
    if parsed.has('x') && complete {
        print("all pools are healthy\n");
        return Ok(0);
    }
    for name in names {
        let width = name.len().max("emulated".len() + 2);
        print(&format!(
            "  pool: {name}\n state: ONLINE\n scrub: none requested\nconfig:\n\n\
             \t{:<width$}  STATE     READ WRITE CKSUM\n\
             \t{name:<width$}  ONLINE       0     0     0\n\
             \t{:<width$}  ONLINE       0     0     0\n\nerrors: No known data errors\n",
            "NAME", "  emulated",
        ));
    }
    Ok(i32::from(!complete))
}
