//! The one thing that is due: what a [`Phase`](super::phase::Phase) asks the host to ensure.
//!
//! Every step *ensures*: it looks first and acts only where the world is not yet as wanted, so it may be
//! performed any number of times, after a crash at any instant.

use serde::{Deserialize, Serialize};

/// Which of the two offers of a migration: the first one asks early, so that a refusal comes while the
/// operator is still awake; the second one asks again right before the zone is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Round {
    /// At admission.
    First,
    /// Right before the shutdown.
    Second,
}

/// The target's way from the handoff to the running zone, in the order that ZFS and zoneadm allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Install {
    /// Are name, zonepath and datasets still free?
    Recheck,
    /// canmount=noauto, then the carried properties, mountpoint last: all in quarantine, nothing mounts.
    Properties,
    /// Rename every root from quarantine into its place.
    Rename,
    /// What depends on the place: differing inherited values, quotas, reservations, readonly, zoned.
    Quotas,
    /// canmount as on the source; mount what must be mounted for attach.
    Mount,
    /// The request's route, by the workaround of 2007.
    Route,
    /// `zonecfg create -a`, mapped names, the request's commands, autoboot=false.
    Configure,
    /// `zoneadm attach`.
    Attach,
    /// `zoneadm boot`, if the zone is to run.
    Boot,
    /// The gate: multi-user, no new maintenance, the request's commands.
    Verify,
}

impl Install {
    /// The next one, `None` behind the gate.
    pub fn next(self) -> Option<Install> {
        use Install::*;
        Some(match self {
            Recheck => Properties,
            Properties => Rename,
            Rename => Quotas,
            Quotas => Mount,
            Mount => Route,
            Route => Configure,
            Configure => Attach,
            Attach => Boot,
            Boot => Verify,
            Verify => return None,
        })
    }

    /// The word for logs and `step=`.
    pub fn word(self) -> &'static str {
        use Install::*;
        match self {
            Recheck => "recheck",
            Properties => "properties",
            Rename => "rename",
            Quotas => "quotas",
            Mount => "mount",
            Route => "route",
            Configure => "configure",
            Attach => "attach",
            Boot => "boot",
            Verify => "verify",
        }
    }
}

/// The target's way back, each the counterpart of an [`Install`] step; what was never begun is not undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// `zoneadm halt`.
    Halt,
    /// `zoneadm detach`.
    Detach,
    /// `zonecfg delete -F`.
    Unconfigure,
    /// Take away the route that this job added.
    Unroute,
    /// zoned=off, canmount=noauto, unmount, rename every root back into quarantine.
    Shelve,
    /// Destroy what was received, unless the zone has booted on it.
    Discard,
}

impl Undo {
    /// Where the way back begins when `reached` was the last step begun.
    pub fn first(reached: Option<Install>) -> Undo {
        match reached {
            None | Some(Install::Recheck) => Undo::Discard,
            Some(step) if step >= Install::Boot => Undo::Halt,
            Some(Install::Attach) => Undo::Detach,
            Some(step) if step >= Install::Configure => Undo::Unconfigure,
            Some(Install::Route) => Undo::Unroute,
            Some(_) => Undo::Shelve,
        }
    }

    /// The next one, `None` at the end.
    pub fn next(self) -> Option<Undo> {
        use Undo::*;
        Some(match self {
            Halt => Detach,
            Detach => Unconfigure,
            Unconfigure => Unroute,
            Unroute => Shelve,
            Shelve => Discard,
            Discard => return None,
        })
    }

    /// The word for logs and `step=`.
    pub fn word(self) -> &'static str {
        use Undo::*;
        match self {
            Halt => "undo-halt",
            Detach => "undo-detach",
            Unconfigure => "undo-configure",
            Unroute => "undo-route",
            Shelve => "undo-rename",
            Discard => "undo-receive",
        }
    }
}

/// What is to be ensured next. `S` on the source, `T` on the target, `F` for finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// S: gather what the peer must know. Changes nothing.
    Survey,
    /// S: put the offer, wait for the answer to it.
    Offer(Round),
    /// S: wait for `not_before` and a free place among the `parallel` jobs.
    AwaitStart,
    /// S: autoboot=false, so that a reboot of this host can't start a zone that is on its way.
    ClearAutoboot,
    /// S: shut the zone down, wait for `installed`.
    Shutdown,
    /// S: `zoneadm detach`.
    Detach,
    /// S: read the properties again; detach changes some.
    Recapture,
    /// S: one recursive snapshot.
    Snapshot,
    /// S: send into parts, copy them, until the target reports every image received.
    Send,
    /// S: the last look before the one-way door.
    LookBeforeHandoff,
    /// S: put the handoff, and put it again, until the result is there.
    AwaitResult,
    /// S: put the ack until the target has confirmed it.
    PutAck,
    /// S: leave `revoked` for a target that the operator declared gone.
    PutRevoked,
    /// S: attach, autoboot and boot as they were found.
    PutBack,
    /// S: take away this job's snapshots and parts.
    Tidy,
    /// S: tell the target that it is over: withdraw, ack or revoked.
    Release,

    /// T: all refusals at once; reserve.
    Check,
    /// T: put the answer that refuses.
    PutRefusal,
    /// T: receive arriving parts into quarantine; watch for another offer, withdraw, handoff.
    Receive,
    /// T: put the receipt.
    PutReceipt,
    /// T: one step towards the running zone.
    Install(Install),
    /// T: put the result, wait for the ack.
    AwaitAck,
    /// T: autoboot as it was on the source; the zone runs if it is to.
    SetAutoboot,
    /// T: one step back.
    Undo(Undo),
    /// T: take away snapshots, parts and the empty quarantine.
    Clean,

    /// F: is what is to be destroyed still what was handed off?
    FinishCheck,
    /// F: `zonecfg delete -F` of the zone that has moved away.
    FinishUnconfigure,
    /// F: destroy the datasets named in the journal.
    FinishDestroy,

    /// The job has ended: nothing is due but its outcome line and its folder.
    End,
}

impl Step {
    /// The word for logs, status and `step=`.
    pub fn word(self) -> &'static str {
        use Step::*;
        match self {
            Survey => "survey",
            Offer(_) => "offer",
            AwaitStart => "wait",
            ClearAutoboot => "autoboot",
            Shutdown => "shutdown",
            Detach => "detach",
            Recapture => "recapture",
            Snapshot => "snapshot",
            Send => "send",
            LookBeforeHandoff => "handoff",
            AwaitResult => "await",
            PutAck => "ack",
            PutRevoked => "revoke",
            PutBack => "undo",
            Tidy => "tidy",
            Release => "release",
            Check => "check",
            PutRefusal => "refuse",
            Receive => "receive",
            PutReceipt => "receipt",
            Install(step) => step.word(),
            AwaitAck => "result",
            SetAutoboot => "autoboot",
            Undo(step) => step.word(),
            Clean => "clean",
            FinishCheck => "check",
            FinishUnconfigure => "unconfigure",
            FinishDestroy => "destroy",
            End => "end",
        }
    }
}
