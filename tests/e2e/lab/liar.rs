//! A hostile source: an honest daemon whose `zfs` lies.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Host, ZONE};

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
