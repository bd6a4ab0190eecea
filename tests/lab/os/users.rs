//! getent and auths: the host's accounts and their authorizations.
//!
//! `auths` answers as illumos cmd/auths/auths.c does, including wording and exit status: a user's
//! own authorizations come first, then the defaults of policy.conf(5). Solaris 11 has more
//! subcommands. The lab knows two of them, without arguments: `auths info` prints all
//! authorizations, `auths list` those of the caller.

use anyhow::Result;

use crate::world::{Profile, Settings, User};

/// `PROFS_GRANTED=Basic Solaris User` of policy.conf(5) gives these to everybody.
const DEFAULTS: &str = "solaris.mail.mailq,solaris.network.autoconf.read,solaris.admin.wusb.read";
/// The names in auth_attr(5), as far as the lab has any.
const ALL: &[&str] = &["solaris.mail.mailq", "solaris.zmigrate.submit", "solaris.zone.manage"];

/// `getent passwd KEY`: by id first, then by name (illumos cmd/getent/dogetpw.c).
pub fn getent(settings: &Settings, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let ["passwd", key] = words.as_slice() else {
        err!("getent: the lab knows `getent passwd KEY`");
        return Ok(1);
    };
    let users = users(settings);
    let by_id = key.parse().ok().and_then(|uid: u32| users.iter().find(|user| user.uid == uid));
    match by_id.or_else(|| users.iter().find(|user| user.name == *key)) {
        Some(User { name, uid, .. }) => {
            out!("{name}:x:{uid}:10::/export/home/{name}:/bin/bash");
            Ok(0)
        }
        None => Ok(2),
    }
}

/// `auths [USER]…`
pub fn auths(settings: &Settings, args: &[String]) -> Result<i32> {
    let users = users(settings);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let is_solaris11 = settings.profile == Profile::Solaris11;
    match words.as_slice() {
        ["info"] if is_solaris11 => {
            ALL.iter().for_each(|name| out!("    {name}"));
            return Ok(0);
        }
        // The daemon is root.
        [] => return Ok(show(&users, "root", false)),
        ["list"] if is_solaris11 => return Ok(show(&users, "root", false)),
        ["add" | "check" | "list" | "modify" | "remove", ..] if is_solaris11 => {
            err!("auths: the lab knows `auths [USER]…`, `auths info` and `auths list`");
            return Ok(1);
        }
        _ => {}
    }
    let failed = words.iter().filter(|name| show(&users, name, words.len() > 1) != 0).count();
    Ok(i32::from(failed > 0))
}

fn show(users: &[User], name: &str, with_name: bool) -> i32 {
    let Some(user) = users.iter().find(|user| user.name == name) else {
        err!("auths: {name} : No such user");
        return 1;
    };
    let mut list: Vec<&str> = user.auths.iter().map(String::as_str).collect();
    let everything = list.iter().any(|one| ["*", "solaris.*"].contains(one));
    list.extend(DEFAULTS.split(',').filter(|one| !user.auths.iter().any(|own| own == one)));
    let list = if everything { "solaris.*".to_owned() } else { list.join(",") };
    if with_name {
        out!("{name} : {list}");
    } else {
        out!("{list}");
    }
    0
}

fn users(settings: &Settings) -> Vec<User> {
    let root = User { uid: 0, name: "root".into(), auths: vec!["solaris.*".into()] };
    [vec![root], settings.users.clone()].concat()
}
