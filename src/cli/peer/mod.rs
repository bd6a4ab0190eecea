//! `zmigrate peer`: what two hosts need to trust each other, for people to put there, or, with `--write`, this host's
//! part of it put there.
//!
//! What is printed comes from pure functions over the configuration; what is written is in `lay`. Guarantees: it
//! acts on this host alone; what is there and differs is told and left as it is; what it can't do, and what is an
//! administrator's to decide (which host key is the other's, where zones may land), it says. It may be repeated.

mod confine;
pub mod dataset;
mod lay;
mod piece;
pub mod side;
pub mod sshd;
mod text;

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
use lay::{Laid, Lay};
use piece::{Piece, Shown};
use side::Side;

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

    /// What the other host does then.
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
/// When a piece could not be put there, or is there and differs.
pub fn run(context: &Context, args: &PeerArgs) -> Result<(), CliError> {
    let config = &context.config;
    if args.peer == config.host {
        return Err(CliError::bad([format!("{} is this host itself", args.peer)]));
    }
    let here = Side::here(&context.file, config, &args.peer);
    let there = here.there();
    check_account(&here, args.role)?;
    check_address(&here, args)?;
    let programs = Programs::new(config.commands.path.clone(), config.commands.timeout);
    let scratch = dataset::of(&programs, &here.scratch).map(|found| found.name);
    let ours = pieces(context, args, scratch);
    let theirs = their_pieces(context, args, &here);
    if !args.write {
        return show(&here, &there, args, &ours, &theirs);
    }
    let lay = Lay { context, side: &here, programs: &programs };
    let laid: Vec<_> = ours.iter().map(|piece| lay.piece(piece)).collect();
    let bad = laid.iter().any(Laid::is_bad);
    if args.json {
        let blocks = vec![Block { host: &there.host, pieces: shown(&theirs, &there) }];
        print_json(&Answer { v: 1, blocks, laid })?;
    } else {
        let mut text: String = laid.iter().map(ToString::to_string).collect();
        text.push_str(&short_way(&here, &there, args));
        print(&text)?;
    }
    if bad { Err(CliError::quiet()) } else { Ok(()) }
}

fn show(
    here: &Side,
    there: &Side,
    args: &PeerArgs,
    ours: &[Piece],
    theirs: &[Piece],
) -> Result<(), CliError> {
    let (ours, theirs) = (shown(ours, here), shown(theirs, there));
    if args.json {
        let blocks =
            vec![Block { host: &here.host, pieces: ours }, Block { host: &there.host, pieces: theirs }];
        return print_json(&Answer { v: 1, blocks, laid: Vec::new() });
    }
    let mut text = text::block(&format!("on {} (this host; --write does what it can)", here.host), &ours);
    text.push('\n');
    text.push_str(&text::block(&format!("on {}, by hand with the defaults", there.host), &theirs));
    text.push_str(&short_way(here, there, args));
    print(&text)
}

fn shown(pieces: &[Piece], side: &Side) -> Vec<Shown> {
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
        // Read on this very host, so nobody can have exchanged it.
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
            "   {}'s zones may land below DATASET, their zonepaths below DIRECTORY\n",
            here.host
        ));
    }
    text.push_str(" --write\n");
    text.push_str(&notes);
    text.push_str("\nthen, on both hosts: zmigrate check && svcadm refresh zmigrate\n");
    text
}

/// A public key of this host's, where it has one.
fn public_key(file: &Path) -> Option<PublicKey> {
    fs::read_to_string(file).ok()?.parse().ok()
}

/// useradd(8) takes 32 bytes, beginning with a letter (illumos limits.h: LOGNAME_MAX_ILLUMOS).
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

/// What would make no legal section makes no legal command line either.
fn check_address(here: &Side, args: &PeerArgs) -> Result<(), CliError> {
    let section = piece::peer_section(here, args.address());
    let read = Config::parse("--address", &section, here.host.as_str());
    read.map(drop).map_err(|faults| CliError::bad(faults.into_iter().map(|fault| fault.message)))
}

fn pieces(context: &Context, args: &PeerArgs, parent: Option<DatasetName>) -> Vec<Piece> {
    let config = &context.config;
    let mut pieces = Vec::new();
    if args.role.sends() {
        pieces.extend(piece::sending(args.address(), args.host_key.clone()));
    }
    if args.role.receives() {
        let texts = |all: &[DatasetName]| all.iter().map(ToString::to_string).collect();
        pieces.extend(receiving(
            parent,
            config.scratch.max,
            args.key.clone(),
            texts(&args.datasets),
            args.zonepaths.clone(),
        ));
    }
    pieces
}

/// The other host's part, as far as it can be told from here.
fn their_pieces(context: &Context, args: &PeerArgs, here: &Side) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if args.role.receives() {
        pieces.extend(piece::sending(here.host.as_str(), None));
    }
    if args.role.sends() {
        let max = config::SCRATCH_MAX.max(context.config.scratch.max);
        pieces.extend(receiving(None, max, public_key(&here.public_key()), Vec::new(), Vec::new()));
    }
    pieces
}

fn receiving(
    parent: Option<DatasetName>,
    quota: crate::job::name::Bytes,
    key: Option<PublicKey>,
    datasets: Vec<String>,
    zonepaths: Vec<String>,
) -> Vec<Piece> {
    vec![
        Piece::Account,
        Piece::Dataset { parent, quota },
        Piece::Directories,
        Piece::AuthorizedKeys { key },
        Piece::Sshd,
        Piece::AcceptSection { datasets, zonepaths },
    ]
}
