//! A source file as the check of layers sees it: code without comments, text and tests.

use std::fs;
use std::path::Path;

/// One file of `src/`.
pub struct Source {
    /// Its path below `src/`.
    pub file: String,
    /// Its module's path below `crate::`.
    pub module: String,
    /// Its code: comments, literals and tests are blanks, the lines are as they were.
    pub code: String,
    /// As it is written.
    text: String,
}

/// What a file names by paths below `crate::`, each with its line.
#[derive(Default)]
pub struct Paths {
    /// What it uses.
    pub used: Vec<(usize, String)>,
    /// What it only passes on, by `pub use`.
    pub re_exported: Vec<(usize, String)>,
}

/// All files of `src/` but those that are tests as a whole.
pub fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&src, &src, &mut files);
    let mut all: Vec<Source> = files.iter().map(|(file, text)| Source::new(file, text)).collect();
    let elsewhere: Vec<(String, String)> = all.iter().flat_map(Source::modules_elsewhere).collect();
    for (file, module) in elsewhere {
        all.iter_mut().filter(|source| source.file == file).for_each(|source| source.module = module.clone());
    }
    let tests: Vec<String> = all.iter().flat_map(Source::test_modules).collect();
    let is_test = |source: &Source| {
        tests.iter().any(|test| source.module == *test || source.module.starts_with(&format!("{test}::")))
    };
    all.into_iter().filter(|source| !is_test(source)).collect()
}

