//! zonecfg's language cut into words, with the quirks of its lexer and grammar as recorded (illumos-gate
//! zonecfg_lex.l, zonecfg_grammar.y).
//!
//! A newline or `;` ends a statement, and one that nothing ends is never run. `#` begins a comment only
//! where a statement would begin. A command needs no blank after it. A quoted value ends at its `"` or at
//! the line's end. `[a,b]` is a list, `(a=b,c="d")` a tuple, `name=value` a property.

use super::help;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A bare or quoted word.
    Simple(String),
    /// `[ro,nodevices]`
    List(Vec<String>),
    /// `(priv=privileged,limit=20,action=none)`
    Tuple(Vec<(String, String)>),
}

/// A piece of a statement after the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A bare or quoted word.
    Plain(String),
    /// `name=value`, blanks around the sign allowed.
    Property(String, Value),
    /// A list or tuple that stands alone.
    Value(Value),
}

impl Word {
    /// What a syntax error at this word names.
    pub fn token(&self) -> String {
        match self {
            Self::Plain(text) | Self::Property(text, _) | Self::Value(Value::Simple(text)) => text.clone(),
            Self::Value(Value::List(_)) => "[".into(),
            Self::Value(Value::Tuple(_)) => "(".into(),
        }
    }
}

/// A statement.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// From 1.
    pub line: usize,
    /// The command and its words, or the token at which the grammar fails.
    pub parsed: Result<(&'static str, Vec<Word>), String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    Mark(char),
}

/// All statements of a text.
pub fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let Some(first) = rest.chars().next() else { return found };
        if first == '\n' {
            (rest, line) = (&rest[1..], line + 1);
            continue;
        }
        if first == '#' {
            let Some((_, next)) = rest.split_once('\n') else { return found };
            (rest, line) = (next, line + 1);
            continue;
        }
        let (command, after) = match help::command(rest) {
            Some((command, after)) => (Ok(command), after),
            None => {
                let end = rest.find(is_special).unwrap_or(rest.len()).max(first.len_utf8());
                (Err(rest[..end].to_owned()), &rest[end..])
            }
        };
        let Some((tokens, end, next)) = tokens(after) else { return found };
        let parsed = command.and_then(|command| Ok((command, words(command, tokens)?)));
        found.push(Statement { line, parsed });
        (rest, line) = (next, line + usize::from(end == '\n'));
    }
}

fn is_special(c: char) -> bool {
    " \t\n\";=[]()".contains(c)
}

/// The tokens up to the statement's end, which character that is, and the text after it.
fn tokens(mut rest: &str) -> Option<(Vec<Token>, char, &str)> {
    let mut tokens = Vec::new();
    let mut nested = 0_usize;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let first = rest.chars().next()?;
        match first {
            '\n' | ';' => return Some((tokens, first, &rest[1..])),
            '"' => {
                // A newline ends the value, too, and is not counted.
                let end = rest[1..].find(['"', '\n'])?;
                tokens.push(Token::Text(rest[1..][..end].to_owned()));
                rest = &rest[end + 2..];
            }
            '=' | '[' | ']' | '(' | ')' => {
                nested = match first {
                    '[' | '(' => nested + 1,
                    ']' | ')' => nested.saturating_sub(1),
                    _ => nested,
                };
                tokens.push(Token::Mark(first));
                rest = &rest[1..];
            }
            ',' if nested > 0 => {
                tokens.push(Token::Mark(first));
                rest = &rest[1..];
            }
            _ => {
                let ends = |c: char| is_special(c) || nested > 0 && c == ',';
                let end = rest.find(ends).unwrap_or(rest.len());
                tokens.push(Token::Text(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
    }
}

/// Tokens as words. A property's name must be one that zonecfg knows.
fn words(command: &str, tokens: Vec<Token>) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    let end = || "\\n".to_owned();
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) if tokens.peek() == Some(&Token::Mark('=')) => {
                if !known(&text) {
                    return Err("=".into());
                }
                tokens.next();
                let value = value(&mut tokens)?.ok_or_else(end)?;
                words.push(Word::Property(text, value));
            }
            Token::Text(text) if command == "clear" && words.is_empty() && !known(&text) => return Err(text),
            Token::Text(text) => words.push(Word::Plain(text)),
            Token::Mark('[') => words.push(Word::Value(list(&mut tokens)?)),
            Token::Mark('(') => words.push(Word::Value(tuple(&mut tokens)?)),
            Token::Mark(mark) => return Err(mark.to_string()),
        }
    }
    Ok(words)
}

