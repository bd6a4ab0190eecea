//! The source's side of a dropbox against a real sshd: what OpenSSH says to a key that is unknown or has changed, to a login
//! that it does not know, and an sshd that goes away. What the account can't do is for `account.rs`.
//!
//! A chroot needs root. Elsewhere, or without sshd, a test says so and passes; with `ZMIGRATE_REAL` or `CI` set it fails
//! instead, so no green run has skipped it unseen.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use zmigrate::config::{self, Transport};
use zmigrate::job::name::JobId;
use zmigrate::process::Programs;
use zmigrate::transport::{Dropbox, TransportError};

const PATIENCE: Duration = Duration::from_secs(90);
const SSHD: &str = "/usr/sbin/sshd";

/// An sshd of our own with a chrooted account. The account is one that every system has and nobody uses.
struct Peer {
    dir: tempfile::TempDir,
    port: u16,
    sshd: Option<Child>,
}

const USER: &str = "nobody";

impl Peer {
    /// `None` when it can't be had here, and need not be.
    fn new() -> Option<Self> {
        let must = ["ZMIGRATE_REAL", "CI"].iter().any(|name| std::env::var_os(name).is_some());
        let why = if !nix::unistd::geteuid().is_root() {
            "a chroot needs root"
        } else if !Path::new(SSHD).exists() {
            "no sshd"
        } else {
            let mut peer = Self { dir: place(), port: free_port(), sshd: None };
            peer.lay_out();
            peer.start();
            return Some(peer);
        };
        assert!(!must, "{why}, and this run must not leave it out");
        eprintln!("left out: {why}");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn lay_out(&self) {
        for key in ["host_key", "our_key", "other_key"] {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &self.path(key).display().to_string()]);
        }
        for dir in ["box", "box/out", "box/in"] {
            fs::create_dir(self.path(dir)).unwrap();
        }
        let nobody = nix::unistd::User::from_name(USER).unwrap().unwrap();
        std::os::unix::fs::chown(self.path("box/in"), Some(nobody.uid.as_raw()), None).unwrap();
        fs::copy(self.path("our_key.pub"), self.path("authorized")).unwrap();
        fs::set_permissions(self.path("authorized"), fs::Permissions::from_mode(0o644)).unwrap();
        self.know(&self.path("host_key.pub"));
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {}\nHostKey {}\nPidFile none\nUsePAM yes\nStrictModes no\n\
             AuthorizedKeysFile {}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n\
             Match User {USER}\n  ChrootDirectory {}\n  ForceCommand internal-sftp\n  DisableForwarding yes\n  PermitTTY no\n",
            self.port,
            self.path("host_key").display(),
            self.path("authorized").display(),
            self.path("box").display(),
        );
        fs::write(self.path("sshd_config"), config).unwrap();
    }

    /// What our known_hosts says of the peer.
    fn know(&self, key: &Path) {
        let key = fs::read_to_string(key).unwrap();
        let key: Vec<&str> = key.split(' ').take(2).collect();
        let line = format!("[127.0.0.1]:{} {}\n", self.port, key.join(" "));
        fs::write(self.path("known_hosts"), line).unwrap();
    }

    fn start(&mut self) {
        fs::create_dir_all("/run/sshd").unwrap();
        let log = fs::File::create(self.path("sshd.log")).unwrap();
        let config = self.path("sshd_config");
        let child = Command::new(SSHD).args(["-D", "-e", "-f"]).arg(config).stderr(log).spawn().unwrap();
        self.sshd = Some(child);
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "sshd does not listen: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// sshd with all its sessions.
    fn kill(&mut self) {
        let Some(mut sshd) = self.sshd.take() else { return };
        // Its sessions are its children, and each of those has one that runs as the account.
        let ours = children(sshd.id());
        sshd.kill().unwrap();
        sshd.wait().unwrap();
        for pid in ours.iter().flat_map(|pid| children(*pid)).chain(ours.iter().copied()) {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid as i32),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("sshd.log")).unwrap_or_default()
    }

    fn options(&self, key: &str) -> Vec<String> {
        vec![
            "-F/dev/null".to_owned(),
            format!("-oPort={}", self.port),
            format!("-oIdentityFile={}", self.path(key).display()),
            "-oIdentitiesOnly=yes".to_owned(),
            format!("-oUserKnownHostsFile={}", self.path("known_hosts").display()),
        ]
    }

    fn dropbox(&self, key: &str) -> Dropbox {
        let sftp = Transport::Sftp(config::Sftp {
            address: "127.0.0.1".to_owned(),
            user: USER.to_owned(),
            ssh_options: self.options(key),
            dropbox: "/".into(),
            connections: 2,
        });
        let job = JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap();
        let programs = Programs::new(vec!["/usr/bin".into(), "/bin".into()], PATIENCE);
        Dropbox::new(&sftp, &job, programs, Instant::now, || false)
    }

    fn inbox(&self, name: &str) -> PathBuf {
        self.path("box/in/dbbackup-20070518T033600Z-7f3a").join(name)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// sshd takes a chroot only where nobody but root can write any directory above: not below /tmp.
fn place() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("zmigrate-sftp-").tempdir_in("/srv").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn keygen(args: &[&str]) {
    assert!(Command::new("ssh-keygen").args(args).status().unwrap().success());
}

fn children(of: u32) -> Vec<u32> {
    let path = format!("/proc/{of}/task/{of}/children");
    fs::read_to_string(path).unwrap_or_default().split_whitespace().flat_map(str::parse).collect()
}

fn go_on(_: u64) -> bool {
    true
}

#[test]
fn files_come_whole_and_go_again() {
    let Some(peer) = Peer::new() else { return };
    let dropbox = peer.dropbox("our_key");
    dropbox.reach().unwrap();
    assert_eq!(dropbox.get("answer", 100).unwrap(), None);
    assert!(!dropbox.holds("offer").unwrap() && !dropbox.has_answers().unwrap());
    for text in ["one", "two, put again"] {
        dropbox.put("offer", text.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(peer.inbox("offer")).unwrap(), text);
    }
    let mode = peer.inbox("").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // Two parts at once, of several pieces, the last a short one.
    let staged = peer.path("staged");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n ^ n >> 9) as u8).collect();
    fs::write(&staged, &bytes).unwrap();
    std::thread::scope(|scope| {
        for part in ["p.000000", "p.000001"] {
            let (dropbox, staged) = (&dropbox, &staged);
            scope.spawn(move || dropbox.put_part(part, staged, &go_on, &|_| {}).unwrap());
        }
    });
    assert!(fs::read(peer.inbox("p.000000")).unwrap() == bytes);
    assert!(fs::read(peer.inbox("p.000001")).unwrap() == bytes);
    let answers = peer.path("box/out/dbbackup-20070518T033600Z-7f3a");
    fs::create_dir(&answers).unwrap();
    fs::write(answers.join("progress"), &bytes).unwrap();
    assert!(dropbox.get("progress", 3_000_000).unwrap().as_deref() == Some(&bytes[..]));
    assert!(
        dropbox.get("progress", 2_999_999).unwrap_err().to_string().ends_with("is longer than 2999999 bytes")
    );
    assert!(dropbox.holds("offer").unwrap() && dropbox.has_answers().unwrap());
    dropbox.remove("offer").unwrap();
    dropbox.remove("offer").unwrap();
    fs::write(peer.inbox(".left"), "").unwrap();
    dropbox.leave().unwrap();
    assert!(!peer.inbox("").exists());
    dropbox.leave().unwrap();
}

