//! Why something was refused or failed, as a word for programs beside the words for people.
//!
//! Texts may change with every release. A code keeps its meaning: `--json` shows it, and it travels
//! with a refusal. A host may receive a code that it does not know from a newer one, and keeps it.

use serde::{Deserialize, Serialize};

/// The codes, written in kebab-case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The offer contradicts itself.
    Offer,
    /// The target accepts nothing from this host, or not this.
    Accept,
    /// The zone's brand is not carried, or can't be attached in this way.
    Brand,
    /// The hosts' systems or their levels do not fit.
    Level,
    /// The zone's name is taken, or its state is not right.
    Zone,
    /// The zonepath is taken or not accepted.
    Zonepath,
    /// The request's route is not accepted.
    Route,
    /// A dataset can't be carried.
    Dataset,
    /// A dataset's place is taken, belongs to another zone, or is not accepted.
    Place,
    /// The zone's configuration reaches out of the zone.
    Configuration,
    /// The zone's network is beyond what is accepted.
    Network,
    /// A property of a dataset is not accepted.
    Property,
    /// There is no room.
    Space,
    /// More arrived than was offered.
    Excess,
    /// A symbolic link leads out of the zone.
    Link,
    /// The old copy is still needed.
    Needed,
    /// A command failed.
    Command,
    /// A command did not end in time.
    Deadline,
    /// A command said something that is not understood.
    Unreadable,
    /// Something is busy.
    Busy,
    /// The peer can't be reached.
    Unreachable,
    /// The peer shows another key, or does not let this host in.
    Untrusted,
    /// Nothing of these.
    #[default]
    Other,
    /// A word that this version does not know.
    #[serde(untagged)]
    Unknown(String),
}

/// One reason of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Reason {
    /// For programs.
    pub code: Code,
    /// For people.
    pub text: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The texts alone.
    pub fn texts(reasons: &[Self]) -> Vec<&str> {
        reasons.iter().map(|reason| reason.text.as_str()).collect()
    }
}

/// Journals from before there were codes have texts alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Coded {
        #[serde(default)]
        code: Code,
        text: String,
    },
}

impl From<Written> for Reason {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self { code: Code::Other, text },
            Written::Coded { code, text } => Self { code, text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_written_with_its_code() {
        let reason = Reason::new(Code::Zonepath, "taken");
        let text = serde_json::to_string(&reason).unwrap();
        assert_eq!(text, r#"{"code":"zonepath","text":"taken"}"#);
        assert_eq!(serde_json::from_str::<Reason>(&text).unwrap(), reason);
    }

    #[test]
    fn an_unknown_code_and_a_bare_text_are_read() {
        for (text, code) in [
            (r#"{"code":"moon-phase","text":"t"}"#, Code::Unknown("moon-phase".to_owned())),
            (r#"{"text":"t"}"#, Code::Other),
            (r#""t""#, Code::Other),
        ] {
            let reason: Reason = serde_json::from_str(text).unwrap();
            assert_eq!((reason.code, reason.text.as_str()), (code, "t"), "{text}");
        }
        let unknown = Code::Unknown("moon-phase".to_owned());
        assert_eq!(serde_json::to_string(&unknown).unwrap(), "\"moon-phase\"");
    }
}
