//! `zmigrate submit`: leaves a request in the spool, and waits for the daemon's word about it.
//!
//! The request's text ends with a comment that names its file, which no other request has: so the job that was
//! made of it is told by its `request.toml`, however many requests come at the same time. Once the file
//! is in `incoming/` it is submitted, whatever happens to this process.
//!
//! Others than root may submit as well, where a site has opened `incoming/` to them: the file is theirs, and that is by what
//! the daemon knows them.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::host::rights::{self, Right};
use crate::job::name::JobId;
use crate::process::Programs;
use crate::spool::incoming::MAX_REQUEST;
use crate::spool::{Place, Spool, SpoolError, durable};

use super::clock;
use super::context::{Context, print, print_json, warn};
use super::error::CliError;
use super::request::{RequestArgs, Wanted};

/// How long the daemon may take to look: it is woken at once, and scans every few seconds all the same.
const PATIENCE: Duration = Duration::from_secs(15);

/// What `submit` takes.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    request: RequestArgs,
    /// Do not wait for the daemon to take the request up
    #[arg(long)]
    no_wait: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What became of a request so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum Fate {
    /// It is a job.
    Admitted { job: JobId },
    /// It could not be taken up, and lies in `rejected/`.
    Rejected { reason: String },
    /// It lies in the spool, not looked at yet.
    Waiting,
}

#[derive(Serialize)]
struct Answer<'a> {
    v: u32,
    /// The file's name in `incoming/`.
    request: &'a str,
    #[serde(flatten)]
    fate: &'a Fate,
}

/// Submits a request.
///
/// # Errors
/// A bad request, one that the daemon rejects included; or when the spool can't be written.
pub fn run(context: &Context, args: &SubmitArgs) -> Result<(), CliError> {
    may_submit(context)?;
    let wanted = args.request.read(context)?;
    let dropped = Dropped::put(&context.spool, &wanted)?;
    let fate = if args.no_wait { Fate::Waiting } else { await_fate(context, &dropped)? };
    if args.json {
        print_json(&Answer { v: 1, request: &dropped.name, fate: &fate })?;
    }
    match fate {
        Fate::Admitted { job } if !args.json => print(&format!("{job}\n")),
        Fate::Waiting if !args.json => print(&format!("{}\n", dropped.path.display())),
        Fate::Rejected { reason } => Err(CliError::bad([format!("rejected: {reason}")])),
        _ => Ok(()),
    }
}

/// The daemon's judgement beforehand, in words that the user can see: what it rejects lies where only root looks. What can't be
/// told is left to the daemon.
fn may_submit(context: &Context) -> Result<(), CliError> {
    let me = nix::unistd::geteuid().as_raw();
    let daemons = fs::metadata(context.spool.dir()).is_ok_and(|meta| meta.uid() == me);
    if me == 0 || daemons {
        return Ok(());
    }
    let commands = &context.config.commands;
    match rights::may_submit(&Programs::new(commands.path.clone(), commands.timeout), me) {
        Ok(Right::Missing(why)) => Err(CliError::failed(format!("cannot submit: what you drop {why}"))),
        Ok(Right::Held) | Err(_) => Ok(()),
    }
}

fn await_fate(context: &Context, dropped: &Dropped<'_>) -> Result<Fate, CliError> {
    if !context.warn_without_daemon("the request waits in the spool until one does")? {
        return Ok(Fate::Waiting);
    }
    match clock::until(PATIENCE, || dropped.fate()) {
        Ok(Some(fate)) => Ok(fate),
        Ok(None) => {
            warn("zmigrated has not taken the request up yet; it stays in the spool");
            Ok(Fate::Waiting)
        }
        Err(SpoolError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
            warn(
                "what becomes of the request only root can see (pfexec zmigrate status); it is in the spool",
            );
            Ok(Fate::Waiting)
        }
        Err(error) => Err(error.into()),
    }
}

