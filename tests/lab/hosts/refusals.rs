//! What the receiving account refuses to a client that has its key and does not behave as zmigrate
//! does. The first check is that the key opens what it is for: otherwise everything would be
//! refused, and the refusals would prove nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};

use super::sshd::{KEY, account};
use crate::scene::HOSTS;
use crate::stage::Stage;

/// Something that must be refused.
pub type Attempt = fn(&mut Stage) -> Result<()>;

/// All that is tried.
pub const ALL: [(&str, Attempt); 7] = [
    ("the key: no shell", no_shell),
    ("the key: no command", no_command),
    ("the key: no file outside the dropbox is read", nothing_read),
    ("the key: no file outside `in` is written", nothing_written),
    ("the key: no link leads out", no_link),
    ("the key: no local port forward", no_forward),
    ("the key: no remote port forward", no_remote_forward),
];

fn no_shell(stage: &mut Stage) -> Result<()> {
    let output = ssh(stage, &["-T"], &[], "id; exit\n")?;
    ensure!(!said(&output).contains("uid="), "a shell has answered: {}", said(&output));
    Ok(())
}

fn no_command(stage: &mut Stage) -> Result<()> {
    let output = ssh(stage, &[], &["id"], "")?;
    ensure!(!said(&output).contains("uid="), "a command was run: {}", said(&output));
    Ok(())
}

fn nothing_read(stage: &mut Stage) -> Result<()> {
    allowed(stage)?;
    for file in ["/etc/passwd", "../../../../etc/passwd", "/proc/self/environ", "/../zmigrate/dropbox"] {
        refused(stage, &format!("get {file} /tmp/should-not-be-here\n"))?;
    }
    ensure!(!fs::exists("/tmp/should-not-be-here")?, "a file has come");
    Ok(())
}

fn nothing_written(stage: &mut Stage) -> Result<()> {
    allowed(stage)?;
    for command in [
        "put /etc/hostname /evil",
        "put /etc/hostname /out/evil",
        "mkdir /evil",
        "rm /out",
        "rmdir /in",
        "chmod 777 /",
    ] {
        refused(stage, &format!("{command}\n"))?;
    }
    Ok(())
}

fn no_link(stage: &mut Stage) -> Result<()> {
    allowed(stage)?;
    refused(stage, "symlink /etc/passwd /in/.link\n")?;
    // One that lies there all the same leads somewhere inside; the same outside leads nowhere.
    let link = stage.hosts[1].scratch().join("zmigrate/dropbox").join(HOSTS[0]).join("in/.link");
    let came = stage.dir.join("came-by-the-link");
    let get = format!("get /in/.link {}\n", came.display());
    symlink("/in", &link)?;
    let inside = sftp(stage, "ls /in/.link\n");
    fs::remove_file(&link)?;
    symlink("/etc/passwd", &link)?;
    let outside = refused(stage, &get);
    fs::remove_file(&link)?;
    let inside = inside?;
    ensure!(inside.status.success(), "no link is followed, so nothing is shown: {}", said(&inside));
    outside?;
    ensure!(!came.exists(), "a file has come");
    Ok(())
}

fn no_forward(stage: &mut Stage) -> Result<()> {
    // sshd itself is a port that would answer.
    let output = ssh(stage, &["-W", "127.0.0.1:22"], &[], "")?;
    ensure!(!output.status.success() && !said(&output).contains("SSH-2.0"), "forwarded: {}", said(&output));
    ensure!(said(&output).contains("administratively prohibited"), "refused otherwise: {}", said(&output));
    Ok(())
}

fn no_remote_forward(stage: &mut Stage) -> Result<()> {
    let output =
        ssh(stage, &["-N", "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:9999:127.0.0.1:22"], &[], "")?;
    ensure!(!output.status.success(), "forwarded");
    ensure!(said(&output).contains("remote port forwarding failed"), "refused otherwise: {}", said(&output));
    Ok(())
}

/// What the key is for.
fn allowed(stage: &Stage) -> Result<()> {
    let output = sftp(stage, "put /etc/hostname /in/.hello\nls -a /in\nrm /in/.hello\n")?;
    ensure!(output.status.success(), "the key does not open the dropbox: {}", said(&output));
    Ok(())
}

fn refused(stage: &Stage, batch: &str) -> Result<()> {
    let output = sftp(stage, batch)?;
    ensure!(!output.status.success(), "`{}` was not refused: {}", batch.trim_end(), said(&output));
    ensure!(!said(&output).contains("Connection closed"), "`{}`: {}", batch.trim_end(), said(&output));
    Ok(())
}

fn sftp(stage: &Stage, batch: &str) -> Result<Output> {
    let to = format!("{}@{}", account(HOSTS[0]), HOSTS[1]);
    run(stage, "/usr/bin/sftp", &["-o", &format!("IdentityFile={KEY}"), "-b", "-", &to], batch)
}

fn ssh(stage: &Stage, options: &[&str], command: &[&str], stdin: &str) -> Result<Output> {
    let (to, key) = (format!("{}@{}", account(HOSTS[0]), HOSTS[1]), format!("IdentityFile={KEY}"));
    let args = [&["-o", "BatchMode=yes", "-o", &key], options, &[to.as_str()], command].concat();
    run(stage, "/usr/bin/ssh", &args, stdin)
}

fn run(stage: &Stage, program: &str, args: &[&str], stdin: &str) -> Result<Output> {
    // A client that is not refused must not block the lab: it gets a minute.
    let mut command = stage.hosts[0].command("/usr/bin/timeout");
    command.args(["60", program]).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Who has gone already does not read.
    let _ = child.stdin.take().context("no stdin")?.write_all(stdin.as_bytes());
    let output = child.wait_with_output()?;
    ensure!(
        output.status.code() != Some(124),
        "{program} {} has not ended: {}",
        args.join(" "),
        said(&output)
    );
    Ok(output)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
