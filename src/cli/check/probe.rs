//! Whether a peer's dropbox can be reached, written and read, and whether anybody reads it there: by doing what a job does, for a
//! job that never was. Its withdrawal is taken back; to one that it does not know a daemon answers at once.

use std::time::Duration;

use super::finding::Finding;
use crate::cli::clock;
use crate::config::Transport;
use crate::job::message::{Message, Withdraw};
use crate::job::name::{HostName, JobId, ZoneName};
use crate::process::Programs;
use crate::transport::{Dropbox, TransportError};

/// The longest that all of it may take; ssh itself gives up sooner where nobody answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// For the peer's daemon, which looks every second, to answer, and again to take its answer away.
const ANSWERING: Duration = Duration::from_secs(10);

/// Looks at the dropbox and at who answers there; what is put there is taken away again.
pub fn look(programs: &Programs, us: &HostName, peer: &HostName, at: &Transport) -> Vec<Finding> {
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
    // Two checks of one second are told apart by their process.
    let number = std::process::id() as u16;
    let probe = match ZoneName::new("probe").map(|zone| JobId::for_zone(&zone, clock::now(), number)) {
        Ok(job) => job,
        Err(error) => return vec![Finding::fault(what, error.to_string(), "tell the authors")],
    };
    let until = clock::now() + PATIENCE;
    let dropbox = Dropbox::new(at, &probe, programs.clone(), clock::instant, move || clock::now() > until);
    if let Err(error) = dropbox.reach() {
        return vec![Finding::fault(what, error.to_string(), unreached)];
    }
    match ask(&dropbox) {
        Ok(answered) => {
            let reached = format!("{shown} can be reached, written and read");
            vec![Finding::ok(&what, reached), of_daemon(what, us, peer, answered)]
        }
        Err(error) => vec![Finding::fault(what, error.to_string(), unwritten)],
    }
}

fn of_daemon(what: String, us: &HostName, peer: &HostName, answered: bool) -> Finding {
    if answered {
        return Finding::ok(what, format!("zmigrated on {peer} answers"));
    }
    let says = format!("zmigrated on {peer} has not answered within {} s", ANSWERING.as_secs());
    Finding::warn(
        what,
        says,
        format!("it must run there, and have a section [accept.{us}]: zmigrate check on {peer}"),
    )
}

/// Puts the question and takes it away; whether it was answered.
fn ask(dropbox: &Dropbox) -> Result<bool, TransportError> {
    let answers = |wanted| {
        clock::until(ANSWERING, || dropbox.has_answers().map(|has| (has == wanted).then_some(())))
            .map(|found| found.is_some())
    };
    let answered = dropbox.put(Withdraw::NAME, b"").and_then(|()| answers(true));
    // Also after half of it.
    let left = dropbox.leave();
    let answered = answered?;
    left?;
    if answered {
        // Nothing is left of it; where it takes longer, the daemon goes on.
        answers(false)?;
    }
    Ok(answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::Level;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_dropbox_is_probed_and_left_as_it_was() {
        let tmp = tempfile::tempdir().unwrap();
        let peer = HostName::new("zhost2").unwrap();
        let programs = Programs::new(Vec::new(), PATIENCE);
        let us = HostName::new("zhost1").unwrap();
        let at = Transport::Directory { dropbox: tmp.path().to_owned() };
        let levels = || -> Vec<Level> {
            look(&programs, &us, &peer, &at).into_iter().map(|found| found.level).collect()
        };
        assert_eq!(levels(), [Level::Fault]);
        for side in ["in", "out"] {
            fs::create_dir(tmp.path().join(side)).unwrap();
        }
        // Nobody is there who would answer.
        assert_eq!(levels(), [Level::Ok, Level::Warn]);
        assert_eq!(fs::read_dir(tmp.path().join("in")).unwrap().count(), 0);
        if !nix::unistd::geteuid().is_root() {
            fs::set_permissions(tmp.path().join("in"), fs::Permissions::from_mode(0o555)).unwrap();
            assert_eq!(levels(), [Level::Fault]);
        }
    }
}
