//! Whether a peer can send zones here, and this host can send zones to it: the pieces that `zmigrate peer` puts there, and a
//! question to the peer's daemon.

use std::path::{Path, PathBuf};

use nix::unistd::User;

use super::finding::Finding;
use super::probe;
use crate::cli::context::Context;
use crate::cli::trust::side::Side;
use crate::cli::trust::{
    AcceptSection, Account, AuthorizedKeys, Dataset, Dropbox, Here, HostKey, Key, Piece, Seen, Sshd,
    landing_places,
};
use crate::cmd::settings::Settings;
use crate::cmd::ssh_config;
use crate::config::{Sftp, Transport};
use crate::job::name::HostName;
use crate::process::Programs;

/// A peer to which this host may send zones.
pub fn sending(context: &Context, programs: &Programs, peer: &HostName, at: &Transport) -> Vec<Finding> {
    let what = format!("peer {peer}");
    let side = Side::here(&context.file, &context.config, peer);
    let here = Here { context, side: &side, programs, daemon: false };
    let mut findings = match at {
        Transport::Directory { .. } => Vec::new(),
        Transport::Sftp(sftp) => {
            login(&here, sftp).into_iter().map(|seen| Finding::of(&what, seen)).collect()
        }
    };
    if findings.iter().all(|finding| !finding.is_fault()) {
        findings.extend(probe::look(programs, &context.config.host, peer, at));
    }
    findings
}

/// What a login needs here: ssh, a key, and the peer's host key, by the settings that ssh itself will use.
fn login(here: &Here<'_>, sftp: &Sftp) -> Vec<Seen> {
    if !here.programs.has("ssh") {
        let remedy = "add its directory to [commands] path, or install OpenSSH's client";
        return vec![Seen::fault("no ssh found", remedy)];
    }
    let settings = match ssh_config::effective(here.programs, &sftp.ssh_options, &sftp.user, &sftp.address) {
        Ok(settings) => settings,
        Err(error) => {
            let remedy = format!("see ssh_options in [peer.{}], and ssh's own configuration", here.side.peer);
            return vec![Seen::fault(error.to_string(), remedy)];
        }
    };
    let key = Key { files: files(&settings, "identityfile") }.look(here);
    let mut seen = if key.missing && !settings.value("identityagent").is_empty() {
        vec![Seen::warn("no key in a file: ssh asks an agent", "see that zmigrated can reach the agent")]
    } else {
        key.seen
    };
    let known = ["userknownhostsfile", "globalknownhostsfile"];
    let known = known.into_iter().flat_map(|keyword| files(&settings, keyword)).collect();
    let host_key = HostKey { name: ssh_config::known_as(&settings), files: known, key: None };
    seen.extend(host_key.look(here).seen);
    seen
}

/// The files that a keyword names. `~/` is the user's own directory, as ssh reads it, not the environment's.
fn files(settings: &Settings, keyword: &str) -> Vec<PathBuf> {
    let home = User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir);
    let at_home = |file: &str| match (file.strip_prefix("~/"), &home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => Path::new(file).to_owned(),
    };
    let values = settings.values(keyword).iter();
    values.flat_map(|value| value.split(' ')).filter(|file| !file.is_empty()).map(at_home).collect()
}

/// A peer that may send zones here. Only the peer's own `zmigrate check` can prove that its login works.
pub fn receiving(context: &Context, programs: &Programs, peer: &HostName, daemon: bool) -> Vec<Finding> {
    let side = Side::here(&context.file, &context.config, peer);
    let here = Here { context, side: &side, programs, daemon };
    let account = Account.look(&here);
    let logs_in = !account.missing;
    let mut seen = Dropbox.look(&here).seen;
    seen.extend(account.seen);
    if logs_in {
        seen.extend(AuthorizedKeys { key: None }.look(&here).seen);
        seen.extend(Sshd.look(&here).seen);
        seen.push(Seen::ok(format!("`zmigrate check` on {peer} tests the login itself")));
    }
    if programs.has("zfs") && side.dropbox().is_dir() {
        seen.extend(Dataset { parent: None, quota: context.config.scratch.max }.look(&here).seen);
    }
    let section = AcceptSection { datasets: Vec::new(), zonepaths: Vec::new() };
    seen.extend(section.look(&here).seen);
    if programs.has("zfs") {
        seen.extend(landing_places(&here));
    }
    let what = format!("accept {peer}");
    seen.into_iter().map(|seen| Finding::of(&what, seen)).collect()
}
