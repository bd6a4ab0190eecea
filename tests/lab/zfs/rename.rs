//! `zfs rename`, of filesystems and of snapshots.

use super::change::Reach;
use super::command::{Fail, Outcome, Session, cannot_open, status};
use super::name::{self, Kind, LONGEST};
use super::state::{State, parent_of, pool_of};
use super::view::{Item, is_zoned};
use super::{create, crypt, options};

/// `zfs rename [-p] dataset dataset` · `zfs rename [-r] snapshot snapshot`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, if session.release.is_illumos() { "prf" } else { "pr" })?;
    let (from, to) = match parsed.operands {
        [] => return Err(Fail::Usage("missing source dataset argument".into())),
        [_] => return Err(Fail::Usage("missing target dataset argument".into())),
        [from, to] => (from, to),
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    if parsed.has('r') && !from.contains('@') {
        return Err(Fail::Usage("source dataset must be a snapshot".into()));
    }
    let complaints = session.store.change(|state| {
        if Item::find(state, from).is_none() {
            return Err(cannot_open(from));
        }
        match from.split_once('@') {
            Some((dataset, snapshot)) => rename_snapshot(state, dataset, snapshot, to, parsed.has('r')),
            None => rename(session, state, from, to, parsed.has('p')),
        }
    })??;
    Ok(status(&complaints))
}

fn rename(
    session: &Session,
    state: &mut State,
    from: &str,
    to: &str,
    parents: bool,
) -> Result<Vec<String>, Fail> {
    let fail = |text: String| Err(Fail::Text(text));
    if let Err(reason) = name::check(to, Kind::Filesystem) {
        return fail(format!("cannot rename to '{to}': {reason}"));
    }
    if from == to {
        return Ok(Vec::new());
    }
    let Some(above) = parent_of(to) else {
        return fail(format!("cannot create '{to}': missing dataset name"));
    };
    if !state.pools.contains_key(pool_of(to)) {
        return fail(format!("cannot create '{to}': no such pool '{}'", pool_of(to)));
    }
    if pool_of(from) != pool_of(to) {
        return fail(format!("cannot rename to '{to}': datasets must be within same pool"));
    }
    if to.starts_with(&format!("{from}/")) {
        let reason = "New dataset name cannot be a descendant of current dataset name";
        return fail(format!("cannot rename to '{to}': {reason}"));
    }
    if !from.contains('/') {
        return fail(format!("cannot rename '{from}': operation does not apply to pools"));
    }
    if state.dataset(above).is_none() && !parents {
        return fail(format!("cannot create '{to}': parent does not exist"));
    }
    if is_zoned(state, from) {
        return fail(format!("cannot rename '{from}': dataset is used in a non-global zone"));
    }
    if crypt::leaves_its_root(state, from, above) {
        let reason = "cannot move encrypted child outside of its encryption root";
        return fail(format!("cannot rename '{from}': {reason}"));
    }
    let mut reach = Reach::of_name(state, from);
    if reach.has_zoned_child() {
        let reason = "child dataset with inherited mountpoint is used in a non-global zone";
        return fail(format!("cannot rename '{from}': {reason}"));
    }
    if state.dataset(to).is_some() {
        return fail(format!("cannot rename '{from}': dataset already exists"));
    }
    let tree = state.tree(from);
    let longest = |name: &String| {
        let snapshots = state.dataset(name).into_iter().flat_map(|dataset| &dataset.snapshots);
        name.len() + snapshots.map(|snapshot| 1 + snapshot.name.len()).max().unwrap_or(0)
    };
    if tree.iter().map(longest).any(|length| length - from.len() + to.len() > LONGEST) {
        return fail(format!("cannot rename '{from}': dataset name is too long"));
    }
    if tree.iter().any(|name| state.dataset(name).is_some_and(|dataset| dataset.incoming.is_some())) {
        return fail(format!("cannot rename '{from}': dataset is busy"));
    }
    if let Err(refusal) = reach.unmount(&session.store, state)? {
        return fail(refusal);
    }
    let mut complaints = Vec::new();
    if state.dataset(above).is_none() {
        let missing: Vec<&str> = std::iter::successors(Some(above), |name| parent_of(name))
            .take_while(|name| state.dataset(name).is_none())
            .collect();
        for name in missing.into_iter().rev() {
            complaints.extend(create::plant(session, state, name, Default::default())?);
        }
    }
    for old in tree {
        if let Some(dataset) = state.datasets.remove(&old) {
            state.datasets.insert(format!("{to}{}", &old[from.len()..]), dataset);
        }
    }
    reach.rename(from, to);
    complaints.extend(reach.remount(&session.store, state)?);
    Ok(complaints)
}

fn rename_snapshot(
    state: &mut State,
    dataset: &str,
    from: &str,
    to: &str,
    recursive: bool,
) -> Result<Vec<String>, Fail> {
    let full = format!("{dataset}@{from}");
    let to = match to.split_once('@') {
        Some(("", short)) => format!("{dataset}@{short}"),
        _ => to.to_owned(),
    };
    if let Err(reason) = name::check(&to, Kind::Snapshot) {
        return Err(Fail::Text(format!("cannot rename to '{to}': {reason}")));
    }
    let Some(new) = to.strip_prefix(&format!("{dataset}@")) else {
        return Err(Fail::Text(format!("cannot rename to '{to}': snapshots must be part of same dataset")));
    };
    let names = if recursive { state.tree(dataset) } else { vec![dataset.to_owned()] };
    for name in &names {
        let Some(member) = state.dataset(name).filter(|member| member.snapshot(from).is_some()) else {
            continue;
        };
        if member.snapshot(new).is_some() && from != new {
            let reason = match recursive {
                true => "a child dataset already has a snapshot with the new name",
                false => "dataset already exists",
            };
            return Err(Fail::Text(format!("cannot rename '{full}': {reason}")));
        }
        if name.len() + 1 + new.len() > LONGEST {
            return Err(Fail::Text(format!("cannot rename '{full}': dataset name is too long")));
        }
    }
    for name in names {
        let snapshots = state.datasets.get_mut(&name).into_iter().flat_map(|member| &mut member.snapshots);
        for snapshot in snapshots.filter(|snapshot| snapshot.name == from) {
            new.clone_into(&mut snapshot.name);
        }
    }
    Ok(Vec::new())
}
