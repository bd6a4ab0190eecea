//! `zmigrate completions`: what a shell needs to complete this command's words, made from its own arguments.

use clap::{Args, ValueEnum};
use clap_complete::generate;

use super::context::print;
use super::error::CliError;

/// What `completions` takes.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell of those that Solaris and illumos bring along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Writes the shell's script to standard output. Needs no configuration: a package is built without one.
///
/// # Errors
/// When standard output can't be written.
pub fn run(args: &CompletionsArgs, command: &mut clap::Command) -> Result<(), CliError> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: the generator panics on a standard output that is gone.
    let mut script = Vec::new();
    generate(shell, command, "zmigrate", &mut script);
    print(&String::from_utf8_lossy(&script))
}
