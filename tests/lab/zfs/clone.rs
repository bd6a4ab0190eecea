//! `zfs clone`: a filesystem that begins as a snapshot of another (illumos `zfs_main.c` zfs_do_clone,
//! `libzfs_dataset.c` zfs_clone).
//!
//! The clone's data is a copy here; what it shares with its origin counts as the origin's.

use std::collections::BTreeMap;
use std::io;

use super::command::{Fail, Outcome, Session, cannot_open, status};
use super::state::{Snapshot, State};
use super::view::Item;
use super::{create, files, options};

/// `zfs clone [-p] [-o property=value]… snapshot filesystem`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "o:p")?;
    let given = create::given(&parsed)?;
    let (origin, name) = match parsed.operands {
        [] => return Err(Fail::Usage("missing source dataset argument".into())),
        [_] => return Err(Fail::Usage("missing target dataset argument".into())),
        [origin, name] => (origin.as_str(), name.as_str()),
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    if !origin.contains('@') {
        let reason = "missing '@' delimiter in snapshot name";
        return Err(Fail::Text(format!("cannot open '{origin}': {reason}")));
    }
    let complaints = session.store.change(|state| {
        if Item::find(state, origin).is_none() {
            return Err(cannot_open(origin));
        }
        create::create(session, state, name, &given, parsed.has('p'), Some(origin))
    })??;
    Ok(status(&complaints))
}

/// Makes the clone below a parent that exists, and mounts it if it is to be.
pub fn plant(
    session: &Session,
    state: &mut State,
    origin: &str,
    name: &str,
    local: BTreeMap<String, String>,
) -> io::Result<Vec<String>> {
    let mut clone = state.new_dataset(name)?;
    clone.local = local;
    let gone = || io::Error::other(format!("'{origin}' is gone"));
    let item = Item::find(state, origin).ok_or_else(gone)?;
    let snapshot = item.snapshot.ok_or_else(gone)?;
    clone.version = item.dataset.version;
    clone.crypt.clone_from(&item.dataset.crypt);
    clone.origin = Some(snapshot.id);
    session.store.make_data(&clone)?;
    files::copy(&session.store.frozen(item.dataset, snapshot), &session.store.live(&clone))?;
    state.datasets.insert(name.to_owned(), clone);
    create::mounted(session, state, name, "cloned")
}

/// What depends on the snapshots of these datasets and is none of them: clones, what lies below those,
/// and their snapshots and clones in turn, in the order in which `zfs destroy -R` destroys them.
pub fn dependents(state: &State, names: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for dataset in names.iter().filter_map(|name| state.dataset(name)) {
        for snapshot in &dataset.snapshots {
            of_snapshot(state, snapshot, &mut found);
        }
    }
    let inside = |full: &String| names.iter().any(|name| full.split('@').next() == Some(name));
    found.retain(|full| !inside(full));
    found
}

/// The same for one snapshot.
pub fn of_snapshot(state: &State, snapshot: &Snapshot, found: &mut Vec<String>) {
    for clone in state.clones(snapshot) {
        visit(state, clone, found);
    }
}

fn visit(state: &State, name: &str, found: &mut Vec<String>) {
    if found.iter().any(|known| known == name) {
        return;
    }
    for child in state.children(name) {
        visit(state, child, found);
    }
    for snapshot in state.dataset(name).iter().flat_map(|dataset| &dataset.snapshots) {
        of_snapshot(state, snapshot, found);
        found.push(format!("{name}@{}", snapshot.name));
    }
    found.push(name.to_owned());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::Bench;

    fn cloned() -> Bench {
        let bench = Bench::new();
        assert_eq!(bench.zfs("create data/web"), 0);
        fs::write(bench.path("/data/web/f"), vec![7; 50_000]).unwrap();
        for line in ["snapshot data/web@s", "clone -o mountpoint=/c data/web@s data/c"] {
            assert_eq!(bench.zfs(line), 0, "{line}");
        }
        bench
    }

    #[test]
    fn a_clone_has_its_origins_files_and_costs_nothing() {
        let bench = cloned();
        assert_eq!(fs::read(bench.path("/c/f")).unwrap(), vec![7; 50_000]);
        assert_eq!(bench.get("data/c", "origin"), "data/web@s");
        assert_eq!(bench.get("data/web@s", "clones"), "data/c");
        assert_eq!(bench.get("data/web", "origin"), "-");
        assert!(bench.get("data/c", "used").parse::<u64>().unwrap() < 50_000);
        assert!(bench.get("data/c", "referenced").parse::<u64>().unwrap() > 50_000);
        assert_eq!(bench.zfs("rename data/web data/w"), 0);
        assert_eq!(bench.get("data/c", "origin"), "data/w@s");
    }

    #[test]
    fn a_clone_keeps_its_origin_from_being_destroyed() {
        let bench = cloned();
        for line in ["destroy data/web@s", "destroy -r data/web", "destroy -r data/web@s"] {
            assert_eq!(bench.zfs(line), 1, "{line}");
        }
        assert!(bench.exists("data/web@s"));
        assert_eq!(bench.zfs("destroy -R data/web"), 0);
        assert!(!bench.exists("data/web") && !bench.exists("data/c"));
    }

    #[test]
    fn an_origin_can_go_when_its_clone_has_gone() {
        let bench = cloned();
        assert_eq!(bench.zfs("destroy data/c"), 0);
        assert_eq!(bench.zfs("destroy data/web@s"), 0);
    }

    #[test]
    fn a_clone_below_its_origin_goes_with_it() {
        let bench = cloned();
        assert_eq!(bench.zfs("clone data/web@s data/web/below"), 0);
        assert_eq!(bench.zfs("destroy -r data/web"), 1, "data/c remains");
        assert_eq!(bench.zfs("destroy data/c"), 0);
        assert_eq!(bench.zfs("destroy -r data/web"), 0);
    }
}
