//! `route`: the default route of the global zone, which shared-IP zones use.
//!
//! Its complaints stand on **stdout**, and its exit status is the errno in Solaris's numbering.

use std::net::Ipv4Addr;

use crate::process::{Argv, Output, Status};

/// What became of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOutcome {
    /// Added or taken away.
    Done,
    /// It was there before: not ours to take away again.
    AlreadyThere,
    /// It was not there.
    NotThere,
    /// No address of the host is up on the gateway's subnet.
    Unreachable,
    /// Not allowed to this user.
    Permission,
    /// None of these.
    Other,
}

impl RouteOutcome {
    /// Reads what `route` said.
    pub fn of(output: &Output) -> Self {
        // add net default: gateway 192.0.2.1: entry exists     stdout, exit 17
        let said = |piece: &str| output.stdout.contains(piece) || output.stderr.contains(piece);
        match output.status {
            Status::Exit(0) => Self::Done,
            Status::Exit(17) if said(": entry exists") => Self::AlreadyThere,
            Status::Exit(3) if said(": not in table") => Self::NotThere,
            Status::Exit(128) if said(": Network is unreachable") => Self::Unreachable,
            Status::Exit(1) if said(": insufficient privileges") => Self::Permission,
            _ => Self::Other,
        }
    }
}

/// Adds a default route. `-n`: no name is looked up. It stays when the address that made the gateway
/// reachable goes.
pub fn add_default(gateway: Ipv4Addr) -> Argv {
    Argv::new("route").args(["-n", "add", "default", &gateway.to_string()])
}

/// Takes a default route away.
pub fn delete_default(gateway: Ipv4Addr) -> Argv {
    Argv::new("route").args(["-n", "delete", "default", &gateway.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_named_by_its_gateway() {
        let gateway = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(add_default(gateway).to_string(), "route -n add default 192.0.2.1");
        assert_eq!(delete_default(gateway).to_string(), "route -n delete default 192.0.2.1");
    }

    #[test]
    fn the_status_is_an_errno_and_the_words_stand_on_stdout() {
        // [constructed] from usr/src/cmd/cmd-inet/usr.sbin/route.c
        for (code, stdout, wanted) in [
            (0, "add net default: gateway 192.0.2.1\n", RouteOutcome::Done),
            (17, "add net default: gateway 192.0.2.1: entry exists\n", RouteOutcome::AlreadyThere),
            (128, "add net default: gateway 192.0.2.1: Network is unreachable\n", RouteOutcome::Unreachable),
            (3, "delete net default: gateway 192.0.2.1: not in table\n", RouteOutcome::NotThere),
            (1, "add net default: gateway 192.0.2.1: insufficient privileges\n", RouteOutcome::Permission),
            (17, "", RouteOutcome::Other),
        ] {
            let output = Output {
                status: Status::Exit(code),
                stdout: stdout.to_owned(),
                stderr: String::new(),
                stderr_cut: false,
            };
            assert_eq!(RouteOutcome::of(&output), wanted, "{stdout}");
        }
    }
}
