//! `zfs list`, and how list and get find the items to show.

use std::cmp::Ordering;

use super::columns::table;
use super::command::{Fail, Outcome, Session, cannot_open, complain, print};
use super::mounts;
use super::options::{self, Parsed};
use super::property::{self, Native};
use super::release::Release;
use super::space::Space;
use super::state::State;
use super::view::{self, Item};

/// Which types are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Types {
    /// Filesystems.
    pub filesystems: bool,
    /// Snapshots.
    pub snapshots: bool,
    /// Bookmarks.
    pub bookmarks: bool,
}

impl Types {
    /// Reads `-t`'s value.
    pub fn parse(text: &str, release: Release) -> Result<Self, Fail> {
        let mut types = Self::default();
        for word in text.split(',') {
            match word {
                "filesystem" => types.filesystems = true,
                // There are none; asking for them is not a fault.
                "volume" => {}
                "snapshot" => types.snapshots = true,
                "bookmark" if release.is_illumos() => types.bookmarks = true,
                "all" => {
                    types = Self { filesystems: true, snapshots: true, bookmarks: release.is_illumos() };
                }
                _ => return Err(Fail::Usage(format!("invalid type '{}'", word.escape_debug()))),
            }
        }
        Ok(types)
    }
}

/// Reads `-r` and `-d`: how many levels below an operand are shown.
pub fn depth(parsed: &Parsed) -> Result<usize, Fail> {
    match parsed.value('d') {
        Some(text) => {
            text.parse().map_err(|_| Fail::Usage(format!("{} is not an integer", text.escape_debug())))
        }
        None => Ok(if parsed.has('r') { usize::MAX } else { 0 }),
    }
}

/// The items that operands name, each once, by name and snapshots by age; and whether all were found.
/// Complaints about the others go to stderr. `asked` is the types given by -t; without, `usual` are shown,
/// and any item that is named.
pub fn select<'a>(
    state: &'a State,
    operands: &[String],
    depth: usize,
    asked: Option<Types>,
    usual: Types,
) -> (Vec<Item<'a>>, bool) {
    let types = asked.unwrap_or(usual);
    let mut found: Vec<Item> = Vec::new();
    let mut complete = true;
    if operands.is_empty() {
        let pools = state.pools.keys().filter_map(|pool| Item::find(state, pool));
        pools.for_each(|pool| descend(state, pool, depth, types, &mut found));
    }
    for operand in operands {
        let name = match operand.starts_with('/') {
            true => mounts::holder(state, operand).unwrap_or(operand),
            false => operand.as_str(),
        };
        let Some(item) = Item::find(state, name) else {
            if let Fail::Text(text) = cannot_open(name) {
                complain(&text);
            }
            complete = false;
            continue;
        };
        let fits = match (item.snapshot, item.bookmark) {
            (Some(_), _) => types.snapshots,
            (None, Some(_)) => types.bookmarks,
            (None, None) => types.filesystems,
        };
        let leaf = item.snapshot.is_some() || item.bookmark.is_some();
        if asked.is_some() && !fits && (depth == 0 || leaf) {
            complain(&format!("cannot open '{name}': operation not applicable to datasets of this type"));
            complete = false;
        } else if leaf {
            found.push(item);
        } else {
            descend(state, item, depth, types, &mut found);
        }
    }
    found.sort_by(by_name);
    found.dedup_by_key(|item| item.full_name());
    (found, complete)
}

fn descend<'a>(state: &'a State, top: Item<'a>, depth: usize, types: Types, found: &mut Vec<Item<'a>>) {
    let level = |name: &str| name[top.name.len()..].matches('/').count();
    for name in state.tree(top.name).into_iter().filter(|name| level(name) <= depth) {
        let Some(item) = Item::find(state, &name) else { continue };
        if types.filesystems {
            found.push(item);
        }
        if types.snapshots && level(&name) < depth {
            found.extend(
                item.dataset.snapshots.iter().map(|snapshot| Item { snapshot: Some(snapshot), ..item }),
            );
        }
        if types.bookmarks && level(&name) < depth {
            let marks = item.dataset.bookmarks.iter();
            found.extend(marks.map(|(mark, it)| Item { bookmark: Some((mark, it)), ..item }));
        }
    }
}

