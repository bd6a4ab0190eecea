//! Puts a peer's block into sshd's configuration, if sshd would then do what it says.
//!
//! The block goes to the file's end. There it changes nothing for anybody else, since a Match block goes on to the next one or the
//! end (sshd_config(5)), and no Include has to be understood: Debian has one at the head, Solaris 11.4 at the end, OmniOS
//! and OpenIndiana have none. sshd itself is asked first, by `sshd -T` with a copy that has the block: so its configuration
//! is at no moment one that it would refuse. The running sshd is left alone, and goes on with what it has read.

use std::fs;
use std::path::Path;

use super::lay::{Laid, Why, at, differs, made, replace, was_there, whole_lines};
use super::side::Side;
use super::sshd;
use crate::cmd::sshd::{FILE, effective};
use crate::process::Programs;
use crate::spool::durable;

/// Has sshd confine the peer's account. `None`: there is no sshd to be asked.
///
/// # Errors
/// Why it would not, in words; the file is as it was then.
pub fn confine(programs: &Programs, side: &Side) -> Result<Option<Laid>, Why> {
    if !programs.has("sshd") {
        return Ok(None);
    }
    let (file, account) = (Path::new(FILE), side.account());
    let found = faults(programs, file, side)?;
    if found.is_empty() {
        return was_there(format!("sshd confines {account}"));
    }
    let old = fs::read_to_string(file).map_err(|error| at(file, &error))?;
    if sshd::has_block(&old, &account) {
        let found = found.join("; ");
        return differs(format!("{FILE} has a block for {account} that does not confine it: {found}"));
    }
    let new = format!("{}\n{}", whole_lines(&old), sshd::block(side));
    let left = tried(programs, &new, side)?;
    if !left.is_empty() {
        return Err(format!("with its block, too, sshd would not confine {account}: {}", left.join("; ")));
    }
    replace(file, &new)?;
    made(format!(
        "sshd confines {account}, by a block at the end of {FILE}; it heeds it after: svcadm refresh network/ssh"
    ))
}

/// What would be wrong with such a configuration. A crash leaves the copy, which nobody reads.
fn tried(programs: &Programs, text: &str, side: &Side) -> Result<Vec<String>, Why> {
    let copy = Path::new(FILE).with_file_name("sshd_config.zmigrate");
    durable::write(&copy, text.as_bytes()).map_err(|error| error.to_string())?;
    let found = faults(programs, &copy, side);
    fs::remove_file(&copy).map_err(|error| at(&copy, &error))?;
    found
}

/// What is wrong with what sshd would do for the account.
fn faults(programs: &Programs, file: &Path, side: &Side) -> Result<Vec<String>, Why> {
    let effective = effective(programs, file, &side.account(), side.peer.as_str());
    Ok(sshd::faults(&effective.map_err(|error| error.to_string())?, side))
}
