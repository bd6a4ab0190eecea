//! pkgmap(5), as its lines are printed by pkgmk.

use anyhow::{Context, Result, bail, ensure};

/// One line.
pub struct Entry {
    /// `i d f e v`
    pub ftype: char,
    /// Empty for an information file.
    pub class: String,
    /// Relative, or an information file's name.
    pub path: String,
    /// `mode owner group`; empty for an information file.
    pub attributes: String,
    /// Of a file.
    pub contents: Option<Contents>,
}

/// What a file's bytes are checked against.
#[derive(Clone, Copy)]
pub struct Contents {
    /// In bytes.
    pub size: u64,
    /// System V's sum.
    pub sum: u64,
}

impl Entry {
    /// The member that holds it.
    pub fn member(&self) -> String {
        match (self.ftype, self.path.as_str()) {
            ('i', "pkginfo") => self.path.clone(),
            ('i', _) => format!("install/{}", self.path),
            _ => format!("reloc/{}", self.path),
        }
    }
}

/// The largest part in blocks, and the entries; each path once.
///
/// # Errors
/// With the line that is none.
pub fn read(text: &str) -> Result<(u64, Vec<Entry>)> {
    let mut lines = text.split_terminator('\n');
    let first = lines.next().unwrap_or_default();
    let size = first.strip_prefix(": 1 ").and_then(|size| size.parse().ok());
    let size = size.with_context(|| format!("pkgmap begins with '{first}', expected ': 1 SIZE'"))?;
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines {
        let entry = entry(line).with_context(|| format!("pkgmap: '{line}'"))?;
        ensure!(!entries.iter().any(|other| other.path == entry.path), "pkgmap: {} twice", entry.path);
        entries.push(entry);
    }
    ensure!(text.ends_with('\n'), "pkgmap's last line is cut");
    Ok((size, entries))
}

fn entry(line: &str) -> Result<Entry> {
    // One blank between fields: two would make an empty field, which is of no kind.
    let words: Vec<&str> = line.split(' ').collect();
    let (ftype, class, path, attributes, contents) = match words[..] {
        ["1", "i", path, size, sum, time] => ('i', "", path, String::new(), Some([size, sum, time])),
        ["1", "d", class, path, mode, owner, group] => ('d', class, path, three(mode, owner, group)?, None),
        ["1", kind @ ("f" | "e" | "v"), class, path, mode, owner, group, size, sum, time] => {
            let contents = Some([size, sum, time]);
            (kind.chars().next().unwrap_or('f'), class, path, three(mode, owner, group)?, contents)
        }
        _ => bail!("is of no kind known here"),
    };
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    ensure!(!path.split('/').any(odd) && !path.starts_with('/'), "a path that leaves its place");
    let contents = match contents {
        Some([size, sum, time]) => {
            ensure!(time.parse::<u32>().is_ok_and(|time| time > 0), "no time");
            Some(Contents { size: size.parse()?, sum: sum.parse()? })
        }
        None => None,
    };
    Ok(Entry { ftype, class: class.to_owned(), path: path.to_owned(), attributes, contents })
}

fn three(mode: &str, owner: &str, group: &str) -> Result<String> {
    ensure!(mode.len() == 4 && u32::from_str_radix(mode, 8).is_ok(), "mode '{mode}'");
    ensure!([owner, group].iter().all(|name| !name.is_empty()), "no owner");
    Ok(format!("{mode} {owner} {group}"))
}
