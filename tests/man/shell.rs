//! Command lines as a page shows them, cut into commands as a shell would.

/// The commands of a block, each as its words: without prompts, redirections, and what was printed, which is known
/// by having no prompt.
pub fn commands(block: &str) -> Vec<Vec<String>> {
    let joined = block.replace("\\\n", " ");
    let typed = joined.lines().filter_map(|line| {
        let (host, rest) = line.split_once("# ")?;
        host.chars().all(char::is_alphanumeric).then_some(rest)
    });
    typed.flat_map(cut).filter(|words| !words.is_empty()).collect()
}

fn cut(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut redirected = false;
    for word in words(line) {
        match word.as_str() {
            "&&" | "|" | ";" => all.push(Vec::new()),
            "<" | ">" => redirected = true,
            _ if redirected => redirected = false,
            _ => all.last_mut().expect("one at least").push(word),
        }
    }
    all
}

/// Words, of which single quotes hold blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "an open quote: {line}");
    words.extend(word);
    words
}
