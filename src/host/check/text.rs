//! A peer's texts as they may stand in a line for people.

use crate::process::argv::cut;

/// The longest piece of a peer's text in one of our lines, in bytes.
const SHOWN: usize = 200;

/// A peer's text, escaped and bounded.
pub fn shown(text: &str) -> String {
    // Cut before it is escaped too: it may be megabytes long.
    let head: String = text.chars().take(SHOWN).collect();
    let whole = head.len() == text.len();
    let escaped = cut(&head.escape_debug().to_string(), SHOWN);
    if whole || escaped.ends_with('…') { escaped } else { format!("{escaped}…") }
}

/// A list for people: `a, b, c`, at most eight of them.
pub fn listed<T: AsRef<str>>(items: &[T]) -> String {
    const FIRST: usize = 8;
    let shown: Vec<String> = items.iter().take(FIRST).map(|item| shown(item.as_ref())).collect();
    match items.len() {
        0 => "nothing".to_owned(),
        n if n > FIRST => format!("{} and {} more", shown.join(", "), n - FIRST),
        _ => shown.join(", "),
    }
}

/// The words of a list, `a,b` or `[a,b]`.
pub fn words(list: &str) -> impl Iterator<Item = &str> {
    let list = list.trim_start_matches('[').trim_end_matches(']');
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_is_escaped_and_bounded() {
        let long = shown(&"é\n".repeat(1000));
        assert!(long.len() <= SHOWN + 3 && !long.contains('\n'), "{long}");
        assert_eq!(shown("plain"), "plain");
        assert_eq!(listed(&["a"; 10]), "a, a, a, a, a, a, a, a and 2 more");
    }
}
