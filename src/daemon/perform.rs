//! One match, one line a step: from what is due to who does it. The steps that are words between hosts are
//! done in [`super::words`], those that change this host in [`crate::host`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::{dropboxes, transfer, words};
use crate::config::{Config, Transport};
use crate::guard::Flaw;
use crate::host::install::Target;
use crate::host::live::Live;
use crate::host::stage::Stage;
use crate::host::{Done, StepError, finish, route, source, survey, undo, verify};
use crate::job::code::Code;
use crate::job::event::Event;
use crate::job::layout::Layout;
use crate::job::name::{DatasetName, Guid};
use crate::job::progress::Progress;
use crate::job::record::Job;
use crate::job::role::Role;
use crate::job::step::{Install, Step};
use crate::process::Programs;
use crate::spool::JobDir;
use crate::transport::Dropbox;
use crate::transport::arrivals::{Arrivals, JobBox};

/// What a job's thread remembers between two looks at a step. Nothing in it is needed after a crash.
#[derive(Default)]
pub struct Memory {
    /// The age of the step at which the zone was told to shut down.
    pub shutdown_asked: Option<Duration>,
    /// The zone may be on its way down, although it still says `running`.
    pub told_to_stop: bool,
    /// The serial of the offer or answer that was put by this process.
    pub put: Option<u32>,
    /// Target: a handoff put before this process started is no longer to be acted on.
    pub must_hear: bool,
    /// Target: a handoff of an earlier process has been taken out of the dropbox.
    pub took_handoff_out: bool,
    /// Target: what has been received, as told to the source.
    pub progress: Progress,
    /// Target: the age of the step at which this process first looked at the gate.
    pub gate_opened: Option<Duration>,
    /// Target: everything is here.
    pub received: Option<std::collections::BTreeMap<DatasetName, Guid>>,
    /// Target: what this host's ZFS takes; asked once.
    pub features: Option<crate::stream::FeatureSet>,
    /// When progress was put last.
    pub reported: Option<Instant>,
    /// What needs an operator.
    pub alert: Option<String>,
    /// Source: the peer's dropbox with what is open there, and the configuration that led to it.
    reached: Option<(Transport, Dropbox)>,
}

impl Memory {
    /// For a job that is taken over, from its journal, by a process that has just started.
    pub fn new(job: &Job) -> Self {
        let past = job.role == Role::Target && job.phase.must_hear_anew() && job.lines > 1;
        // An earlier process may have asked.
        let told_to_stop = job.role == Role::Source && job.times.down.is_some();
        Self { must_hear: past, took_handoff_out: !past, told_to_stop, ..Self::default() }
    }

    /// The phase has changed.
    pub fn next_step(&mut self) {
        self.shutdown_asked = None;
        self.gate_opened = None;
        self.put = None;
        self.alert = None;
    }

    /// The source's side of the target's dropbox, the same as long as the configuration says the same.
    ///
    /// # Errors
    /// Transient: a peer that was taken out of the configuration may come back.
    fn dropbox(&mut self, context: &Arc<Context>, job: &Job, live: &Arc<Live>) -> Result<Dropbox, StepError> {
        let transport = transport(context, job)?;
        if let Some((reached, dropbox)) = &self.reached
            && *reached == transport
        {
            return Ok(dropbox.clone());
        }
        let (over, id) = (Arc::clone(context), job.id.clone());
        let dropbox = open(context, job, live, &transport, move || over.is_called(&id));
        self.reached = Some((transport, dropbox.clone()));
        Ok(dropbox)
    }

    /// An operator says that something is mended: no pause before the next login.
    pub fn reach_anew(&mut self) {
        self.reached = None;
    }
}

/// Everything at hand for one look at a step.
pub struct At<'a> {
    /// What all jobs share.
    pub context: &'a Context,
    /// The configuration, the same for the whole look.
    pub config: &'a Config,
    /// The job.
    pub job: &'a Job,
    /// The job's commands; what they do goes to the job's log.
    pub programs: &'a Programs,
    /// For people.
    pub live: &'a Live,
    /// The job's folder.
    pub dir: &'a JobDir,
    /// How long the step has been due.
    pub age: Duration,
    /// Source: see [`dropbox`].
    pub dropbox: Result<Dropbox, StepError>,
}

/// For who has none: a target does not dial out.
pub fn no_dropbox() -> StepError {
    StepError::permanent("only a source puts anything into a peer's dropbox")
}

