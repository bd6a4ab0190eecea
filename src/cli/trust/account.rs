//! Receiving: the account by which the peer logs in.

use std::fs;

use nix::unistd::User;

use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown};
use super::side::Side;
use crate::cmd::{shadow, useradd};
use crate::config::Transport;

/// An account without a shell and without a password. It must not be locked, or sshd refuses its key as well.
pub struct Account;

/// Looks up the account by which the peer logs in.
///
/// # Errors
/// When the name service does not answer.
pub fn user(side: &Side) -> Result<Option<User>, Why> {
    let name = side.account();
    User::from_name(&name).map_err(|error| format!("account {name} can't be looked up: {error}"))
}

/// The account's comment. A colon in it would end the field.
fn comment(side: &Side) -> String {
    format!("zmigrate for {}", side.peer)
}

fn is_locked(name: &str) -> bool {
    fs::read_to_string(shadow::FILE).ok().and_then(|text| shadow::is_locked(&text, name)) == Some(true)
}

/// Without the account a peer can only come through a directory that both hosts reach.
fn absent(here: &Here<'_>) -> Seen {
    let (name, peer) = (here.side.account(), &here.side.peer);
    let remedy = format!("zmigrate peer {peer} --role receive");
    match here.context.config.peers.get(peer).map(|peer| &peer.transport) {
        Some(Transport::Directory { .. }) => Seen::ok(format!(
            "no account {name}: {peer} uses a shared directory, as this host does for {peer}"
        )),
        Some(Transport::Sftp(_)) => Seen::fault(format!("no account {name}: {peer} can't log in"), remedy),
        None => Seen::warn(
            format!(
                "no account {name}: {peer} can't log in; it can only use a directory that both hosts reach"
            ),
            format!("if {peer} is to use SFTP: {remedy}"),
        ),
    }
}

impl Piece for Account {
    fn shown(&self, side: &Side) -> Shown {
        let name = side.account();
        Shown {
            what: format!(
                "the account by which {} logs in at {}: no shell, no password, but not locked",
                side.peer, side.host
            ),
            how: vec![
                How::Run(vec![
                    useradd::account(&name, &comment(side)).to_string(),
                    useradd::no_password(&name).to_string(),
                ]),
                How::Note(format!("on Solaris 11.4 also: {}", useradd::unlock(&name))),
            ],
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let name = here.side.account();
        match user(here.side) {
            Err(why) => Seen::fault(why, "see that name services work here").into(),
            Ok(None) => Look::missing(absent(here)),
            Ok(Some(_)) if is_locked(&name) => Seen::fault(
                format!("account {name} is locked, so key logins fail too"),
                format!("{} && {}", useradd::no_password(&name), useradd::unlock(&name)),
            )
            .into(),
            Ok(Some(_)) => Seen::ok(format!("account {name}")).into(),
        }
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        let name = here.side.account();
        let run = |argv| here.programs.ok(&argv).map(drop).map_err(|error| error.to_string());
        run(useradd::account(&name, &comment(here.side)))?;
        run(useradd::no_password(&name))?;
        if is_locked(&name) {
            run(useradd::unlock(&name))?;
        }
        Ok(Some(format!("account {name}")))
    }
}
