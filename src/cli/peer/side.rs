//! The names that one host and its peer go by on one of them: account, key, directories. Pure.

use std::path::{Path, PathBuf};

use crate::config::{self, Config};
use crate::job::name::HostName;

/// One of two hosts that know each other: `host` itself, where the files lie, and `peer` the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The host on which this is.
    pub host: HostName,
    /// The other one.
    pub peer: HostName,
    /// Its zmigrate.toml; keys lie beside it.
    pub config: PathBuf,
    /// Its `[scratch] dir`.
    pub scratch: PathBuf,
}

impl Side {
    /// This host, by its configuration.
    pub fn here(file: &Path, config: &Config, peer: &HostName) -> Self {
        Self {
            host: config.host.clone(),
            peer: peer.clone(),
            config: file.to_owned(),
            scratch: config.scratch.dir.clone(),
        }
    }

    /// The other host, as far as can be told from here: with the defaults.
    pub fn there(&self) -> Self {
        Self {
            host: self.peer.clone(),
            peer: self.host.clone(),
            config: config::FILE.into(),
            scratch: config::SCRATCH.into(),
        }
    }

    /// The account on this host by which the peer logs in.
    pub fn account(&self) -> String {
        Config::account(&self.peer)
    }

    /// The key by which this host logs in at the peer.
    pub fn key(&self) -> PathBuf {
        self.beside_config(&format!("id_ed25519_{}", self.peer))
    }

    /// Its public half.
    pub fn public_key(&self) -> PathBuf {
        self.beside_config(&format!("id_ed25519_{}.pub", self.peer))
    }

    /// Where sshd finds the peers' keys: not in their chroots, where they could write it.
    pub fn keys_dir(&self) -> PathBuf {
        self.beside_config("keys")
    }

    /// The peer's keys.
    pub fn authorized_keys(&self) -> PathBuf {
        self.keys_dir().join(self.account())
    }

    /// The peer's dropbox.
    pub fn dropbox(&self) -> PathBuf {
        self.scratch.join("dropbox").join(self.peer.as_str())
    }

    fn beside_config(&self, name: &str) -> PathBuf {
        self.config.parent().unwrap_or(Path::new("/")).join(name)
    }
}
