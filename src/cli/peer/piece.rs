//! What a host needs so that a peer can be trusted, piece by piece: as a person would put it there. Pure.

use serde::Serialize;

use crate::cmd::ssh_keygen::PublicKey;
use crate::cmd::{self, known_hosts, ssh_keygen, useradd, zfs};
use crate::job::name::{Bytes, DatasetName};
use crate::job::units;
use crate::process::Argv;

use super::side::Side;
use super::sshd;

/// One thing that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Sending: our key for the peer.
    Key,
    /// Sending: the peer's host key, known under this address.
    HostKey { address: String, key: Option<PublicKey> },
    /// Sending: `[peer.NAME]`.
    PeerSection { address: String },
    /// Receiving: the account by which the peer logs in.
    Account,
    /// Receiving: a dataset for its dropbox, with a quota; below this one, where it is known.
    Dataset { parent: Option<DatasetName>, quota: Bytes },
    /// Receiving: the dropbox.
    Directories,
    /// Receiving: the peer's key, where sshd finds it.
    AuthorizedKeys { key: Option<PublicKey> },
    /// Receiving: what sshd must be told.
    Sshd,
    /// Receiving: `[accept.NAME]`.
    AcceptSection { datasets: Vec<String>, zonepaths: Vec<String> },
}

/// How a person does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Commands, one a line.
    Run(Vec<String>),
    /// Text that is put at the end of a file, or makes it.
    Append { file: String, text: String },
    /// Words.
    Note(String),
}

/// A piece for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it is.
    pub what: String,
    /// How it is done, in this order.
    pub how: Vec<How>,
}

/// What the sender of two hosts needs.
pub fn sending(address: &str, host_key: Option<PublicKey>) -> Vec<Piece> {
    let address = address.to_owned();
    let host_key = Piece::HostKey { address: address.clone(), key: host_key };
    vec![Piece::Key, host_key, Piece::PeerSection { address }]
}

impl Piece {
    /// As a person would do it on the host of `side`.
    pub fn shown(&self, side: &Side) -> Shown {
        let (host, peer, account) = (&side.host, &side.peer, side.account());
        let shown = |what: String, how: Vec<How>| Shown { what, how };
        match self {
            Piece::Key => shown(
                format!("a key by which {host} logs in at {peer}, root's alone"),
                vec![How::Run(vec![keygen(side).to_string()])],
            ),
            Piece::HostKey { address, key } => shown(
                format!("{peer}'s host key, so that {host} knows whom it talks to"),
                match key {
                    Some(key) => vec![append(known_hosts::FILE.as_ref(), host_key_line(address, key))],
                    None => vec![
                    How::Note(format!(
                        "run this on {peer} itself (over the network anybody could answer), and append the line that it \
                         prints to {} on {host}",
                        known_hosts::FILE
                    )),
                    How::Run(vec![known_hosts::print_line(address, "")]),
                ],
                },
            ),
            Piece::PeerSection { address } => {
                shown(format!("{host} may send zones to {peer}"), vec![append(&side.config, peer_section(side, address))])
            }
            Piece::Account => shown(
                format!("the account by which {peer} logs in at {host}: no shell, no password, and yet not locked"),
                vec![
                    How::Run(vec![
                        useradd::account(&account, &comment(side)).to_string(),
                        useradd::no_password(&account).to_string(),
                    ]),
                    How::Note(format!("on Solaris 11.4 also: {}", useradd::unlock(&account))),
                ],
            ),
            Piece::Dataset { parent, quota } => {
                let create = dataset(side, parent.as_ref(), *quota);
                let mut how = vec![How::Run(vec![create])];
                if parent.is_none() {
                    how.push(How::Note(format!(
                        "DATASET stands for the one in which {} lies on {host}",
                        side.scratch.display()
                    )));
                }
                shown(format!("a dataset for {peer}'s dropbox: its quota bounds what {peer} can write here"), how)
            }
            Piece::Directories => shown(
                format!("the dropbox: root's, mode 0755, and in it in/ for {peer} and out/ for {host} to write"),
                vec![How::Run(directories(side))],
            ),
            Piece::AuthorizedKeys { key } => {
                let file = side.authorized_keys();
                let line = key.as_ref().map_or_else(
                    || format!("restrict <the line in {} on {peer}>\n", side.there().public_key().display()),
                    key_line,
                );
                let make = format!("mkdir -p -m 755 {}", quoted(&side.keys_dir()));
                shown(
                    format!("{peer}'s public key, outside of what {peer} can write; root's, mode 0644"),
                    vec![How::Run(vec![make]), append(&file, line)],
                )
            }
            Piece::Sshd => shown(
                format!("sshd lets {account} do nothing but SFTP in its dropbox"),
                vec![
                    append(cmd::sshd::FILE.as_ref(), sshd::block(side)),
                    How::Note(
                        "a Match block goes on to the next one or the file's end: put it behind everything else".to_owned(),
                    ),
                    How::Run(vec!["/usr/sbin/sshd -t && svcadm refresh network/ssh".to_owned()]),
                    How::Note("on Solaris 11.4 and OpenIndiana sshd is /usr/lib/ssh/sshd".to_owned()),
                ],
            ),
            Piece::AcceptSection { datasets, zonepaths } => shown(
                format!("{peer} may send zones to {host}; where they may land is yours to say"),
                vec![append(&side.config, accept_section(side, datasets, zonepaths))],
            ),
        }
    }
}

