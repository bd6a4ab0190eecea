//! zonecfg: reading its language, carrying it out, and committing at the end.
//!
//! Its traps are kept: commands on the command line go on after an error, a file stops at one, and both
//! commit what was done before; `create -a` and a few others complain and end with 0. Source:
//! illumos-gate's zonecfg.c (one_command_at_a_time, cmd_file, cleanup), and the recordings in
//! tests/samples/real, which tests/recorded replays.

mod create;
mod edit;
mod global;
mod help;
mod lexer;
mod print;
mod resource;
mod session;
mod verify;
mod whole;

use std::fs;
use std::io::Read;

use anyhow::Result;

use crate::world::Host;
use session::{Flow, Session};

/// Where the commands come from: it decides what an error does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// `zonecfg -z Z 'a; b'`: goes on after an error.
    CommandLine,
    /// `-f FILE`: stops at an error, which is reported with file and line.
    File(String),
    /// `-f -` or stdin: goes on, with hints for a person.
    Interactive,
}

/// The command.
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let (mut zone, mut file) = (None, None);
    let mut rest = args;
    while let [option, value, tail @ ..] = rest {
        match option.as_str() {
            "-z" => zone = Some(value),
            "-f" => file = Some(value),
            "-R" => {
                err!("zonecfg: the lab has no alternate root");
                return Ok(1);
            }
            _ => break,
        }
        rest = tail;
    }
    let Some(zone) = zone else { return Ok(usage()) };
    if !legal(zone) {
        err!("{zone}: Bogus zone name");
        return Ok(usage());
    }
    let mut input = String::new();
    let mode = match file.map(String::as_str) {
        Some("-") => Mode::Interactive,
        Some(path) => {
            match fs::read_to_string(host_or_real(host, path)) {
                Ok(text) => input = text,
                Err(_) => {
                    err!("could not open file {path}: No such file or directory");
                    return Ok(1);
                }
            }
            Mode::File(path.to_owned())
        }
        None if rest.is_empty() => Mode::Interactive,
        None => {
            input = format!("{}\n", rest.join(" "));
            Mode::CommandLine
        }
    };
    if mode == Mode::Interactive {
        std::io::stdin().read_to_string(&mut input)?;
    }
    let mut session = Session::open(host, zone, mode)?;
    run(&mut session, &input)?;
    session.finish()
}

fn run(session: &mut Session, input: &str) -> Result<()> {
    for statement in lexer::statements(input) {
        let flow = match &statement.parsed {
            Ok((command, words)) => session.run(command, words, statement.line)?,
            Err(token) => {
                session.at(statement.line);
                session.syntax_error(token);
                Flow::On
            }
        };
        match flow {
            Flow::On => {}
            Flow::Exit => break,
        }
        if session.failed && matches!(session.mode(), Mode::File(_)) {
            break;
        }
    }
    Ok(())
}

/// A file that the caller names may be one of the machine that the lab runs on: the daemon's scripts
/// are where its own configuration says, which in the lab is not a path of the host.
fn host_or_real(host: &Host, path: &str) -> std::path::PathBuf {
    let real = std::path::PathBuf::from(path);
    if real.exists() { real } else { host.path(path) }
}

fn legal(name: &str) -> bool {
    name != "global"
        && !name.starts_with("SUNW")
        && name.len() <= 63
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn usage() -> i32 {
    err!(
        "usage:\tzonecfg help\n\tzonecfg -z <zone>\n\tzonecfg -z <zone> <command>\n\tzonecfg -z <zone> -f <command-file>"
    );
    2
}