fn known(name: &str) -> bool {
    use crate::zones::config::{GLOBALS, KINDS};
    let own = ["zonename", "zonepath", "brand", "autoboot", "ip-type"];
    own.contains(&name)
        || GLOBALS.contains(&name)
        || super::global::ALIASES.iter().any(|(alias, _)| *alias == name)
        || KINDS.iter().any(|kind| {
            kind.properties.iter().any(|(property, _)| *property == name) || kind.list == Some(name)
        })
}

/// The value that begins here; `None` where the statement ends.
fn value(tokens: &mut impl Iterator<Item = Token>) -> Result<Option<Value>, String> {
    match tokens.next() {
        None => Ok(None),
        Some(Token::Text(text)) => Ok(Some(Value::Simple(text))),
        Some(Token::Mark('[')) => list(tokens).map(Some),
        Some(Token::Mark('(')) => tuple(tokens).map(Some),
        Some(Token::Mark(mark)) => Err(mark.to_string()),
    }
}

fn list(tokens: &mut impl Iterator<Item = Token>) -> Result<Value, String> {
    let mut items = Vec::new();
    loop {
        match tokens.next() {
            Some(Token::Text(text)) => items.push(text),
            Some(Token::Mark(',')) => {}
            Some(Token::Mark(']')) => return Ok(Value::List(items)),
            Some(Token::Mark(mark)) => return Err(mark.to_string()),
            None => return Err("\\n".into()),
        }
    }
}

fn tuple(tokens: &mut impl Iterator<Item = Token>) -> Result<Value, String> {
    let mut pairs = Vec::new();
    loop {
        match (tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
            (
                Some(Token::Text(name)),
                Some(Token::Mark('=')),
                Some(Token::Text(value)),
                Some(Token::Mark(end @ (',' | ')'))),
            ) => {
                pairs.push((name, value));
                if end == ')' {
                    return Ok(Value::Tuple(pairs));
                }
            }
            _ => return Err("(".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str, value: &str) -> Word {
        Word::Property(name.into(), Value::Simple(value.into()))
    }

    fn one(text: &str) -> Result<(&'static str, Vec<Word>), String> {
        statements(&format!("{text}\n")).remove(0).parsed
    }

    #[test]
    fn statements_end_at_newline_and_semicolon() {
        let text = "select net physical=bge0; set physical = nge0\n  # a note\n\nend;;\nset pool=never";
        let cut: Vec<_> = statements(text).into_iter().map(|s| (s.line, s.parsed.unwrap())).collect();
        let select = ("select", vec![Word::Plain("net".into()), property("physical", "bge0")]);
        assert_eq!(
            cut,
            [(1, select), (1, ("set", vec![property("physical", "nge0")])), (4, ("end", vec![]))]
        );
    }

    #[test]
    fn quotes_lists_and_tuples_are_values() {
        assert_eq!(one("set value=\"a; b\"").unwrap().1, [property("value", "a; b")]);
        assert_eq!(one("set limitpriv=a,b").unwrap().1, [property("limitpriv", "a,b")]);
        let options = Value::List(vec!["ro".into(), "nodevices".into()]);
        assert_eq!(one("add options [ro, nodevices]").unwrap().1[1], Word::Value(options));
        let pairs = vec![("name".into(), "gateway".into()), ("value".into(), "a b".into())];
        assert_eq!(
            one("add property (name=gateway, value=\"a b\")").unwrap().1[1],
            Word::Value(Value::Tuple(pairs))
        );
    }

    #[test]
    fn a_syntax_error_names_its_token() {
        for (text, token) in [
            ("set zonepath=", "\\n"),
            ("set bogus=1", "="),
            ("clear bogus", "bogus"),
            ("frob x", "frob"),
            ("add ]", "]"),
        ] {
            assert_eq!(one(text), Err(token.to_owned()), "{text}");
        }
    }
}
