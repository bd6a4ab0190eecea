//! Receiving: sshd confines the peer's account to SFTP in its dropbox.
//!
//! The block goes to the end of sshd_config. There it changes nothing for other users, because a Match block ends at the
//! next Match or at the file's end (sshd_config(5)), and no Include has to be understood: Debian has one at the top,
//! Solaris 11.4 one at the end, OmniOS and OpenIndiana have none. `sshd -T` first reads a copy that has the block, so
//! that sshd_config never is a file that sshd would refuse. The running sshd keeps the configuration that it has read.

use std::fs;
use std::path::Path;

use super::confinement;
use super::file::{at, replace, whole_lines};
use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown};
use super::side::Side;
use crate::cmd::settings::Settings;
use crate::cmd::sshd::{FILE, effective, programs};
use crate::process::Programs;
use crate::spool::durable;

/// sshd's configuration for the peer's account.
pub struct Sshd;

impl Piece for Sshd {
    fn shown(&self, side: &Side) -> Shown {
        let note = |text: &str| How::Note(text.to_owned());
        Shown {
            what: format!("sshd allows {} nothing but SFTP in its dropbox", side.account()),
            how: vec![
                How::append(FILE.as_ref(), confinement::block(side)),
                note("a Match block ends at the next Match or at the file's end: nothing else may follow it"),
                How::Run(vec!["/usr/sbin/sshd -t && svcadm refresh network/ssh".to_owned()]),
                note("on Solaris 11.4 and OpenIndiana sshd is /usr/lib/ssh/sshd"),
            ],
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let (programs, account) = (sshd_programs(here), here.side.account());
        if !programs.has("sshd") {
            let says = format!("no sshd found, so zmigrate can't tell how it would treat {account}");
            return Look::missing(Seen::warn(says, "add its directory to [commands] path, or install it"));
        }
        let settings = match settings(&programs, Path::new(FILE), here.side) {
            Ok(settings) => settings,
            // A configuration that sshd refuses is not a missing block.
            Err(why) => return Look::missing(Seen::fault(why, "run sshd -t as root")),
        };
        let mut seen = Vec::new();
        let faults = confinement::faults(&settings, here.side);
        let missing = !faults.is_empty() && !has_block(&account);
        if !faults.is_empty() {
            let says = format!("sshd does not confine {account}: {}", faults.join("; "));
            let block = format!("the block of `zmigrate peer {} --role receive`", here.side.peer);
            seen.push(Seen::fault(says, format!("put {block} into {FILE}")));
        }
        if confinement::is_kept_out(&settings, &account) {
            let says = format!("sshd refuses {account} by AllowUsers or DenyUsers");
            seen.push(Seen::fault(says, format!("allow {account} there")));
        }
        if seen.is_empty() {
            seen.push(Seen::ok(format!("sshd confines {account} to SFTP in its dropbox")));
        }
        Look { seen, missing }
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        let (programs, account, file) = (sshd_programs(here), here.side.account(), Path::new(FILE));
        if !programs.has("sshd") {
            return Ok(None);
        }
        // Also tells why, where sshd refuses the file as it is.
        settings(&programs, file, here.side)?;
        let old = fs::read_to_string(file).map_err(|error| at(file, &error))?;
        let new = format!("{}\n{}", whole_lines(&old), confinement::block(here.side));
        let faults = confinement::faults(&tried(&programs, &new, here.side)?, here.side);
        if !faults.is_empty() {
            return Err(format!(
                "even with the block sshd would not confine {account}: {}",
                faults.join("; ")
            ));
        }
        replace(file, &new)?;
        Ok(Some(format!(
            "sshd confines {account}, by a block at the end of {FILE}; sshd reads it after: svcadm refresh network/ssh"
        )))
    }
}

fn sshd_programs(here: &Here<'_>) -> Programs {
    let commands = &here.context.config.commands;
    programs(&commands.path, commands.timeout)
}

fn has_block(account: &str) -> bool {
    fs::read_to_string(FILE).is_ok_and(|text| confinement::has_block(&text, account))
}

/// sshd's settings for the account with this configuration.
fn settings(programs: &Programs, file: &Path, side: &Side) -> Result<Settings, Why> {
    effective(programs, file, &side.account(), side.peer.as_str()).map_err(|error| error.to_string())
}

/// sshd's settings with such a text. A crash leaves the copy, which nobody reads.
fn tried(programs: &Programs, text: &str, side: &Side) -> Result<Settings, Why> {
    let copy = Path::new(FILE).with_file_name("sshd_config.zmigrate");
    durable::write(&copy, text.as_bytes()).map_err(|error| error.to_string())?;
    let found = settings(programs, &copy, side);
    fs::remove_file(&copy).map_err(|error| at(&copy, &error))?;
    found
}
