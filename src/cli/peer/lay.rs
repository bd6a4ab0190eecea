//! Putting this host's part there: looks first, and leaves alone what is there.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Uid, User, chown};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::shown::clean;
use crate::cmd::ssh_keygen::PublicKey;
use crate::cmd::{self, known_hosts, shadow, useradd};
use crate::config::Config;
use crate::job::name::{Bytes, DatasetName, HostName};
use crate::process::{Argv, Programs};
use crate::spool::durable;

use super::confine::confine;
use super::piece::{self, Piece, Shown};
use super::side::Side;
use super::{dataset, text};

/// What became of a piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "became", rename_all = "kebab-case")]
pub enum Laid {
    /// It was there, as it should be.
    WasThere { what: String },
    /// It was put there now.
    Done { what: String },
    /// Something else is there, and was left as it is.
    Differs { what: String },
    /// It is for the administrator to do.
    Left { why: String, piece: Shown },
    /// It could not be done.
    Failed { why: String, piece: Shown },
}

impl Laid {
    /// Somebody must look before the two hosts can work together.
    pub fn is_bad(&self) -> bool {
        matches!(self, Laid::Differs { .. } | Laid::Failed { .. })
    }
}

impl fmt::Display for Laid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Laid::WasThere { what } => writeln!(f, "ok      {}", clean(what)),
            Laid::Done { what } => writeln!(f, "done    {}", clean(what)),
            Laid::Differs { what } => writeln!(f, "differs {}", clean(what)),
            Laid::Left { why, piece } => write!(f, "left    {}\n{}", clean(why), text::one("   ", piece)),
            Laid::Failed { why, piece } => write!(f, "failed  {}\n{}", clean(why), text::one("   ", piece)),
        }
    }
}

/// Puts pieces there.
pub struct Lay<'a> {
    /// The configuration.
    pub context: &'a Context,
    /// The names.
    pub side: &'a Side,
    /// The commands.
    pub programs: &'a Programs,
}

/// What stands in the way of a piece, in words.
pub(super) type Why = String;