#[test]
fn a_part_that_is_called_off_is_not_visible() {
    let Some(peer) = Peer::new() else { return };
    let dropbox = peer.dropbox("our_key");
    let staged = peer.path("staged");
    fs::write(&staged, vec![7; 5_000_000]).unwrap();
    dropbox.put_part("p.000000", &staged, &|_| false, &|_| {}).unwrap_err();
    assert!(!peer.inbox("p.000000").exists());
    assert_eq!(dropbox.put_part("p.000000", &staged, &go_on, &|_| {}).unwrap(), 5_000_000);
}

#[test]
fn a_part_that_can_no_longer_be_read_ends_no_session_and_leaves_nothing() {
    let Some(peer) = Peer::new() else { return };
    let dropbox = peer.dropbox("our_key");
    let staged = peer.path("staged");
    fs::write(&staged, vec![7; 5_000_000]).unwrap();
    let cut = |_| fs::File::options().write(true).open(&staged).unwrap().set_len(100).unwrap();
    let error = dropbox.put_part("p.000000", &staged, &go_on, &cut).unwrap_err();
    assert!(!error.is_unreachable(), "{error}");
    assert!(!dropbox.holds("p.000000").unwrap() && !dropbox.holds(".p.000000").unwrap());
    let log = peer.log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
}

