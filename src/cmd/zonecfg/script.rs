//! Writer of zonecfg scripts, for `-f FILE`.
//!
//! Values come from requests and from other hosts. Every simple value is written in quotes: so none is taken
//! for a keyword, a list or the next command. What can't be quoted (a quote, a line end) is refused.

use std::path::Path;

use super::ZoneConfig;

/// A text that can't be put into a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' can't be given to zonecfg: {why}")]
pub struct ScriptError {
    /// The text, escaped.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Commands for `zonecfg -f`, one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    lines: Vec<String>,
}

impl Script {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// `create -a PATH`: the configuration of the detached zone in that zonepath, with this path for its own.
    /// The path goes in as it is: absolute, no symbolic link, no slash at its end.
    ///
    /// # Errors
    /// When the path can't be quoted.
    pub fn create_attached(self, zonepath: &Path) -> Result<Self, ScriptError> {
        let path = zonepath.to_str().ok_or_else(|| ScriptError {
            text: zonepath.to_string_lossy().escape_debug().to_string(),
            why: "it is not UTF-8",
        })?;
        Ok(self.line(format!("create -a {}", quoted(path)?)))
    }

    /// A whole configuration, as an export would write it.
    ///
    /// # Errors
    /// When a value of it can't be quoted.
    pub fn create(mut self, config: &ZoneConfig) -> Result<Self, ScriptError> {
        self = self.line("create -b".to_owned());
        for (name, value) in &config.globals {
            self = self.set(name, value)?;
        }
        for resource in &config.resources {
            self = self.line(format!("add {}", word(&resource.kind)?));
            for property in &resource.properties {
                self = match property.added {
                    true => self.line(format!("add {} {}", word(&property.name)?, quoted(&property.value)?)),
                    false => self.set(&property.name, &property.value)?,
                };
            }
            self = self.end();
        }
        Ok(self)
    }

    /// `set NAME=VALUE`, of the zone or of the resource that is selected.
    ///
    /// # Errors
    /// When the value can't be quoted.
    pub fn set(self, name: &str, value: &str) -> Result<Self, ScriptError> {
        Ok(self.line(format!("set {}={}", word(name)?, quoted(value)?)))
    }

    /// `select KIND NAME=VALUE`: the one resource of this kind with this property. None or two of them:
    /// zonecfg fails.
    ///
    /// # Errors
    /// When the value can't be quoted.
    pub fn select(self, kind: &str, name: &str, value: &str) -> Result<Self, ScriptError> {
        Ok(self.line(format!("select {} {}={}", word(kind)?, word(name)?, quoted(value)?)))
    }

    /// `end` of what is selected or added.
    pub fn end(self) -> Self {
        self.line("end".to_owned())
    }

    /// A command in zonecfg's own language, from the request. It is taken as it is, as one line.
    ///
    /// # Errors
    /// When it has a line end or another control character.
    pub fn command(self, command: &str) -> Result<Self, ScriptError> {
        if command.chars().any(char::is_control) {
            return Err(refused(command, "it has a control character"));
        }
        Ok(self.line(command.to_owned()))
    }

    /// `verify` and `commit`, at the end of every script.
    pub fn commit(self) -> Self {
        self.line("verify".to_owned()).line("commit".to_owned())
    }

    /// The script's text.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// The script's lines.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    fn line(mut self, line: String) -> Self {
        self.lines.push(line);
        self
    }
}

fn refused(text: &str, why: &'static str) -> ScriptError {
    ScriptError { text: text.escape_debug().to_string(), why }
}

fn word(text: &str) -> Result<&str, ScriptError> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !text.is_empty() && text.bytes().all(legal) { Ok(text) } else { Err(refused(text, "it is no word")) }
}

/// A value as zonecfg's scanner reads it (`zonecfg_lex.l`): `"…"` for a simple one. A complex one, `(a=b,c="d e")`, is
/// written as it is: harmless characters, and quotes around parts that have others.
fn quoted(value: &str) -> Result<String, ScriptError> {
    if value.chars().any(char::is_control) {
        return Err(refused(value, "it has a control character"));
    }
    let Some(inner) = value.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        if value.contains('"') {
            return Err(refused(value, "it has a quote"));
        }
        return Ok(format!("\"{value}\""));
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.,=/:".contains(&b);
    // Every second piece is between quotes.
    let pieces: Vec<&str> = inner.split('"').collect();
    if !pieces.len().is_multiple_of(2) && pieces.iter().step_by(2).all(|piece| piece.bytes().all(legal)) {
        Ok(value.to_owned())
    } else {
        Err(refused(value, "its parts can't be quoted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn a_script_is_one_command_a_line_with_quoted_values() {
        let script = Script::new()
            .create_attached(Path::new("/export/zones/db backup"))
            .and_then(|script| script.select("dataset", "name", "data/tank"))
            .and_then(|script| script.set("name", "tank/tank"))
            .map(Script::end)
            .and_then(|script| script.command("set pool=batch"))
            .map(Script::commit);
        let wanted = "create -a \"/export/zones/db backup\"\nselect dataset name=\"data/tank\"\nset name=\"tank/tank\"\nend\n\
                      set pool=batch\nverify\ncommit\n";
        assert_eq!(script.unwrap().text(), wanted);
    }

    #[test]
    fn an_export_written_out_and_read_back_is_the_same() {
        for export in [sample!("zonecfg/export-s10.txt"), sample!("zonecfg/export-s11.txt")] {
            let config = ZoneConfig::parse(export).unwrap();
            let script = Script::new().create(&config).unwrap();
            assert_eq!(ZoneConfig::parse(&script.text()), Ok(config));
        }
    }

    #[test]
    fn a_value_can_not_become_a_command() {
        for bad in
            ["a\"b", "a\nexit", "(a=b);exit)", "(a=b)c)", "(a b)", "(a=\"b)", "(a=\"b\";c)", "\u{1b}[0m"]
        {
            assert!(Script::new().set("pool", bad).is_err(), "{bad:?}");
        }
        assert_eq!(Script::new().set("pool", "a;delete -F").unwrap().text(), "set pool=\"a;delete -F\"\n");
        assert!(Script::new().set("a b", "c").is_err());
        assert!(Script::new().command("a\nb").is_err());
    }
}