/// Ensures a step.
///
/// # Errors
/// As the step says.
pub fn perform(
    context: &Arc<Context>,
    job: &Job,
    live: &Arc<Live>,
    dir: &JobDir,
    memory: &mut Memory,
    step: Step,
    age: Duration,
) -> Result<Done, StepError> {
    let config = context.config();
    let log = Arc::clone(live);
    let programs = context.programs().with_trace(move |line| log.note(line));
    let dropbox = match job.role {
        Role::Source => memory.dropbox(context, job, live),
        Role::Target | Role::Finish => Err(no_dropbox()),
    };
    let at = At { context, config: &config, job, programs: &programs, live, dir, age, dropbox };
    if job.role == Role::Target
        && let Some(done) = words::heed_source(&at, memory)?
    {
        return Ok(done);
    }
    let zone = job.zone();
    match step {
        Step::Survey => words::survey(&at),
        Step::Offer(_) => words::offer(&at, memory),
        Step::AwaitStart => words::await_start(&at),
        Step::ClearAutoboot => source::clear_autoboot(&programs, zone),
        Step::Shutdown => {
            memory.told_to_stop = true;
            source::shutdown(&programs, job, &mut memory.shutdown_asked, age)
        }
        Step::Detach => source::detach(&programs, zone, age),
        Step::Recapture => source::recapture(&programs, job),
        Step::Snapshot => source::snapshot(&programs, job),
        Step::Send => transfer::send(&at),
        Step::LookBeforeHandoff => source::look_before_handoff(&programs, job),
        Step::AwaitResult => words::await_result(&at),
        Step::PutAck => words::put_ack(&at),
        Step::PutRevoked => words::put_revoked(&at),
        Step::PutBack => source::put_back(&programs, job, memory.told_to_stop, age),
        Step::Tidy => tidy(&at),
        Step::Release => words::release(&at),

        Step::Check => words::check(&at, memory),
        Step::PutRefusal => words::put_refusal(&at),
        Step::Receive => transfer::receive(&at, memory),
        Step::PutReceipt => words::put_receipt(&at),
        Step::Install(step) => install(&at, memory, step),
        Step::AwaitAck => words::await_ack(&at),
        Step::SetAutoboot => {
            words::put_result(&at, true)?;
            with_target(&at, |target| target.set_autoboot())
        }
        Step::Undo(step) => {
            with_target(&at, |target| undo::undo(target, step, age)).map(|done| words::fill(job, done))
        }
        Step::Clean => {
            words::put_result(&at, true)?;
            if job.cause().is_none() {
                with_target(&at, |target| target.clean())?;
            }
            Ok(Done::Event(Event::Cleaned))
        }

        Step::FinishCheck => finish::check(&programs, job),
        Step::FinishUnconfigure => finish::unconfigure(&programs, job),
        Step::FinishDestroy => finish::destroy(&programs, job),
        Step::End => Ok(Done::wait("the job's folder to be moved")),
    }
}

fn install(at: &At<'_>, memory: &mut Memory, step: Install) -> Result<Done, StepError> {
    with_target(at, |target| match step {
        Install::Recheck => target.recheck(),
        Install::Properties => target.properties(),
        Install::Rename => target.rename(),
        Install::Quotas => target.quotas(),
        Install::Mount => target.mount(),
        Install::Route => route::ensure(at.programs, at.job),
        Install::Configure => target.configure(),
        Install::Attach => target.attach(),
        Install::Boot => target.boot(),
        Install::Verify => verify::verify(target, &mut memory.gate_opened, at.age),
    })
    .map(|done| words::fill(at.job, done))
}

