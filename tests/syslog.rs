//! What the product logs, as a syslog daemon gets it.
//!
//! The C library writes to `/dev/log`, so each test runs this very binary again in a mount namespace of its
//! own, where `/dev` is private; the machine's log is not touched, and nothing in the product knows of it. In
//! there the same lines go out through the product's `Log`, once to a plain datagram socket (what is on the
//! wire) and once to a real rsyslogd (what a log host makes of it).
//!
//! Needs `unshare` that works (root, or user namespaces), and rsyslogd for the second. Where they are missing
//! a test says so and passes; with `ZMIGRATE_REAL` or `CI` set it fails instead, so no green run has skipped
//! it unseen.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use zmigrate::job::name::{HostName, JobId};
use zmigrate::log::{Ending, Facility, Line, Log, Outcome, Severity};

/// Names, inside the namespace, which part to play.
const INSIDE: &str = "ZMIGRATE_TEST_INSIDE";
const PATIENCE: Duration = Duration::from_secs(90);

/// Makes `/dev` private and gives it the devices that programs can't do without, then becomes the test.
const PRIVATE_DEV: &str = r#"
set -e
mkdir "$1/dev"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=755 none /dev
for d in null zero full random urandom; do : >"/dev/$d"; mount --bind "$1/dev/$d" "/dev/$d"; done
shift
exec "$@"
"#;

#[test]
fn the_wire_carries_priority_tag_pid_and_the_text_as_it_is() {
    if inside("wire") {
        let socket = UnixDatagram::bind("/dev/log").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        send_all();
        let mut buffer = [0; 4096];
        for (number, _, _, text) in expected() {
            let n = socket.recv(&mut buffer).unwrap();
            let got = std::str::from_utf8(&buffer[..n]).unwrap();
            // `<29>May 18 03:36:00 zmigrated[123]: text`; the time is the C library's.
            let (priority, rest) = got.split_once('>').unwrap();
            assert_eq!(priority, format!("<{number}"));
            assert_eq!(&rest[15..], format!(" zmigrated[{}]: {text}", std::process::id()));
        }
        socket.set_nonblocking(true).unwrap();
        let more = socket.recv(&mut buffer).map_err(|e| e.kind());
        assert_eq!(more, Err(std::io::ErrorKind::WouldBlock), "one datagram for each line, and no other");
        return;
    }
    let Some(run) = run_inside("wire", "the_wire_carries_priority_tag_pid_and_the_text_as_it_is") else {
        return;
    };
    let stderr = passed(&run);
    // The foreground shows the same lines in the frame that goes over a network, whole and in order.
    let shown: Vec<&str> = stderr.lines().filter(|line| line.contains(" zmigrated[")).collect();
    assert_eq!(shown.len(), expected().len(), "{stderr}");
    for (line, (number, _, _, text)) in shown.iter().zip(expected()) {
        assert!(line.starts_with(&format!("<{number}>")), "{line}");
        assert!(line.contains(" zhost1 zmigrated["), "{line}");
        assert!(line.ends_with(&format!("]: {text}")), "{line}");
    }
}

#[test]
fn rsyslogd_files_each_line_under_its_facility_severity_and_tag() {
    if inside("rsyslogd") {
        let dir = PathBuf::from(std::env::var_os("ZMIGRATE_TEST_DIR").unwrap());
        let mut daemon = Rsyslogd::start(&dir);
        send_all();
        let lines = daemon.lines(expected().len());
        for (line, (_, facility, severity, text)) in lines.iter().zip(expected()) {
            assert_eq!(line, &format!("{facility}.{severity}|zmigrated|{}|{text}", std::process::id()));
        }
        assert_eq!(lines.len(), expected().len());
        return;
    }
    if !Path::new(RSYSLOGD).exists() {
        return skip("rsyslogd is not installed");
    }
    if let Some(run) = run_inside("rsyslogd", "rsyslogd_files_each_line_under_its_facility_severity_and_tag")
    {
        passed(&run);
    }
}

/// The lines that are sent, and nothing else: debug is below what the log lets out.
fn send_all() {
    let host = HostName::new("zhost1").unwrap();
    let daemon = Log::open(Facility::DAEMON).on_stderr(&host);
    let local3 = Log::open("local3".parse().unwrap()).least(Severity::Debug).on_stderr(&host);
    daemon.write(Severity::Info, &Line::new().field("event", "step").field("step", "detach"));
    daemon.write(Severity::Debug, &Line::new().field("event", "command"));
    local3.write(Severity::Debug, &Line::new().field("event", "command"));
    daemon.write(
        Severity::Warning,
        &Line::new().field("event", "deferred").field("error", "100%s %n \n\u{1b}é"),
    );
    daemon.outcome(&outcome(Ending::Ok, "fine"));
    daemon.outcome(&outcome(Ending::Failed { undone: true }, &"long ".repeat(1000)));
    daemon.outcome(&outcome(Ending::Failed { undone: false }, ""));
}

