//! Sending: the peer's host key, by which ssh recognizes the peer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{at, replace, whole_lines};
use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown};
use super::side::Side;
use crate::cmd::known_hosts;
use crate::cmd::ssh_keygen::PublicKey;
use crate::spool::durable;

/// The host key that ssh has to know before the first login. A key that nobody has compared proves nothing.
pub struct HostKey {
    /// The peer's name or address, as ssh looks for it.
    pub name: String,
    /// Where ssh looks.
    pub files: Vec<PathBuf>,
    /// The key, where the administrator gave it.
    pub key: Option<PublicKey>,
}

impl HostKey {
    /// The host key in the file that `zmigrate peer` writes.
    pub fn of(address: &str, key: Option<PublicKey>) -> Self {
        Self { name: address.to_owned(), files: vec![known_hosts::FILE.into()], key }
    }

    fn line(&self, key: &PublicKey) -> String {
        format!("{} {}\n", self.name, key.bare())
    }
}

impl Piece for HostKey {
    fn shown(&self, side: &Side) -> Shown {
        let (host, peer, file) = (&side.host, &side.peer, known_hosts::FILE);
        let how = match &self.key {
            Some(key) => vec![How::append(file.as_ref(), self.line(key))],
            None => vec![
                How::Note(format!(
                    "run this on {peer} itself (over the network, any host could answer), and add the line that it \
                     prints to the end of {file} on {host}"
                )),
                How::Run(vec![known_hosts::print_line(&self.name, "")]),
            ],
        };
        Shown { what: format!("{peer}'s host key, by which {host} recognizes {peer}"), how }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        for file in self.files.iter().filter(|file| file.is_file()) {
            let Ok(found) = here.programs.ok(&known_hosts::find(&self.name, file)) else { continue };
            let name = file.display();
            if self.key.as_ref().is_some_and(|key| !found.stdout.contains(key.bare())) {
                let says =
                    format!("{name} has another host key of {} than the one that was given", self.name);
                let remedy = known_hosts::remove(&self.name, file);
                return Seen::fault(says, format!("if {} was reinstalled: {remedy}", here.side.peer)).into();
            }
            return Seen::ok(format!("host key of {} in {name}", self.name)).into();
        }
        let remedy = format!(
            "on {} itself: {}; add the line that it prints to the end of {} here",
            here.side.peer,
            known_hosts::print_line(&self.name, ""),
            known_hosts::FILE
        );
        Look::missing(Seen::fault(format!("host key of {} is not known", self.name), remedy))
    }

    fn put(&self, _: &Here<'_>) -> Result<Option<String>, Why> {
        let Some(key) = &self.key else { return Ok(None) };
        let file = Path::new(known_hosts::FILE);
        let line = self.line(key);
        match fs::read_to_string(file) {
            Ok(old) => replace(file, &format!("{}{line}", whole_lines(&old)))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                durable::write(file, line.as_bytes()).map_err(|error| error.to_string())?;
            }
            Err(error) => return Err(at(file, &error)),
        }
        Ok(Some(format!("host key of {} in {}", self.name, file.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::side::tests::here;

    const LINE: &str =
        "zhost2 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvfWp0Cq3R2aoqD1mVQeA1XYQ2dT0pPq7h9sJ6hZ0aB\n";

    #[test]
    fn an_unknown_host_key_has_a_remedy() {
        let host_key = HostKey { name: "zhost2".into(), files: vec!["/nonexistent".into()], key: None };
        here("zhost2", |here| {
            let found = host_key.look(here);
            assert!(found.missing && !found.is_ok());
            assert!(found.seen[0].remedy.as_ref().unwrap().contains("/etc/ssh/ssh_known_hosts here"));
        });
    }

    #[test]
    fn a_known_host_key_is_found() {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("known");
        fs::write(&file, LINE).unwrap();
        let host_key = HostKey { name: "zhost2".into(), files: vec![file], key: None };
        here("zhost2", |here| {
            if !here.programs.has("ssh-keygen") {
                assert!(std::env::var_os("CI").is_none(), "ssh-keygen is not installed");
                return;
            }
            assert!(host_key.look(here).is_ok());
        });
    }
}