/// As zfs_compare: names by bytes up to an `@`, a filesystem before its snapshots, these by age.
/// A bookmark's name is compared whole, so it comes after the snapshots.
fn by_name(one: &Item, other: &Item) -> Ordering {
    let age = |item: &Item| item.snapshot.map(|snapshot| (snapshot.createtxg, snapshot.id));
    let name = |item: &Item| match item.bookmark {
        Some(_) => item.full_name(),
        None => item.name.to_owned(),
    };
    name(one).cmp(&name(other)).then_with(|| age(one).cmp(&age(other)))
}

/// `zfs list [-rHp] [-d max] [-o properties] [-t types] [-s|-S property]… [dataset]…`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed =
        options::parse(args, if session.release.is_illumos() { "rHd:o:t:s:S:p" } else { "rHd:o:t:s:S:" })?;
    let asked = parsed.value('t').map(|text| Types::parse(text, session.release)).transpose()?;
    let usual = Types { filesystems: true, ..Types::default() };
    let columns = columns(parsed.value('o').unwrap_or("name,used,available,referenced,mountpoint"), session)?;
    let order: Vec<(bool, String)> = parsed
        .all()
        .filter_map(|(option, value)| Some((option == 'S', value.filter(|_| matches!(option, 's' | 'S'))?)))
        .map(|(reverse, name)| match known(name, session) {
            Some(name) => Ok((reverse, name)),
            None => Err(Fail::Usage(format!("invalid property '{}'", name.escape_debug()))),
        })
        .collect::<Result<_, _>>()?;
    let depth = if parsed.operands.is_empty() { usize::MAX } else { depth(&parsed)? };
    let depth = match (parsed.operands.is_empty(), parsed.value('d')) {
        (true, Some(_)) => self::depth(&parsed)?,
        _ => depth,
    };

    let state = session.read()?;
    let space = Space::new(&session.store, &state);
    let (mut items, complete) = select(&state, parsed.operands, depth, asked, usual);
    sort(&space, &mut items, &order);
    let exact = parsed.has('p');
    let cell = |item: &Item, name: &String| match name.as_str() {
        "name" => item.full_name(),
        name => {
            let (value, _) = view::get(&space, *item, name);
            property::any(name).map_or_else(|| value.clone(), |native| native.show(&value, exact))
        }
    };
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|name| cell(item, name)).collect()).collect();
    let native = |name: &String| property::any(name);
    let titles: Vec<String> =
        columns.iter().map(|name| native(name).map_or_else(|| name.to_uppercase(), Native::title)).collect();
    let right: Vec<bool> = columns.iter().map(|name| native(name).is_some_and(Native::is_number)).collect();
    if !rows.is_empty() {
        print(&table(&titles, &right, &rows, parsed.has('H')));
    } else if complete && !parsed.has('H') {
        print("no datasets available\n");
    }
    Ok(i32::from(!complete))
}

/// A list of properties to show.
pub fn columns(text: &str, session: &Session) -> Result<Vec<String>, Fail> {
    let column = |name: &str| {
        let unknown =
            || Fail::Usage(format!("bad property list: invalid property '{}'", name.escape_debug()));
        known(name, session).ok_or_else(unknown)
    };
    text.split(',').map(column).collect()
}

/// A property's full name.
fn known(name: &str, session: &Session) -> Option<String> {
    let other =
        property::is_user(name) || session.release.is_illumos() && property::written_since(name).is_some();
    match property::native(name, session.release) {
        Some(native) => Some(native.name.to_owned()),
        None => other.then(|| name.to_owned()),
    }
}

/// By the properties of -s and -S in their order, then by name. Numbers as numbers; those without a value
/// go last.
fn sort(space: &Space, items: &mut [Item], order: &[(bool, String)]) {
    type Keys = Vec<(bool, u64, String)>;
    if order.is_empty() {
        return;
    }
    let keys = |item: &Item| -> Keys {
        order
            .iter()
            .map(|(_, name)| {
                let value = view::get(space, *item, name).0;
                let value = if name == "name" { String::new() } else { value };
                (value == "-", value.parse().unwrap_or(0), value)
            })
            .collect()
    };
    let mut keyed: Vec<(Keys, Item)> = items.iter().map(|item| (keys(item), *item)).collect();
    keyed.sort_by(|(one, a), (other, b)| {
        for (at, (reverse, name)) in order.iter().enumerate() {
            let order = match name.as_str() {
                // By the whole text, unlike the usual order: `a/b@s` goes before `a@s`.
                "name" => a.full_name().cmp(&b.full_name()),
                _ => one[at].cmp(&other[at]),
            };
            let order = if *reverse { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        by_name(a, b)
    });
    for (place, (_, item)) in items.iter_mut().zip(keyed) {
        *place = item;
    }
}