/// Priority number, facility, severity and text of each line that goes out.
fn expected() -> Vec<(u8, &'static str, &'static str, String)> {
    let outcome = |ending, error: &str| outcome(ending, error).line().to_string();
    let cut = outcome(Ending::Failed { undone: true }, &"long ".repeat(1000));
    assert!(cut.len() < 800 && cut.ends_with("...\""), "{cut}");
    vec![
        (30, "daemon", "info", "event=step step=detach".to_owned()),
        (159, "local3", "debug", "event=command".to_owned()),
        (28, "daemon", "warning", r#"event=deferred error="100%s %n \n\u{1b}\u{e9}""#.to_owned()),
        (29, "daemon", "notice", outcome(Ending::Ok, "fine")),
        (27, "daemon", "err", cut),
        (25, "daemon", "alert", outcome(Ending::Failed { undone: false }, "")),
    ]
}

fn outcome(ending: Ending, error: &str) -> Outcome {
    let at = "2007-05-18T05:40:01Z".parse().unwrap();
    Outcome {
        job: Some(JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap()),
        error: Some(error.to_owned()),
        ..Outcome::new(ending, HostName::new("zhost1").unwrap(), at)
    }
}

fn inside(part: &str) -> bool {
    std::env::var(INSIDE).is_ok_and(|it| it == part)
}

/// Runs one test of this binary again with a private `/dev`; `None` when this machine does not allow that.
fn run_inside(part: &str, test: &str) -> Option<Output> {
    // Not wherever TMPDIR says: that may lie below the /dev which the test hides.
    let tmp = tempfile::tempdir_in("/tmp").unwrap();
    let mut refused = String::new();
    // As root in a container that keeps CAP_SYS_ADMIN to itself, the second may still work.
    let works = ["-m", "-Urm"].into_iter().find(|flags| {
        let probe = Command::new("unshare").args([flags, "mount", "-t", "tmpfs", "none", "/mnt"]).output();
        let said = match probe {
            Ok(run) if run.status.success() => return true,
            Ok(run) => String::from_utf8_lossy(&run.stderr).trim().to_owned(),
            Err(e) => e.to_string(),
        };
        refused.push_str(&format!(" [{flags}: {said}]"));
        false
    });
    let Some(flags) = works else {
        skip(&format!("unshare makes no mount namespace:{refused}"));
        return None;
    };
    let run = Command::new("unshare")
        .args([flags, "sh", "-c", PRIVATE_DEV, "sh"])
        .arg(tmp.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, part)
        .env("ZMIGRATE_TEST_DIR", tmp.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Some(run)
}

/// Checks that the run inside passed and did run something; returns its stderr.
fn passed(run: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && out.contains("1 passed"), "inside:\n{out}\n{err}");
    err.into_owned()
}

fn skip(why: &str) {
    let must = ["ZMIGRATE_REAL", "CI"].into_iter().find(|name| std::env::var_os(name).is_some());
    assert!(must.is_none(), "{} is set and this can't be tested here: {why}", must.unwrap_or_default());
    // Past the capture of a test's output: somebody should read it.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

/// A real syslog daemon that listens on `/dev/log`.
struct Rsyslogd {
    child: Child,
    out: PathBuf,
}

impl Rsyslogd {
    fn start(dir: &Path) -> Self {
        let (conf, out) = (dir.join("rsyslog.conf"), dir.join("out.log"));
        // No UsePIDFromSystem, no annotation: the file shows what the product said.
        let text = format!(
            r#"global(workDirectory="{work}" maxMessageSize="8k" net.enableDNS="off")
module(load="imuxsock" SysSock.Name="/dev/log")
template(name="zm" type="list") {{
  property(name="syslogfacility-text") constant(value=".") property(name="syslogseverity-text")
  constant(value="|") property(name="app-name") constant(value="|") property(name="procid")
  constant(value="|") property(name="msg" spifno1stsp="off" position.from="2" droplastlf="on") constant(value="\n")
}}
action(type="omfile" file="{out}" template="zm" asyncWriting="off" flushOnTXEnd="on")
"#,
            work = dir.display(),
            out = out.display(),
        );
        fs::write(&conf, text).unwrap();
        let child = Command::new(RSYSLOGD)
            .arg("-n")
            .arg("-f")
            .arg(&conf)
            .arg("-i")
            .arg(dir.join("pid"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, out };
        daemon.wait("/dev/log to be listened on", || {
            UnixDatagram::unbound().and_then(|socket| socket.connect("/dev/log")).is_ok()
        });
        daemon
    }

    /// Our lines in its file, once there are `count`.
    fn lines(&mut self, count: usize) -> Vec<String> {
        let out = self.out.clone();
        let ours = || -> Vec<String> {
            let text = fs::read_to_string(&out).unwrap_or_default();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().filter(|line| line.contains("|zmigrated|")).map(str::to_owned).collect()
        };
        self.wait(&format!("{count} lines in {}", out.display()), || ours().len() >= count);
        ours()
    }

    fn wait(&mut self, what: &str, mut there: impl FnMut() -> bool) {
        let start = Instant::now();
        while !there() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "rsyslogd ended ({ended:?}) before {what}");
            let so_far = fs::read_to_string(&self.out).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "no {what}; so far:\n{so_far}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
