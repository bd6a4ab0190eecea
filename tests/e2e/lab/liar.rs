//! A hostile source: an honest daemon whose `zfs` lies, or messages that are sealed by hand.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use zmigrate::job::message::{self, Message};
use zmigrate::job::name::{DatasetName, Guid, JobId};

use super::{Host, Lab, ZONE};

/// Until when `zfs` tells the truth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    /// It lies from the beginning: the survey and the offer are false.
    Always,
    /// It lies once the zone is detached: the offer is true, the handoff is false.
    AfterDetach,
}

/// What `zfs` claims about a property of a dataset: dataset, property, value, and source as `zfs get` prints it.
pub type Lie<'a> = (&'a str, &'a str, &'a str, &'a str);

impl Host {
    /// Puts a lying `zfs` first on the `path` of `[commands]`; before the daemon is started.
    pub fn lie(&self, when: Lies, lies: &[Lie<'_>]) {
        let dir = self.root.join("lies");
        fs::create_dir_all(&dir).expect("a directory");
        let lines: Vec<String> = lies.iter().map(|(a, b, c, d)| format!("{a}\t{b}\t{c}\t{d}\n")).collect();
        fs::write(dir.join("lies"), lines.concat()).expect("the lies");
        let bin = self.root.join("usr/sbin");
        let honest = match when {
            Lies::Always => "false".to_owned(),
            Lies::AfterDetach => {
                format!("! LAB_INNER=1 {}/zoneadm -z {ZONE} list -p | grep -q :configured:", bin.display())
            }
        };
        // Each dataset's lines are one block: the lies come first, and the truth about the same property is left out.
        let script = format!(
            r#"#!/bin/sh
PATH=/usr/bin:/bin
case "$*" in
"get -rHp -o name,property,value,source all "*) if {honest}; then exec {bin}/zfs "$@"; fi ;;
*) exec {bin}/zfs "$@" ;;
esac
{bin}/zfs "$@" | awk -F '\t' '
NR == FNR {{ lie[$1, $2] = 1; all[$1] = all[$1] $0 "\n"; next }}
$1 != last {{ last = $1; printf "%s", all[$1] }}
!(($1, $2) in lie)' {dir}/lies -
"#,
            bin = bin.display(),
            dir = dir.display(),
        );
        let program = dir.join("zfs");
        fs::write(&program, script).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
        self.configure("path = [", &format!("path = [\"{}\", ", dir.display()));
    }
}

impl Lab {
    /// Lets the source send everything and kills its daemon before the handoff. Then a message can be forged,
    /// and the source started again.
    pub fn kill_before_handoff(&self, job: &str) {
        self.source.wait_event(job, "autoboot-cleared", "");
        self.target.stop();
        self.source.wait_event(job, "snapshotted", "");
        // The next look at the zone is the one before the handoff, and the target has not received anything yet.
        let kill = serde_json::json!({"do": "kill-parent", "when": "before"});
        let rule = serde_json::json!({"command": "zoneadm", "contains": ["list"], "call": 1, "action": kill});
        self.source.fault(&rule);
        self.target.start();
        self.source.wait_killed();
        self.source.no_faults();
    }

    /// The guids of the snapshots that the source has sent, by its journal.
    pub fn sent_guids(&self, job: &str) -> BTreeMap<DatasetName, Guid> {
        let journal = self.source.of_job(job, "journal");
        let lines = journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let guids =
            lines.filter_map(|line| line["event"].get("guids").cloned()).next_back().expect("a snapshot");
        serde_json::from_value(guids).expect("guids")
    }

    /// Puts a message into the target's dropbox as the source's daemon would.
    pub fn forge<M: Message>(&self, job: &str, body: M) {
        let id = JobId::new(job).expect("a job's id");
        let dir = self.target.dropbox().join("in").join(job);
        let dot = dir.join(format!(".{}.new", M::NAME));
        fs::write(&dot, message::seal(&id, body)).expect("a message");
        fs::rename(&dot, dir.join(M::NAME)).expect("its name");
    }
}
