//! Global properties: what `set` takes outside of a resource.

use super::resource;
use super::session::Session;
use crate::world::Profile;
use crate::zones::config::{Config, GLOBALS};
use crate::zones::kernel::State;

/// Resource controls that have a short name, `set cpu-shares=20`, with their action; in info's order.
pub const ALIASES: &[(&str, &str)] = &[
    ("max-lwps", "deny"),
    ("max-processes", "deny"),
    ("max-shm-memory", "deny"),
    ("max-shm-ids", "deny"),
    ("max-msg-ids", "deny"),
    ("max-sem-ids", "deny"),
    ("cpu-shares", "none"),
];

/// `set` outside of a resource.
pub fn set(session: &mut Session, name: &str, value: &str) {
    let installed = session.state.is_some_and(|state| state != State::Configured);
    if installed && matches!(name, "zonepath" | "brand" | "zonename") {
        // Not flagged: alone on the command line this ends with 0.
        session.complain(&format!("Zone {} already installed; set {name} not allowed.", session.zone));
        return;
    }
    let profile = session.profile;
    let Some(config) = &mut session.config else { return };
    match apply(config, name, value, profile) {
        Ok(()) => session.changed = true,
        Err(Some(message)) => session.fail(&message),
        Err(None) => session.syntax_error("="),
    }
}

/// `Err(None)`: there is no such property.
fn apply(config: &mut Config, name: &str, value: &str, profile: Profile) -> Result<(), Option<String>> {
    match name {
        "zonename" => value.clone_into(&mut config.name),
        "zonepath" if value == "/" => return Err(Some("/ is not allowed as a zonepath.".into())),
        "zonepath" if !value.starts_with('/') => {
            return Err(Some(format!("{value} is not an absolute path.")));
        }
        "zonepath" => value.clone_into(&mut config.zonepath),
        "brand" => value.clone_into(&mut config.brand),
        "autoboot" => match value {
            "true" => config.autoboot = true,
            "false" => config.autoboot = false,
            _ => return Err(Some("autoboot value must be 'true' or 'false'.".into())),
        },
        "ip-type" => match value {
            "shared" | "exclusive" => value.clone_into(&mut config.ip_type),
            _ => return Err(Some("ip-type value must be 'shared' or 'exclusive'.".into())),
        },
        "hostid" | "fs-allowed" if profile == Profile::Solaris10 => return Err(None),
        "hostid" if !value.is_empty() && u32::from_str_radix(value, 16).is_err() => {
            return Err(Some("hostid: Specified property is invalid".into()));
        }
        _ if GLOBALS.contains(&name) => {
            config.globals.remove(name);
            if !value.is_empty() {
                config.globals.insert(name.to_owned(), value.to_owned());
            }
        }
        _ => {
            let (alias, action) = ALIASES.iter().find(|(alias, _)| *alias == name).ok_or(None)?;
            resource::limit(config, &format!("zone.{alias}"), value, action);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_sets_its_resource_control_once() {
        let mut config = Config::default();
        for limit in ["10", "20"] {
            assert_eq!(apply(&mut config, "cpu-shares", limit, Profile::Omnios), Ok(()));
        }
        let rctl: Vec<_> = config.all("rctl").map(|rctl| rctl.list.join(" ")).collect();
        assert_eq!(rctl, ["(priv=privileged,limit=20,action=none)"]);
        assert_eq!(apply(&mut config, "nonsense", "1", Profile::Omnios), Err(None));
        assert_eq!(apply(&mut config, "hostid", "1", Profile::Solaris10), Err(None));
    }
}
