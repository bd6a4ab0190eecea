//! `zfs get`.

use super::columns::table;
use super::command::{Fail, Outcome, Session, print};
use super::list::{self, Types};
use super::natives::NATIVE;
use super::options;
use super::property;
use super::release::Release;
use super::space::Space;
use super::view::{self, Item, Source};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Property,
    Value,
    Received,
    Source,
}

/// `zfs get [-rHp] [-d max] [-o fields] [-s sources] [-t types] all|properties [dataset]…`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, session.release.get_options())?;
    let fields = fields(parsed.value('o').unwrap_or("name,property,value,source"))?;
    let sources = parsed.value('s').map(sources).transpose()?;
    let asked = parsed.value('t').map(|text| Types::parse(text, session.release)).transpose()?;
    let Some((properties, operands)) = parsed.operands.split_first() else {
        return Err(Fail::Usage("missing property argument".into()));
    };
    let properties = match properties.as_str() {
        "all" => None,
        list => Some(list::columns(list, session)?),
    };
    let depth = match operands.is_empty() && parsed.value('d').is_none() {
        true => usize::MAX,
        false => list::depth(&parsed)?,
    };
    let state = session.read()?;
    let space = Space::new(&session.store, &state);
    // illumos 7386 (2017): without -t, bookmarks too.
    let usual = Types { filesystems: true, snapshots: true, bookmarks: session.release.is_illumos() };
    let (items, complete) = list::select(&state, operands, depth, asked, usual);

    let exact = parsed.has('p');
    let mut rows = Vec::new();
    for item in items {
        let names = properties.clone().unwrap_or_else(|| all(&space, item, session.release));
        for name in names {
            // Walking the trees costs; what is never printed is not computed.
            if name != "name"
                && sources.as_ref().is_some_and(|wanted| !wanted.contains(&"none"))
                && is_fact(&name)
            {
                continue;
            }
            let (value, source) = match name.as_str() {
                "name" => (item.full_name(), Source::None),
                name => view::get(&space, item, name),
            };
            if sources.as_ref().is_some_and(|wanted| !wanted.contains(&class(&source))) {
                continue;
            }
            // Unlike `list`, `get` shows a guid as it is, -p or not.
            let value = match property::any(&name) {
                Some(native) if native.values != property::Values::Number => native.show(&value, exact),
                _ => value,
            };
            let cell = |field: &Field| match field {
                Field::Name => item.full_name(),
                Field::Property => name.clone(),
                Field::Value => value.clone(),
                Field::Received => "-".into(),
                Field::Source => source.to_string(),
            };
            rows.push(fields.iter().map(cell).collect::<Vec<String>>());
        }
    }
    if !rows.is_empty() {
        let titles: Vec<String> = fields.iter().map(|field| format!("{field:?}").to_uppercase()).collect();
        print(&table(&titles, &vec![false; fields.len()], &rows, parsed.has('H')));
    }
    Ok(i32::from(!complete))
}

/// Native ones that apply, then user properties by name.
fn all(space: &Space, item: Item, release: Release) -> Vec<String> {
    let applies = |native: &&property::Native| {
        // libzfs shows these where there is something to show.
        let shown = native.shown
            || native.name == "origin" && item.dataset.origin.is_some()
            || matches!(native.name, "encryptionroot" | "keystatus") && item.dataset.crypt.is_some();
        item.has(native) && shown && native.is_of(release)
    };
    let mut names: Vec<String> = NATIVE.iter().filter(applies).map(|native| native.name.to_owned()).collect();
    if item.bookmark.is_some() {
        return names;
    }
    let mut users: Vec<&String> = item.snapshot.iter().flat_map(|snapshot| snapshot.local.keys()).collect();
    let mut from = Some(item.name);
    while let Some(name) = from {
        users.extend(space.state.dataset(name).iter().flat_map(|dataset| dataset.local.keys()));
        from = super::state::parent_of(name);
    }
    users.retain(|name| property::is_user(name));
    users.sort();
    users.dedup();
    names.extend(users.into_iter().cloned());
    names
}

fn is_fact(name: &str) -> bool {
    property::written_since(name).is_some() || property::any(name).is_some_and(property::Native::is_readonly)
}

fn fields(text: &str) -> Result<Vec<Field>, Fail> {
    use Field::{Name, Property, Received, Source, Value};
    if text == "all" {
        return Ok(vec![Name, Property, Value, Received, Source]);
    }
    let field = |word: &str| match word {
        "name" => Ok(Name),
        "property" => Ok(Property),
        "value" => Ok(Value),
        "received" => Ok(Received),
        "source" => Ok(Source),
        _ => Err(Fail::Usage(format!("invalid column name '{}'", word.escape_debug()))),
    };
    text.split(',').map(field).collect()
}

fn sources(text: &str) -> Result<Vec<&str>, Fail> {
    let known = ["local", "default", "inherited", "received", "temporary", "none"];
    match text.split(',').find(|word| !known.contains(word)) {
        Some(word) => Err(Fail::Usage(format!("invalid source '{}'", word.escape_debug()))),
        None => Ok(text.split(',').collect()),
    }
}

fn class(source: &Source) -> &'static str {
    match source {
        Source::Local => "local",
        Source::Default => "default",
        Source::Inherited(_) => "inherited",
        Source::None => "none",
    }
}
