//! `zfs receive`: a stream becomes a filesystem with its snapshot.
//!
//! The destination is visible, without a snapshot and busy, from the beginning of the stream to its
//! end. If anything fails, or the receiver dies, nothing of it remains. Bytes after the END record
//! are ignored.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;

use super::command::{Fail, Outcome, Session, cannot_open, print, status};
use super::intake::{Intake, Trouble, read_begin};
use super::lock::Lock;
use super::name::{self, Kind};
use super::record::{Begin, PER_BLOCK_CHECKSUMS, SA_SPILL};
use super::release::Release;
use super::space::{self, Space};
use super::state::{Incoming, Snapshot, State, parent_of};
use super::view::Item;
use super::{create, crypt, files, number, options};

/// `zfs receive [-vnFu] filesystem|snapshot` · `zfs receive [-vnFu] -d|-e filesystem`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, session.release.receive_options())?;
    if let Some(option) = ['o', 'x', 'C'].into_iter().find(|&option| parsed.has(option)) {
        return Err(Fail::Text(format!("zfs receive -{option} is not emulated in this lab")));
    }
    let operand = match parsed.operands {
        [] => return Err(Fail::Usage("missing snapshot argument".into())),
        [operand] => operand.as_str(),
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    if io::stdin().is_terminal() {
        let hint = "You must redirect standard input.";
        return Err(Fail::Text(format!("Error: Backup stream can not be read from a terminal.\n{hint}")));
    }
    let started = Instant::now();
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut intake = Intake::new(input);
    let appended = parsed.has('d') || parsed.has('e');
    if appended && session.read()?.dataset(operand).is_none() {
        return Err(cannot(&format!("specified fs ({operand}) does not exist")));
    }
    let begin = read_begin(&mut intake).map_err(|reason| cannot(&reason))?;
    accepts(session, operand, &begin)?;
    let target = Target::of(operand, &begin, parsed.has('d'), parsed.has('e'))?;
    if parsed.has('v') {
        let verb = if parsed.has('n') { "would receive" } else { "receiving" };
        let kind = if begin.fromguid == 0 { "full" } else { "incremental" };
        print(&format!(
            "{verb} {kind} stream of {} into {}@{}\n",
            begin.toname, target.dataset, target.snapshot
        ));
    }
    if parsed.has('n') {
        return Ok(0);
    }
    if appended {
        plant_parents(session, &target)?;
    }

    let flight = session.store.change(|state| board(session, state, &target, &begin, parsed.has('F')))??;
    let received = land(session, &target, &begin, &flight, &mut intake);
    let (snapshot, trash) = match received {
        Ok(landed) => landed,
        Err(why) => {
            let garbage =
                session.store.change(|state| session.store.forget_incoming(state, &target.dataset))?;
            garbage.iter().try_for_each(|dir| files::remove(dir))?;
            return Err(target.cannot(match why {
                Trouble::Damaged => "invalid backup stream",
                Trouble::Checksum => "invalid stream (checksum mismatch)",
                Trouble::Full => "out of space",
                Trouble::Io(why) if why.kind() == io::ErrorKind::StorageFull => "out of space",
                Trouble::Io(why) => return Err(Fail::Io(why)),
            }));
        }
    };
    let complaints = session.store.change(|state| -> io::Result<Vec<String>> {
        let Some(dataset) = state.datasets.get_mut(&target.dataset) else {
            return Err(io::Error::other(format!("'{}' is gone", target.dataset)));
        };
        if let Some((old, new)) = &trash {
            let live = session.store.live(dataset);
            fs::rename(&live, old)?;
            fs::rename(new, live)?;
        }
        dataset.incoming = None;
        dataset.snapshots.push(snapshot);
        let mount = begin.fromguid == 0 && !parsed.has('u');
        if mount { create::settle(session, state, &target.dataset) } else { Ok(Vec::new()) }
    })??;
    drop(flight);
    if let Some((old, _)) = trash {
        files::remove(&old)?;
    }
    if parsed.has('v') {
        let (bytes, seconds) = (intake.bytes, started.elapsed().as_secs().max(1));
        let (size, rate) = (number::nice(bytes), number::nice(bytes / seconds));
        print(&format!("received {size}B stream in {seconds} seconds ({rate}B/sec)\n"));
    }
    Ok(status(&complaints))
}

