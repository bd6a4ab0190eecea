//! Sending: the key by which this host logs in at the peer.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown};
use super::side::Side;
use crate::cmd::ssh_keygen;
use crate::process::Argv;

/// A private key in a file that only its owner can read. ssh offers the first of `files` that exists.
pub struct Key {
    /// Where ssh looks for it.
    pub files: Vec<PathBuf>,
}

impl Key {
    /// The key that `zmigrate peer` makes.
    pub fn of(side: &Side) -> Self {
        Self { files: vec![side.key()] }
    }
}

fn keygen(side: &Side) -> Argv {
    ssh_keygen::key(&side.key(), &format!("zmigrate@{}", side.host))
}

impl Piece for Key {
    fn shown(&self, side: &Side) -> Shown {
        Shown {
            what: format!("a key by which {} logs in at {}; only root can read it", side.host, side.peer),
            how: vec![How::run(&keygen(side))],
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let there: Vec<_> =
            self.files.iter().filter_map(|file| Some((file, fs::metadata(file).ok()?))).collect();
        for (file, meta) in &there {
            let (name, mode) = (file.display(), meta.mode() & 0o7777);
            if mode & 0o077 != 0 {
                let says = format!("key {name} can be read by others (mode {mode:04o}), so ssh refuses it");
                return Seen::fault(says, format!("chmod 600 {name}")).into();
            }
            if let Err(error) = fs::File::open(file) {
                return Seen::fault(format!("key {name} can't be read: {error}"), "run the command as root")
                    .into();
            }
        }
        match there.first() {
            Some((file, _)) => Seen::ok(format!("key {}", file.display())).into(),
            None => {
                let all: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
                let remedy = format!("zmigrate peer {} --role send --write", here.side.peer);
                Look::missing(Seen::fault(format!("no key: none of {} exists", all.join(", ")), remedy))
            }
        }
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        let public = here.side.public_key();
        if public.exists() {
            let name = public.display();
            return Err(format!(
                "{name} exists without its private key; move {name} away and run this again"
            ));
        }
        here.programs.ok(&keygen(here.side)).map_err(|error| error.to_string())?;
        Ok(Some(format!("key {}", here.side.key().display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::Level;
    use crate::cli::trust::side::tests::here;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_key_that_nobody_else_reads_is_right() {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("id");
        let key = Key { files: vec!["/no/such/key".into(), file.clone()] };
        here("zhost2", |here| {
            let found = key.look(here);
            assert!(found.missing && !found.is_ok());
            assert_eq!(found.seen[0].remedy.as_deref(), Some("zmigrate peer zhost2 --role send --write"));
            fs::write(&file, "key").unwrap();
            for (mode, level) in
                [(0o600, Level::Ok), (0o400, Level::Ok), (0o640, Level::Fault), (0o644, Level::Fault)]
            {
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
                let found = key.look(here);
                assert_eq!((found.seen[0].level, found.missing), (level, false), "{mode:o}");
            }
        });
    }
}
