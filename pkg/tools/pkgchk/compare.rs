//! The package against the prototype, in both directions, and every file against its sums and its source.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::stream::Package;

/// One entry of the prototype: everything of a pkgmap line that the prototype decides.
#[derive(PartialEq)]
struct Wanted<'a> {
    line: String,
    source: Option<&'a str>,
}

/// What is wrong; nothing when all is right.
pub fn faults(package: &Package, prototype: &str, sources: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    pkginfo(package, &mut faults);
    let wanted = read(prototype, &mut faults);
    let found: BTreeMap<String, String> = package.map.iter().map(|e| (e.member(), line(e))).collect();

    for (member, entry) in &wanted {
        match found.get(member) {
            None => faults.push(format!("{member} is in the prototype and not in pkgmap")),
            Some(line) if *line != entry.line => {
                faults.push(format!("{member}: pkgmap says '{line}', the prototype '{}'", entry.line));
            }
            Some(_) => {}
        }
    }
    for member in found.keys().filter(|member| !wanted.contains_key(*member)) {
        faults.push(format!("{member} is in pkgmap and not in the prototype"));
    }
    for entry in &package.map {
        let member = entry.member();
        let Some(file) = package.files.iter().find(|file| file.name == member) else {
            // pkgtrans leaves empty directories out; pkgadd makes them by pkgmap.
            if entry.contents.is_none() {
                continue;
            }
            faults.push(format!("{member} is in pkgmap and not in the archive"));
            continue;
        };
        if file.is_dir != entry.contents.is_none() {
            faults.push(format!("{member} is a directory in one of pkgmap and archive alone"));
        }
        let Some(contents) = entry.contents else { continue };
        let (size, sum) = (file.data.len() as u64, sum(&file.data));
        if (contents.size, contents.sum) != (size, sum) {
            faults.push(format!(
                "{member}: size and sum are {size} {sum}, pkgmap says {} {}",
                contents.size, contents.sum
            ));
        }
        let source = wanted.get(&member).and_then(|entry| entry.source);
        // What pkg/build makes is not in the repository.
        if let Some(source) = source.filter(|source| !source.starts_with("build/"))
            && fs::read(sources.join(source)).ok().as_ref() != Some(&file.data)
        {
            faults.push(format!("{member} is not {source}"));
        }
    }
    for file in &package.files {
        let above = |member: &String| member.starts_with(&format!("{}/", file.name));
        let known =
            found.contains_key(&file.name) || file.name == "pkgmap" || file.is_dir && found.keys().any(above);
        if !known {
            faults.push(format!("{} is in the archive and not in pkgmap", file.name));
        }
    }
    faults
}

/// pkginfo(5): what must be there, and that it belongs to this package.
fn pkginfo(package: &Package, faults: &mut Vec<String>) {
    for key in ["PKG", "NAME", "ARCH", "VERSION", "CATEGORY"] {
        if package.parameter(key).is_none_or(str::is_empty) {
            faults.push(format!("pkginfo has no {key}"));
        }
    }
    if package.parameter("PKG") != Some(package.name.as_str()) {
        faults.push("pkginfo's PKG is not the header's".to_owned());
    }
    if package.parameters.iter().any(|(_, value)| value.contains('@')) {
        faults.push("pkginfo has a blank that was not filled in".to_owned());
    }
    let classes: Vec<&str> = package.parameter("CLASSES").unwrap_or_default().split(' ').collect();
    for entry in package.map.iter().filter(|entry| entry.ftype != 'i') {
        if !classes.contains(&entry.class.as_str()) {
            faults.push(format!("{} is of class {}, which CLASSES has not", entry.path, entry.class));
        }
    }
}

/// What the prototype wants, by member.
fn read<'a>(prototype: &'a str, faults: &mut Vec<String>) -> BTreeMap<String, Wanted<'a>> {
    let mut wanted = BTreeMap::new();
    for text in prototype.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words: Vec<&str> = text.split(' ').collect();
        let at = if words[0] == "i" { 1 } else { 2 };
        let Some(word) = words.get_mut(at) else {
            faults.push(format!("prototype: '{text}'"));
            continue;
        };
        let (path, source) = match word.split_once('=') {
            Some((path, source)) => (path, Some(source)),
            None => (*word, None),
        };
        *word = path;
        let member = match (words[0], path) {
            ("i", "pkginfo") => path.to_owned(),
            ("i", _) => format!("install/{path}"),
            _ => format!("reloc/{path}"),
        };
        if wanted.insert(member, Wanted { line: words.join(" "), source }).is_some() {
            faults.push(format!("prototype: {path} twice"));
        }
    }
    wanted
}

/// An entry of pkgmap as the prototype would have it.
fn line(entry: &crate::map::Entry) -> String {
    if entry.ftype == 'i' {
        return format!("i {}", entry.path);
    }
    format!("{} {} {} {}", entry.ftype, entry.class, entry.path, entry.attributes)
}

/// What `sum` of System V prints (GNU's is `sum -s`): all bytes added up, carried around at 16 bits, twice.
fn sum(data: &[u8]) -> u64 {
    let all = data.iter().map(|byte| u64::from(*byte)).sum::<u64>() % (1 << 32);
    let once = all % 65536 + all / 65536;
    once % 65536 + once / 65536
}
