//! Whether a peer's dropbox may be looked at: only while nobody but the peer and root can write there.
//!
//! Asked anew before every look, by owner and mode; nothing is believed from the time before. A dropbox that is
//! refused alerts once for each new reason, with the remedy, and holds the peer's jobs; the other peers' go on. When
//! it has been mended, that is told, and everything in it is looked at again.

use nix::unistd::{Uid, User};

use super::context::Context;
use crate::config::Config;
use crate::guard::{self, Flaw};
use crate::job::name::HostName;
use crate::log::{Line, Severity};
use crate::transport::arrivals::Arrivals;
use crate::transport::guard::Owners;

/// Makes the dropboxes of all whose zones are taken, where they are missing, and judges them: at the start and
/// at a refresh. One that can't be made is no reason to be without the others.
pub fn make(context: &Context) {
    let config = context.config();
    for peer in config.accept.keys() {
        if let Err(error) = Arrivals::new(config.dropbox(peer)).make() {
            let line = Line::new().field("event", "held").field("peer", peer).field("error", error);
            context.log.write(Severity::Alert, &line);
        }
        may_look(context, &config, peer);
    }
}

/// Whether the daemon may look into the peer's dropbox now; says so when that has changed.
pub fn may_look(context: &Context, config: &Config, peer: &HostName) -> bool {
    let judged = judge(config, peer);
    let reason = judged.as_ref().err().map(ToString::to_string);
    if context.dropbox_is(peer, reason) {
        let line = |event| Line::new().field("event", event).field("peer", peer);
        match &judged {
            Ok(()) => context.log.write(Severity::Notice, &line("dropbox-accepted")),
            Err(flaw) => {
                let line = line("dropbox-refused").field("error", flaw).field("remedy", &flaw.remedy);
                context.log.write(Severity::Alert, &line);
            }
        }
    }
    judged.is_ok()
}

/// Judges a peer's dropbox by its owners and modes.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn judge(config: &Config, peer: &HostName) -> Result<(), Flaw> {
    let arrivals = Arrivals::new(config.dropbox(peer));
    let account = Config::account(peer);
    // The account is looked up by the owner that is found there, so that a peer without one costs no look-up.
    let owner =
        std::fs::symlink_metadata(arrivals.in_dir()).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
    let ours = guard::me();
    let uid = owner.ok().filter(|uid| *uid != 0 && *uid != ours).filter(|uid| {
        let user = User::from_uid(Uid::from_raw(*uid));
        user.is_ok_and(|user| user.is_some_and(|user| user.name == account))
    });
    arrivals.guard(Owners { ours, account: (&account, uid) })
}
