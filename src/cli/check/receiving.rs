//! Whether a peer can put its files here, and nobody else: account, dropbox, sshd, quota. All on this host; that
//! the login works, only the other host's `zmigrate check` can prove.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{User, geteuid};

use super::finding::Finding;
use crate::cli::context::Context;
use crate::cli::peer::dataset::{self, Mounted};
use crate::cli::peer::side::Side;
use crate::cli::peer::sshd;

use crate::cmd::zfs::Zfs;
use crate::cmd::{shadow, useradd};
use crate::config::Transport;
use crate::guard::{self, Flaw};
use crate::job::name::{Bytes, HostName};
use crate::job::units;
use crate::process::Programs;
use crate::transport::arrivals::Arrivals;
use crate::transport::guard::{Owners, chroot};

/// Looks at everything that concerns one peer's dropbox here.
pub fn look(
    context: &Context,
    programs: &Programs,
    peer: &HostName,
    runs: bool,
    findings: &mut Vec<Finding>,
) {
    let side = Side::here(&context.file, &context.config, peer);
    let what = format!("accept {peer}");
    let dropbox = side.dropbox();
    let account = match User::from_name(&side.account()) {
        Ok(account) => account,
        Err(error) => {
            let says = format!("account {} can't be looked up: {error}", side.account());
            findings.push(Finding::fault(what, says, "see that name services work here"));
            return;
        }
    };
    let uid = account.as_ref().map(|account| account.uid.as_raw());
    findings.push(owners(&what, &dropbox, &side.account(), uid, runs));
    if account.is_none() {
        findings.push(no_account(context, &what, &side));
    } else {
        findings.push(of_account(&what, &side.account()));
        findings.extend(given(&what, &side, uid));
        findings.extend(account.as_ref().and_then(|account| entered(&what, &side, account)));
        findings.extend(way(&what, &dropbox));
        findings.push(keys(&what, &side));
        findings.extend(confined(context, &what, &side));
        findings
            .push(Finding::ok(&what, format!("whether {peer} can log in: zmigrate check on {peer} tells")));
    }
    if programs.has("zfs") && dropbox.is_dir() {
        findings.push(quota(programs, &what, &side, context.config.scratch.max));
    }
}

/// Whether anybody but the peer and root can write: the daemon's own rule.
fn owners(what: &str, dropbox: &Path, account: &str, uid: Option<u32>, runs: bool) -> Finding {
    let name = dropbox.display();
    if fs::symlink_metadata(dropbox).is_err() {
        let says = format!("{name} does not exist");
        return if runs {
            Finding::fault(what, says, "restart zmigrated, it makes it")
        } else {
            Finding::warn(what, says, "zmigrated makes it when it starts")
        };
    }
    let who = Owners { ours: geteuid().as_raw(), account: (account, uid) };
    match Arrivals::new(dropbox.to_owned()).guard(who) {
        Ok(()) => Finding::ok(what, format!("{name}: nobody but the peer and root can write there")),
        Err(flaw) => of_flaw(what, flaw),
    }
}

fn of_flaw(what: &str, flaw: Flaw) -> Finding {
    Finding::fault(what, flaw.to_string(), flaw.remedy)
}

/// A peer that comes by a shared directory needs none.
fn no_account(context: &Context, what: &str, side: &Side) -> Finding {
    let says = format!("no account {}", side.account());
    let remedy = format!("zmigrate peer {} --role receive", side.peer);
    match context.config.peers.get(&side.peer).map(|peer| &peer.transport) {
        Some(Transport::Directory { .. }) => {
            Finding::ok(what, format!("{says}: {} comes by a directory, as we do there", side.peer))
        }
        Some(Transport::Sftp(_)) => Finding::fault(what, format!("{says}: it can't log in"), remedy),
        None => {
            let says =
                format!("{says}: it can't log in, and only a directory that both hosts reach serves it");
            Finding::warn(what, says, format!("if it is to come over SFTP: {remedy}"))
        }
    }
}

fn of_account(what: &str, name: &str) -> Finding {
    let locked = fs::read_to_string(shadow::FILE).ok().and_then(|text| shadow::is_locked(&text, name));
    if locked == Some(true) {
        let remedy = format!("{} && {}", useradd::no_password(name), useradd::unlock(name));
        return Finding::fault(what, format!("account {name} is locked, which keeps a key out, too"), remedy);
    }
    Finding::ok(what, format!("account {name}"))
}

/// The account must be able to write in/, which another owner of it does not let it.
fn given(what: &str, side: &Side, uid: Option<u32>) -> Option<Finding> {
    let inbox = side.dropbox().join("in");
    let meta = fs::symlink_metadata(&inbox).ok()?;
    (uid != Some(meta.uid())).then(|| {
        let (name, account) = (inbox.display(), side.account());
        let says = format!("{name} does not belong to {account}, which can put nothing there");
        Finding::fault(what, says, format!("chown -R {account} {name} && chmod 700 {name}"))
    })
}

/// The account must be able to come to its answers, which lie in directories of root's.
fn entered(what: &str, side: &Side, account: &User) -> Option<Finding> {
    let dropbox = side.dropbox();
    [dropbox.join("out"), dropbox].iter().find_map(|directory| {
        let meta = fs::symlink_metadata(directory).ok()?;
        let theirs = if meta.gid() == account.gid.as_raw() { meta.mode() >> 3 } else { meta.mode() };
        (theirs & 0o001 == 0).then(|| {
            let (name, mode) = (directory.display(), meta.mode() & 0o7777);
            let says =
                format!("{name} can't be entered by {} (mode {mode:04o}): it reads no answer", account.name);
            Finding::fault(what, says, format!("chmod o+rx {name}"))
        })
    })
}

