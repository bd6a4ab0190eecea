//! The names that belong to a host and its peer: account, key, directories. Pure.

use std::path::{Path, PathBuf};

use crate::config::{self, Config};
use crate::job::name::HostName;

/// One of two hosts that trust each other: `host`, which has the files, and the other host, `peer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The host that has the files.
    pub host: HostName,
    /// The other host.
    pub peer: HostName,
    /// The host's zmigrate.toml; keys are in the same directory.
    pub config: PathBuf,
    /// The host's `[scratch] dir`.
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

    /// The other host, assumed to use the defaults.
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

    /// The public half of that key.
    pub fn public_key(&self) -> PathBuf {
        self.beside_config(&format!("id_ed25519_{}.pub", self.peer))
    }

    /// Where sshd finds the peers' keys. Not in their chroots, where they could write them.
    pub fn keys_dir(&self) -> PathBuf {
        self.beside_config("keys")
    }

    /// The file of the peer's public key.
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

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::cli::context::Context;
    use crate::cli::trust::Here;
    use crate::process::Programs;
    use crate::spool::Spool;
    use std::time::Duration;

    /// A host without any peer, with the system's commands.
    pub fn here(peer: &str, test: impl FnOnce(&Here<'_>)) {
        let file = Path::new("/nonexistent/zmigrate.toml");
        let config = Config::parse("test", "", "zhost1").unwrap();
        let side = Side::here(file, &config, &HostName::new(peer).unwrap());
        let spool = Spool::at(&config.spool);
        let context = Context { file: file.to_owned(), config, spool };
        let programs = Programs::new(vec!["/usr/bin".into(), "/bin".into()], Duration::from_secs(60));
        test(&Here { context: &context, side: &side, programs: &programs, daemon: false });
    }
}
