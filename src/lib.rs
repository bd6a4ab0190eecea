//! zmigrate moves Solaris and illumos zones between hosts. This page is its architecture.
//!
//! Two daemons, one on each host, each acting on its own host only. A request, a small file dropped into a spool, becomes a
//! *job* on the source and, by an offer, a job of the same id on the target. What crosses between them is files in a
//! dropbox: messages, and the zone's datasets as `zfs send` streams cut into parts. The command `zmigrate` reads the spool
//! and leaves files in it; it needs no connection to anything.
//!
//! # Eight sentences
//!
//! 1. A migration is a job; a job is a journal. Every event is one line; the phase is the fold of the lines.
//! 2. Both roles are the same kind of job: one engine, one [`Phase`](job::phase::Phase), one table of events.
//! 3. The core is two pure functions, [`next`](job::phase::Phase::next) and [`apply`](job::phase::Phase::apply). No clock,
//!    file or process.
//! 4. Recovery is not a code path: a restarted daemon folds the journal and asks `next`. So each step *ensures*: it
//!    looks, then acts, then looks again.
//! 5. Hosts talk by leaving files: dot name, sync, rename. The source puts and polls; the target never dials out.
//! 6. There are two one-way doors.
//! 7. One function starts processes. Argv is built by pure functions, output is read by pure functions.
//! 8. Nothing here knows about tests. The lab's hosts are commands on a path, not a trait.
//!
//! # The two doors
//!
//! The [`Handoff`](job::message::Handoff) is the source's: before it every failure turns the source back by itself, after
//! it only the target's result may. The result, a [`Verdict`](job::message::Verdict), is the target's: before an ok it may
//! give the zone back, after it never. Each is journaled *before* its file appears, and the file is a copy of the line that
//! may be put again. A source without a result is *in doubt*: the zone stays down there, and an operator is alerted; it
//! never guesses. Beside the doors, autoboot is false on both hosts from before the shutdown until after the
//! [`Ack`](job::message::Ack), so that no reboot can do what the journals forbid.
//!
//! # The life of a job
//!
//! ```text
//! source                                        target
//! survey     what the peer must know
//! offer      ──────────────────────────────▶    check      every refusal at once; reserve
//!            ◀──────────────────────── answer
//! wait       for its time and a free place
//! survey, offer once more                       check      once more
//! autoboot=false, shutdown, detach
//! recapture  properties; detach changes some
//! snapshot   one, recursive
//! send       parts ────────────────────────▶    receive    into quarantine, part by part, meanwhile
//! handoff    ════════ one-way door ════════▶    receipt
//! await                                         properties, rename, quotas, mount, route, configure,
//!                                               attach, boot, verify: the gate
//!            ◀════════ one-way door ════════    result
//! ack        ──────────────────────────────▶    autoboot, clean
//! done/      one line in syslog                 done/      one line in syslog
//! ```
//!
//! The way back: the source attaches and boots what it found, and removes its snapshots and parts; the target undoes its steps in
//! the opposite order and keeps what has run, in quarantine. `finish`, some days later, is a job of its own.
//!
//! # Layers: who may know whom
//!
//! | layer | what it is | knows |
//! | --- | --- | --- |
//! | [`job`] | pure: names, request, phases, events, messages, retry | digests of [`stream`] |
//! | [`stream`] | ZFS streams: records, checksums, digests of parts | names |
//! | [`config`] | `zmigrate.toml` | names, units, facilities of [`log`], [`guard`] |
//! | [`guard`] | who may write where, by owner and mode | nothing |
//! | [`spool`] | files: queues, journal, asks, lock; fsync order | names, [`guard`] |
//! | [`process`] | processes: started, fed, read, timed, ended | nothing |
//! | [`cmd`] | external commands: argv and parsing | [`process`], names |
//! | [`log`] | syslog lines, here and at a log host | names |
//! | [`transport`] | a peer's dropbox, by a path or by SFTP | names, pauses of [`job`], durable files of [`spool`], [`config`], [`guard`], ssh of [`cmd`] |
//! | [`host`] | steps made real, on ZFS and zones | [`cmd`], [`stream`], [`transport`], [`job`], [`config`] |
//! | [`daemon`] | the loop, the engine, the words between hosts | all but [`cli`] |
//! | [`cli`] | the verbs | [`spool`], [`job`], [`config`]; [`host`] and [`transport`] for `plan`, [`cmd`] for `plan`, `check`, `peer` and `submit` |
//!
//! [`host`] knows ZFS but not jobs' folders, [`spool`] knows files but not ZFS, [`job`] knows neither; only the engine in [`daemon`]
//! knows both. `Command::new` is in `process/run.rs` only, clocks are in `daemon/` and `cli/clock.rs`. `tests/layers.rs` has the table with its
//! reasons, and checks it.
//!
//! # On disk
//!
//! ```text
//! /etc/opt/zmigrate/zmigrate.toml       configuration
//! /var/spool/zmigrate/                  incoming, active/JOB, done/JOB, failed/JOB, rejected, asks, outbox, streams
//! /export/scratch/zmigrate/out/JOB/     source: parts
//! /export/scratch/zmigrate/dropbox/PEER/in/JOB/    target: what the peer puts
//! /export/scratch/zmigrate/dropbox/PEER/out/JOB/   target: what it answers
//! ```
//!
//! # Guarantees, and where each is proven
//!
//! | guarantee | by |
//! | --- | --- |
//! | a zone never runs, and is never attached, on two hosts; some host has all of its data; every quiet end is *migrated* or *as found* | `tests/model.rs`: every interleaving of both roles with crashes, lost and late files, operators; and seeded mistakes that it must catch |
//! | a daemon killed at any command or journal line loses nothing | `tests/crash.rs` |
//! | a stream that outlives its daemon is ended by the next | `tests/e2e/integrity.rs`; by process contracts only type-checked |
//! | told to end, a daemon does within 10 s or the deadline of its command, leaves no command behind, and goes on when it is started again | `tests/stop.rs` |
//! | a journal cut anywhere is its whole lines | `spool/journal.rs`: `cut_at_every_byte_it_holds_the_whole_lines_before_the_cut` |
//! | whatever is dropped ends in one place, and nothing dropped stops the daemon | `spool/incoming.rs`: `whatever_is_no_request_ends_in_rejected_with_a_reason` |
//! | a target that has lost its job does not give back a zone that it has, and a request is begun or set aside, not lost | `tests/e2e/forgotten.rs` |
//! | what takes too long while a zone is down is told, with the way out | `tests/e2e/peers.rs` |
//! | only root, or who runs the daemon, says by a configuration what it runs | `config/load.rs`: `a_file_that_others_can_write_or_replace_does_not_choose_what_root_runs` |
//! | only root submits, and who holds the right; nobody in another's name | `spool/incoming.rs`, `tests/e2e/rights.rs` |
//! | one outcome line for each job and host | `log/outcome.rs`, and on rsyslogd `tests/syslog.rs`; at a log host that was down meanwhile `tests/loghost/` |
//! | a hostile peer gets nothing mounted, set or overwritten that was not judged | `tests/e2e/hostile/` |
//! | the target runs exactly the commands that `plan` printed | `tests/e2e/steps.rs` |
//! | a zone that changes while it moves stops neither the move nor the way back | `tests/e2e/meanwhile.rs` |
//! | the lab's zonecfg and zoneadm answer as the real ones were recorded | `tests/recorded/` |
//! | a stream that ZFS must not see is stopped before it | `stream/tests.rs` |
//! | an offer that does not fit is refused with every reason | `host/check/*.rs`, beside each rule |
//! | what one release does otherwise is done there, too | `tests/e2e/`, all of it, between hosts of OmniOS and of Oracle Solaris 11.4 |
//! | `plan` leaves both hosts byte for byte as they were | `tests/plan.rs` |
//! | the target runs what `plan` printed, and sets nothing that was not judged | `tests/e2e/steps.rs`, `tests/e2e/hostile/properties.rs` |
//! | a peer's key opens its dropbox and nothing else, and a dropbox that others can write is not looked at | `tests/account.rs`, `tests/e2e/dropboxes.rs` |
//! | every file, mode, owner, property and source arrives | `cargo demo` compares them |
//!
//! # Formats
//!
//! For operators all of them are in `man/`, which `tests/man.rs` compares with the code. In the code: the journal's line in
//! [`spool::journal`], its events in [`job::event`], messages and part entries in [`job::message`], `status.json` in
//! [`job::status`], asks in [`spool::asks`], the spool's layout in [`spool`], the dropbox in [`transport`], requests in
//! [`job::request`], the configuration in [`config`], the outcome line in [`log`].

pub mod cli;
pub mod cmd;
pub mod config;
pub mod daemon;
pub mod guard;
pub mod host;
pub mod job;
pub mod log;
pub mod process;
pub mod spool;
pub mod stream;
pub mod transport;