impl Lay<'_> {
    /// One piece.
    pub fn piece(&self, piece: &Piece) -> Laid {
        let done = match piece {
            Piece::Key => self.key(),
            Piece::HostKey { address, key } => self.host_key(address, key.as_ref()),
            Piece::PeerSection { address } => {
                self.section("peer", &piece::peer_section(self.side, address), |config, peer| {
                    config.peers.get(peer).cloned()
                })
            }
            Piece::Account => self.account(),
            Piece::Dataset { parent, quota } => self.dataset(parent.as_ref(), *quota),
            Piece::Directories => self.directories(),
            Piece::AuthorizedKeys { key: Some(key) } => self.authorized_keys(&piece::key_line(key)),
            Piece::AuthorizedKeys { key: None } => Ok(self.has_keys()),
            Piece::Sshd => {
                let commands = &self.context.config.commands;
                confine(&cmd::sshd::programs(&commands.path, commands.timeout), self.side)
            }
            Piece::AcceptSection { datasets, zonepaths } => self.accept(datasets, zonepaths),
        };
        match done {
            Ok(Some(laid)) => laid,
            Ok(None) => Laid::Left { why: "for you to do".to_owned(), piece: piece.shown(self.side) },
            Err(why) => Laid::Failed { why, piece: piece.shown(self.side) },
        }
    }

    fn key(&self) -> Result<Option<Laid>, Why> {
        let (file, public) = (self.side.key(), self.side.public_key());
        let what = format!("key {}", file.display());
        if file.exists() && public.exists() {
            return was_there(what);
        }
        if file.exists() || public.exists() {
            return differs(format!(
                "of {} and its .pub one is missing; they were left as they are",
                file.display()
            ));
        }
        self.run(&piece::keygen(self.side))?;
        made(what)
    }

    /// Known already, for all users? If not, and it was given, it is now.
    fn host_key(&self, address: &str, key: Option<&PublicKey>) -> Result<Option<Laid>, Why> {
        let file = Path::new(known_hosts::FILE);
        let what = format!("host key of {address} in {}", file.display());
        if file.is_file()
            && let Ok(found) = self.programs.ok(&known_hosts::find(address, file))
        {
            if key.is_some_and(|key| !found.stdout.contains(key.bare())) {
                let remove = known_hosts::remove(address, file);
                return differs(format!(
                    "{what} is another one; if {} was installed anew: {remove}",
                    self.side.peer
                ));
            }
            return was_there(what);
        }
        let Some(key) = key else { return Ok(None) };
        let line = piece::host_key_line(address, key);
        match fs::read_to_string(file) {
            Ok(old) => replace(file, &format!("{}{line}", whole_lines(&old)))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                durable::write(file, line.as_bytes()).map_err(|error| error.to_string())?;
            }
            Err(error) => return Err(at(file, &error)),
        }
        made(what)
    }

    fn account(&self) -> Result<Option<Laid>, Why> {
        let name = self.side.account();
        let what = format!("account {name}");
        let there = user(&name)?.is_some();
        if !there {
            self.run(&useradd::account(&name, &piece::comment(self.side)))?;
            self.run(&useradd::no_password(&name))?;
        }
        if self.is_locked(&name) {
            if there {
                return differs(format!(
                    "{what} is locked, which keeps a key out, too; if it is zmigrate's: {} && {}",
                    useradd::no_password(&name),
                    useradd::unlock(&name)
                ));
            }
            self.run(&useradd::unlock(&name))?;
        }
        if there { was_there(what) } else { made(what) }
    }

    fn is_locked(&self, name: &str) -> bool {
        fs::read_to_string(shadow::FILE).ok().and_then(|text| shadow::is_locked(&text, name)) == Some(true)
    }

    fn dataset(&self, parent: Option<&DatasetName>, quota: Bytes) -> Result<Option<Laid>, Why> {
        let dropbox = self.side.dropbox();
        if let Some(found) = dataset::of(self.programs, &dropbox)
            && dropbox.canonicalize().is_ok_and(|path| path == Path::new(&found.at))
        {
            return was_there(format!("dataset {} at {}", found.name, found.at));
        }
        let Some(create) = parent.and_then(|parent| piece::create(self.side, parent, quota)) else {
            return Ok(None);
        };
        if !is_empty(&dropbox)? {
            return differs(format!(
                "{} has files in it and lies in no dataset of its own; move them away, with zmigrated stopped, and \
                 say this again",
                dropbox.display()
            ));
        }
        // A dataset is mounted on a directory only when nothing is in it.
        for side in ["in", "out"] {
            gone(fs::remove_dir(dropbox.join(side)))?;
        }
        self.run(&create)?;
        made(format!("dataset {}, quota {quota}", create.arguments().last().map_or("", String::as_str)))
    }

    fn directories(&self) -> Result<Option<Laid>, Why> {
        let dropbox = self.side.dropbox();
        let account = user(&self.side.account())?;
        let account = account.ok_or_else(|| format!("no account {} to give in/ to", self.side.account()))?;
        let mut new = false;
        let top = dropbox.parent().unwrap_or(&dropbox);
        for directory in [&self.side.scratch, top, &dropbox, &dropbox.join("out"), &dropbox.join("in")] {
            new |= durable::create_dir(directory, 0o755).map_err(|error| error.to_string())?;
        }
        let inbox = dropbox.join("in");
        let owner = fs::symlink_metadata(&inbox).map_err(|error| at(&inbox, &error))?.uid();
        if owner != account.uid.as_raw() {
            if !nix::unistd::Uid::from_raw(owner).is_root()
                || fs::read_dir(&inbox).is_ok_and(|mut all| all.next().is_some())
            {
                return differs(format!(
                    "{} belongs to user {owner} and is in use; if nobody else puts files there: chown -R {} {}",
                    inbox.display(),
                    account.name,
                    inbox.display()
                ));
            }
            chown(&inbox, Some(account.uid), None).map_err(|error| at(&inbox, &error.into()))?;
            fs::set_permissions(&inbox, Permissions::from_mode(0o700)).map_err(|error| at(&inbox, &error))?;
            new = true;
        }
        let what = format!("dropbox {}, in/ for {}", dropbox.display(), account.name);
        if new { made(what) } else { was_there(what) }
    }

    fn authorized_keys(&self, line: &str) -> Result<Option<Laid>, Why> {
        let file = self.side.authorized_keys();
        match fs::read_to_string(&file) {
            Ok(text) if text == line => was_there(format!("{}'s key in {}", self.side.peer, file.display())),
            Ok(_) => differs(format!("{} holds something else than this key; look at it", file.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                durable::create_dir(&self.side.keys_dir(), 0o755)
                    .and_then(|_| durable::write(&file, line.as_bytes()))
                    .map_err(|error| error.to_string())?;
                // sshd reads it as the account: a umask must not keep it out.
                fs::set_permissions(&file, Permissions::from_mode(0o644))
                    .map_err(|error| at(&file, &error))?;
                made(format!("{}'s key in {}", self.side.peer, file.display()))
            }
            Err(error) => Err(at(&file, &error)),
        }
    }

    /// Without a key to put there: is one there?
    fn has_keys(&self) -> Option<Laid> {
        let file = self.side.authorized_keys();
        file.exists()
            .then(|| Laid::WasThere { what: format!("{}'s key in {}", self.side.peer, file.display()) })
    }

    fn accept(&self, datasets: &[String], zonepaths: &[String]) -> Result<Option<Laid>, Why> {
        let known = self.context.config.accept.contains_key(&self.side.peer);
        if datasets.is_empty() || zonepaths.is_empty() {
            // Where zones may land is nothing to be guessed.
            let what = format!("[accept.{}] in {}", self.side.peer, self.side.config.display());
            return Ok(known.then_some(Laid::WasThere { what }));
        }
        self.section("accept", &piece::accept_section(self.side, datasets, zonepaths), |config, peer| {
            config.accept.get(peer).cloned()
        })
    }

    /// A section at the configuration's end, if the peer has none.
    fn section<T: PartialEq>(
        &self,
        kind: &str,
        section: &str,
        of: impl Fn(&Config, &HostName) -> Option<T>,
    ) -> Result<Option<Laid>, Why> {
        let (file, peer) = (&self.side.config, &self.side.peer);
        let what = format!("[{kind}.{peer}] in {}", file.display());
        let name = file.to_string_lossy();
        let host = self.side.host.as_str();
        let read = |text: &str| {
            Config::parse(&name, text, host)
                .map_err(|faults| faults.first().map_or_else(String::new, ToString::to_string))
        };
        if let Some(found) = of(&self.context.config, peer) {
            let wanted = of(&read(section)?, peer);
            let same = wanted.as_ref() == Some(&found);
            return if same { was_there(what) } else { differs(format!("{what} says something else")) };
        }
        let old = fs::read_to_string(file).map_err(|error| at(file, &error))?;
        let new = format!("{}\n{section}", whole_lines(&old));
        // What would not be read again is not written.
        read(&new)?;
        replace(file, &new)?;
        made(what)
    }

    fn run(&self, argv: &Argv) -> Result<(), Why> {
        self.programs.ok(argv).map(drop).map_err(|error| error.to_string())
    }
}

