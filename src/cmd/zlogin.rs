//! `zlogin`: running a command inside a zone.
//!
//! zlogin joins its arguments with blanks and hands them to a shell in the zone, so they are quoted for that
//! shell here. Its exit status is the command's, and 0 for one that was killed by a signal; its own failures
//! give 1, as a command may, and are told by their first word on stderr.

use crate::job::name::ZoneName;
use crate::process::Argv;

/// Runs a program with these arguments in a zone, as its root, each of them kept whole.
pub fn command<S: AsRef<str>>(zone: &ZoneName, words: &[S]) -> Argv {
    let words: Vec<_> = words.iter().map(|word| quoted(word.as_ref())).collect();
    shell_line(zone, &words.join(" "))
}

/// Runs a line of the zone's own shell, as its root. Whatever that shell expands, it expands.
pub fn shell_line(zone: &ZoneName, line: &str) -> Argv {
    Argv::new("zlogin").args([zone.as_str(), line])
}

/// Starts the zone's shutdown, at once and without questions. It returns within a second or two, long before
/// the zone is down, with whatever status: the zone's state is what to look at.
pub fn shutdown(zone: &ZoneName) -> Argv {
    shell_line(zone, "shutdown -y -g0 -i0")
}

/// Quotes a word for a Bourne shell; harmless words stay as they are.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:,@+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Programs;
    use std::time::Duration;

    fn zone() -> ZoneName {
        ZoneName::new("web").unwrap()
    }

    #[test]
    fn words_pass_a_second_shell_whole() {
        let words = ["printf", "%s\n", "a b", "it's", "$HOME", "", "*", "x\ny"];
        let argv = command(&zone(), &words);
        let [zone, line] = argv.arguments() else { panic!("{argv}") };
        assert_eq!(zone, "web");
        // A real shell is the judge.
        let programs = Programs::new(vec!["/bin".into(), "/usr/bin".into()], Duration::from_secs(60));
        let output = programs.ok(&Argv::new("sh").args(["-c", line])).unwrap();
        assert_eq!(output.stdout, "a b\nit's\n$HOME\n\n*\nx\ny\n");
    }

    #[test]
    fn a_shutdown_is_one_line_for_the_zones_shell() {
        assert_eq!(shutdown(&zone()).arguments(), ["web", "shutdown -y -g0 -i0"]);
    }
}
