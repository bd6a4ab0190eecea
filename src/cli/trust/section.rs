//! The peer's sections of zmigrate.toml: `[peer.NAME]` lets this host send zones to it, `[accept.NAME]` lets it send zones
//! here.

use std::fs;

use super::file::{at, replace, whole_lines};
use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown};
use super::side::Side;
use crate::cmd::zfs::Zfs;
use crate::config::{Accept, Config};

/// The cheapest cipher where the processor has AES. ssh asks for it first and keeps its other ciphers (`^`, ssh_config(5)).
/// ssh and sshd use a third less CPU time than with the default (measured by `zmigrate-lab bench --real --profile`). An
/// OpenSSH from before 2019 does not know `^`.
const CIPHERS: &str = "Ciphers=^aes128-gcm@openssh.com";

/// Sending: `[peer.NAME]`.
pub struct PeerSection {
    /// Where this host reaches the peer.
    pub address: String,
}

/// Receiving: `[accept.NAME]`.
pub struct AcceptSection {
    /// Where the peer's datasets may land.
    pub datasets: Vec<String>,
    /// Where the peer's zonepaths may be.
    pub zonepaths: Vec<String>,
}

impl PeerSection {
    /// The section's text.
    pub fn text(&self, side: &Side) -> String {
        // The account there has this host's name.
        let user = side.there().account();
        let identity = format!("IdentityFile={}", side.key().display());
        format!(
            "[peer.{}]\ntransport = \"sftp\"\naddress = {}\nuser = {}\nssh_options = [\"-o\", {}, \"-o\", \
             \"IdentitiesOnly=yes\", \"-o\", \"{CIPHERS}\"]\n",
            key(side.peer.as_str()),
            toml_text(&self.address),
            toml_text(&user),
            toml_text(&identity),
        )
    }
}

impl Piece for PeerSection {
    fn shown(&self, side: &Side) -> Shown {
        Shown {
            what: format!("{} may send zones to {}", side.host, side.peer),
            how: vec![How::append(&side.config, self.text(side))],
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let what = name("peer", here);
        let wanted = parsed(here, &self.text(here.side)).ok();
        match here.context.config.peers.get(&here.side.peer) {
            None => Look::missing(Seen::fault(format!("no {what}"), "add it")),
            found if found == wanted.as_ref().and_then(|wanted| wanted.peers.get(&here.side.peer)) => {
                Seen::ok(what).into()
            }
            Some(_) => Seen::fault(format!("{what} differs"), "compare it with `zmigrate peer`").into(),
        }
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        append(here, &self.text(here.side))?;
        Ok(Some(name("peer", here)))
    }
}

impl AcceptSection {
    fn text(&self, side: &Side) -> String {
        // The configuration refuses an empty list by name, so nobody forgets to fill it.
        let list = |all: &[String], empty: &str| match all {
            [] => format!("[]  # {empty}"),
            all => format!("[{}]", all.iter().map(|one| toml_text(one)).collect::<Vec<_>>().join(", ")),
        };
        format!(
            "[accept.{}]\ndatasets = {}\nzonepaths = {}\n",
            key(side.peer.as_str()),
            list(&self.datasets, "its datasets land below these, such as \"data/zones\""),
            list(&self.zonepaths, "its zonepaths are below these, such as \"/export/zones\""),
        )
    }

    /// Whether the administrator said where zones may land.
    fn is_given(&self) -> bool {
        !self.datasets.is_empty() && !self.zonepaths.is_empty()
    }

    /// What the section would be, if it can be read.
    fn wanted(&self, here: &Here<'_>) -> Option<Accept> {
        parsed(here, &self.text(here.side)).ok()?.accept.remove(&here.side.peer)
    }
}

impl Piece for AcceptSection {
    fn shown(&self, side: &Side) -> Shown {
        Shown {
            what: format!("{} may send zones to {}; you decide where they may land", side.peer, side.host),
            how: vec![How::append(&side.config, self.text(side))],
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let what = name("accept", here);
        let Some(accept) = here.context.config.accept.get(&here.side.peer) else {
            return Look::missing(Seen::fault(format!("no {what}"), "add it"));
        };
        if self.is_given() && self.wanted(here).as_ref() != Some(accept) {
            return Seen::fault(format!("{what} differs"), "compare it with `zmigrate peer`").into();
        }
        Seen::ok(what).into()
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        if !self.is_given() {
            return Ok(None);
        }
        append(here, &self.text(here.side))?;
        Ok(Some(name("accept", here)))
    }
}

/// Whether the datasets below which the peer's zones may land exist. Not a part of the section: it may be right before
/// they do.
pub fn landing_places(here: &Here<'_>) -> Vec<Seen> {
    let Some(accept) = here.context.config.accept.get(&here.side.peer) else { return Vec::new() };
    let names: Vec<&str> = accept.datasets.iter().map(AsRef::as_ref).collect();
    let found = match Zfs::new(here.programs).guids(&names) {
        Ok(found) => found,
        Err(error) => return vec![Seen::fault(error.to_string(), "see that zfs works here")],
    };
    let seen = |name: &&str| {
        if found.contains_key(*name) {
            Seen::ok(format!("dataset {name} exists"))
        } else {
            Seen::fault(format!("dataset {name} does not exist"), format!("zfs create -p {name}"))
        }
    };
    names.iter().map(seen).collect()
}

fn name(kind: &str, here: &Here<'_>) -> String {
    format!("[{kind}.{}] in {}", here.side.peer, here.side.config.display())
}

fn parsed(here: &Here<'_>, text: &str) -> Result<Config, Why> {
    let file = here.side.config.to_string_lossy();
    Config::parse(&file, text, here.side.host.as_str())
        .map_err(|faults| faults.first().map_or_else(String::new, ToString::to_string))
}

/// Adds a section to the configuration's end. A text that could not be read again is not written.
fn append(here: &Here<'_>, section: &str) -> Result<(), Why> {
    let file = &here.side.config;
    let old = fs::read_to_string(file).map_err(|error| at(file, &error))?;
    let new = format!("{}\n{section}", whole_lines(&old));
    parsed(here, &new)?;
    replace(file, &new)
}

/// A host's name as a key of TOML: a name with a dot must be quoted.
fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.bytes().all(bare) { name.to_owned() } else { toml_text(name) }
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
