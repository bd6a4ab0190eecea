//! zonecfg's language cut into words: `;` and newline end a statement, `"` quotes, `[a,b]` is a list,
//! `(a=b,c=d)` a tuple, `#` begins a comment, `name=value` a property.

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A bare or quoted word.
    Plain(String),
    /// `name=value`, blanks around the sign allowed.
    Property(String, Vec<String>),
    /// A value that stands alone: `[ro,nodevices]`, `(priv=…)`.
    Values(Vec<String>),
}

/// A statement and the line it begins on. Where it can't be cut, the token at fault.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// From 1.
    pub line: usize,
    /// Its words, or what is wrong.
    pub words: Result<Vec<Word>, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    Equals,
    Values(Vec<String>),
}

/// All statements of a text.
pub fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line;
        while let Some((words, next)) = statement(rest) {
            let empty = words.as_ref().is_ok_and(Vec::is_empty);
            if !empty {
                found.push(Statement { line: number + 1, words });
            }
            rest = next;
        }
    }
    found
}

/// One statement, and the text behind its `;`. `None` at the line's end.
fn statement(text: &str) -> Option<(Result<Vec<Word>, String>, &str)> {
    if text.trim_start().is_empty() {
        return None;
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Some((words(tokens), "")) };
        match first {
            '#' => return Some((words(tokens), "")),
            ';' => return Some((words(tokens), &rest[1..])),
            '=' => {
                tokens.push(Token::Equals);
                rest = &rest[1..];
            }
            '"' => match rest[1..].split_once('"') {
                Some((inside, next)) => {
                    tokens.push(Token::Text(inside.to_owned()));
                    rest = next;
                }
                None => return Some((Err(rest.to_owned()), "")),
            },
            '[' => match rest[1..].split_once(']') {
                Some((inside, next)) => {
                    let items = inside.split(',').map(|item| item.trim().trim_matches('"').to_owned());
                    tokens.push(Token::Values(items.filter(|item| !item.is_empty()).collect()));
                    rest = next;
                }
                None => return Some((Err("[".into()), "")),
            },
            '(' => match rest[1..].split_once(')') {
                Some((inside, next)) => {
                    let inside: String = inside.split_whitespace().collect();
                    tokens.push(Token::Values(vec![format!("({inside})")]));
                    rest = next;
                }
                None => return Some((Err("(".into()), "")),
            },
            ']' | ')' => return Some((Err(first.to_string()), "")),
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || ";=[](),\"".contains(c))
                    .unwrap_or(rest.len())
                    // A word that begins with a stray comma would never end.
                    .max(first.len_utf8());
                tokens.push(Token::Text(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
    }
}

fn words(tokens: Vec<Token>) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            Token::Equals => return Err("=".into()),
            Token::Values(values) => words.push(Word::Values(values)),
            Token::Text(text) if tokens.peek() == Some(&Token::Equals) => {
                tokens.next();
                match tokens.next() {
                    Some(Token::Text(value)) => words.push(Word::Property(text, vec![value])),
                    Some(Token::Values(values)) => words.push(Word::Property(text, values)),
                    Some(Token::Equals) => return Err("=".into()),
                    None => return Err(text),
                }
            }
            Token::Text(text) => words.push(Word::Plain(text)),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Word {
        Word::Plain(text.into())
    }

    fn property(name: &str, value: &str) -> Word {
        Word::Property(name.into(), vec![value.into()])
    }

    #[test]
    fn statements_are_cut_by_line_and_semicolon() {
        let text = "select net physical=bge0; set physical = nge0\n# a note\n\nend;;\n";
        let cut: Vec<_> = statements(text).into_iter().map(|s| (s.line, s.words.unwrap())).collect();
        assert_eq!(
            cut,
            [
                (1, vec![plain("select"), plain("net"), property("physical", "bge0")]),
                (1, vec![plain("set"), property("physical", "nge0")]),
                (4, vec![plain("end")]),
            ]
        );
    }

    #[test]
    fn quotes_lists_and_tuples_are_values() {
        let one = |text| statements(text).remove(0).words.unwrap();
        assert_eq!(
            one("set value=\"database; backup\""),
            [plain("set"), property("value", "database; backup")]
        );
        assert_eq!(
            one("add options [ro, nodevices]"),
            [plain("add"), plain("options"), Word::Values(vec!["ro".into(), "nodevices".into()])]
        );
        let tuple = "(priv=privileged,limit=20,action=none)";
        assert_eq!(
            one("add value (priv=privileged, limit=20,action=none)")[2],
            Word::Values(vec![tuple.into()])
        );
    }

    #[test]
    fn a_text_that_can_not_be_cut_names_its_token() {
        for (text, token) in [("set x=", "x"), ("= 3", "="), ("set a=\"b", "\"b"), ("add ]", "]")] {
            assert_eq!(statements(text).remove(0).words, Err(token.to_owned()), "{text}");
        }
    }
}
