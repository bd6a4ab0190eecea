//! Receiving: the peer's public key, where sshd finds it and the peer can't write it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::file::at;
use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown, quoted};
use super::side::Side;
use crate::cmd::ssh_keygen::PublicKey;
use crate::guard;
use crate::spool::durable;

/// The file with the peer's key.
pub struct AuthorizedKeys {
    /// The key, where it is known.
    pub key: Option<PublicKey>,
}

/// The line of authorized_keys. `restrict`: no forwarding and no terminal, whatever sshd_config says.
fn line(key: &PublicKey) -> String {
    format!("restrict {key}\n")
}

impl Piece for AuthorizedKeys {
    fn shown(&self, side: &Side) -> Shown {
        let peer = &side.peer;
        let line = self.key.as_ref().map_or_else(
            || format!("restrict <the line in {} on {peer}>\n", side.there().public_key().display()),
            line,
        );
        let make = format!("mkdir -p -m 755 {}", quoted(&side.keys_dir()));
        Shown {
            what: format!("{peer}'s public key, in a place that {peer} can't write; root's, mode 0644"),
            how: vec![How::Run(vec![make]), How::append(&side.authorized_keys(), line)],
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let (file, peer) = (here.side.authorized_keys(), &here.side.peer);
        let name = file.display();
        let remedy = format!("zmigrate peer {peer} --role receive --key KEY --write");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                let seen = Seen::fault(format!("no key of {peer} in {name}: {error}"), remedy);
                return Look { missing: error.kind() == io::ErrorKind::NotFound, seen: vec![seen] };
            }
        };
        if self.key.as_ref().is_some_and(|key| text != line(key)) {
            let says = format!("{name} has other text than this key");
            return Seen::fault(says, format!("compare {name} with {peer}'s key")).into();
        }
        if !text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            return Seen::fault(format!("no key of {peer} in {name}: it is empty"), remedy).into();
        }
        unread(&file).unwrap_or_else(|| Seen::ok(format!("{peer}'s key in {name}"))).into()
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        let Some(key) = &self.key else { return Ok(None) };
        let file = here.side.authorized_keys();
        durable::create_dir(&here.side.keys_dir(), 0o755)
            .and_then(|_| durable::write(&file, line(key).as_bytes()))
            .map_err(|error| error.to_string())?;
        // sshd reads it as the account, whatever umask is in force here.
        fs::set_permissions(&file, Permissions::from_mode(0o644)).map_err(|error| at(&file, &error))?;
        Ok(Some(format!("{}'s key in {}", here.side.peer, file.display())))
    }
}

/// Why sshd would not read the file (StrictModes; sshd reads it as the account).
fn unread(file: &Path) -> Option<Seen> {
    let name = file.display();
    let way = match guard::way(file) {
        Ok(way) => way,
        Err((path, error)) => {
            return Some(Seen::fault(format!("{}: {error}", path.display()), "run the command as root"));
        }
    };
    way.iter().find_map(|seen| {
        let (path, mode) = (seen.path.display(), seen.mode);
        let open = if seen.is_dir { 0o001 } else { 0o004 };
        if seen.uid != 0 {
            let says = format!("{path} belongs to user {}, not to root, so sshd ignores {name}", seen.uid);
            Some(Seen::fault(says, format!("chown root {path}")))
        } else if seen.others_write() {
            let says = format!("{path} can be written by others (mode {mode:04o}), so sshd ignores {name}");
            Some(Seen::fault(says, format!("chmod go-w {path}")))
        } else if mode & open == 0 {
            let says = format!("{path} can't be read by the account (mode {mode:04o}), so sshd finds no key");
            Some(Seen::fault(says, format!("chmod {} {path}", if seen.is_dir { "a+x" } else { "a+r" })))
        } else {
            None
        }
    })
}