/// A request in the spool.
struct Dropped<'s> {
    spool: &'s Spool,
    name: String,
    path: PathBuf,
    text: String,
    /// Jobs that were there before, and so are not this request's.
    before: BTreeSet<JobId>,
}

impl<'s> Dropped<'s> {
    fn put(spool: &'s Spool, wanted: &Wanted) -> Result<Self, CliError> {
        let at = clock::now().format("%Y%m%dT%H%M%SZ");
        let name = format!("{}-{at}-{}.toml", wanted.request.zone, std::process::id());
        let text = marked(&wanted.text, &name);
        if text.len() as u64 > MAX_REQUEST {
            return Err(CliError::bad([format!("the request has more than {MAX_REQUEST} bytes")]));
        }
        // Those whom the spool hides its jobs from may submit all the same.
        let before = jobs(spool).unwrap_or_default().into_iter().collect();
        let path = spool.incoming_dir().join(&name);
        let dot = spool.incoming_dir().join(format!(".{name}"));
        durable::write(&dot, text.as_bytes())?;
        // Nobody may write it: the sign that it is final, and on disk before it can be seen.
        let placed = fs::set_permissions(&dot, Permissions::from_mode(0o400))
            .map_err(|e| SpoolError::Io { what: "chmod", path: dot.clone(), source: e })
            .and_then(|()| durable::rename(&dot, &path));
        match placed {
            Ok(()) => Ok(Self { spool, name, path, text, before }),
            Err(error) => {
                let _ = fs::remove_file(&dot);
                Err(error.into())
            }
        }
    }

    /// What became of it; `None` when nothing has yet.
    fn fate(&self) -> Result<Option<Fate>, SpoolError> {
        if let Some(job) = self.job()? {
            return Ok(Some(Fate::Admitted { job }));
        }
        let reason = self.spool.dir().join("rejected").join(format!("{}.reason", self.name));
        match fs::read_to_string(&reason) {
            Ok(text) => {
                let text = text.strip_prefix(&format!("{}: ", self.name)).unwrap_or(&text);
                Ok(Some(Fate::Rejected { reason: text.trim_end().to_owned() }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(SpoolError::Io { what: "read", path: reason, source: e }),
        }
    }

    /// The job whose request is this one's text.
    fn job(&self) -> Result<Option<JobId>, SpoolError> {
        for id in jobs(self.spool)?.into_iter().filter(|id| !self.before.contains(id)) {
            // One that moves meanwhile is found by the next look.
            let Some(dir) = self.spool.find(&id)? else { continue };
            if fs::read(dir.request()).is_ok_and(|text| text == self.text.as_bytes()) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

fn jobs(spool: &Spool) -> Result<Vec<JobId>, SpoolError> {
    let mut ids = Vec::new();
    for place in Place::ALL {
        ids.extend(spool.jobs(place)?.into_iter().map(|dir| dir.id));
    }
    Ok(ids)
}

/// The text with its mark, which is a comment on a line of its own.
fn marked(text: &str, name: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}# submitted as {name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::request::Request;

    #[test]
    fn the_mark_is_no_part_of_the_request() {
        for text in ["zone = \"a\"\nto = \"b\"\n", "zone = \"a\"\nto = \"b\"", "to = \"b\"\nzone = 'a' # x"] {
            let with = marked(text, "a-20070518T033600Z-12.toml");
            assert_eq!(Request::parse("", &with).unwrap(), Request::parse("", text).unwrap());
            assert!(with.starts_with(text) && with.ends_with("-12.toml\n"));
        }
    }

    #[test]
    fn the_json_says_the_state_and_what_belongs_to_it() {
        let fate = Fate::Rejected { reason: "x".into() };
        let json = serde_json::to_value(Answer { v: 1, request: "r", fate: &fate }).unwrap();
        assert_eq!(json, serde_json::json!({"v": 1, "request": "r", "state": "rejected", "reason": "x"}));
    }
}
