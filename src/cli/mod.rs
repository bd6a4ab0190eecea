//! The command `zmigrate`: one file for each verb.
//!
//! Owns what people and scripts see: arguments, texts, JSON, exit status (0 done, 1 failed, 2 usage or a bad
//! request). Reads the spool beside the daemon, and leaves files there that ask the daemon for something; it acts on no
//! zone itself; `plan` and `check` run commands that only look, and `peer --write` alone those that make an account, a key and a
//! dropbox's dataset. Guarantees: what
//! comes from outside (a request, a journal, a peer's words) is escaped before a terminal sees it; faults come all
//! at once, each on its line, on stderr. On failure nothing is half done: a request or an ask is in the spool or not.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config;

mod ask;
mod cancel;
mod check;
mod clock;
mod completions;
mod context;
mod error;
mod find;
mod finish;
mod look;
mod peer;
mod plan;
mod preflight;
mod report;
mod request;
mod retry;
mod rollback;
#[cfg(test)]
mod sample;
mod shown;
mod status;
mod submit;
mod timeline;
mod trust;
mod watch;

pub use context::Context;
pub use error::CliError;

/// Move Solaris and illumos zones between hosts
#[derive(Debug, Parser)]
#[command(
    name = "zmigrate",
    version,
    arg_required_else_help = true,
    long_about = "Move Solaris and illumos zones between hosts.\n\n\
        A request is a small file in the spool; the daemon zmigrated on both hosts does the rest: it stops the \
        zone, carries its datasets over, attaches and boots it there, and puts everything back as it was when \
        something fails. This command writes requests, shows what is going on, and asks the daemon for things. \
        It needs no daemon to show what there is.",
    after_help = "Exit status: 0 done, 1 failed, 2 usage or a bad request.\n\n\
        A migration, from the beginning:\n  \
        zmigrate peer zhost2                what two hosts need first\n  \
        zmigrate check                      is this host ready?\n  \
        zmigrate plan dbbackup zhost2       what would happen?\n  \
        zmigrate submit dbbackup zhost2     move zone dbbackup to zhost2\n  \
        zmigrate watch                      see it move\n  \
        zmigrate finish dbbackup            take the old copy away, some days later"
)]
pub struct Line {
    /// The configuration
    #[arg(short, long, global = true, value_name = "FILE", default_value = config::FILE)]
    config: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Ask for a migration
    #[command(
        long_about = "Ask for a migration: write a request into the spool, wait until the daemon has taken it up, \
            and print the job's id, or why it could not be.\n\n\
            The request is a zone, a peer and options, or a file (the example request.toml that \
            comes with zmigrate shows every key). What options can't say (properties, zonecfg commands, a route) goes into \
            a file. Times are written as 90s, 10m, 1h30m or 7d.",
        after_help = "Examples:\n  \
            zmigrate submit dbbackup zhost2\n  \
            zmigrate submit dbbackup zhost2 --ticket OPS-1138 --max-outage 2h\n  \
            zmigrate submit dbbackup zhost2 --map data/zones=tank/zones --keep 7d\n  \
            zmigrate submit dbbackup.toml\n\n\
            Without a daemon the request stays in the spool until one is started (exit status 0, a warning)."
    )]
    Submit(Box<submit::SubmitArgs>),
    /// Show what a migration would find and do on both hosts, and touch nothing
    #[command(
        long_about = "Show what a migration would find and do: every reason why it would be refused here or by the \
            peer, the datasets with their sizes and new names, and every command on both hosts in order (a job's id in them \
            stands for the real one). Takes what submit takes. Nothing is touched: the peer's daemon is asked by a file in its dropbox, which is \
            taken away again. A peer that does not answer is a reason; what was found here is shown all the same.",
        after_help = "Examples:\n  \
            zmigrate plan dbbackup zhost2\n  \
            zmigrate plan dbbackup zhost2 --map data/zones=tank/zones --json\n  \
            zmigrate plan dbbackup.toml && zmigrate submit dbbackup.toml\n\n\
            Exit status: 0 it would be begun, 1 something stands in the way, 2 usage or a bad request."
    )]
    Plan(Box<plan::PlanArgs>),
    /// Show jobs and where they stand
    #[command(
        long_about = "Show jobs and where they stand: the step that is due, since when, what it waits for, the last \
            error, how long the zone has been down. With JOB everything about one: its images and what happened. \
            Works without the daemon.",
        after_help = "Examples:\n  \
            zmigrate status\n  \
            zmigrate status --all --json\n  \
            zmigrate status dbbackup"
    )]
    Status(status::StatusArgs),
    /// See a job move, until it ends
    #[command(
        long_about = "See a job move: its step, the outage so far, bytes, rate and time left of each image and of all. \
            Where standard output is no terminal, a line for each change. Ends when the job ends, with 0 only if \
            its result is ok. To stop watching harms nothing.",
        after_help = "Examples:\n  \
            zmigrate watch\n  \
            zmigrate watch dbbackup > watch.log && echo moved"
    )]
    Watch(watch::WatchArgs),
    /// Take a job back, before the handoff
    #[command(
        long_about = "Take a job back, before the handoff: the zone is attached and booted here again, as it was \
            found, and what was received over there is destroyed. After the handoff the zone is the target's to \
            give back: see rollback.",
        after_help = "Example:\n  zmigrate cancel dbbackup"
    )]
    Cancel(ask::AskArgs),
    /// Try the step that is due again, at once
    #[command(
        long_about = "Try the step that is due again, at once, without waiting out the pause after a failure.\n\n\
            With --source-is-gone NAME, on the target, the operator vouches that the host from which the zone came \
            will never run it again, so that a zone that was handed off can be installed without its word.",
        after_help = "Examples:\n  \
            zmigrate retry dbbackup\n  \
            zmigrate retry dbbackup --source-is-gone zhost1"
    )]
    Retry(retry::RetryArgs),
    /// Give a zone that was handed off back to its source
    #[command(
        long_about = "Give a zone that was handed off back to its source. Run on the target, while its result is not \
            ok yet: everything there is undone, what was received is kept, and the source boots the zone again.\n\n\
            On the source only with --target-is-gone NAME: the operator vouches that the target is gone for good. \
            If it is not, the zone may run on both hosts, and both copies of its data go their own ways.",
        after_help = "Examples:\n  \
            zmigrate rollback dbbackup                          on the target\n  \
            zmigrate rollback dbbackup --target-is-gone zhost2  on the source, when zhost2 has burnt down"
    )]
    Rollback(rollback::RollbackArgs),
    /// Take the old copy away, after a migration that went well
    #[command(
        long_about = "Take the old copy away, on the source of a migration that went well: the zone's configuration, and \
            the datasets that were handed off, if they still are what they were then and hold nothing younger. Until \
            then they are kept, or as long as the request's `keep` says. Prints the id of the job that does it.",
        after_help = "Example:\n  zmigrate finish dbbackup"
    )]
    Finish(ask::AskArgs),
    /// Look whether this host is ready
    #[command(
        long_about = "Look whether this host is ready: the configuration, the directories and their modes, the commands, \
            the peers' dropboxes, the daemon. Each finding is ok, warn or fault, with a remedy. Changes nothing. \
            Exit status 1 if there is a fault.",
        after_help = "Example:\n  zmigrate check && svcadm refresh zmigrate"
    )]
    Check(check::CheckArgs),
    /// Show, or put there, what two hosts need to trust each other over SFTP
    #[command(
        long_about = "Show what two hosts need so that zones can move between them over SFTP: on the host that sends, a key, the \
            other's host key and a section [peer.NAME]; on the host that receives, an account without shell and password that is \
            confined to its dropbox, the dropbox with a quota, the key, a block for sshd_config and a section [accept.NAME].\n\n\
            With --write this host's part is put there, as root. What is there is left as it is, and told where it \
            differs; sshd_config, the host key, and where zones may land (unless --dataset and --zonepath say so) are left to you. \
            It may be said again. `zmigrate check` then tells what is still missing.",
        after_help = "Examples:\n  \
            zmigrate peer zhost2 --address zhost2.example.com --role send --write     on zhost1\n  \
            zmigrate peer zhost1 --role receive --key 'ssh-ed25519 AAAA… zmigrate@zhost1' \\\n      \
            --dataset data/zones --zonepath /export/zones --write                 on zhost2\n  \
            zmigrate peer zhost2                                                      both ways, nothing is touched\n\n\
            Exit status: 0 done, or left to you and said so; 1 something failed or is there and differs."
    )]
    Peer(Box<peer::PeerArgs>),
    /// Write what a shell needs to complete this command's words
    #[command(
        long_about = "Write a script to standard output by which a shell completes verbs, options and their values. \
            The package puts it where each shell looks. Needs no configuration.",
        after_help = "Examples:\n  \
            zmigrate completions bash > /usr/share/bash-completion/completions/zmigrate\n  \
            zmigrate completions zsh > /usr/share/zsh/site-functions/_zmigrate\n  \
            zmigrate completions fish > /usr/share/fish/vendor_completions.d/zmigrate.fish"
    )]
    Completions(completions::CompletionsArgs),
}

