//! The receiving host in a mount namespace of its own: `/etc` is a copy, `/run` and `/srv` are empty; and its sshd.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::host::{Said, skip, zmigrate};

const INSIDE: &str = "ZMIGRATE_TEST_INSIDE";
const PATIENCE: Duration = Duration::from_secs(90);
/// What the product itself always says to ssh.
const STRICT: [&str; 2] = ["-oBatchMode=yes", "-oStrictHostKeyChecking=yes"];
const CONFIG: &str = "/etc/opt/zmigrate/zmigrate.toml";

const NAMESPACE: &str = r#"
set -e
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=755 none /srv
shift
exec "$@"
"#;

/// What only Solaris's passwd knows: an entry with which nobody has a password, and yet is not locked.
const PASSWD: &str = "#!/bin/sh\n[ \"$1\" = -N ] && exec /usr/sbin/usermod -p NP \"$2\"\nexit 2\n";

/// The namespace, seen from inside.
pub struct Inside {
    dir: PathBuf,
}

impl Inside {
    /// Inside: the host. Outside: runs the test of this name inside, and must be left.
    pub fn or_run(test: &str) -> Option<Self> {
        if std::env::var_os(INSIDE).is_some() {
            return Some(Self { dir: std::env::var_os("ZMIGRATE_TEST_DIR").unwrap().into() });
        }
        let tmp = tempfile::tempdir_in("/tmp").unwrap();
        let probe = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/srv"]).output();
        if !nix::unistd::geteuid().is_root() || !probe.is_ok_and(|run| run.status.success()) {
            skip("it needs root and mount namespaces");
            return None;
        }
        if let Some(missing) = ["/usr/sbin/sshd", "/usr/sbin/useradd", "/usr/bin/sftp"]
            .iter()
            .find(|file| !Path::new(file).exists())
        {
            skip(&format!("{missing} is not installed"));
            return None;
        }
        let run = Command::new("unshare")
            .args(["-m", "sh", "-c", NAMESPACE, "sh"])
            .arg(tmp.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .env("ZMIGRATE_TEST_DIR", tmp.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success() && out.contains("1 passed"), "inside:\n{out}\n{err}");
        None
    }

    /// All by `zmigrate peer --write`, and a real sshd with it.
    pub fn ready(&self) -> Sshd {
        let port = self.prepare();
        let said = self.peer_write();
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        assert_eq!(said.became(), ["done", "left", "done", "done", "done", "done"], "{}", said.out);
        Sshd::start(&self.dir, port)
    }

    /// The commands and configurations of a host without the peer; the port of its sshd.
    pub fn prepare(&self) -> u16 {
        fs::create_dir_all("/etc/opt/zmigrate").unwrap();
        fs::create_dir(self.dir.join("bin")).unwrap();
        fs::write(self.dir.join("bin/passwd"), PASSWD).unwrap();
        self.shell("chmod 755 \"$0\"/bin/passwd /etc/opt /etc/opt/zmigrate");
        // These and no zfs: whether the machine has a pool is nothing to the test.
        self.shell("ln -s /usr/sbin/useradd /usr/sbin/sshd /usr/bin/ssh-keygen \"$0\"/bin/");
        let config = format!(
            "[host]\nname = \"zhost2\"\n[spool]\ndir = \"/srv/spool\"\n[scratch]\ndir = \"/srv/zmigrate\"\n\
             [commands]\npath = [{:?}]\n",
            self.dir.join("bin")
        );
        fs::write(CONFIG, config).unwrap();
        self.shell("ssh-keygen -q -t ed25519 -N '' -C zmigrate@zhost1 -f \"$0\"/key");
        Sshd::configure(&self.dir)
    }

    pub fn peer_write(&self) -> Said {
        let key = fs::read_to_string(self.dir.join("key.pub")).unwrap();
        let args = ["--role", "receive", "--write", "--json", "--key", &key];
        let places = ["--dataset", "data/zones", "--zonepath", "/export/zones"];
        self.peer(&[&args[..], &places[..]].concat())
    }

    pub fn peer(&self, args: &[&str]) -> Said {
        zmigrate(Path::new(CONFIG), &[&["peer", "zhost1"], args].concat())
    }

    /// Runs a line of shell; `$0` is the test's directory.
    pub fn shell(&self, line: &str) {
        let said = Said::of(Command::new("sh").args(["-ec", line]).arg(&self.dir));
        assert_eq!(said.status, 0, "{line}: {}{}", said.out, said.err);
    }

    /// `zmigrate check` finds exactly these faults with the peer, each by its words; and each has a remedy.
    #[track_caller]
    pub fn assert_checked(&self, faults: &[&str]) {
        self.assert_found(Path::new(CONFIG), "accept zhost1", faults);
    }

    /// The same on the sender, about its way here.
    #[track_caller]
    pub fn assert_sender_checked(&self, sshd: &Sshd, faults: &[&str]) {
        let options = sshd.options();
        let config = self.dir.join("zhost1.toml");
        let text = format!(
            "[host]\nname = \"zhost1\"\n[spool]\ndir = \"/srv/none\"\n[commands]\npath = [\"/usr/bin\"]\n\
             [peer.zhost2]\ntransport = \"sftp\"\naddress = \"127.0.0.1\"\nuser = \"zmigrate-zhost1\"\n\
             ssh_options = {options:?}\n",
        );
        fs::write(&config, text).unwrap();
        self.assert_found(&config, "peer zhost2", faults);
    }

    #[track_caller]
    fn assert_found(&self, config: &Path, what: &str, faults: &[&str]) {
        let said = zmigrate(config, &["check", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let found: Vec<_> =
            json["findings"].as_array().unwrap().iter().filter(|finding| finding["what"] == what).collect();
        assert!(found.len() > if faults.is_empty() { 2 } else { 0 }, "{}", said.out);
        let found: Vec<_> = found.into_iter().filter(|finding| finding["level"] == "fault").collect();
        let says = |finding: &serde_json::Value| finding["says"].as_str().unwrap().to_owned();
        let all: Vec<_> = found.iter().map(|finding| says(finding)).collect();
        for words in faults {
            assert!(all.iter().any(|says| says.contains(words)), "no {words:?} in {all:#?}");
        }
        let strange: Vec<_> =
            all.iter().filter(|says| !faults.iter().any(|words| says.contains(words))).collect();
        assert!(strange.is_empty(), "{strange:#?}");
        assert!(found.iter().all(|finding| finding["remedy"].is_string()), "{found:#?}");
    }

    /// The daemon, in the foreground.
    pub fn daemon(&self) -> Daemon {
        let log = self.dir.join("zmigrated.log");
        let child = Command::new(env!("CARGO_BIN_EXE_zmigrated"))
            .args(["-c", CONFIG])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Daemon { child, log }
    }
}

/// The peer does this by its key, all of it.
#[track_caller]
pub fn peer_may(sshd: &Sshd, commands: &[&str]) {
    let said = sshd.sftp(commands);
    assert_eq!(said.status, 0, "{commands:?}: {}{}", said.out, said.err);
}

/// A real sshd on a port of the loopback.
pub struct Sshd {
    child: Child,
    dir: PathBuf,
    pub port: u16,
}

impl Sshd {
    /// As a system has it that knows no peer; the port.
    fn configure(dir: &Path) -> u16 {
        fs::create_dir_all("/run/sshd").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let said = Said::of(
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join("host")),
        );
        assert_eq!(said.status, 0, "{}", said.err);
        // Where another sshd would have it, so that it is this one's configuration that is asked for and written.
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\n\
             Subsystem sftp internal-sftp\n",
            dir.join("host").display()
        );
        fs::write("/etc/ssh/sshd_config", text).unwrap();
        port
    }

    fn start(dir: &Path, port: u16) -> Self {
        fs::write(dir.join("file"), "content").unwrap();
        let host = fs::read_to_string(dir.join("host.pub")).unwrap();
        fs::write(dir.join("known"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        fs::write("/srv/zmigrate/dropbox/zhost1/out/hello", "hello").unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-E"])
            .arg(dir.join("sshd.log"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { child, dir: dir.to_owned(), port };
        wait("sshd to listen", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        sshd
    }

    fn options(&self) -> Vec<String> {
        let at = |name: &str| self.dir.join(name).display().to_string();
        let mut all = vec!["-F".to_owned(), "none".to_owned()];
        for option in [
            "IdentitiesOnly=yes".to_owned(),
            format!("UserKnownHostsFile={}", at("known")),
            format!("IdentityFile={}", at("key")),
            format!("Port={}", self.port),
        ] {
            all.extend(["-o".to_owned(), option]);
        }
        all
    }

    /// `ssh` as the peer.
    pub fn ssh(&self, options: &[&str], command: &[&str]) -> Said {
        let mut ssh = Command::new("ssh");
        ssh.args(STRICT)
            .args(options)
            .args(self.options())
            .args(["-l", "zmigrate-zhost1", "127.0.0.1"])
            .args(command);
        Said::of(&mut ssh)
    }

    /// `sftp` as the peer; FILE is a file of it, COPY a name for what it gets.
    pub fn sftp(&self, commands: &[&str]) -> Said {
        let text = commands.join("\n");
        let at = |name: &str| self.dir.join(name).display().to_string();
        let batch = self.dir.join("batch");
        fs::write(&batch, text.replace("FILE", &at("file")).replace("COPY", &at("copy"))).unwrap();
        let mut sftp = Command::new("sftp");
        Said::of(sftp.args(STRICT).args(self.options()).arg("-b").arg(batch).arg("zmigrate-zhost1@127.0.0.1"))
    }

    #[track_caller]
    pub fn refuses(&self, command: &str) {
        let said = self.sftp(&[command]);
        assert_eq!(said.status, 1, "{command}: {}{}", said.out, said.err);
        assert!(!self.dir.join("copy").exists(), "{command}");
    }

    #[track_caller]
    pub fn lets_in(&self, lets: bool) {
        let said = self.sftp(&["ls out"]);
        let log = fs::read_to_string(self.dir.join("sshd.log")).unwrap_or_default();
        assert_eq!(said.status == 0, lets, "{}{}\n{log}", said.out, said.err);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon and what it tells.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub fn told(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_told(&mut self, words: &str) {
        let log = self.log.clone();
        self.wait(words, || fs::read_to_string(&log).unwrap_or_default().contains(words));
    }

    #[track_caller]
    pub fn wait(&mut self, what: &str, there: impl FnMut() -> bool) {
        assert!(self.child.try_wait().unwrap().is_none(), "zmigrated ended: {}", self.told());
        wait(&format!("{what}; told:\n{}", self.told()), there);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
