//! What two hosts need so that they can trust each other, piece by piece.
//!
//! Each [`Piece`] is known in one place: how a person puts it there, how to see whether it is there and right, and the
//! commands that put it there. `zmigrate peer` prints the first, `zmigrate peer --write` looks and then acts, and
//! `zmigrate check` looks. A piece acts on this host only, and never changes what is there already.

mod account;
mod authorized_keys;
mod confinement;
mod dataset;
mod dropbox;
mod file;
mod host_key;
mod key;
mod piece;
mod section;
pub mod shown;
pub mod side;
mod sshd;

use crate::cmd::ssh_keygen::PublicKey;
use crate::job::name::{Bytes, DatasetName};

pub use account::Account;
pub use authorized_keys::AuthorizedKeys;
pub use dataset::{Dataset, lies_in};
pub use dropbox::Dropbox;
pub use host_key::HostKey;
pub use key::Key;
pub use piece::{Here, Level, Look, Piece, Seen, Why};
pub use section::{AcceptSection, PeerSection, landing_places};
pub use sshd::Sshd;

use side::Side;

/// What a host needs that sends zones to a peer at `address`.
pub fn sending(side: &Side, address: &str, host_key: Option<PublicKey>) -> Vec<Box<dyn Piece>> {
    vec![
        Box::new(Key::of(side)),
        Box::new(HostKey::of(address, host_key)),
        Box::new(PeerSection { address: address.to_owned() }),
    ]
}

/// What a host needs that receives a peer's zones.
pub struct Receiving {
    /// The dataset below which the dropbox gets its own, where it is known.
    pub parent: Option<DatasetName>,
    /// The quota of the dropbox's dataset.
    pub quota: Bytes,
    /// The peer's public key, where it is known.
    pub key: Option<PublicKey>,
    /// Where the peer's datasets may land.
    pub datasets: Vec<String>,
    /// Where the peer's zonepaths may be.
    pub zonepaths: Vec<String>,
}

impl Receiving {
    /// The pieces, in the order in which they can be put there.
    pub fn pieces(self) -> Vec<Box<dyn Piece>> {
        vec![
            Box::new(Account),
            Box::new(Dataset { parent: self.parent, quota: self.quota }),
            Box::new(Dropbox),
            Box::new(AuthorizedKeys { key: self.key }),
            Box::new(Sshd),
            Box::new(AcceptSection { datasets: self.datasets, zonepaths: self.zonepaths }),
        ]
    }
}
