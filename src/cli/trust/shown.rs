//! A piece as a person would put it there: commands to run, and text to put into files. Pure.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::process::{Argv, argv};

/// How a person does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Commands, one a line.
    Run(Vec<String>),
    /// Text for the end of a file, which may not exist yet.
    Append { file: String, text: String },
    /// Advice.
    Note(String),
}

impl How {
    /// One command.
    pub fn run(argv: &Argv) -> Self {
        How::Run(vec![argv.to_string()])
    }

    /// Text for the end of `file`.
    pub fn append(file: &Path, text: String) -> Self {
        How::Append { file: file.display().to_string(), text }
    }
}

/// A piece for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it is.
    pub what: String,
    /// How it is done, in this order.
    pub how: Vec<How>,
}

/// A path as a word of a shell command.
pub fn quoted(path: &Path) -> String {
    argv::quoted(&path.display().to_string())
}

/// All pieces of one host, numbered, under a heading.
pub fn block(heading: &str, pieces: &[Shown]) -> String {
    let mut text = format!("{heading}\n");
    for (n, piece) in pieces.iter().enumerate() {
        text.push('\n');
        text.push_str(&one(&format!("{}. ", n + 1), piece));
    }
    text
}

/// One piece; commands and text are indented.
pub fn one(number: &str, piece: &Shown) -> String {
    let mut text = format!("{number}{}\n", piece.what);
    for how in &piece.how {
        // Writing to a string cannot fail.
        let _ = match how {
            How::Run(lines) => write!(text, "   run:\n{}", indented(&lines.join("\n"))),
            How::Append { file, text: lines } => {
                write!(text, "   add to the end of {file}:\n{}", indented(lines))
            }
            How::Note(words) => writeln!(text, "   {words}"),
        };
    }
    text
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("       {line}\n")).collect()
}