fn walk(src: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    for path in fs::read_dir(dir).expect("read src").map(|entry| entry.expect("read src").path()) {
        if path.is_dir() {
            walk(src, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(src).expect("below src").to_string_lossy().into_owned();
            files.push((file, fs::read_to_string(&path).expect("read a source")));
        }
    }
}

impl Source {
    /// A file by its path below `src/`.
    pub fn new(file: &str, text: &str) -> Self {
        let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
        let module = if stem == "lib" { String::new() } else { stem.replace('/', "::") };
        Self { file: file.to_owned(), module, code: without_tests(&blanked(text)), text: text.to_owned() }
    }

    /// The crate's root.
    pub fn is_top(&self) -> bool {
        self.module.is_empty()
    }

    /// A program, which uses the crate from outside.
    pub fn is_program(&self) -> bool {
        self.file.starts_with("bin/")
    }

    /// Files that `#[path = "…"]` gives another module: file and module.
    fn modules_elsewhere(&self) -> Vec<(String, String)> {
        let folder = self.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let pairs = lines.windows(2).filter_map(|pair| {
            let file = pair[0].strip_prefix("#[path = \"")?.strip_suffix("\"]")?;
            let name = pair[1].strip_suffix(';')?.rsplit(' ').next()?;
            Some((format!("{folder}/{file}"), format!("{}::{name}", self.module)))
        });
        pairs.collect()
    }

    /// Functions that only an attribute of serde names, by a path in a literal.
    pub fn named_by_serde(&self) -> Vec<&str> {
        let literals = self.text.lines().filter(|line| line.trim_start().starts_with("#[serde("));
        let names = literals.flat_map(|line| line.split('"').skip(1).step_by(2));
        names.map(|path| path.rsplit("::").next().unwrap_or(path)).collect()
    }

    /// Modules in files of their own that are compiled for tests only.
    fn test_modules(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if line.trim() == "#[cfg(test)]"
                && let Some(name) =
                    lines.next().and_then(|line| line.trim().strip_suffix(';')?.split("mod ").nth(1))
            {
                let parent =
                    if self.module.is_empty() { String::new() } else { format!("{}::", self.module) };
                found.push(format!("{parent}{name}"));
            }
        }
        found
    }

    /// Paths below `crate::` that are named here, with their lines; groups are spelled out.
    pub fn references(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("crate::") {
            self.spell_out(at + "crate::".len(), "", &mut found);
        }
        let depth = self.module.split("::").count();
        for (at, _) in self.code.match_indices("super::") {
            if self.code[..at].ends_with("super::") {
                continue;
            }
            let rest = &self.code[at..];
            let ups = (rest.len() - rest.trim_start_matches("super::").len()) / "super::".len();
            if ups >= depth {
                self.spell_out(at + ups * "super::".len(), "", &mut found);
            }
        }
        found
    }

    /// All paths of the file, from the crate's root: by `crate::`, `super::`, `self::`, a child's name, or, in a program,
    /// the crate's name.
    pub fn paths(&self) -> Paths {
        let mut paths = Paths::default();
        let signposts = self.signposts();
        let mut read = |at: usize, head: &str| {
            let mut found = Vec::new();
            self.spell_out(at, head, &mut found);
            let is_signpost = signposts.iter().any(|range| range.contains(&at));
            if is_signpost { &mut paths.re_exported } else { &mut paths.used }.extend(found);
        };
        for root in ["crate::", "zmigrate::"] {
            for at in self.words(root) {
                read(at + root.len(), "");
            }
        }
        for at in self.words("super::") {
            let rest = &self.code[at..];
            let ups = (rest.len() - rest.trim_start_matches("super::").len()) / "super::".len();
            let parts: Vec<&str> = self.module.split("::").collect();
            let head = parts[..parts.len().saturating_sub(ups)].join("::");
            read(at + ups * "super::".len(), &head);
        }
        for at in self.words("self::") {
            read(at + "self::".len(), &self.module);
        }
        for child in self.children() {
            for at in self.words(&format!("{child}::")) {
                read(at, &self.module);
            }
        }
        paths
    }

    /// What is named by way of a module that was imported by its name.
    pub fn named_by(&self, name: &str, module: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let alias = self.code.split_once(&format!("{name} as ")).map(|(_, rest)| {
            &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
        });
        for name in [Some(name), alias].into_iter().flatten() {
            for at in self.words(&format!("{name}::")) {
                self.spell_out(at + name.len() + "::".len(), module, &mut found);
            }
        }
        found
    }

    /// Where a path begins with these words.
    fn words(&self, words: &str) -> Vec<usize> {
        let begins =
            |at: &usize| !self.code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        self.code.match_indices(words).map(|(at, _)| at).filter(begins).collect()
    }

    /// The modules that it declares in files of their own.
    fn children(&self) -> Vec<&str> {
        let lines = self.code.lines().filter_map(|line| line.trim().strip_suffix(';'));
        let name = |line: &'_ str| line.split_whitespace().last().map(str::len);
        let declares = |line: &&str| line.split_whitespace().rev().nth(1) == Some("mod");
        lines.filter(declares).filter_map(|line| Some(&line[line.len() - name(line)?..])).collect()
    }

    /// Where its `pub use` statements are.
    fn signposts(&self) -> Vec<std::ops::Range<usize>> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("use ") {
            let before = self.code[..at].lines().last().unwrap_or_default().trim();
            if before.starts_with("pub") {
                found.push(at..at + self.code[at..].find(';').unwrap_or(0));
            }
        }
        found
    }

    /// Its functions: line, name, and whether it says `pub`.
    pub fn functions(&self) -> Vec<(usize, &str, bool)> {
        let mut found = Vec::new();
        for (number, line) in self.code.lines().enumerate() {
            let Some((before, after)) = line.split_once("fn ") else { continue };
            let words = ["pub", "const", "unsafe", "async", "extern", "\"\""];
            let is_head = before
                .split_whitespace()
                .all(|word| words.iter().any(|w| word.starts_with(w)) || word.ends_with(')'));
            let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
            if is_head && end > 0 {
                found.push((number + 1, &after[..end], before.trim_start().starts_with("pub")));
            }
        }
        found
    }

    /// Reads one path, or the group of paths, that begins at `at`; gives where it ends.
    fn spell_out(&self, mut at: usize, head: &str, found: &mut Vec<(usize, String)>) -> usize {
        let line = self.code[..at].matches('\n').count() + 1;
        let mut path = head.to_owned();
        loop {
            at += self.code[at..].len() - self.code[at..].trim_start().len();
            let rest = &self.code[at..];
            if rest.starts_with('{') {
                at += 1;
                loop {
                    at = self.spell_out(at, &path, found);
                    at += self.code[at..].len() - self.code[at..].trim_start().len();
                    match self.code[at..].chars().next() {
                        Some(',') => at += 1,
                        Some('}') => return at + 1,
                        _ => return at,
                    }
                }
            }
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            at += name.len();
            if !name.is_empty() && name != "self" {
                path = if path.is_empty() { name } else { format!("{path}::{name}") };
            }
            if !self.code[at..].starts_with("::") {
                break;
            }
            at += 2;
        }
        if path != head || !path.is_empty() {
            found.push((line, path));
        }
        // `as other`
        at + self.code[at..].find([',', '}', ';', '\n', '(']).unwrap_or(0)
    }

    /// Lines with an `unsafe` block or impl that no comment vouches for.
    pub fn unsafe_without_safety(&self) -> Vec<usize> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut found = Vec::new();
        for (number, line) in self.code.lines().enumerate() {
            let words = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"];
            if !words.iter().any(|word| line.contains(word)) {
                continue;
            }
            // On the same line, or in the comment right above the statement.
            let above = lines[..number].iter().rev().take(6).any(|line| line.contains("SAFETY:"));
            if !above && !lines.get(number).is_some_and(|line| line.contains("SAFETY:")) {
                found.push(number + 1);
            }
        }
        found
    }
}