fn cannot(reason: &str) -> Fail {
    Fail::Text(format!("cannot receive: {reason}"))
}

/// Where a stream goes.
struct Target {
    dataset: String,
    snapshot: String,
    full: bool,
}

impl Target {
    fn of(operand: &str, begin: &Begin, all_but_pool: bool, last: bool) -> Result<Self, Fail> {
        let Some((sent, sent_snapshot)) = begin.toname.split_once('@') else {
            return Err(cannot("invalid stream (bad snapshot name)"));
        };
        let named = if all_but_pool || last {
            let tail = if last { sent.rsplit_once('/') } else { sent.split_once('/') };
            tail.map_or_else(|| operand.to_owned(), |(_, tail)| format!("{operand}/{tail}"))
        } else {
            operand.to_owned()
        };
        let full = if named.contains('@') { named } else { format!("{named}@{sent_snapshot}") };
        if name::check(&full, Kind::Snapshot).is_err() {
            return Err(cannot("invalid name"));
        }
        let (dataset, snapshot) = full.split_once('@').unwrap_or((&full, ""));
        Ok(Self { dataset: dataset.into(), snapshot: snapshot.into(), full: begin.fromguid == 0 })
    }

    fn cannot(&self, reason: &str) -> Fail {
        let kind = if self.full { "new filesystem" } else { "incremental" };
        Fail::Text(format!("cannot receive {kind} stream: {reason}"))
    }
}

/// Whether this host's ZFS knows what the stream uses. What only a kernel would know is refused, too.
fn accepts(session: &Session, operand: &str, begin: &Begin) -> Result<(), Fail> {
    let known = match session.release {
        Release::Solaris10 => 0,
        Release::Solaris11 => SA_SPILL | PER_BLOCK_CHECKSUMS,
        Release::Illumos => SA_SPILL,
    };
    if begin.kind != 1 || begin.features & !known != 0 {
        return Err(cannot(&format!("stream has unsupported feature, feature flags = {:x}", begin.features)));
    }
    if begin.objset != 2 {
        return Err(Fail::Text(format!(
            "cannot receive into '{operand}': only filesystems are emulated in this lab"
        )));
    }
    Ok(())
}

/// `-d` makes the filesystems between.
fn plant_parents(session: &Session, target: &Target) -> Result<(), Fail> {
    session.store.change(|state| -> io::Result<()> {
        let missing: Vec<&str> = std::iter::successors(parent_of(&target.dataset), |name| parent_of(name))
            .take_while(|name| state.dataset(name).is_none())
            .collect();
        for name in missing.into_iter().rev() {
            // One that can't be mounted is there all the same.
            let _ = create::plant(session, state, name, Default::default())?;
        }
        Ok(())
    })??;
    Ok(())
}

/// What a receive holds while it runs.
struct Flight {
    _lock: Lock,
    /// The files are written here.
    into: PathBuf,
    /// Unchanged files of an incremental stream come from here.
    base: Option<PathBuf>,
    snapshot: u64,
    /// Where the old contents go when an incremental one is complete.
    old: Option<PathBuf>,
}

