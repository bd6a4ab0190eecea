//! A manual page as the tests read it: sections, the heads of lists, literal blocks. Knows as much of mdoc(7) as our
//! own pages use; whether they are right in themselves is for `mandoc -Tlint`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Macros that may stand in a line of ours; everything else is a word.
const MACROS: [&str; 20] = [
    "Ar", "Bq", "Cm", "Dv", "Ev", "Fl", "Ic", "Li", "Nm", "No", "Ns", "Op", "Pa", "Po", "Pq", "Qc", "Qo",
    "Qq", "Sy", "Xr",
];

/// One page, or a part of one.
pub struct Page {
    /// The page's file name.
    pub name: String,
    lines: Vec<String>,
}

/// A word with the macro before it, such as `Fl` and `-json`.
pub type Word = (String, String);

impl Page {
    /// A page of `man/`.
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.to_owned(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// All pages of `man/`.
    pub fn all() -> Vec<Self> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    /// The section `.Sh HEAD`, with what is below it.
    pub fn section(&self, head: &str) -> Self {
        self.between(&format!(".Sh {head}"), &[".Sh "])
    }

    /// The subsection `.Ss HEAD`.
    pub fn sub(&self, head: &str) -> Self {
        self.between(&format!(".Ss {head}"), &[".Sh ", ".Ss "])
    }

    /// The heads of all subsections.
    pub fn subs(&self) -> Vec<&str> {
        self.lines.iter().filter_map(|line| plain(line).strip_prefix(".Ss ")).collect()
    }

    fn between(&self, head: &str, ends: &[&str]) -> Self {
        let mut lines = self.lines.iter().skip_while(|line| plain(line) != head);
        assert!(lines.next().is_some(), "{}: no {head}", self.name);
        let lines = lines.take_while(|line| !ends.iter().any(|end| line.starts_with(end)));
        Self { name: self.name.clone(), lines: lines.cloned().collect() }
    }

    /// What stands behind `.It`, one for each.
    pub fn items(&self) -> Vec<Vec<Word>> {
        self.lines.iter().filter_map(|line| line.strip_prefix(".It ")).map(words).collect()
    }

    /// Words of items that follow this macro.
    pub fn item_words(&self, wanted: &str) -> Vec<String> {
        let all = self.items().into_iter().flatten();
        all.filter(|(mac, _)| mac == wanted).map(|(_, word)| word).collect()
    }

    /// Words that follow this macro anywhere.
    pub fn marked(&self, wanted: &str) -> Vec<String> {
        let lines = self.lines.iter().filter_map(|line| line.strip_prefix('.'));
        lines.flat_map(words).filter(|(mac, _)| mac == wanted).map(|(_, word)| word).collect()
    }

    /// Options with their argument, empty if they take none: those of items.
    pub fn options(&self) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        for item in self.items() {
            let mut last = None;
            for (mac, word) in item {
                if mac == "Fl" {
                    options.insert(format!("-{word}"), String::new());
                    last = Some(format!("-{word}"));
                } else if let Some(argument) = last.as_ref().and_then(|last| options.get_mut(last)) {
                    argument.push_str(&word);
                }
            }
        }
        options
    }

    /// Literal blocks, as a reader sees them.
    pub fn blocks(&self) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut lines = self.lines.iter();
        while lines.any(|line| line.starts_with(".Bd -literal")) {
            let block: Vec<String> = lines
                .by_ref()
                .take_while(|line| *line != ".Ed")
                .map(|line| line.replace("\\e", "\\"))
                .collect();
            blocks.push(block.join("\n"));
        }
        blocks
    }

    /// Its text, as it is written.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The page cut into pieces, each beginning behind a line that is `.Nm` alone.
    pub fn by_name(&self) -> Vec<Self> {
        let pieces = self.lines.split(|line| line == ".Nm").skip(1);
        pieces.map(|lines| Self { name: self.name.clone(), lines: lines.to_vec() }).collect()
    }
}

/// The words of a line. Quotes and brackets are not words; a delimiter of its own is none either.
fn words(line: &str) -> Vec<Word> {
    let mut mac = String::new();
    let mut found = Vec::new();
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        if MACROS.contains(&word) {
            mac = if word == "Ns" { mac } else { word.to_owned() };
        } else if !matches!(word, "," | "." | ";" | ":" | "|" | ")") {
            found.push((mac.clone(), word.to_owned()));
        }
    }
    found
}

/// Without the `\&` that keeps a bracket from being punctuation.
fn plain(line: &str) -> &str {
    line.trim_end_matches("\\&")
}
