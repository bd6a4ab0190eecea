//! A host's configuration in a directory of its own, and `zmigrate` run with it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A public key as ssh-keygen writes it.
pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvfWp0Cq3R2aoqD1mVQeA1XYQ2dT0pPq7h9sJ6hZ0aB zmigrate@zhost2";

/// A host.
pub struct Host {
    tmp: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Host {
    pub fn new(name: &str, scratch: &str) -> Self {
        let host = Self { tmp: tempfile::tempdir().unwrap() };
        // No zfs: what is printed must not depend on the machine's pools.
        fs::create_dir(host.dir().join("bin")).unwrap();
        let keygen = host.dir().join("bin/ssh-keygen");
        if Path::new("/usr/bin/ssh-keygen").exists() {
            std::os::unix::fs::symlink("/usr/bin/ssh-keygen", keygen).unwrap();
        }
        let text = format!(
            "# kept\n[host]\nname = \"{name}\"\n[scratch]\ndir = \"{scratch}\"\n[commands]\npath = [{:?}]\n",
            host.dir().join("bin")
        );
        fs::write(host.config(), text).unwrap();
        host
    }

    pub fn dir(&self) -> &Path {
        self.tmp.path()
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("zmigrate.toml")
    }

    /// A `zfs` that knows data/scratch, in which the scratch lies, and makes datasets; one is mounted on an empty or a
    /// missing directory only, as zfs(8) says.
    pub fn fake_zfs(&self, scratch: &Path) {
        let script = format!(
            r#"#!/bin/sh
list={dir}/datasets
case "$1" in
list) case "$*" in *" -o name -t "*) sed 's/\t.*//' "$list" ;; *) cat "$list" ;; esac ;;
get) for name; do :; done
    printf '%s\tquota\t%s\tlocal\n' "$name" "$(sed 's/.*quota=200G.*/214748364800/' {dir}/created)" ;;
create) echo "$*" >> {dir}/created
    for name; do :; done
    mount=${{3#mountpoint=}}
    mkdir -p "$mount" || exit 1
    if [ -n "$(ls -A "$mount")" ]; then echo "cannot mount '$mount': directory is not empty" >&2; exit 1; fi
    printf '%s\tyes\t%s\n' "$name" "$mount" >> "$list" ;;
*) exit 2 ;;
esac
"#,
            dir = self.dir().display()
        );
        let file = self.dir().join("bin/zfs");
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let above = scratch.parent().unwrap().display();
        fs::write(self.dir().join("datasets"), format!("data/scratch\tyes\t{above}\n")).unwrap();
        for name in ["sh", "cat", "sed", "mkdir", "ls"] {
            let place =
                ["/bin", "/usr/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
            std::os::unix::fs::symlink(place.unwrap(), self.dir().join("bin").join(name)).unwrap();
        }
    }

    pub fn peer(&self, args: &[&str]) -> Said {
        zmigrate(&self.config(), &[&["peer"], args].concat())
    }
}

pub fn zmigrate(config: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zmigrate"));
    Said::of(command.arg("-c").arg(config).args(args))
}

impl Said {
    /// With `--write --json`: what became of each piece.
    pub fn became(&self) -> Vec<String> {
        let json: serde_json::Value = serde_json::from_str(&self.out).unwrap();
        let laid = json["laid"].as_array().unwrap();
        laid.iter().map(|laid| laid["became"].as_str().unwrap().to_owned()).collect()
    }

    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }
}

pub fn skip(why: &str) {
    let must = ["ZMIGRATE_REAL", "CI"].into_iter().find(|name| std::env::var_os(name).is_some());
    assert!(must.is_none(), "{} is set and this can't be tested here: {why}", must.unwrap_or_default());
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
