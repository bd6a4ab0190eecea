//! What the repository says about the package: prototype, manifest of SMF, manifest of IPS, as lists to compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One of its files.
pub fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// How something is installed.
pub struct Installed {
    /// Its class.
    pub class: String,
    /// Four digits.
    pub mode: String,
    /// By name.
    pub owner: String,
    /// By name.
    pub group: String,
}

/// What the prototype installs, by absolute path. A source that is not made by pkg/build must be there.
pub fn installed() -> BTreeMap<String, Installed> {
    let mut found = BTreeMap::new();
    for line in text("pkg/prototype").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let source = words.iter().find_map(|word| word.split_once('=')).map(|(_, source)| source);
        if let Some(source) = source.filter(|source| !source.starts_with("build/")) {
            assert!(repository().join(source).is_file(), "prototype: {source} is not there");
        }
        let [_, class, path, mode, owner, group] = words[..] else { continue };
        let path = format!("/{}", path.split('=').next().unwrap());
        let own = |text: &str| text.to_owned();
        let entry = Installed { class: own(class), mode: own(mode), owner: own(owner), group: own(group) };
        assert!(found.insert(path, entry).is_none(), "{line}: twice");
    }
    found
}

/// An element of XML, without its place in the tree.
pub struct Element {
    /// Its name.
    pub name: String,
    /// Names and values.
    pub attributes: Vec<(String, String)>,
}

impl Element {
    /// An attribute's value; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// The elements of the SMF manifest in their order. Enough of XML for a file that xmllint has taken.
pub fn manifest() -> Vec<Element> {
    let text = text("smf/zmigrate.xml");
    let mut rest = text.as_str();
    let mut elements = Vec::new();
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            rest = &rest[rest.find("-->").expect("a comment's end")..];
            continue;
        }
        let end = rest.find('>').expect("an element's end");
        let inside = rest[1..end].trim_end_matches('/');
        rest = &rest[end..];
        if inside.starts_with(['/', '?', '!']) {
            continue;
        }
        let (name, mut attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        let mut element = Element { name: name.to_owned(), attributes: Vec::new() };
        while let Some((key, after)) = attributes.split_once("=\"") {
            let (value, after) = after.split_once('"').expect("an attribute's end");
            element.attributes.push((key.trim().to_owned(), value.to_owned()));
            attributes = after;
        }
        elements.push(element);
    }
    elements
}

/// What the IPS manifest installs, by absolute path: the action's attributes.
pub fn ips() -> BTreeMap<String, Vec<(String, String)>> {
    let mut found = BTreeMap::new();
    for line in text("pkg/zmigrate.p5m").lines() {
        if !(line.starts_with("file ") || line.starts_with("dir ")) {
            continue;
        }
        let attributes = line.split(' ').filter_map(|word| word.split_once('='));
        let attributes: Vec<_> = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let path = &attributes.iter().find(|(key, _)| key == "path").expect("a path").1;
        assert!(found.insert(format!("/{path}"), attributes.clone()).is_none(), "{line}: twice");
    }
    found
}
