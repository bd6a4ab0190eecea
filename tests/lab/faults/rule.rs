//! A fault as a rule: which call of which command it strikes, and what happens then.

use serde::{Deserialize, Serialize};

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The command's name, or `*` for any.
    #[serde(default = "any")]
    pub command: String,
    /// Each of these must be a part of some argument.
    #[serde(default)]
    pub contains: Vec<String>,
    /// The n-th matching call, from 1, and then never again; none: every one.
    #[serde(default)]
    pub call: Option<u64>,
    /// What happens.
    pub action: Action,
    /// Calls that matched so far.
    #[serde(default)]
    pub seen: u64,
    /// Whether it has struck.
    #[serde(default)]
    pub fired: bool,
}

fn any() -> String {
    "*".into()
}

fn half() -> u64 {
    64 * 1024
}

/// What a rule does to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Says `text` and ends with `status`; the effect is left out, or happens silently first.
    Fail {
        /// What it says, without the last newline; empty: nothing.
        #[serde(default)]
        text: String,
        /// Its exit status.
        status: i32,
        /// Where it says it.
        #[serde(default)]
        to: Stream,
        /// The effect happens all the same.
        #[serde(default)]
        after_effect: bool,
    },
    /// Never answers, without effect, or with a stream half through. One whose caller is gone gives up within a
    /// minute, so that no lab leaves processes behind for good.
    Hang {
        /// How much of a stream passes first; none: it does not even begin.
        bytes: Option<u64>,
    },
    /// SIGKILL to itself: `zfs send` and `zfs receive` after `bytes` of the stream, all others after the
    /// effect and before any answer.
    DieHalfway {
        /// How much of a stream passes; default 64 KiB.
        #[serde(default = "half")]
        bytes: u64,
    },
    /// SIGKILL to the process that called.
    KillParent {
        /// At which moment.
        when: When,
        /// How much of a stream passes before `halfway`; default 64 KiB.
        #[serde(default = "half")]
        bytes: u64,
    },
    /// SIGTERM to the process that called, which is to wait for the command or to end it.
    TermParent {
        /// What the command does from then on.
        then: Then,
        /// How much of a stream passes before; default 64 KiB.
        #[serde(default = "half")]
        bytes: u64,
    },
    /// Ends with 0, without effect and without a word.
    Lie,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Most commands' complaints.
    #[default]
    Stderr,
    /// Those of route and of the brands' attach.
    Stdout,
}

/// When the caller is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before the effect, which does not happen.
    Before,
    /// In the middle of a send's or receive's stream; the command goes on as an orphan. Others: after.
    Halfway,
    /// When the effect is complete on disk.
    After,
    /// Before the effect, which happens all the same, a moment later: whoever takes over from the caller
    /// looks at the world while the orphan is still at work.
    Orphan,
}

/// What a command does after its caller received SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It has its effect and answers, as ever.
    GoesOn,
    /// The same, a moment later.
    GoesOnSlowly,
    /// It never ends; `zfs send` and `zfs receive` after so much of the stream, all others without effect.
    Hangs,
}
