//! `[peer.NAME]`: how a host that zones may be sent to is reached.

use std::path::PathBuf;

use super::{CONNECTIONS, Peer, SFTP_DROPBOX, Sftp, Transport};
use crate::job::path;
use crate::job::sheet::Section;

/// Keys of one transport only.
const SFTP: [&str; 4] = ["address", "user", "ssh_options", "connections"];

pub(super) fn peer(mut section: Section<'_>) -> Option<Peer> {
    let by_sftp = section.required("transport", |text| match text {
        "directory" => Ok(false),
        "sftp" => Ok(true),
        other => Err(format!("'{}' is unknown, expected `directory` or `sftp`", other.escape_debug())),
    });
    let transport = match by_sftp {
        Some(true) => sftp(&mut section).map(Transport::Sftp),
        Some(false) => {
            for key in SFTP.into_iter().filter(|key| section.has(key)) {
                section.fault(key, "belongs to the transport \"sftp\", and this one is \"directory\"");
            }
            let dropbox = section.required("dropbox", directory);
            dropbox.map(|dropbox| Transport::Directory { dropbox })
        }
        None => None,
    };
    // Without a transport nobody can say which of them belong here.
    section.known(&["dropbox"]);
    section.known(&SFTP);
    section.close();
    transport.map(|transport| Peer { transport })
}

fn sftp(section: &mut Section<'_>) -> Option<Sftp> {
    let address = section.required("address", address);
    let user = section.required("user", user);
    let ssh_options = section.texts("ssh_options", ssh_option).unwrap_or_default();
    if ssh_options.first().is_some_and(|option| !option.starts_with('-')) {
        section.fault("ssh_options", "must begin with an option, such as \"-o\"");
    }
    let dropbox = section.text("dropbox", directory).unwrap_or_else(|| SFTP_DROPBOX.into());
    let connections = section.count("connections", 1..=16).unwrap_or(CONNECTIONS);
    Some(Sftp { address: address?, user: user?, ssh_options, dropbox, connections })
}

/// A name, an alias of ssh_config or an address, IPv6 with its zone. Never what ssh would take for
/// an option, or a shell of a `ProxyCommand` for more than a word.
fn address(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._:%-".contains(&b);
    if !text.is_empty() && text.len() <= 255 && !text.starts_with('-') && text.bytes().all(legal) {
        return Ok(text.to_owned());
    }
    Err(format!("'{}' is not a host's name or address", text.escape_debug()))
}

fn user(text: &str) -> Result<String, String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if !text.is_empty() && text.len() <= 64 && !text.starts_with('-') && text.bytes().all(legal) {
        return Ok(text.to_owned());
    }
    Err(format!("'{}' is not an account's name", text.escape_debug()))
}

/// One argument of ssh. Two of its settings are not the administrator's: the daemon can't answer a
/// prompt, and a key that nobody has looked at is no key.
fn ssh_option(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(format!("'{}' is empty or has a control character in it", text.escape_debug()));
    }
    let setting = text.strip_prefix("-o").unwrap_or(text).trim_start().to_ascii_lowercase();
    match ["stricthostkeychecking", "batchmode"].iter().find(|ours| setting.starts_with(*ours)) {
        Some(_) => Err(format!("'{}' is always `yes` here: leave it out", text.escape_debug())),
        None => Ok(text.to_owned()),
    }
}

/// An absolute path.
pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    path::absolute(text).map(PathBuf::from)
}