fn untrusted(dropbox: &Dropbox) -> String {
    match dropbox.reach() {
        Err(TransportError::Untrusted(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_key_that_is_unknown_or_another_one_is_named_with_what_to_do() {
    let Some(peer) = Peer::new() else { return };
    let output = Command::new("ssh-keygen").arg("-lf").arg(peer.path("host_key.pub")).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let fingerprint = listed.split(' ').nth(1).unwrap();
    fs::write(peer.path("known_hosts"), "").unwrap();
    let said = untrusted(&peer.dropbox("our_key"));
    assert!(said.contains(fingerprint) && said.contains("not known here"), "{said}");
    // The command that it gives prints the line that makes the key known, on the peer.
    let line = |said: &str| {
        let command = said.split('`').find(|part| part.starts_with("sed ")).unwrap();
        let there =
            command.replace("/etc/ssh/ssh_host_ed25519_key.pub", peer.path("host_key.pub").to_str().unwrap());
        assert_ne!(there, command);
        let printed = Command::new("sh").args(["-c", &there]).output().unwrap();
        assert!(printed.status.success());
        let known = peer.path("known_hosts");
        fs::write(&known, [fs::read(&known).unwrap(), printed.stdout].concat()).unwrap();
    };
    line(&said);
    peer.dropbox("our_key").reach().unwrap();
    peer.know(&peer.path("other_key.pub"));
    let said = untrusted(&peer.dropbox("our_key"));
    assert!(said.contains(fingerprint) && said.contains("another ssh host key"), "{said}");
    let command = said.split('`').find(|part| part.starts_with("ssh-keygen -f")).unwrap();
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    line(&said);
    peer.dropbox("our_key").reach().unwrap();
}

#[test]
fn a_login_that_the_peer_does_not_know_is_named() {
    let Some(peer) = Peer::new() else { return };
    let said = untrusted(&peer.dropbox("other_key"));
    assert!(said.starts_with("the account nobody on 127.0.0.1 does not let us in"), "{said}");
}

#[test]
fn a_dropbox_that_is_not_laid_out_says_so() {
    let Some(peer) = Peer::new() else { return };
    fs::remove_dir(peer.path("box/in")).unwrap();
    let said = peer.dropbox("our_key").put("offer", b"x").unwrap_err().to_string();
    assert!(said.contains("/in is not there"), "{said}");
}

#[test]
fn an_sshd_that_is_killed_in_the_middle_of_a_part_is_found_again() {
    let Some(mut peer) = Peer::new() else { return };
    let dropbox = peer.dropbox("our_key");
    let staged = peer.path("staged");
    fs::write(&staged, vec![7; 20_000_000]).unwrap();
    let peer = std::cell::RefCell::new(&mut peer);
    let error = dropbox.put_part("p.000000", &staged, &go_on, &|_| peer.borrow_mut().kill());
    assert!(matches!(error, Err(TransportError::Unreachable { .. })), "{error:?}");
    assert!(matches!(dropbox.reach(), Err(TransportError::Unreachable { .. })));
    let mut peer = peer.borrow_mut();
    assert!(!peer.inbox("p.000000").exists());
    peer.start();
    // Behind a break there is a pause before the next login.
    let begun = Instant::now();
    let put = loop {
        match dropbox.put_part("p.000000", &staged, &go_on, &|_| {}) {
            Err(error) if error.is_unreachable() => assert!(begun.elapsed() < PATIENCE, "{error}"),
            put => break put,
        }
        std::thread::yield_now();
    };
    assert_eq!(put.unwrap(), 20_000_000);
    assert_eq!(fs::metadata(peer.inbox("p.000000")).unwrap().len(), 20_000_000);
}
