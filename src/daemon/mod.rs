//! `zmigrated`: load, open, loop, stop.
//!
//! The main loop looks: at what was dropped, at what arrived, at what is asked. Jobs run in threads of their
//! own ([`engine`]), share [`context`], and wait at one [`bell`]. Nothing here decides about a zone: the
//! phases do. When the daemon stops, or is killed, every job is where its journal says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::config::{self, Config, Transport};
use crate::job::role::Role;
use crate::log::{Line, Log, Severity};
use crate::spool::incoming::Incoming;
use crate::spool::{Spool, SpoolError, durable};
use context::Context;
use exit::{Failed, Ready, Side};
use loghost::Loghost;

pub mod admit;
pub mod bandwidth;
pub mod bell;
pub mod context;
pub mod dropboxes;
pub mod engine;
pub mod exit;
pub mod finish;
pub mod jobs;
pub mod loghost;
pub mod offers;
pub mod orphans;
pub mod pauses;
pub mod perform;
pub mod report;
pub mod rights;
pub mod transfer;
pub mod wake;
pub mod words;

/// The longest pause between two looks, whatever the watchers say.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The zone migration daemon.
///
/// Moves zones to other hosts and takes zones from them, as requests in the spool ask. Stays in the
/// foreground unless --detach is given; SIGTERM ends it at any step of a job, and the next start goes on.
/// SIGHUP reads the configuration again.
#[derive(Debug, Parser)]
#[command(name = "zmigrated", version)]
pub struct Args {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/opt/zmigrate/zmigrate.toml")]
    config: PathBuf,
    /// For SMF: return once the daemon is ready, with exit status 0; 96 for a bad configuration, 100 for
    /// missing rights, 95 for anything else that a restart can't help.
    #[arg(long)]
    detach: bool,
    /// The least urgent lines that the log is told: notice has outcomes and trouble, info each step as well.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
}

/// Outcomes can't be left out: a job's end is always told.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogLevel {
    Notice,
    Info,
}

impl From<LogLevel> for Severity {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Notice => Severity::Notice,
            LogLevel::Info => Severity::Info,
        }
    }
}

/// The program.
pub fn main() -> ExitCode {
    main_from(std::env::args_os())
}

/// The program, with these arguments; the first is its name.
pub fn main_from(args: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>) -> ExitCode {
    let args = Args::parse_from(args);
    // What is made here and by commands started here is nobody else's to write.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let ready = if args.detach {
        match exit::detach() {
            Ok(Side::Parent(status)) => return status,
            Ok(Side::Daemon(ready)) => ready,
            Err(error) => {
                eprintln!("zmigrated: {error:#}");
                return ExitCode::from(exit::FATAL);
            }
        }
    } else {
        Ready::foreground()
    };
    match open(&args) {
        Ok(context) => {
            if args.detach
                && let Err(error) = exit::let_go_of_the_terminal()
            {
                eprintln!("zmigrated: {error:#}");
            }
            run(context, &args.config, ready)
        }
        Err(failed) => {
            eprintln!("zmigrated: {:#}", failed.error);
            ready.fail(failed.status);
            ExitCode::from(failed.status)
        }
    }
}

fn load(path: &Path) -> Result<Config, Failed> {
    Config::load(path, &config::own_name())
        .map_err(|faults| Failed::new(exit::CONFIG, anyhow::anyhow!("{faults}")))
}

fn open(args: &Args) -> Result<Arc<Context>, Failed> {
    let config = load(&args.config)?;
    let failed = |error: SpoolError| {
        let status = if error.is_denied() { exit::PERM } else { exit::FATAL };
        Failed::new(status, error)
    };
    let spool = Spool::open(&config.spool).map_err(failed)?;
    // After the last fork and before anything is said.
    let loghost = Arc::new(Loghost::new(config.host.clone(), spool.outbox()));
    let hears = Arc::clone(&loghost);
    let mut log = Log::open(config.syslog.facility).also(move |severity, line| hears.hear(severity, line));
    if !args.detach {
        log = log.on_stderr(&config.host);
    }
    log = log.least(args.log_level.into());
    make_directories(&config).map_err(failed)?;
    let context = Context::new(config, spool, log, loghost);
    dropboxes::make(&context);
    Ok(Arc::new(context))
}

/// The scratch, and in it the place for dropboxes.
fn make_directories(config: &Config) -> Result<(), SpoolError> {
    durable::create_dir_all(&config.scratch.dir.join("dropbox"), 0o755)
}

