//! `zfs hold`, `zfs release` and `zfs holds` (illumos; pool version 18 on).

use super::columns::table;
use super::command::{Fail, Outcome, Session, cannot_open, print, status};
use super::number;
use super::options::{self, Parsed};
use super::state::{State, now};
use super::view::Item;

/// `zfs hold [-r] tag snapshot…`
pub fn hold(session: &Session, args: &[String]) -> Outcome {
    each(session, args, |state, full, tag| match find(state, full).map(|holds| holds.contains_key(tag)) {
        Some(false) => {
            find(state, full).map(|holds| holds.insert(tag.to_owned(), now()));
            None
        }
        _ => Some(format!("cannot hold '{full}': tag already exists on this dataset")),
    })
}

/// `zfs release [-r] tag snapshot…`
pub fn release(session: &Session, args: &[String]) -> Outcome {
    each(session, args, |state, full, tag| {
        let released = find(state, full).and_then(|holds| holds.remove(tag)).is_some();
        (!released).then(|| format!("cannot release '{tag}' from '{full}': no such tag on this dataset"))
    })
}

/// `zfs holds [-rH] snapshot…`
pub fn holds(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "rH")?;
    if parsed.operands.is_empty() {
        return Err(Fail::Usage("missing snapshot argument".into()));
    }
    let mut state = session.read()?;
    let mut rows = Vec::new();
    for full in members(&state, &parsed, parsed.operands)? {
        for (tag, time) in find(&mut state, &full).into_iter().flatten() {
            rows.push(vec![full.clone(), tag.clone(), number::date(*time)]);
        }
    }
    let titles = ["NAME", "TAG", "TIMESTAMP"].map(str::to_owned);
    print(&table(&titles, &[false; 3], &rows, parsed.has('H')));
    Ok(0)
}

fn each(
    session: &Session,
    args: &[String],
    mut work: impl FnMut(&mut State, &str, &str) -> Option<String>,
) -> Outcome {
    let parsed = options::parse(args, "rt")?;
    let Some((tag, operands)) = parsed.operands.split_first().filter(|(_, operands)| !operands.is_empty())
    else {
        return Err(Fail::Usage("missing snapshot argument".into()));
    };
    let complaints = session.store.change(|state| -> Result<Vec<String>, Fail> {
        let members = members(state, &parsed, operands)?;
        Ok(members.iter().filter_map(|full| work(state, full, tag)).collect())
    })??;
    Ok(status(&complaints))
}

fn members(state: &State, parsed: &Parsed, operands: &[String]) -> Result<Vec<String>, Fail> {
    let mut members = Vec::new();
    for operand in operands {
        let Some((dataset, snapshot)) = operand.split_once('@') else {
            return Err(Fail::Text(format!("'{operand}' is not a snapshot")));
        };
        if Item::find(state, operand).is_none() {
            return Err(cannot_open(operand));
        }
        let names = if parsed.has('r') { state.tree(dataset) } else { vec![dataset.to_owned()] };
        let full = names.into_iter().map(|name| format!("{name}@{snapshot}"));
        members.extend(full.filter(|full| Item::find(state, full).is_some()));
    }
    Ok(members)
}

fn find<'a>(state: &'a mut State, full: &str) -> Option<&'a mut std::collections::BTreeMap<String, u64>> {
    let (dataset, snapshot) = full.split_once('@')?;
    let snapshots = &mut state.datasets.get_mut(dataset)?.snapshots;
    snapshots.iter_mut().find(|other| other.name == snapshot).map(|snapshot| &mut snapshot.holds)
}
