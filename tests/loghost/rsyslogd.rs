//! A real rsyslogd on a port of the loopback, as the user who runs the test.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::wait;

const PROGRAM: &str = "/usr/sbin/rsyslogd";

/// A log host.
pub struct Rsyslogd {
    child: Option<Child>,
    dir: tempfile::TempDir,
    pub port: u16,
}

impl Rsyslogd {
    /// `None` where it is not installed and need not be.
    pub fn new(port: u16) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            let must = ["ZMIGRATE_REAL", "CI"].into_iter().find(|name| std::env::var_os(name).is_some());
            assert!(must.is_none(), "{} is set and rsyslogd is not installed", must.unwrap_or_default());
            eprintln!("skipped: rsyslogd is not installed");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("zmigrate-rsyslogd-").tempdir().unwrap();
        let work = dir.path().display();
        let text = format!(
            r#"global(workDirectory="{work}" maxMessageSize="8k" net.enableDNS="off")
module(load="imudp") module(load="imtcp")
template(name="zm" type="list") {{
  property(name="syslogfacility-text") constant(value=".") property(name="syslogseverity-text")
  constant(value="|") property(name="protocol-version") constant(value="|") property(name="hostname")
  constant(value="|") property(name="app-name") constant(value="|") property(name="procid")
  constant(value="|") property(name="structured-data") constant(value="|")
  property(name="timereported" dateFormat="unixtimestamp") constant(value="|")
  property(name="msg" spifno1stsp="off" droplastlf="on") constant(value="\n")
}}
ruleset(name="zm") {{ action(type="omfile" file="{work}/out" template="zm" asyncWriting="off" flushOnTXEnd="on") }}
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="zm")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="zm")
"#
        );
        fs::write(dir.path().join("conf"), text).unwrap();
        Some(Self { child: None, dir, port })
    }

    /// Starts, and files a line that the test sends.
    pub fn start(&mut self) {
        let at = |name: &str| self.dir.path().join(name);
        let child = Command::new(PROGRAM)
            .args([
                "-n".as_ref(),
                "-f".as_ref(),
                at("conf").as_os_str(),
                "-i".as_ref(),
                at("pid").as_os_str(),
            ])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait("rsyslogd that files", || {
            self.feed("<14>Jan  2 03:04:05 probe probe: here");
            let text = self.text();
            if text.contains("|probe|") { Ok(()) } else { Err(text) }
        });
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a datagram.
    pub fn feed(&self, datagram: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(datagram.as_bytes(), ("127.0.0.1", self.port)).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.dir.path().join("out")).unwrap_or_default()
    }

    /// The lines of its file with this text in them.
    pub fn lines(&self, with: &str) -> Vec<String> {
        let text = self.text();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }

    #[track_caller]
    pub fn wait_lines(&self, with: &str, count: usize) -> Vec<String> {
        wait(&format!("{count} lines with {with}"), || {
            let lines = self.lines(with);
            if lines.len() >= count { Ok(lines) } else { Err(self.text()) }
        })
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        self.kill();
    }
}
