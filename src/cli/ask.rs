//! What `cancel`, `retry`, `rollback` and `finish` have in common: the ask that is left for the daemon, and what
//! came of it. The daemon decides by its journal; what can be seen to be refused is refused here, with words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::job::record::Job;
use crate::spool::{JobDir, Place, Spool, SpoolError};

use super::context::{Context, print, warn};
use super::error::CliError;
use super::look::Look;
use super::report::Report;
use super::{clock, find};

/// How long the daemon may take to see an ask: it is woken at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the four verbs take.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The job: its id, the beginning of it, or its zone's name
    pub job: String,
    /// Do not wait for the daemon to take it
    #[arg(long)]
    pub no_wait: bool,
}

/// The job that is meant, with its journal's fold. Jobs in `first` are preferred.
///
/// # Errors
/// When there is none, or its journal is not one that the daemon acts on.
pub fn meant(context: &Context, word: &str, first: Place) -> Result<(JobDir, Job), CliError> {
    let look = Look::at(&context.spool, &find::job(&context.spool, word, first)?)?;
    let id = &look.dir.id;
    if let Some(fault) = look.fault {
        return Err(CliError::failed(format!("job {id} is set aside: {fault}")));
    }
    match look.job {
        Some(job) => Ok((look.dir, job)),
        None => Err(CliError::failed(format!("job {id} has not begun yet, try again in a moment"))),
    }
}

/// How an ask went.
#[derive(Debug, PartialEq, Eq)]
pub enum Taking {
    /// The daemon has taken it, and journaled what follows from it.
    Taken,
    /// It lies in the spool still.
    Waiting,
}

/// Leaves an ask and waits until the daemon has taken it.
///
/// # Errors
/// When it can't be left, or the daemon says that it can't be done.
pub fn leave(
    context: &Context,
    verb: &str,
    dir: &JobDir,
    options: BTreeMap<String, String>,
    no_wait: bool,
) -> Result<Taking, CliError> {
    let spool = &context.spool;
    let name = format!("{verb}.{}", dir.id);
    let before = reasons(spool, &name)?;
    spool.ask(verb, &dir.id, clock::now(), options)?;
    if no_wait || !context.warn_without_daemon("it will see this when it is started")? {
        return Ok(Taking::Waiting);
    }
    let path = spool.asks_dir().join(&name);
    let gone = clock::until(PATIENCE, || match fs::symlink_metadata(&path) {
        Ok(_) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Some(())),
        Err(e) => Err(SpoolError::Io { what: "look at", path: path.clone(), source: e }),
    })?;
    if gone.is_none() {
        warn("zmigrated has not taken it yet; it stays asked");
        return Ok(Taking::Waiting);
    }
    match reasons(spool, &name)?.difference(&before).next() {
        Some(reason) => {
            let text = fs::read_to_string(reason).unwrap_or_default();
            let why = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
            Err(CliError::failed(format!("{verb} was refused: {}", why.trim_end())))
        }
        None => Ok(Taking::Taken),
    }
}

/// Says what came of an ask: one line with where the job stands.
///
/// # Errors
/// When the spool can't be read.
pub fn tell(context: &Context, verb: &str, dir: &JobDir, taking: &Taking) -> Result<(), CliError> {
    if *taking == Taking::Waiting {
        return print(&format!("{}: {verb} asked\n", dir.id));
    }
    let report = Report::new(&Look::at(&context.spool, dir)?, clock::now());
    let stands = report.result.map_or_else(
        || format!("now at {}", report.step),
        |result| format!("{result}, now at {}", report.step),
    );
    print(&format!("{}: {verb} taken, {stands}\n", dir.id))
}

/// The reasons that lie beside rejected asks of this name: `NAME.reason`, `NAME.1.reason`, …
fn reasons(spool: &Spool, name: &str) -> Result<BTreeSet<PathBuf>, SpoolError> {
    let dir = spool.dir().join("rejected");
    let fault = |e| SpoolError::Io { what: "list", path: dir.clone(), source: e };
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&dir).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file.starts_with(name) && file.ends_with(".reason") {
            found.insert(entry.path());
        }
    }
    Ok(found)
}
