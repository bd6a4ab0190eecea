//! The databases of 2007: two instances of MariaDB in the zone, each with its data on a dataset of
//! its own. Their stop method records `CHECKSUM TABLE` and a row count after the last client has
//! disconnected.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::running::{Running, wait_for};
use crate::zones::services::{self, Service};

/// The instances, by the name of their datasets below `tank/mysql`.
pub const INSTANCES: [&str; 2] = ["db1", "db2"];

/// What an instance holds is said by this, on either side.
const SUMMARY: &str = "CHECKSUM TABLE app.entries; SELECT COUNT(*), COALESCE(MAX(id), 0) FROM app.entries";

/// Makes an instance in a directory, which becomes `/mysql/NAME` in the zone, with this many rows of about 700 bytes.
pub fn make(dir: &Path, rows: u64) -> Result<()> {
    let data = dir.join("data");
    let mut install = Command::new("/usr/bin/mariadb-install-db");
    install
        .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--datadir={}", data.display()));
    let installed = install.stdin(Stdio::null()).output().context("start mariadb-install-db")?;
    ensure!(installed.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&installed.stderr));
    // The sequence engine counts.
    let sql = format!(
        "FLUSH PRIVILEGES;\nCREATE USER app@localhost;\nCREATE DATABASE app;\nGRANT ALL ON app.* TO app@localhost;\n\
         CREATE TABLE app.entries (id BIGINT AUTO_INCREMENT PRIMARY KEY, digest CHAR(32), text TEXT) ENGINE=InnoDB;\n\
         USE app;\nINSERT INTO app.entries (digest, text) SELECT MD5(seq), REPEAT(MD5(seq * 7), 20) FROM seq_1_to_{rows};\n"
    );
    let mut server = Command::new("/usr/sbin/mariadbd");
    server.args(options(&data.display().to_string())).arg("--bootstrap");
    let mut server = server
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start mariadbd")?;
    server.stdin.take().context("no stdin")?.write_all(sql.as_bytes())?;
    let made = server.wait()?;
    ensure!(made.success(), "mariadbd --bootstrap: {made}; see {}/err.log", data.display());
    Ok(())
}