/// Runs the command with this process's arguments.
pub fn main() -> ExitCode {
    main_from(std::env::args_os())
}

/// Runs the command with these arguments, the first of which is the program's name.
pub fn main_from(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let line = match Line::try_parse_from(args) {
        Ok(line) => line,
        Err(error) => {
            // Help goes to stdout and is no failure; where it can't be written nobody is left to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match run(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = write!(io::stderr(), "{error}");
            ExitCode::from(error.exit())
        }
    }
}

fn run(line: &Line) -> Result<(), CliError> {
    match &line.verb {
        // It has its own words for a configuration that can't be read.
        Verb::Check(args) => return check::run(&line.config, args),
        Verb::Completions(args) => return completions::run(args, &mut Line::command()),
        _ => {}
    }
    let context = Context::load(&line.config)?;
    match &line.verb {
        Verb::Submit(args) => submit::run(&context, args),
        Verb::Plan(args) => plan::run(&context, args),
        Verb::Status(args) => status::run(&context, args),
        Verb::Watch(args) => watch::run(&context, args),
        Verb::Cancel(args) => cancel::run(&context, args),
        Verb::Retry(args) => retry::run(&context, args),
        Verb::Rollback(args) => rollback::run(&context, args),
        Verb::Finish(args) => finish::run(&context, args),
        Verb::Check(args) => check::run(&line.config, args),
        Verb::Peer(args) => peer::run(&context, args),
        Verb::Completions(args) => completions::run(args, &mut Line::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed_and_every_verb_has_help_worth_reading() {
        let mut command = Line::command();
        command.build();
        command.clone().debug_assert();
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("zmigrate {}", verb.get_name())), "{}", verb.get_name());
            assert!(verb.get_long_about().is_some(), "{}", verb.get_name());
        }
    }
}