fn run(context: Arc<Context>, config_file: &Path, ready: Ready) -> ExitCode {
    let reloaded = {
        let (context, file) = (Arc::clone(&context), config_file.to_owned());
        move || reload(&context, &file)
    };
    if let Err(error) = wake::heed_signals(&context, reloaded) {
        eprintln!("zmigrated: {error}");
        ready.fail(exit::FATAL);
        return ExitCode::from(exit::FATAL);
    }
    let speaks = Arc::clone(&context);
    let speaker = std::thread::Builder::new().name("loghost".into());
    if let Err(error) = speaker.spawn(move || speaks.loghost.run(&speaks)) {
        context.hold("loghost", &error);
    }
    orphans::end(&context);
    if let Err(error) = jobs::take_over(&context) {
        let line = Line::new().field("event", "held").field("error", error);
        context.log.write(Severity::Alert, &line);
    }
    let mut watch = wake::Watch::new(&context);
    let mut incoming = Incoming::new(context.spool.clone());
    context
        .log
        .write(Severity::Info, &Line::new().field("event", "ready").field("host", &context.config().host));
    ready.tell();
    while !context.is_stopping() {
        let heard = context.bell.count();
        watch.set(watched(&context));
        let again_in = look(&context, &mut incoming);
        context.bell.wait(heard, again_in.unwrap_or(LOOK_EVERY).min(LOOK_EVERY));
    }
    // Each thread ends behind the command that it runs; what it did not journal will be looked at again.
    jobs::join(context.threads());
    context
        .log
        .write(Severity::Info, &Line::new().field("event", "stopped").field("host", &context.config().host));
    context.loghost.close();
    ExitCode::SUCCESS
}

/// One look at everything.
fn look(context: &Arc<Context>, incoming: &mut Incoming) -> Option<Duration> {
    jobs::look(context);
    let again = admit::look(context, incoming).unwrap_or_else(|error| {
        context.hold("incoming", &error);
        None
    });
    match context.spool.asks() {
        Ok((asks, rejections)) => {
            rejections.iter().for_each(|rejection| admit::tell(context, rejection));
            context.set_asks(asks);
        }
        Err(error) => context.hold("asks", &error),
    }
    if let Err(error) = finish::look(context) {
        context.hold("finish", &error);
    }
    offers::look(context);
    again
}

/// What is worth watching: the spool's doors, our dropboxes, our side of the peers'.
fn watched(context: &Context) -> Vec<PathBuf> {
    let config = context.config();
    let mut paths = vec![context.spool.incoming_dir(), context.spool.asks_dir()];
    paths.extend(config.accept.keys().map(|peer| config.dropbox(peer).join("in")));
    paths.extend(config.peers.values().filter_map(|peer| match &peer.transport {
        Transport::Directory { dropbox } => Some(dropbox.join("out")),
        // Nothing announces what happens over there: it is asked for.
        Transport::Sftp(_) => None,
    }));
    paths
}

/// Would a job that is under way not find its files, or its quarantine, any more?
fn moves_the_ground(context: &Context, config: &Config) -> Option<String> {
    let old = context.config();
    let jobs = context.jobs();
    if let Some(id) = jobs.keys().next()
        && old.scratch.dir != config.scratch.dir
    {
        return Some(format!("[scratch] dir can't change while a job is active: {id} is"));
    }
    let quarantine = |config: &Config, peer| config.accept.get(peer).map(|accept| accept.quarantine.clone());
    let moved = jobs.iter().find(|(_, entry)| {
        let now = quarantine(config, &entry.peer);
        entry.role == Role::Target && now.is_some() && now != quarantine(&old, &entry.peer)
    });
    moved.map(|(id, entry)| {
        format!(
            "quarantine in [accept.{}] can't change while a job from there is active: {id} is",
            entry.peer
        )
    })
}

fn reload(context: &Context, file: &Path) {
    let config = match reloaded(context, file) {
        Ok(config) => config,
        Err(why) => {
            let error = format!("{why}; the old configuration stays");
            let line = Line::new().field("event", "refresh-refused").field("error", error);
            return context.log.write(Severity::Err, &line);
        }
    };
    if let Err(error) = make_directories(&config) {
        context.log.write(Severity::Err, &Line::new().field("event", "refresh").field("error", &error));
    }
    context.set_config(config);
    dropboxes::make(context);
    context.log.write(Severity::Notice, &Line::new().field("event", "refreshed"));
}

/// The configuration as it is now, if it may take the place of the one that counts.
fn reloaded(context: &Context, file: &Path) -> Result<Config, String> {
    let config = load(file).map_err(|failed| format!("{:#}", failed.error).replace('\n', " "))?;
    let old = context.config();
    if config.spool != old.spool || config.host != old.host {
        return Err("[host] name and [spool] dir change only with a restart".to_owned());
    }
    moves_the_ground(context, &config).map_or(Ok(config), Err)
}
