//! Debian's sshd on a zone host: an account for the peer, in a chroot and with SFTP alone, and root by its key for
//! the ways of the benchmark that a person would go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::machine;
use super::place::Place;
use crate::running::wait_for;

/// Where a daemon's key for its peers lies on a host.
pub const KEY: &str = "/etc/opt/zmigrate/id_ed25519";

/// A user id that the machine does not use.
const FIRST_ID: u32 = 60_001;

/// The account by which a host's files arrive.
pub fn account(peer: &str) -> String {
    format!("zmigrate-{peer}")
}

/// Keys and configurations of all hosts: each knows the others' host keys, takes its peers' keys for their
/// accounts, and their roots' for root.
pub fn configure(sys: &[(&str, &Path)]) -> Result<()> {
    for (name, sys) in sys {
        let ssh = sys.join("etc/ssh");
        for old in fs::read_dir(&ssh)?.flatten().filter(|f| f.file_name().to_string_lossy().contains("_key"))
        {
            fs::remove_file(old.path())?;
        }
        make_key(&ssh.join("ssh_host_ed25519_key"), name)?;
        let key = sys.join(KEY.trim_start_matches('/'));
        fs::create_dir_all(key.parent().context("no folder")?)?;
        make_key(&key, &format!("zmigrate@{name}"))?;
        let home = sys.join("home/.ssh");
        fs::create_dir_all(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
        make_key(&home.join("id_ed25519"), &format!("root@{name}"))?;
    }
    for (name, here) in sys {
        let keys = here.join("etc/ssh/keys");
        fs::create_dir_all(&keys)?;
        let mut known = String::new();
        let mut blocks = String::new();
        let mut roots = String::new();
        for (index, (peer, there)) in sys.iter().enumerate() {
            let host_key = fs::read_to_string(there.join("etc/ssh/ssh_host_ed25519_key.pub"))?;
            known.push_str(&format!("{peer} {host_key}"));
            if peer == name {
                continue;
            }
            roots.push_str(&fs::read_to_string(there.join("home/.ssh/id_ed25519.pub"))?);
            let account = account(peer);
            machine::add_account(here, &account, FIRST_ID + index as u32)?;
            let public = there.join(format!("{}.pub", KEY.trim_start_matches('/')));
            fs::copy(public, keys.join(&account))?;
            blocks.push_str(&block(&account, peer));
        }
        fs::write(keys.join("root"), roots)?;
        fs::write(here.join("etc/ssh/ssh_known_hosts"), known)?;
        fs::write(here.join("etc/ssh/sshd_config"), format!("{SSHD}{blocks}"))?;
    }
    Ok(())
}

const SSHD: &str = "\
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/keys/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
PidFile none
Subsystem sftp /usr/lib/openssh/sftp-server
";

fn block(account: &str, peer: &str) -> String {
    format!(
        "Match User {account}
    ChrootDirectory /export/scratch/zmigrate/dropbox/{peer}
    ForceCommand internal-sftp -u 0077 -P symlink,hardlink,setstat,fsetstat,lsetstat
    DisableForwarding yes
    PermitTTY no
"
    )
}

/// The peer's dropbox as sshd and the daemon want it: root's, but for `in`, which is the peer's account's.
pub fn make_dropbox(place: &Place, peer: &str) -> Result<()> {
    let (account, dropbox) = (account(peer), format!("/export/scratch/zmigrate/dropbox/{peer}"));
    let script = format!(
        "mkdir -p {dropbox}/in {dropbox}/out && chmod 755 /export/scratch /export/scratch/zmigrate {dropbox} \
         {dropbox}/.. {dropbox}/out && chown {account}:{account} {dropbox}/in && chmod 700 {dropbox}/in"
    );
    place.ask("sh", &["-c", &script]).map(drop)
}

/// Starts sshd in the foreground and waits until it answers.
pub fn start(place: &Place, sys: &Path) -> Result<Child> {
    let log = fs::File::options().append(true).create(true).open(sys.join("log/sshd"))?;
    let child = place
        .command("/usr/sbin/sshd")
        .args(["-D", "-e", "-f", "/etc/ssh/sshd_config"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("start sshd")?;
    wait_for("sshd to listen", Duration::from_secs(60), || listens(place, 22))
        .with_context(|| fs::read_to_string(sys.join("log/sshd")).unwrap_or_default())?;
    Ok(child)
}

/// Is there a TCP socket that waits for connections at this port? proc(5): state 0A.
pub fn listens(place: &Place, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", place.keeper())).unwrap_or_default();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1).is_some_and(|local| local.ends_with(&wanted)) && fields.get(3) == Some(&"0A")
    })
}

fn make_key(path: &Path, comment: &str) -> Result<()> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .context("start ssh-keygen")?;
    ensure!(made.success(), "ssh-keygen: {made}");
    Ok(())
}