/// What sshd's ChrootDirectory would refuse on the way to the dropbox.
fn way(what: &str, dropbox: &Path) -> Vec<Finding> {
    let way = match guard::way(dropbox) {
        Ok(way) => way,
        // That the dropbox is not there has been told.
        Err((missing, _)) if missing == dropbox => return Vec::new(),
        Err((path, error)) => {
            let says = format!("{}: {error}", path.display());
            return vec![Finding::fault(what, says, "make it, or change [scratch] dir")];
        }
    };
    match chroot(&way) {
        Ok(()) => vec![Finding::ok(what, "sshd's ChrootDirectory takes every directory on the way to it")],
        Err(flaws) => flaws.into_iter().map(|flaw| of_flaw(what, flaw)).collect(),
    }
}

/// The peer's key: there, and as sshd wants it (StrictModes; it is read as the account).
fn keys(what: &str, side: &Side) -> Finding {
    let file = side.authorized_keys();
    let name = file.display();
    let remedy = format!("zmigrate peer {} --role receive --key KEY --write", side.peer);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            return Finding::fault(what, format!("no key of {} in {name}: {error}", side.peer), remedy);
        }
    };
    if !text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        return Finding::fault(what, format!("no key of {} in {name}: it is empty", side.peer), remedy);
    }
    let way = match guard::way(&file) {
        Ok(way) => way,
        Err((path, error)) => {
            return Finding::fault(what, format!("{}: {error}", path.display()), "try it as root");
        }
    };
    for seen in &way {
        let path = seen.path.display();
        if seen.uid != 0 {
            let says = format!("{path} belongs to user {}, not to root: sshd passes over {name}", seen.uid);
            return Finding::fault(what, says, format!("chown root {path}"));
        }
        if seen.others_write() {
            let says =
                format!("{path} can be written by others (mode {:04o}): sshd passes over {name}", seen.mode);
            return Finding::fault(what, says, format!("chmod go-w {path}"));
        }
        let open = if seen.is_dir { 0o001 } else { 0o004 };
        if seen.mode & open == 0 {
            let says =
                format!("{path} can't be read by the account (mode {:04o}): sshd finds no key", seen.mode);
            return Finding::fault(
                what,
                says,
                format!("chmod {} {path}", if seen.is_dir { "a+x" } else { "a+r" }),
            );
        }
    }
    Finding::ok(what, format!("{}'s key in {name}", side.peer))
}

/// Whether sshd confines the account: by asking it.
fn confined(context: &Context, what: &str, side: &Side) -> Vec<Finding> {
    let commands = &context.config.commands;
    let programs = crate::cmd::sshd::programs(&commands.path, commands.timeout);
    let account = side.account();
    if !programs.has("sshd") {
        let says = format!("no sshd found: nobody can say how it would treat {account}");
        return vec![Finding::warn(what, says, "add its directory to [commands] path, or install it")];
    }
    let effective = match crate::cmd::sshd::effective(
        &programs,
        crate::cmd::sshd::FILE.as_ref(),
        &account,
        side.peer.as_str(),
    ) {
        Ok(effective) => effective,
        Err(error) => return vec![Finding::fault(what, error.to_string(), "see sshd -t, as root")],
    };
    let remedy = format!("put the block of `zmigrate peer {} --role receive` into sshd_config", side.peer);
    let mut found = Vec::new();
    let faults = sshd::faults(&effective, side);
    if !faults.is_empty() {
        let says = format!("sshd does not confine {account}: {}", faults.join("; "));
        found.push(Finding::fault(what, says, remedy));
    }
    if sshd::is_kept_out(&effective, &account) {
        let says = format!("sshd keeps {account} out: AllowUsers or DenyUsers");
        found.push(Finding::fault(what, says, format!("let {account} in there")));
    }
    if found.is_empty() {
        found.push(Finding::ok(what, format!("sshd confines {account} to SFTP in its dropbox")));
    }
    found
}

/// The backstop against a peer that writes too much.
fn quota(programs: &Programs, what: &str, side: &Side, share: Bytes) -> Finding {
    let dropbox = side.dropbox();
    let remedy =
        format!("zmigrate peer {} --role receive shows how it gets a dataset with a quota", side.peer);
    let own = |found: &Mounted| dropbox.canonicalize().is_ok_and(|path| path == Path::new(&found.at));
    match dataset::of(programs, &dropbox) {
        Some(found) if own(&found) => {
            let lines = Zfs::new(programs).properties(&["quota", "refquota"], &[&found.name]);
            let limit = lines
                .ok()
                .and_then(|lines| lines.into_iter().find(|line| !["0", "none", "-"].contains(&&*line.value)));
            match limit {
                Some(limit) => Finding::ok(
                    what,
                    format!("dataset {}, {} {} bytes", found.name, limit.property, limit.value),
                ),
                None => {
                    let says =
                        format!("dataset {} of its dropbox has no quota: it can fill the pool", found.name);
                    let name = &found.name;
                    Finding::warn(what, says, format!("zfs set quota={} {name}", units::size_text(share)))
                }
            }
        }
        Some(found) => {
            let says = format!("its dropbox lies in dataset {}: no quota of its own bounds it", found.name);
            Finding::warn(what, says, remedy)
        }
        None => {
            Finding::warn(what, "its dropbox lies in no dataset that zfs knows: no quota bounds it", remedy)
        }
    }
}