fn append(file: &std::path::Path, text: String) -> How {
    How::Append { file: file.display().to_string(), text }
}

fn quoted(path: &std::path::Path) -> String {
    crate::process::argv::quoted(&path.display().to_string())
}

/// The command that makes the key.
pub fn keygen(side: &Side) -> Argv {
    ssh_keygen::key(&side.key(), &format!("zmigrate@{}", side.host))
}

/// The account's comment.
pub fn comment(side: &Side) -> String {
    // A colon would end the field.
    format!("zmigrate for {}", side.peer)
}

/// The line of known_hosts.
pub fn host_key_line(address: &str, key: &PublicKey) -> String {
    format!("{address} {}\n", key.bare())
}

/// The line of authorized_keys. `restrict`: no forwarding and no terminal, whatever sshd_config says.
pub fn key_line(key: &PublicKey) -> String {
    format!("restrict {key}\n")
}

/// The properties of a dropbox's dataset: nothing in it is ever run.
pub fn properties(side: &Side, quota: Bytes) -> Vec<(&'static str, String)> {
    vec![
        ("mountpoint", side.dropbox().display().to_string()),
        ("quota", units::size_text(quota)),
        ("exec", "off".to_owned()),
        ("setuid", "off".to_owned()),
        ("devices", "off".to_owned()),
    ]
}

/// The dropbox's dataset, below the one in which the scratch lies.
pub fn dataset_name(side: &Side, parent: &str) -> String {
    format!("{parent}/dropbox-{}", side.peer)
}

fn dataset(side: &Side, parent: Option<&DatasetName>, quota: Bytes) -> String {
    let properties = properties(side, quota);
    let options = properties.iter().flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")]);
    let name = dataset_name(side, parent.map_or("DATASET", DatasetName::as_str));
    Argv::new("zfs").arg("create").args(options).arg(name).to_string()
}

/// The command that makes it, for a parent that is known.
pub fn create(side: &Side, parent: &DatasetName, quota: Bytes) -> Option<Argv> {
    let properties = properties(side, quota);
    let properties: Vec<_> = properties.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let name = DatasetName::new(dataset_name(side, parent.as_str())).ok()?;
    Some(zfs::argv::create(&name, &properties))
}

fn directories(side: &Side) -> Vec<String> {
    let dropbox = side.dropbox();
    let (inbox, outbox) = (quoted(&dropbox.join("in")), quoted(&dropbox.join("out")));
    let (dropbox, account) = (quoted(&dropbox), side.account());
    vec![
        format!("mkdir -p {inbox} {outbox}"),
        format!("chown root {dropbox} {outbox}"),
        format!("chmod 755 {dropbox} {outbox}"),
        format!("chown {account} {inbox}"),
        format!("chmod 700 {inbox}"),
    ]
}

/// The cheapest cipher where the processor has AES, asked for before ssh's other ones, not instead of them: a third less CPU
/// time for ssh and sshd than by the default (measured by `zmigrate-lab bench --real --profile`). ssh_config(5): `^` puts a name
/// at the head of the default list; an OpenSSH of before 2019 does not know it.
const CIPHERS: &str = "Ciphers=^aes128-gcm@openssh.com";

/// `[peer.NAME]`.
pub fn peer_section(side: &Side, address: &str) -> String {
    // Our account over there has our name.
    let user = side.there().account();
    let identity = format!("IdentityFile={}", side.key().display());
    format!(
        "[peer.{}]\ntransport = \"sftp\"\naddress = {}\nuser = {}\nssh_options = [\"-o\", {}, \"-o\", \"IdentitiesOnly=yes\", \"-o\", \"{CIPHERS}\"]\n",
        key(side.peer.as_str()),
        toml_text(address),
        toml_text(&user),
        toml_text(&identity),
    )
}

/// `[accept.NAME]`.
pub fn accept_section(side: &Side, datasets: &[String], zonepaths: &[String]) -> String {
    // An empty list is refused by name, so that nobody forgets it.
    let list = |all: &[String], empty: &str| match all {
        [] => format!("[]  # {empty}"),
        all => format!("[{}]", all.iter().map(|one| toml_text(one)).collect::<Vec<_>>().join(", ")),
    };
    format!(
        "[accept.{}]\ndatasets = {}\nzonepaths = {}\n",
        key(side.peer.as_str()),
        list(datasets, "its datasets land below these, such as \"data/zones\""),
        list(zonepaths, "its zonepaths lie below these, such as \"/export/zones\""),
    )
}

/// A host's name as a key of TOML: with a dot in it, it must be quoted.
fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.bytes().all(bare) { name.to_owned() } else { toml_text(name) }
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
