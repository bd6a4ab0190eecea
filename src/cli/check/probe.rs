//! Whether a peer's dropbox can be reached and written: by doing there what a job does, for a job that never was.

use std::time::Duration;

use super::finding::Finding;
use crate::cli::clock;
use crate::cmd::Programs;
use crate::config::Transport;
use crate::job::name::{HostName, JobId, ZoneName};
use crate::transport::{Dropbox, TransportError};

/// The longest that all of it may take; ssh itself gives up sooner where nobody answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// No message's name: nobody over there reads it.
const FILE: &str = "check";

/// Looks at the dropbox, puts a file into a folder of its own there, and takes both away again.
pub fn look(programs: &Programs, peer: &HostName, at: &Transport) -> Finding {
    let what = format!("peer {peer}");
    let (shown, unreached, unwritten) = match at {
        Transport::Directory { dropbox } => (
            dropbox.display().to_string(),
            format!("mount it, or see that zmigrated runs on {peer} with an [accept.…] for this host"),
            format!("let root of this host write there: on {peer}, share it with root= for this host"),
        ),
        Transport::Sftp(sftp) => (
            format!("{}@{}:{}", sftp.user, sftp.address, sftp.dropbox.display()),
            format!("zmigrate check on {peer} says what is missing there"),
            format!("zmigrate check on {peer} says whose directories those are"),
        ),
    };
    let probe = match ZoneName::new("probe").map(|zone| JobId::for_zone(&zone, clock::now(), 0)) {
        Ok(job) => job,
        Err(error) => return Finding::fault(what, error.to_string(), "tell the authors"),
    };
    let until = clock::now() + PATIENCE;
    let dropbox = Dropbox::new(at, &probe, programs.clone(), clock::instant, move || clock::now() > until);
    if let Err(error) = dropbox.reach() {
        return Finding::fault(what, error.to_string(), unreached);
    }
    match write(&dropbox) {
        Ok(()) => Finding::ok(what, format!("{shown} can be reached and written")),
        Err(error) => Finding::fault(what, error.to_string(), unwritten),
    }
}

fn write(dropbox: &Dropbox) -> Result<(), TransportError> {
    let put = dropbox.put(FILE, b"");
    // Also after half of it.
    let left = dropbox.leave();
    put.and(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Level;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_dropbox_is_probed_and_left_as_it_was() {
        let tmp = tempfile::tempdir().unwrap();
        let peer = HostName::new("zhost2").unwrap();
        let programs = Programs::new(Vec::new(), PATIENCE);
        let at = Transport::Directory { dropbox: tmp.path().to_owned() };
        assert_eq!(look(&programs, &peer, &at).level, Level::Fault);
        for side in ["in", "out"] {
            fs::create_dir(tmp.path().join(side)).unwrap();
        }
        let found = look(&programs, &peer, &at);
        assert_eq!(found.level, Level::Ok, "{found:?}");
        assert_eq!(fs::read_dir(tmp.path().join("in")).unwrap().count(), 0);
        if !nix::unistd::geteuid().is_root() {
            fs::set_permissions(tmp.path().join("in"), fs::Permissions::from_mode(0o555)).unwrap();
            assert_eq!(look(&programs, &peer, &at).level, Level::Fault);
        }
    }
}
