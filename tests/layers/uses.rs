//! Which file uses which: every path in a file, followed to the file that defines its item.
//!
//! A `mod.rs` (or `x.rs` beside `x/`) that re-exports an item with `pub use` is a signpost. A file that follows the
//! signpost uses the file that it leads to; the signpost itself uses nothing by it. `mod child;` declares a file and does
//! not use it. `super::Item` uses the parent where `Item` is defined there.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// From file to file, with the line and the path of the first use.
pub type Uses = BTreeMap<String, BTreeMap<String, (usize, String)>>;

/// The files of a crate and what each re-exports.
pub struct Crate<'a> {
    sources: &'a [Source],
    modules: BTreeMap<&'a str, &'a Source>,
    signposts: BTreeMap<String, String>,
}

impl<'a> Crate<'a> {
    pub fn new(sources: &'a [Source]) -> Self {
        let modules: BTreeMap<&str, &Source> =
            sources.iter().map(|source| (source.module.as_str(), source)).collect();
        let mut signposts = BTreeMap::new();
        for source in sources {
            for (_, path) in source.paths().re_exported {
                let name = path.rsplit("::").next().unwrap_or_default();
                signposts.insert(join(&source.module, name), path.clone());
            }
        }
        Self { sources, modules, signposts }
    }

    /// The item that a path means, after all signposts.
    fn item(&self, path: &str) -> String {
        let mut path = path.to_owned();
        // A re-exported module, or an item in one, is found by its longest beginning.
        for _ in 0..8 {
            let ends = path.match_indices("::").map(|(at, _)| at).chain([path.len()]);
            let next = ends.rev_by_len().find_map(|end| {
                if end < path.len() && self.modules.contains_key(&path[..end]) {
                    return None;
                }
                let to = self.signposts.get(&path[..end])?;
                Some(format!("{to}{}", &path[end..]))
            });
            match next {
                Some(next) if next != path => path = next,
                _ => break,
            }
        }
        path
    }

    /// The file that defines an item: the longest beginning of its path that is a module.
    fn file_of(&self, item: &str) -> Option<&'a Source> {
        let ends = item.match_indices("::").map(|(at, _)| at).chain([item.len()]);
        ends.rev_by_len().find_map(|end| self.modules.get(&item[..end]).copied())
    }

    /// What a file names: each item with its line. A module that is imported by name stands for what is named by it.
    pub fn named(&self, source: &Source) -> Vec<(usize, String)> {
        let mut items = Vec::new();
        for (line, path) in source.paths().used {
            let item = self.item(&path);
            let name = path.rsplit("::").next().unwrap_or_default();
            let by_name = match self.modules.contains_key(item.as_str()) {
                true => source.named_by(name, &item),
                false => Vec::new(),
            };
            if by_name.is_empty() {
                items.push((line, item));
            } else {
                items.extend(by_name.iter().map(|(line, path)| (*line, self.item(path))));
            }
        }
        items
    }

    pub fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for source in self.sources.iter().filter(|source| !source.is_top()) {
            for (line, item) in self.named(source) {
                if let Some(other) = self.file_of(&item)
                    && other.file != source.file
                    && !other.is_top()
                {
                    let of = uses.entry(source.file.clone()).or_default();
                    of.entry(other.file.clone()).or_insert((line, item));
                }
            }
        }
        uses
    }
}

trait RevByLen: Iterator<Item = usize> + Sized {
    fn rev_by_len(self) -> std::iter::Rev<std::vec::IntoIter<usize>> {
        self.collect::<Vec<_>>().into_iter().rev()
    }
}

impl<I: Iterator<Item = usize>> RevByLen for I {}

pub fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

/// Groups of files that use each other in a circle, each with the uses inside it.
pub fn circles(uses: &Uses) -> Vec<(BTreeSet<String>, Vec<String>)> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|file| (file.as_str(), reach(uses, file))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (file, reached) in &reach {
        if seen.contains(file) || !reached.contains(file) {
            continue;
        }
        let back = |other: &&&str| reach.get(**other).is_some_and(|reached| reached.contains(file));
        let members: BTreeSet<&str> = reached.iter().filter(back).copied().collect();
        seen.extend(members.iter().copied());
        let mut lines = Vec::new();
        for from in &members {
            for (to, (line, item)) in uses.get(*from).into_iter().flatten() {
                if members.contains(to.as_str()) {
                    lines.push(format!("src/{from}:{line} uses {to} ({item})"));
                }
            }
        }
        circles.push((members.into_iter().map(str::to_owned).collect(), lines));
    }
    circles
}

/// All files that a file uses, directly or by way of others.
fn reach<'u>(uses: &'u Uses, file: &str) -> BTreeSet<&'u str> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![file]);
    while let Some(file) = next.pop() {
        for other in uses.get(file).into_iter().flat_map(|of| of.keys()) {
            if seen.insert(other.as_str()) {
                next.push(other);
            }
        }
    }
    seen
}

/// Functions with a `pub` that nothing outside of tests names, by file and line.
pub fn unused(sources: &[Source]) -> Vec<String> {
    let all = Crate::new(sources);
    let named: BTreeSet<String> =
        sources.iter().flat_map(|source| all.named(source)).map(|(_, item)| item).collect();
    let by_serde: BTreeSet<&str> = sources.iter().flat_map(Source::named_by_serde).collect();
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for source in sources {
        for word in source.code.split(|c: char| !c.is_alphanumeric() && c != '_') {
            *words.entry(word).or_default() += 1;
        }
    }
    let mut definitions: BTreeMap<&str, usize> = BTreeMap::new();
    for source in sources {
        for (_, name, _) in source.functions() {
            *definitions.entry(name).or_default() += 1;
        }
    }
    let mut faults = Vec::new();
    for source in sources {
        for (line, name, _) in source.functions().into_iter().filter(|(.., is_pub)| *is_pub) {
            let own = source.code.split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_used_here = own.filter(|word| *word == name).count()
                > source.functions().iter().filter(|(_, other, _)| *other == name).count();
            // A free function is named by its path, a method only by its name.
            let is_used = match source.code.lines().nth(line - 1).is_some_and(|line| line.starts_with("pub"))
            {
                true => is_used_here || named.contains(&join(&source.module, name)),
                false => words.get(name) > definitions.get(name),
            };
            if !is_used && !by_serde.contains(name) {
                faults.push(format!("src/{}:{line}: nothing outside of tests uses `{name}`", source.file));
            }
        }
    }
    faults
}