fn with_target<T>(
    at: &At<'_>,
    act: impl FnOnce(&Target<'_>) -> Result<T, StepError>,
) -> Result<T, StepError> {
    let layout = layout(at)?;
    let accept = at.config.accept.get(&at.job.peer).ok_or_else(|| nothing_accepted(at))?;
    let ending = || at.context.is_stopping();
    act(&Target {
        programs: at.programs,
        job: at.job,
        layout: &layout,
        accept,
        work: &at.dir.path,
        ending: &ending,
    })
}

/// Where everything goes on this target.
pub fn layout(at: &At<'_>) -> Result<Layout, StepError> {
    // Without its section the peer's job waits. It must not turn back: the zone may run here.
    if !at.config.accept.contains_key(&at.job.peer) {
        return Err(nothing_accepted(at));
    }
    place(at.config, at.job).map_err(|faults| StepError::permanent(faults.join("; ")))
}

/// As [`layout`], with every reason why not.
pub fn place(config: &Config, job: &Job) -> Result<Layout, Vec<String>> {
    let accept = config.accept.get(&job.peer);
    let quarantine = accept.map(|accept| accept.quarantine.clone());
    let of_pool = |pool: &str| quarantine.clone().filter(|q| q.pool() == pool);
    Layout::new(&job.dataset_names(), &job.request.target.datasets, &job.id, of_pool)
}

/// The peer lost its section while a job of its is here.
pub fn nothing_accepted(at: &At<'_>) -> StepError {
    StepError::transient(format!(
        "nothing is accepted from {} any more: section [accept.{}] is gone",
        at.job.peer, at.job.peer
    ))
    .coded(Code::Accept)
}

/// The source's side of the target's dropbox.
///
/// # Errors
/// Transient: a peer that was taken out of the configuration may come back.
pub fn dropbox(at: &At<'_>) -> Result<Dropbox, StepError> {
    at.dropbox.clone()
}

/// As [`dropbox`], for who looks because an operator calls: only the daemon's end cuts that short.
///
/// # Errors
/// As there.
pub fn called_dropbox(context: &Arc<Context>, job: &Job, live: &Arc<Live>) -> Result<Dropbox, StepError> {
    let over = Arc::clone(context);
    Ok(open(context, job, live, &transport(context, job)?, move || over.is_stopping()))
}

/// What is done for it goes to the job's log.
fn open(
    context: &Context,
    job: &Job,
    live: &Arc<Live>,
    at: &Transport,
    is_over: impl Fn() -> bool + Send + Sync + 'static,
) -> Dropbox {
    let log = Arc::clone(live);
    let programs = context.programs().with_trace(move |line| log.note(line));
    Dropbox::new(at, &job.id, programs, Instant::now, is_over)
}

fn transport(context: &Context, job: &Job) -> Result<Transport, StepError> {
    let peer = &job.peer;
    let config = context.config();
    config.peers.get(peer).map(|peer| peer.transport.clone()).ok_or_else(|| {
        StepError::transient(format!("peer {peer} is no longer in the configuration: section [peer.{peer}]"))
    })
}

/// Waits for the peer's word. What nothing announces is asked for: often at first, because the zone may be down meanwhile,
/// and seldom when it has taken long already.
pub fn wait_for_peer(at: &At<'_>, why: String) -> Done {
    const OFTEN: Duration = Duration::from_millis(50);
    const SELDOM: Duration = Duration::from_secs(2);
    match &at.dropbox {
        Ok(dropbox) if dropbox.is_silent() => Done::Wait { why, within: (at.age / 10).clamp(OFTEN, SELDOM) },
        _ => Done::wait(why),
    }
}

/// The target's own side.
///
/// # Errors
/// Transient, while somebody else than the peer could have written there: nothing is believed then.
pub fn inbox(config: &Config, job: &Job) -> Result<JobBox, StepError> {
    let refused = |flaw: Flaw| {
        StepError::transient(format!("{}'s dropbox is not looked at: {flaw}; {}", job.peer, flaw.remedy))
    };
    dropboxes::judge(config, &job.peer).map_err(refused)?;
    Ok(Arrivals::new(config.dropbox(&job.peer)).job(&job.id))
}

/// Where parts are staged.
pub fn stage(config: &Config, job: &Job) -> Stage {
    Stage::new(&config.scratch.dir, &job.id)
}

fn tidy(at: &At<'_>) -> Result<Done, StepError> {
    if at.job.survey.is_some() {
        source::destroy_snapshots(at.programs, at.job)?;
    }
    stage(at.config, at.job).clear()?;
    Ok(Done::Event(Event::Tidied))
}

/// The job is over: our side of the dropbox and of the scratch goes.
///
/// # Errors
/// When the dropbox can't be reached. What stays in it does no harm: the target knows the job's id and will not take it up again.
pub fn leave(
    context: &Arc<Context>,
    job: &Job,
    live: &Arc<Live>,
    memory: &mut Memory,
) -> Result<(), StepError> {
    if job.role != Role::Source {
        return Ok(());
    }
    let _ = stage(&context.config(), job).clear();
    if job.declared_gone_by.is_some() {
        return Ok(());
    }
    Ok(memory.dropbox(context, job, live)?.leave()?)
}

/// For `survey`: read by `words` too.
pub fn survey_zone(at: &At<'_>) -> Result<Done, StepError> {
    // A peer that can't be trusted ends the job here, before anything is said to it or done to the zone. One that shares a path
    // with us may come later.
    let dropbox = dropbox(at)?;
    if dropbox.is_silent() {
        dropbox.reach()?;
    }
    let survey = survey::survey(at.programs, at.job.zone())?;
    let datasets: Vec<_> = survey.datasets.iter().map(|dataset| dataset.name.clone()).collect();
    source::look_for_snapshots(at.programs, at.job, &datasets)?;
    survey::look_for_room(at.config, &survey.datasets, at.job.part)?;
    Ok(Done::Event(Event::Surveyed { survey: Box::new(survey) }))
}
