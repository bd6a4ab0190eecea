//! The request: what an operator asks for, as a file in the spool (DESIGN section 4) and in its normalised form.
//!
//! A [`Request`] that exists is legal in itself: names, paths, commands and numbers have the form they must have,
//! whether it came from a request's TOML ([`Request::parse`]) or from a journal or a peer's offer (serde). Whether zone, peer and
//! datasets exist is not known here. Pure; nothing is read but the text.
//!
//! In JSON times are whole seconds, words as in the TOML, and an unknown key is an error. A key that a later version
//! adds must have a default there, so that older journals can be read.

mod property;
mod read;
mod route;
mod write;
mod zonecfg;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::name::{DatasetName, HostName, SnapshotName, ZoneName};
use super::{path, units};

pub use property::Properties;
pub use route::Route;

/// The whole job before the handoff: a night's window, as 40 GB took four hours in 2007 with everything around it.
pub const GIVE_UP: Duration = Duration::from_secs(4 * 3600);
/// A database may flush for minutes; `zoneadm shutdown`'s own 100 s are too short for one.
pub const SHUTDOWN: Duration = Duration::from_secs(10 * 60);
/// From the boot to the multi-user-server milestone and the last verify command.
pub const VERIFY: Duration = Duration::from_secs(5 * 60);

/// One migration that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The zone on this host.
    pub zone: ZoneName,
    /// The peer that it moves to.
    pub to: HostName,
    /// How its data travels.
    pub mode: Mode,
    /// The final snapshot's name; `None`: `zmigrate-<job>`.
    pub snapshot: Option<SnapshotName>,
    /// Nothing is done before this moment.
    pub not_before: Option<DateTime<Utc>>,
    /// The longest time from the start (or `not_before`) to the handoff; then undo.
    #[serde(with = "units::seconds")]
    pub give_up: Duration,
    /// The longest time that the zone may be down before the handoff; then undo. `None`: only `give_up` counts.
    #[serde(with = "units::seconds_or_none")]
    pub max_outage: Option<Duration>,
    /// Echoed in every line of the log: at most 64 printable ASCII characters.
    #[serde(deserialize_with = "ticket_from_json")]
    pub ticket: Option<String>,
    /// How the zone is brought down.
    pub shutdown: Shutdown,
    /// How it is set up over there.
    pub target: Target,
    /// When it counts as arrived.
    pub verify: Verify,
    /// What becomes of the old copy.
    pub source: Source,
}

/// How a zone's data travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All of it while the zone is down.
    #[default]
    Cold,
}

/// `[shutdown]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long to wait for the state `installed`.
    #[serde(with = "units::seconds")]
    pub timeout: Duration,
    /// Whether `zoneadm halt` follows when that time is over.
    pub force: bool,
}

/// `[target]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Absolute, of the form that [`path::zonepath`] takes; `None`: as on the source.
    #[serde(deserialize_with = "zonepath_from_json")]
    pub zonepath: Option<String>,
    /// How strictly the operating systems must fit.
    pub attach: Attach,
    /// Whether the zone is booted; `None`: as it was found.
    pub boot: Option<bool>,
    /// Where datasets land: a prefix on the source to one on the target; the longest that fits wins.
    pub datasets: BTreeMap<DatasetName, DatasetName>,
    /// Properties on top of the carried ones, by the dataset's name on the source.
    #[serde(deserialize_with = "property::from_json")]
    pub properties: Properties,
    /// Edits of the configuration, one zonecfg subcommand each, every resource scope closed.
    #[serde(deserialize_with = "zonecfg::from_json")]
    pub zonecfg: Vec<String>,
    /// The shared-IP workaround of 2007.
    pub route: Option<Route>,
}

/// The options of `zoneadm attach`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attach {
    /// None: patch levels must fit.
    #[default]
    Strict,
    /// `-u`
    Update,
    /// `-U`
    UpdateAll,
    /// `-F`
    Force,
}

/// `[verify]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// For the whole gate, from the boot.
    #[serde(with = "units::seconds")]
    pub timeout: Duration,
    /// Run in the zone by its shell, in this order; each must exit 0. One line each, no control characters.
    #[serde(deserialize_with = "commands_from_json")]
    pub commands: Vec<String>,
    /// What a failed gate means.
    pub on_failure: OnFailure,
}

/// What happens when the zone did not come up well on the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It goes back to the source by itself.
    #[default]
    Return,
    /// It is left running on the target, and that is said.
    Stay,
}

/// `[source]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// How long the old copy is kept after an ok.
    pub keep: Keep,
}

/// How long the old copy is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Until somebody says `zmigrate finish`.
    #[default]
    Forever,
    /// `finish` by itself after this time.
    For(#[serde(with = "units::seconds")] Duration),
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { timeout: SHUTDOWN, force: false }
    }
}

impl Default for Verify {
    fn default() -> Self {
        Self { timeout: VERIFY, commands: Vec::new(), on_failure: OnFailure::default() }
    }
}

impl Request {
    /// The shortest request, all else by default.
    pub fn new(zone: ZoneName, to: HostName) -> Self {
        Self {
            zone,
            to,
            mode: Mode::default(),
            snapshot: None,
            not_before: None,
            give_up: GIVE_UP,
            max_outage: None,
            ticket: None,
            shutdown: Shutdown::default(),
            target: Target::default(),
            verify: Verify::default(),
            source: Source::default(),
        }
    }
}

fn ticket(text: &str) -> Result<String, String> {
    // ASCII alone passes every syslogd on the way unharmed.
    let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(printable) {
        return Err(format!("'{}' is not a ticket: 1 to 64 printable ASCII characters", text.escape_debug()));
    }
    Ok(text.to_owned())
}

fn verify_command(text: &str) -> Result<String, String> {
    const LONGEST: usize = 1000;
    let why = if text.trim().is_empty() {
        "is empty"
    } else if text.len() > LONGEST {
        "is longer than 1000 bytes"
    } else if text.chars().any(char::is_control) {
        "has a control character: write one command a line"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("'{}' {why}", text.escape_debug()))
}

fn ticket_from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.as_deref().map(ticket).transpose().map_err(D::Error::custom)
}

fn zonepath_from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.as_deref().map(path::zonepath).transpose().map_err(D::Error::custom)
}

fn commands_from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| verify_command(text)).collect::<Result<_, _>>().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests;
