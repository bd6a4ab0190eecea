//! What to write instead of a key or word that is unknown.

/// What the writer of an unknown key may have meant: the nearest known one, else all of them.
pub(super) fn expected(key: &str, known: &[&'static str]) -> String {
    const FEW: usize = 3;
    let near = known.iter().map(|word| (distance(key, word), *word)).min();
    match near.filter(|(steps, word)| *steps <= 2 && *steps < word.len()) {
        None if known.is_empty() => "this section has no keys".to_owned(),
        None => format!("expected {}", listed(known)),
        Some(_) if known.len() == 1 => format!("expected {}", listed(known)),
        Some((_, word)) if known.len() > FEW => {
            let few: Vec<String> = known[..FEW].iter().map(|word| format!("`{word}`")).collect();
            format!("expected one of {}, …; did you mean `{word}`?", few.join(", "))
        }
        Some((_, word)) => format!("expected {}; did you mean `{word}`?", listed(known)),
    }
}

/// `a`, or one of `a`, `b`.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    if words.len() == 1 { quoted.concat() } else { format!("one of {}", quoted.join(", ")) }
}

/// How many typing slips (a letter more, less, other, or two exchanged) lie between two words.
fn distance(left: &str, right: &str) -> usize {
    // Keys are short; a longer text is not a slip of one, and would only cost time.
    if left.len() > 32 {
        return usize::MAX;
    }
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let other = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + other);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_a_letter_more_less_other_or_two_exchanged() {
        for (left, right, slips) in [
            ("target", "target", 0),
            ("traget", "target", 1),
            ("tagets", "target", 2),
            ("", "to", 2),
            ("zone", "tone", 1),
        ] {
            assert_eq!(distance(left, right), slips, "{left} {right}");
        }
        assert_eq!(distance(&"x".repeat(33), "x"), usize::MAX);
    }

    #[test]
    fn advice_is_the_nearest_key_or_all_of_them() {
        assert_eq!(expected("x", &[]), "this section has no keys");
        assert_eq!(expected("nmae", &["name"]), "expected `name`");
        assert_eq!(
            expected("frce", &["timeout", "force"]),
            "expected one of `timeout`, `force`; did you mean `force`?"
        );
        assert_eq!(expected("colour", &["timeout", "force"]), "expected one of `timeout`, `force`");
        // As long as a key is short, everything is near it.
        assert_eq!(expected("x", &["to", "zone"]), "expected one of `to`, `zone`");
    }
}
