//! The files that two hosts leave for each other. Each is one JSON object: an envelope that names the
//! format's version, the kind and the job, and carries the BLAKE3 digest of its body, so that a damaged or
//! misplaced file is seen as such and waited out, never acted on.
//!
//! ```json
//! {"v":3,"kind":"handoff","job":"dbbackup-20070518T033600Z-7f3a","digest":"…","body":{…}}
//! ```
//!
//! An unknown version, kind or job is an error that names it. Bodies may get new fields in the same
//! version; readers ignore fields that they do not know.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::code::{Code, Reason};
use super::handoff::Changes;
use super::name::{Bytes, DatasetName, Guid, HostName, JobId, SnapshotName};
use super::progress::Progress;
use super::request::Request;
use super::survey::Survey;

/// The version of every message in this release.
pub const VERSION: u32 = 3;

/// No message is longer; a survey of some thousand datasets fits.
pub const MAX_MESSAGE: u64 = 16 << 20;

/// A message's body and its file's name.
pub trait Message: Serialize + DeserializeOwned {
    /// The file's name, which is the envelope's `kind` too.
    const NAME: &'static str;
}

macro_rules! messages {
    ($($name:literal => $type:ty),* $(,)?) => {
        $(impl Message for $type { const NAME: &'static str = $name; })*
    };
}

messages! {
    "offer" => Offer,
    "answer" => Answer,
    "progress" => Progress,
    "handoff" => Handoff,
    "receipt" => Receipt,
    "result" => Verdict,
    "ack" => Ack,
    "withdraw" => Withdraw,
    "revoked" => Revoked,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    kind: String,
    job: JobId,
    digest: String,
    body: T,
}

/// Why a file is not the message that it should be.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not JSON of the expected shape.
    #[error("{kind} is unreadable: {why}")]
    Unreadable {
        /// The message's kind.
        kind: &'static str,
        /// What the reader stumbled over.
        why: String,
    },
    /// Written by another version.
    #[error("{kind} has version {found}, this zmigrate reads {VERSION}; bring both hosts to one version")]
    Version {
        /// The message's kind.
        kind: &'static str,
        /// Its version.
        found: u32,
    },
    /// It belongs elsewhere.
    #[error("{kind} is not this job's: it names {found}")]
    Misplaced {
        /// The message's kind.
        kind: &'static str,
        /// What it names.
        found: String,
    },
    /// Its digest does not fit.
    #[error("{kind} is damaged: its digest does not fit; waiting for it to be put again")]
    Damaged {
        /// The message's kind.
        kind: &'static str,
    },
}

fn digest_of<T: Serialize>(body: &T) -> String {
    // Struct fields and BTreeMaps serialize in one order: equal bodies give equal bytes.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    blake3::hash(&bytes).to_hex().to_string()
}

/// The bytes of a message's file.
pub fn seal<T: Message>(job: &JobId, body: T) -> Vec<u8> {
    let digest = digest_of(&body);
    let envelope = Envelope { v: VERSION, kind: T::NAME.to_owned(), job: job.clone(), digest, body };
    let mut bytes = serde_json::to_vec(&envelope).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads a message's file.
///
/// # Errors
/// [`MessageError`]; the file is then to be left alone and looked at again later.
pub fn open<T: Message>(job: &JobId, bytes: &[u8]) -> Result<T, MessageError> {
    #[derive(Deserialize)]
    struct Head {
        v: u32,
        kind: String,
        job: String,
    }
    let kind = T::NAME;
    let unreadable = |why: serde_json::Error| MessageError::Unreadable { kind, why: why.to_string() };
    // The head first: another version may have another body.
    let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
    if head.v != VERSION {
        return Err(MessageError::Version { kind, found: head.v });
    }
    if head.kind != kind || head.job != job.as_str() {
        let found = format!("{} of {}", head.kind.escape_debug(), head.job.escape_debug());
        return Err(MessageError::Misplaced { kind, found });
    }
    let envelope: Envelope<T> = serde_json::from_slice(bytes).map_err(unreadable)?;
    if digest_of(&envelope.body) != envelope.digest {
        return Err(MessageError::Damaged { kind });
    }
    Ok(envelope.body)
}

/// As [`open`], for who waits for the peer's word: a damaged or misplaced one is as good as none, since it is put again.
///
/// # Errors
/// [`MessageError::Version`]: waiting does not help, somebody must know.
pub fn heard<T: Message>(job: &JobId, bytes: &[u8]) -> Result<Option<T>, MessageError> {
    match open(job, bytes) {
        Ok(body) => Ok(Some(body)),
        Err(error @ MessageError::Version { .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Source to target: may this zone come?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Counts up with each offer of a job; the answer repeats it.
    pub serial: u32,
    /// `true`: answer, but take up no job and reserve nothing (`zmigrate plan`).
    #[serde(default)]
    pub plan: bool,
    /// The source's name.
    pub from: HostName,
    /// The request.
    pub request: Request,
    /// The facts.
    pub survey: Survey,
    /// The final snapshot's name.
    pub snapshot: SnapshotName,
    /// Size of a part.
    pub part: Bytes,
}

/// Target to source: yes, no, or not now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The serial of the offer that is answered.
    pub serial: u32,
    /// The answer.
    pub verdict: Reply,
    /// What the target found out, for `plan`: a line each.
    #[serde(default)]
    pub findings: Vec<String>,
    /// The commands that the target would run, in order, for `plan`.
    #[serde(default)]
    pub commands: Vec<String>,
}

/// The three answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Names and space are reserved.
    Accepted,
    /// Every reason at once.
    Refused(Vec<Reason>),
    /// Nothing is wrong, but not now: ask again.
    Later(String),
}

/// Source to target: **the zone is yours.** The file whose arrival moves the ownership.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handoff {
    /// The final snapshots' guids, by dataset name on the source.
    pub guids: BTreeMap<DatasetName, Guid>,
    /// What the detach changed. Everything else is as it was offered.
    pub changed: Changes,
    /// Digest over all images' digests.
    pub entries: String,
    /// Whether the zone ran when it was shut down, which the survey could not know.
    pub ran: bool,
}

impl Handoff {
    /// The digest by which receipt and result name this handoff.
    pub fn digest(&self) -> String {
        digest_of(self)
    }
}

/// Target to source: the handoff is journaled here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`Handoff::digest`]
    pub handoff: String,
}

/// Target to source, file `result`: the verdict. A copy of a journal line; never revisited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Does the zone live on the target?
    pub ok: bool,
    /// [`Handoff::digest`], if one had been taken.
    #[serde(default)]
    pub handoff: Option<String>,
    /// What went wrong, and at which step.
    #[serde(default)]
    pub error: Option<Failure>,
    /// Where the received datasets are kept after a return.
    #[serde(default)]
    pub kept: Vec<DatasetName>,
    /// Bytes written to them since the zone was booted on the target.
    #[serde(default)]
    pub written: Option<Bytes>,
    /// Durations of the target's steps in seconds, by the step's word.
    #[serde(default)]
    pub took: BTreeMap<String, u64>,
    /// The target has read the ack.
    #[serde(default)]
    pub acked: bool,
}

/// A step that failed and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step's word.
    pub step: String,
    /// The reason, in words.
    pub error: String,
    /// The reason, for programs.
    #[serde(default)]
    pub code: Code,
}

impl Failure {
    /// A step that failed for this reason.
    pub fn new(step: impl Into<String>, code: Code, error: impl Into<String>) -> Self {
        Self { step: step.into(), error: error.into(), code }
    }
}

/// Source to target: the result has been taken; nothing will be asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {}

/// Source to target, before any handoff: it is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Why.
    pub reason: String,
}

/// Source to target: an operator declared you gone and the zone has been put back on the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Who said so.
    pub by: String,
}
