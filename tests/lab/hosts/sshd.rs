//! Debian's sshd on a zone host. `zmigrate peer --write` makes the peer's account and everything
//! that confines it, so what the lab shows is true for that configuration. Root can log in by a key
//! as well, for the ways of the benchmark that a person would use.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::parts::Parts;
use super::place::Place;
use crate::running::wait_for;
use crate::scene::configuration;
use crate::world::Host;

/// Where a daemon's key for its peers lies on a host.
pub const KEY: &str = "/etc/opt/zmigrate/id_ed25519";

/// The account by which a host's files arrive.
pub fn account(peer: &str) -> String {
    format!("zmigrate-{peer}")
}

/// Keys and configurations of all hosts: each knows the others' host keys, takes its peers' keys for their
/// accounts, and their roots' for root.
pub fn configure(hosts: &[Host; 2], parts: &[Parts; 2]) -> Result<()> {
    for Parts { place, sys, .. } in parts {
        let (name, ssh) = (&place.name, sys.join("etc/ssh"));
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
    for index in [0, 1] {
        let (here, there) = (&parts[index], &parts[1 - index]);
        let ssh = here.sys.join("etc/ssh");
        let mut known = String::new();
        for Parts { place, sys, .. } in parts {
            let host_key = fs::read_to_string(sys.join("etc/ssh/ssh_host_ed25519_key.pub"))?;
            known.push_str(&format!("{} {host_key}", place.name));
        }
        fs::write(ssh.join("ssh_known_hosts"), known)?;
        fs::create_dir_all(ssh.join("keys"))?;
        fs::copy(there.sys.join("home/.ssh/id_ed25519.pub"), ssh.join("keys/root"))?;
        fs::write(ssh.join("sshd_config"), SSHD)?;
        let public = fs::read_to_string(there.sys.join(format!("{}.pub", KEY.trim_start_matches('/'))))?;
        let_in(&hosts[index], here, &public)?;
    }
    Ok(())
}

/// What only Solaris's passwd knows: an entry with which nobody has a password, and yet is not locked.
const PASSWD: &str = "#!/bin/sh\n[ \"$1\" = -N ] && exec /usr/sbin/usermod -p NP \"$2\"\nexit 2\n";

/// Has the product lay down what the peer needs to put its files here, by the configuration where a system has it.
fn let_in(host: &Host, here: &Parts, public: &str) -> Result<()> {
    for program in ["useradd", "sshd"] {
        symlink(Path::new("/usr/sbin").join(program), host.file("usr/sbin").join(program))?;
    }
    let passwd = host.file("usr/sbin/passwd");
    fs::write(&passwd, PASSWD)?;
    fs::set_permissions(&passwd, fs::Permissions::from_mode(0o755))?;
    fs::copy(configuration(host), here.sys.join("etc/opt/zmigrate/zmigrate.toml"))?;
    let laid = here
        .place
        .command(host.file("opt/zmigrate/bin/zmigrate"))
        .args(["-c", "/etc/opt/zmigrate/zmigrate.toml", "peer", &here.peer, "--role", "receive"])
        .args(["--key", public, "--write"])
        .stdin(Stdio::null())
        .output()
        .context("start zmigrate peer")?;
    let said = String::from_utf8_lossy(&laid.stdout);
    let is_laid = laid.status.success() && said.contains("done    sshd confines ");
    ensure!(is_laid, "zmigrate peer --write: {said}{}", String::from_utf8_lossy(&laid.stderr));
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