/// Checks the destination and makes it busy.
fn board(
    session: &Session,
    state: &mut State,
    target: &Target,
    begin: &Begin,
    force: bool,
) -> Result<Flight, Fail> {
    let (store, name) = (&session.store, target.dataset.as_str());
    let snapshot = state.fresh_id();
    if !target.full {
        return board_incremental(session, state, target, begin, force, snapshot);
    }
    if let Some(dataset) = state.dataset(name) {
        return Err(match (force, dataset.snapshots.first(), &dataset.incoming) {
            (true, _, Some(_)) => target.cannot("dataset is busy"),
            (true, Some(oldest), None) => target.cannot(&format!(
                "destination has snapshots (eg. {name}@{})\nmust destroy them to overwrite it",
                oldest.name
            )),
            (true, None, None) => target.cannot("receive -F of a full stream is not emulated in this lab"),
            (false, ..) => {
                target.cannot(&format!("destination '{name}' exists\nmust specify -F to overwrite it"))
            }
        });
    }
    if parent_of(name).is_none_or(|parent| state.dataset(parent).is_none()) {
        let Fail::Text(open) = cannot_open(name) else { return Err(cannot_open(name)) };
        let Fail::Text(text) = target.cannot("dataset does not exist") else { return Err(cannot_open(name)) };
        return Err(Fail::Text(format!("{open}\n{text}")));
    }
    let mut dataset = state.new_dataset(name)?;
    if crypt::is_locked(state, &dataset) {
        return Err(target.cannot("inherited key must be loaded"));
    }
    if begin.features & SA_SPILL == 0 {
        // The version travels in the data; all that is known here is that it is older than 5.
        dataset.version = dataset.version.min(4);
    }
    store.make_data(&dataset)?;
    let lock =
        Lock::try_exclusive(&store.flight(dataset.id))?.ok_or_else(|| target.cannot("dataset is busy"))?;
    dataset.incoming = Some(Incoming { pid: std::process::id(), staged: None });
    let into = store.live(&dataset);
    state.datasets.insert(name.to_owned(), dataset);
    Ok(Flight { _lock: lock, into, base: None, snapshot, old: None })
}

fn board_incremental(
    session: &Session,
    state: &mut State,
    target: &Target,
    begin: &Begin,
    force: bool,
    snapshot: u64,
) -> Result<Flight, Fail> {
    let (store, name) = (&session.store, target.dataset.as_str());
    let Some(item) = Item::find(state, name) else {
        return Err(target.cannot(&format!("destination '{name}' does not exist")));
    };
    if item.dataset.incoming.is_some() {
        return Err(target.cannot("dataset is busy"));
    }
    let Some(newest) = item.dataset.snapshots.last().filter(|newest| newest.guid == begin.fromguid) else {
        let reason = format!("most recent snapshot of {name} does not\nmatch incremental source");
        return Err(target.cannot(&reason));
    };
    if item.dataset.snapshot(&target.snapshot).is_some() {
        let full = format!("{name}@{}", target.snapshot);
        return Err(Fail::Text(format!("cannot restore to {full}: destination already exists")));
    }
    if !force && Space::new(store, state).written_since(item, Some(newest)) > 0 {
        let reason = format!("destination {name} has been modified\nsince most recent snapshot");
        return Err(target.cannot(&reason));
    }
    let (id, base) = (item.dataset.id, store.frozen(item.dataset, newest));
    let lock = Lock::try_exclusive(&store.flight(id))?.ok_or_else(|| target.cannot("dataset is busy"))?;
    let (staged, old) = (state.fresh_id(), state.fresh_id());
    let dir = |id: u64| base.with_file_name(id.to_string());
    let (into, old) = (dir(staged), dir(old));
    files::remove(&into)?;
    files::remove(&old)?;
    fs::create_dir(&into)?;
    if let Some(dataset) = state.datasets.get_mut(name) {
        dataset.incoming = Some(Incoming { pid: std::process::id(), staged: Some(staged) });
    }
    Ok(Flight { _lock: lock, into, base: Some(base), snapshot, old: Some(old) })
}

type Landed = (Snapshot, Option<(PathBuf, PathBuf)>);

/// Takes the stream in and makes its snapshot, which is in no table yet.
fn land(
    session: &Session,
    target: &Target,
    begin: &Begin,
    flight: &Flight,
    intake: &mut Intake<File>,
) -> Result<Landed, Trouble> {
    let free = || -> io::Result<u64> {
        let state = session.store.read()?;
        Ok(Space::new(&session.store, &state).available(&target.dataset))
    };
    intake.files(&flight.into, flight.base.as_deref(), free)?;
    let frozen = flight.into.with_file_name(flight.snapshot.to_string());
    files::remove(&frozen)?;
    files::copy(&flight.into, &frozen)?;
    let snapshot = Snapshot {
        name: target.snapshot.clone(),
        id: flight.snapshot,
        guid: begin.toguid,
        createtxg: session.store.change(|state| state.next_txg(&target.dataset))?,
        creation: begin.creation,
        referenced: space::size(&frozen),
        local: Default::default(),
        holds: Default::default(),
    };
    Ok((snapshot, flight.old.clone().map(|old| (old, flight.into.clone()))))
}