/// Below the zone's root: its services, and the stop method that they share.
pub fn describe(root: &Path) -> Result<()> {
    let file = root.join(services::FILE);
    let folder = file.parent().context("no folder")?;
    fs::create_dir_all(folder)?;
    let services: Vec<Service> = INSTANCES.iter().map(|name| service(name)).collect();
    fs::write(&file, serde_json::to_vec_pretty(&services)?)?;
    let method = folder.join("method-mysql-stop");
    fs::write(&method, STOP.replace("SUMMARY", SUMMARY))?;
    fs::set_permissions(&method, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// `$1`: the instance's directory. `root` may write in spite of read_only, but nobody else is root here.
const STOP: &str = r#"#!/bin/sh
exec mariadb --no-defaults -S "$1/data/mysql.sock" -u root -N \
    -e 'SET GLOBAL read_only=1; FLUSH TABLES WITH READ LOCK; SUMMARY' >"$1/at-shutdown"
"#;

fn service(name: &str) -> Service {
    let dir = format!("$ZONEROOT/mysql/{name}");
    let mut start = vec!["/usr/sbin/mariadbd".to_owned()];
    start.extend(options(&format!("{dir}/data")));
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Service {
        name: format!("mysql:{name}"),
        start,
        ready: words(&[
            "/usr/bin/mariadb-admin",
            "--no-defaults",
            "-S",
            &format!("{dir}/data/mysql.sock"),
            "-u",
            "root",
            "ping",
        ]),
        stopping: words(&[&format!("$ZONEROOT/{}/method-mysql-stop", "lib/svc"), &dir]),
    }
}

fn options(data: &str) -> Vec<String> {
    [
        "--no-defaults",
        "--user=root",
        "--skip-networking",
        "--innodb-buffer-pool-size=64M",
        "--innodb-use-native-aio=0",
        &format!("--datadir={data}"),
        &format!("--socket={data}/mysql.sock"),
        &format!("--pid-file={data}/pid"),
        &format!("--log-error={data}/err.log"),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Commands of a request that ask both instances whether they are up.
pub fn verify_commands() -> String {
    let one =
        |name: &str| format!("\"mariadb-admin --no-defaults -S mysql/{name}/data/mysql.sock -u root ping\"");
    format!("[verify]\ncommands = [{}]\n", INSTANCES.map(one).join(", "))
}

/// What both instances hold now, as their stop method says it.
pub fn summaries(on: &Running, zone: &str) -> Result<Vec<String>> {
    let ask = |name: &&str| {
        let output =
            client(on, zone, name, "root").args(["-N", "-e", SUMMARY]).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("{name} on {}: {}", on.host.name(), String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    INSTANCES.iter().map(ask).collect()
}

/// What both instances held when the zone was shut down, as it came along with their data.
pub fn summaries_at_shutdown(on: &Running, zone: &str) -> Result<Vec<String>> {
    let read = |name: &&str| {
        let file = on.path(&format!("/export/zones/{zone}/root/mysql/{name}/at-shutdown"));
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    };
    INSTANCES.iter().map(read).collect()
}

/// Rows, by a summary's second line.
pub fn rows(summary: &str) -> Option<u64> {
    summary.lines().nth(1)?.split_whitespace().next()?.parse().ok()
}

fn client(on: &Running, zone: &str, name: &str, user: &str) -> Command {
    let socket = format!("/export/zones/{zone}/root/mysql/{name}/data/mysql.sock");
    let mut command = on.command("/usr/bin/mariadb");
    command.args(["--no-defaults", "-S", &socket, "-u", user]);
    command
}

/// A client that writes to both instances, one row at a time, until they are gone.
pub struct Load {
    writers: Vec<(Child, std::thread::JoinHandle<()>)>,
    answered: Vec<Arc<AtomicU64>>,
}

impl Load {
    /// Begins to write, and returns when rows have gone in.
    pub fn begin(on: &Running, zone: &str) -> Result<Self> {
        let mut load = Self { writers: Vec::new(), answered: Vec::new() };
        for name in INSTANCES {
            let mut child = client(on, zone, name, "app")
                .args(["-N", "--unbuffered", "app"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .context("start mariadb")?;
            let (mut into, from) =
                (child.stdin.take().context("no stdin")?, child.stdout.take().context("no stdout")?);
            let answered = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&answered);
            let talk = move || {
                let mut lines = std::io::BufRead::lines(std::io::BufReader::new(from));
                // One at a time: what was answered was committed before.
                while into.write_all(WRITE.as_bytes()).and_then(|()| into.flush()).is_ok()
                    && lines.next().is_some_and(|line| line.is_ok())
                {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            };
            load.writers.push((child, std::thread::spawn(talk)));
            load.answered.push(answered);
        }
        let writes = || load.answered.iter().all(|count| count.load(Ordering::Relaxed) > 20);
        wait_for("rows to go into both databases", Duration::from_secs(30), writes)?;
        Ok(load)
    }

    /// Rows that each instance has said to have.
    pub fn end(mut self) -> Vec<u64> {
        for (mut child, talk) in self.writers.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
            let _ = talk.join();
        }
        self.answered.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

const WRITE: &str =
    "INSERT INTO entries (digest, text) VALUES (MD5(RAND()), REPEAT(MD5(RAND()), 20)) RETURNING id;\n";

/// Files of the databases change as soon as they are up: in a picture they say nothing.
pub fn is_of_a_database(key: &str) -> bool {
    let of = |name: &&str| {
        key.split_once("/tank/mysql/")
            .and_then(|(_, rest)| rest.strip_prefix(*name)?.strip_prefix(":/"))
            .is_some_and(|path| path.is_empty() || path.starts_with("data") || path == "at-shutdown")
    };
    INSTANCES.iter().any(of)
}

/// Does this dataset become an instance's?
pub fn is_an_instance(dataset: &str) -> bool {
    INSTANCES.iter().any(|name| dataset.ends_with(&format!("/tank/mysql/{name}")))
}
