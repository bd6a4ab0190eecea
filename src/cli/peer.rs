//! `zmigrate peer`: prints what two hosts need to trust each other, or, with `--write`, puts this host's part there.
//!
//! It acts on this host alone and never changes what is there already. It reports what it can't do, and what only an
//! administrator can decide: which host key is the peer's, and where zones may land. It may be repeated.

mod laid;

use std::fs;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cmd::known_hosts;
use crate::cmd::ssh_keygen::PublicKey;
use crate::config::{self, Config};
use crate::job::name::{DatasetName, HostName};
use crate::process::Programs;

use super::context::{Context, print, print_json};
use super::error::CliError;
use super::trust::shown::{Shown, block};
use super::trust::side::Side;
use super::trust::{self, Here, PeerSection, Piece, Receiving};
use laid::Laid;

/// What `peer` takes.
#[derive(Debug, Args)]
pub struct PeerArgs {
    /// The other host, as the configurations name it
    #[arg(value_name = "NAME")]
    peer: HostName,
    /// Where this host reaches it: a name or address, as ssh takes it; NAME without it
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// What this host does: send zones to NAME, receive its zones, or both
    #[arg(long, value_enum, default_value = "both")]
    role: Role,
    /// NAME's public key, one line in quotes, by which it logs in here
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
    /// NAME's host key, one line in quotes, by which this host knows it
    #[arg(long, value_name = "KEY")]
    host_key: Option<PublicKey>,
    /// A dataset below which NAME's zones may land; may be given again
    #[arg(long = "dataset", value_name = "DATASET")]
    datasets: Vec<DatasetName>,
    /// A directory below which NAME's zonepaths may lie; may be given again
    #[arg(long = "zonepath", value_name = "DIRECTORY")]
    zonepaths: Vec<String>,
    /// Put this host's part there
    #[arg(long)]
    write: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl PeerArgs {
    fn address(&self) -> &str {
        self.address.as_deref().unwrap_or(self.peer.as_str())
    }
}

/// What a host does with its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Send,
    Receive,
    Both,
}

impl Role {
    fn sends(self) -> bool {
        self != Role::Receive
    }

    fn receives(self) -> bool {
        self != Role::Send
    }

