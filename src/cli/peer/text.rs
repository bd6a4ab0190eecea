//! How pieces look to a person: numbered, commands and text to be put somewhere indented, each behind its words.

use std::fmt::Write;

use super::piece::{How, Shown};

/// One host's block.
pub fn block(head: &str, pieces: &[Shown]) -> String {
    let mut text = format!("{head}\n");
    for (n, piece) in pieces.iter().enumerate() {
        text.push('\n');
        text.push_str(&one(&format!("{}. ", n + 1), piece));
    }
    text
}

/// One piece.
pub fn one(number: &str, piece: &Shown) -> String {
    let mut text = format!("{number}{}\n", piece.what);
    for how in &piece.how {
        // Writing to a string can't fail.
        let _ = match how {
            How::Run(lines) => write!(text, "   run:\n{}", indented(&lines.join("\n"))),
            How::Append { file, text: lines } => write!(text, "   put into {file}:\n{}", indented(lines)),
            How::Note(words) => writeln!(text, "   {words}"),
        };
    }
    text
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("       {line}\n")).collect()
}