/// A text to whose end a line can be put.
pub(super) fn whole_lines(text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}")
}

/// Puts another text into a file, whole or not at all; owner and mode stay.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), Why> {
    let meta = fs::symlink_metadata(file).map_err(|error| at(file, &error))?;
    if !meta.is_file() {
        return Err(format!("{} is a link, which is not written through", file.display()));
    }
    durable::write(file, text.as_bytes()).map_err(|error| error.to_string())?;
    fs::set_permissions(file, meta.permissions()).map_err(|error| at(file, &error))?;
    chown(file, Some(Uid::from_raw(meta.uid())), Some(meta.gid().into()))
        .map_err(|error| at(file, &error.into()))
}

pub(super) fn was_there(what: String) -> Result<Option<Laid>, Why> {
    Ok(Some(Laid::WasThere { what }))
}

pub(super) fn made(what: String) -> Result<Option<Laid>, Why> {
    Ok(Some(Laid::Done { what }))
}

pub(super) fn differs(what: String) -> Result<Option<Laid>, Why> {
    Ok(Some(Laid::Differs { what }))
}

fn user(name: &str) -> Result<Option<User>, Why> {
    User::from_name(name).map_err(|error| format!("account {name} can't be looked up: {error}"))
}

pub(super) fn at(path: &Path, error: &io::Error) -> Why {
    format!("{}: {error}", path.display())
}

fn gone(removed: io::Result<()>) -> Result<(), Why> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Whether a dropbox holds nothing but, perhaps, its two empty directories.
fn is_empty(dropbox: &Path) -> Result<bool, Why> {
    let entries = match fs::read_dir(dropbox) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries.map_err(|error| at(dropbox, &error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| at(dropbox, &error))?;
        let is_side = ["in", "out"].iter().any(|side| entry.file_name() == *side);
        if !is_side || fs::read_dir(entry.path()).map_err(|error| at(&entry.path(), &error))?.next().is_some()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropbox_with_a_peers_files_is_not_taken_for_an_empty_one() {
        let tmp = tempfile::tempdir().unwrap();
        let dropbox = tmp.path().join("zhost1");
        assert!(is_empty(&dropbox).unwrap());
        fs::create_dir_all(dropbox.join("in")).unwrap();
        assert!(is_empty(&dropbox).unwrap());
        fs::create_dir(dropbox.join("in/job")).unwrap();
        assert!(!is_empty(&dropbox).unwrap());
    }
}
