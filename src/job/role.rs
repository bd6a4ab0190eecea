//! The part that a host plays in a job.

/// A host's part in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The zone leaves this host.
    Source,
    /// The zone comes to this host.
    Target,
    /// The old copy on this host is destroyed.
    Finish,
}

impl Role {
    /// The word in log lines.
    pub fn word(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Target => "target",
            Role::Finish => "finish",
        }
    }
}
