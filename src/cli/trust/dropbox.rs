//! Receiving: the peer's dropbox. The peer writes `in/`, root writes `out/`, and nobody else writes either of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Uid, User, chown, geteuid};

use super::account;
use super::file::at;
use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown, quoted};
use super::side::Side;
use crate::guard::{self, Flaw};
use crate::spool::durable;
use crate::transport::arrivals::Arrivals;
use crate::transport::guard::{Owners, chroot};

/// The directories of the dropbox.
pub struct Dropbox;

impl Piece for Dropbox {
    fn shown(&self, side: &Side) -> Shown {
        let dropbox = side.dropbox();
        let (inbox, outbox) = (quoted(&dropbox.join("in")), quoted(&dropbox.join("out")));
        let (dropbox, account) = (quoted(&dropbox), side.account());
        Shown {
            what: format!(
                "the dropbox, root's, mode 0755; in it {} writes in/ and {} writes out/",
                side.peer, side.host
            ),
            how: vec![How::Run(vec![
                format!("mkdir -p {inbox} {outbox}"),
                format!("chown root {dropbox} {outbox}"),
                format!("chmod 755 {dropbox} {outbox}"),
                format!("chown {account} {inbox}"),
                format!("chmod 700 {inbox}"),
            ])],
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let account = match account::user(here.side) {
            Ok(account) => account,
            Err(why) => return Seen::fault(why, "see that name services work here").into(),
        };
        let dropbox = here.side.dropbox();
        let name = dropbox.display();
        if ["", "in", "out"].iter().any(|side| fs::symlink_metadata(dropbox.join(side)).is_err()) {
            let says = format!("{name}, or in/ or out/ in it, does not exist");
            return Look::missing(if here.daemon {
                Seen::fault(says, "restart zmigrated, which makes them")
            } else {
                Seen::warn(says, "zmigrated makes them when it starts")
            });
        }
        let uid = account.as_ref().map(|account| account.uid.as_raw());
        let who = Owners { ours: geteuid().as_raw(), account: (&here.side.account(), uid) };
        let mut seen = vec![match Arrivals::new(dropbox.clone()).guard(who) {
            Ok(()) => Seen::ok(format!("{name}: only the peer and root can write there")),
            Err(flaw) => of_flaw(flaw),
        }];
        // A peer that uses a shared directory has no account.
        let Some(account) = account else { return Look::there(seen) };
        let given = is_given(here.side, &account);
        let missing = !given && is_new(&dropbox.join("in"));
        if !given {
            seen.push(not_given(here.side));
        }
        seen.extend(entered(&dropbox, &account));
        seen.extend(way(&dropbox));
        Look { seen, missing }
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        let dropbox = here.side.dropbox();
        let name = here.side.account();
        let account = account::user(here.side)?;
        let account = account.ok_or_else(|| format!("there is no account {name} that could own in/"))?;
        let inbox = dropbox.join("in");
        let top = dropbox.parent().unwrap_or(&dropbox);
        for directory in [&here.side.scratch, top, &dropbox, &dropbox.join("out"), &inbox] {
            durable::create_dir(directory, 0o755).map_err(|error| error.to_string())?;
        }
        if is_new(&inbox) {
            chown(&inbox, Some(account.uid), None).map_err(|error| at(&inbox, &error.into()))?;
            fs::set_permissions(&inbox, Permissions::from_mode(0o700)).map_err(|error| at(&inbox, &error))?;
        }
        Ok(Some(format!("dropbox {}, in/ for {name}", dropbox.display())))
    }
}

fn of_flaw(flaw: Flaw) -> Seen {
    Seen::fault(flaw.to_string(), flaw.remedy)
}

/// Whether `in/` belongs to the account.
fn is_given(side: &Side, account: &User) -> bool {
    fs::symlink_metadata(side.dropbox().join("in")).is_ok_and(|meta| meta.uid() == account.uid.as_raw())
}

/// Whether a directory is as the daemon made it: root's and empty.
fn is_new(inbox: &Path) -> bool {
    let is_roots = fs::symlink_metadata(inbox).is_ok_and(|meta| Uid::from_raw(meta.uid()).is_root());
    is_roots && fs::read_dir(inbox).is_ok_and(|mut all| all.next().is_none())
}

fn not_given(side: &Side) -> Seen {
    let (inbox, account) = (side.dropbox().join("in"), side.account());
    let name = inbox.display();
    let says = format!("{name} does not belong to {account}, so the peer can't write there");
    Seen::fault(says, format!("if nobody else uses it: chown -R {account} {name} && chmod 700 {name}"))
}

/// The account must be able to reach its answers, which are in directories of root's.
fn entered(dropbox: &Path, account: &User) -> Option<Seen> {
    [dropbox.join("out"), dropbox.to_owned()].iter().find_map(|directory| {
        let meta = fs::symlink_metadata(directory).ok()?;
        let theirs = if meta.gid() == account.gid.as_raw() { meta.mode() >> 3 } else { meta.mode() };
        (theirs & 0o001 == 0).then(|| {
            let (name, mode) = (directory.display(), meta.mode() & 0o7777);
            let says = format!(
                "{} can't enter {name} (mode {mode:04o}), so the peer can't read any answer",
                account.name
            );
            Seen::fault(says, format!("chmod o+rx {name}"))
        })
    })
}

/// What sshd's ChrootDirectory would refuse on the way to the dropbox.
fn way(dropbox: &Path) -> Vec<Seen> {
    let way = match guard::way(dropbox) {
        Ok(way) => way,
        Err((path, error)) => {
            let says = format!("{}: {error}", path.display());
            return vec![Seen::fault(says, "make it, or change [scratch] dir")];
        }
    };
    match chroot(&way) {
        Ok(()) => vec![Seen::ok("sshd's ChrootDirectory accepts every directory on the way to the dropbox")],
        Err(flaws) => flaws.into_iter().map(of_flaw).collect(),
    }
}