/// The text with comments and the insides of literals as blanks.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let blank = |out: &mut String, c: char| out.push(if c == '\n' { '\n' } else { ' ' });
    while i < chars.len() {
        let two = (chars[i], chars.get(i + 1).copied().unwrap_or(' '));
        if two == ('/', '/') {
            while i < chars.len() && chars[i] != '\n' {
                blank(&mut out, chars[i]);
                i += 1;
            }
        } else if two == ('/', '*') {
            let mut depth = 0;
            while i < chars.len() {
                let two = (chars[i], chars.get(i + 1).copied().unwrap_or(' '));
                let step = match two {
                    ('/', '*') => {
                        depth += 1;
                        2
                    }
                    ('*', '/') => {
                        depth -= 1;
                        2
                    }
                    _ => 1,
                };
                chars[i..(i + step).min(chars.len())].iter().for_each(|c| blank(&mut out, *c));
                i += step;
                if depth == 0 {
                    break;
                }
            }
        } else if chars[i] == 'r' && (two.1 == '"' || two.1 == '#') && raw(&chars, i).is_some() {
            let end = raw(&chars, i).unwrap_or(chars.len());
            chars[i..end].iter().for_each(|c| blank(&mut out, *c));
            i = end;
        } else if chars[i] == '"' {
            out.push('"');
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                let step = if chars[i] == '\\' { 2 } else { 1 };
                chars[i..(i + step).min(chars.len())].iter().for_each(|c| blank(&mut out, *c));
                i += step;
            }
            out.push('"');
            i += 1;
        } else if chars[i] == '\'' && (two.1 == '\\' || chars.get(i + 2) == Some(&'\'')) {
            // A character; what has no second quote there is a lifetime.
            let from = if two.1 == '\\' { i + 3 } else { i + 2 };
            let end = (from..chars.len()).find(|&j| chars[j] == '\'').map_or(chars.len(), |j| j + 1);
            chars[i..end].iter().for_each(|c| blank(&mut out, *c));
            i = end;
        } else {
            out.push(chars[i]);
            i += 1;
        }
    }
    out
}

/// Where a raw string that begins at `i` ends.
fn raw(chars: &[char], i: usize) -> Option<usize> {
    let before = i.checked_sub(1).map(|j| chars[j]);
    if before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
        return None;
    }
    let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(i + 1 + hashes) != Some(&'"') {
        return None;
    }
    let begin = i + 2 + hashes;
    let closes = |j: &usize| {
        chars[*j] == '"' && chars[j + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((begin..chars.len()).find(closes).map_or(chars.len(), |j| j + 1 + hashes))
}

/// The code with every item under `#[cfg(test)]` as blanks.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let end = at + item_end(&rest[at..]);
        out.extend(rest[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Where an item ends: at its `;`, or at the brace that closes its first one.
fn item_end(item: &str) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    item.len()
}

#[test]
fn literals_comments_and_tests_are_no_code() {
    let text = "a(\"x { // \\\" y\"); // c\nb('\\'', '{', r#\"z \" }\"#); /* d /* e */ */ f::<'g>();\n";
    let code = blanked(text);
    for word in ["x", "y", "// c", "z", "d", " e"] {
        assert!(!code.contains(word), "{word} in {code}");
    }
    assert!(code.contains("f::<'g>();") && !code.contains('{'));
    assert_eq!(
        without_tests("a\n#[cfg(test)]\nmod t {\n {} }\nb").split_whitespace().collect::<Vec<_>>(),
        ["a", "b"]
    );
}