    /// The other host's role.
    fn there(self) -> Self {
        match self {
            Role::Send => Role::Receive,
            Role::Receive => Role::Send,
            Role::Both => Role::Both,
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    v: u32,
    blocks: Vec<Block<'a>>,
    /// With `--write`: what became of each piece of this host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    laid: Vec<Laid>,
}

#[derive(Serialize)]
struct Block<'a> {
    host: &'a HostName,
    pieces: Vec<Shown>,
}

/// Prints, or puts there, what the two hosts need.
///
/// # Errors
/// When a piece could not be put there, or something else is there.
pub fn run(context: &Context, args: &PeerArgs) -> Result<(), CliError> {
    let config = &context.config;
    if args.peer == config.host {
        return Err(CliError::bad([format!("{} is this host itself", args.peer)]));
    }
    let side = Side::here(&context.file, config, &args.peer);
    let there = side.there();
    check_account(&side, args.role)?;
    check_address(&side, args)?;
    let programs = Programs::new(config.commands.path.clone(), config.commands.timeout);
    let ours = pieces(&side, context, args, &programs);
    let theirs = shown(&their_pieces(&side, context, args), &there);
    if !args.write {
        return show(&side, &there, args, shown(&ours, &side), theirs);
    }
    let daemon = context.spool.daemon().is_ok_and(|pid| pid.is_some());
    let here = Here { context, side: &side, programs: &programs, daemon };
    let laid: Vec<_> = ours.iter().map(|piece| Laid::piece(piece.as_ref(), &here)).collect();
    let bad = laid.iter().any(Laid::is_bad);
    if args.json {
        let blocks = vec![Block { host: &there.host, pieces: theirs }];
        print_json(&Answer { v: 1, blocks, laid })?;
    } else {
        let mut text: String = laid.iter().map(ToString::to_string).collect();
        text.push_str(&short_way(&side, &there, args));
        print(&text)?;
    }
    if bad { Err(CliError::quiet()) } else { Ok(()) }
}

fn show(
    here: &Side,
    there: &Side,
    args: &PeerArgs,
    ours: Vec<Shown>,
    theirs: Vec<Shown>,
) -> Result<(), CliError> {
    if args.json {
        let blocks =
            vec![Block { host: &here.host, pieces: ours }, Block { host: &there.host, pieces: theirs }];
        return print_json(&Answer { v: 1, blocks, laid: Vec::new() });
    }
    let mut text = block(&format!("on {} (this host; --write does what it can)", here.host), &ours);
    text.push('\n');
    text.push_str(&block(&format!("on {}, by hand, with the default paths", there.host), &theirs));
    text.push_str(&short_way(here, there, args));
    print(&text)
}

fn shown(pieces: &[Box<dyn Piece>], side: &Side) -> Vec<Shown> {
    pieces.iter().map(|piece| piece.shown(side)).collect()
}

/// The command that does the other host's part.
fn short_way(here: &Side, there: &Side, args: &PeerArgs) -> String {
    let role = match args.role.there() {
        Role::Send => " --role send",
        Role::Receive => " --role receive",
        Role::Both => "",
    };
    let mut text = format!("\non {}, the short way\n\n       zmigrate peer {}{role}", there.host, here.host);
    if args.role.receives() {
        text.push_str(&format!(" --address {}", here.host));
        // Read on this host, so nobody can have replaced it on the way.
        if let Some(key) = public_key(known_hosts::OWN_KEY.as_ref()) {
            text.push_str(&format!(" --host-key '{}'", key.bare()));
        }
    }
    let mut notes = String::new();
    if args.role.sends() {
        match public_key(&here.public_key()) {
            Some(key) => text.push_str(&format!(" --key '{key}'")),
            None => {
                text.push_str(" --key KEY");
                notes = format!("   KEY is the line in {}, in quotes\n", here.public_key().display());
            }
        }
        text.push_str(" --dataset DATASET --zonepath DIRECTORY");
        notes.push_str(&format!(
            "   {}'s zones may land below DATASET, and their zonepaths below DIRECTORY\n",
            here.host
        ));
    }
    text.push_str(" --write\n");
    text.push_str(&notes);
    text.push_str("\nthen, on both hosts: zmigrate check && svcadm refresh zmigrate\n");
    text
}

/// A public key of this host, if it has one.
fn public_key(file: &Path) -> Option<PublicKey> {
    fs::read_to_string(file).ok()?.parse().ok()
}

/// useradd(8) accepts 32 bytes, beginning with a letter (illumos limits.h: LOGNAME_MAX_ILLUMOS).
fn check_account(here: &Side, role: Role) -> Result<(), CliError> {
    let mut faults = Vec::new();
    for (wanted, side) in [(role.receives(), here.clone()), (role.sends(), here.there())] {
        let account = side.account();
        if wanted && account.len() > 32 {
            faults.push(format!(
                "account '{account}' on {} is longer than the 32 bytes that a login name may have: give {} a shorter \
                 [host] name",
                side.host, side.peer
            ));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(CliError::bad(faults)) }
}

/// An address that the configuration would refuse is refused before anything is printed or written.
fn check_address(here: &Side, args: &PeerArgs) -> Result<(), CliError> {
    let section = PeerSection { address: args.address().to_owned() }.text(here);
    let read = Config::parse("--address", &section, here.host.as_str());
    read.map(drop).map_err(|faults| CliError::bad(faults.into_iter().map(|fault| fault.message)))
}

/// This host's part.
fn pieces(side: &Side, context: &Context, args: &PeerArgs, programs: &Programs) -> Vec<Box<dyn Piece>> {
    let mut pieces = Vec::new();
    if args.role.sends() {
        pieces.extend(trust::sending(side, args.address(), args.host_key.clone()));
    }
    if args.role.receives() {
        let receiving = Receiving {
            parent: trust::lies_in(programs, &side.scratch).map(|found| found.name),
            quota: context.config.scratch.max,
            key: args.key.clone(),
            datasets: args.datasets.iter().map(ToString::to_string).collect(),
            zonepaths: args.zonepaths.clone(),
        };
        pieces.extend(receiving.pieces());
    }
    pieces
}

/// The other host's part, as far as this host knows it.
fn their_pieces(side: &Side, context: &Context, args: &PeerArgs) -> Vec<Box<dyn Piece>> {
    let mut pieces = Vec::new();
    if args.role.receives() {
        pieces.extend(trust::sending(&side.there(), side.host.as_str(), None));
    }
    if args.role.sends() {
        let receiving = Receiving {
            parent: None,
            quota: config::SCRATCH_MAX.max(context.config.scratch.max),
            key: public_key(&side.public_key()),
            datasets: Vec::new(),
            zonepaths: Vec::new(),
        };
        pieces.extend(receiving.pieces());
    }
    pieces
}
