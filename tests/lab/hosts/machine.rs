//! What a zone host shares with the machine it runs on, and what is its own: /etc with its accounts
//! and keys, /dev with its own /dev/log, /run, /export, and the place where zfs-fuse remembers its
//! pools. `LAB/<host>/sys` holds all of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::place::Place;

/// Hosts and their addresses.
pub const ADDRESSES: [(&str, &str); 3] =
    [("zhost1", "198.51.100.5"), ("zhost2", "198.51.100.6"), ("loghost", "198.51.100.7")];

/// `$1`: the host's `sys`, `$2`: what is mounted at /export/scratch, a directory or the size of a tmpfs.
/// The devices are bound before /dev is hidden by them, /run and /etc at last.
const ARRANGE: &str = r#"
mount -t tmpfs -o mode=755 dev "$1/dev"
for d in null zero full random urandom tty fuse; do
    [ -e /dev/$d ] || continue
    : >"$1/dev/$d"; mount --bind /dev/$d "$1/dev/$d"
done
mkdir "$1/dev/pts" "$1/dev/shm"
mount --bind /dev/pts "$1/dev/pts"
mount -t tmpfs -o mode=1777 shm "$1/dev/shm"
ln -s pts/ptmx "$1/dev/ptmx"
ln -s /proc/self/fd "$1/dev/fd"
ln -s fd/0 "$1/dev/stdin"; ln -s fd/1 "$1/dev/stdout"; ln -s fd/2 "$1/dev/stderr"
mount --rbind "$1/dev" /dev
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/zfs /run/lock/zfs /run/sshd /run/mysqld
mount -t tmpfs -o mode=755 export /export
mkdir /export/scratch
case "$2" in
    /*) mount --bind "$2" /export/scratch ;;
    *) mount -t tmpfs -o "mode=755,size=${2##*/}" scratch /export/scratch ;;
esac
[ ! -d /var/lib/zfs ] || mount --bind "$1/zfs" /var/lib/zfs
mount --bind "$1/etc" /etc
ip link set lo up
"#;

/// Scratch of a host: in its directory, or in memory and so large.
#[derive(Debug, Clone)]
pub enum Scratch {
    /// This directory.
    Dir(PathBuf),
    /// A tmpfs, whose size can be changed while it is in use: `24m`.
    Memory(String),
}

/// Makes a host's namespaces and what lies in them.
pub fn make(root: &Path, name: &str, scratch: &Scratch) -> Result<Place> {
    let sys = root.join("sys");
    for dir in ["dev", "etc", "home", "log", "zfs"] {
        fs::create_dir_all(sys.join(dir))?;
    }
    fs::set_permissions(&sys, fs::Permissions::from_mode(0o755))?;
    copy_etc(&sys)?;
    let scratch = match scratch {
        Scratch::Dir(dir) => dir.clone(),
        Scratch::Memory(size) => PathBuf::from(size),
    };
    Place::make(name, ARRANGE, &[&sys, &scratch])
}

/// A copy of the machine's /etc, with root's home in the lab and the three hosts' names.
fn copy_etc(sys: &Path) -> Result<()> {
    let copied =
        Command::new("cp").arg("-a").arg("/etc/.").arg(sys.join("etc")).stdin(Stdio::null()).status()?;
    ensure!(copied.success(), "copy /etc: {copied}");
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    for (name, address) in ADDRESSES {
        hosts.push_str(&format!("{address} {name}\n"));
    }
    rewrite(&sys.join("etc/hosts"), |_| hosts)?;
    // ssh goes by the account's home, not by $HOME.
    let home = sys.join("home").display().to_string();
    rewrite(&sys.join("etc/passwd"), |old| {
        let line = |line: &str| {
            if line.starts_with("root:") {
                format!("root:x:0:0:root:{home}:/bin/sh\n")
            } else {
                format!("{line}\n")
            }
        };
        old.lines().map(line).collect()
    })
}

fn rewrite(path: &Path, by: impl FnOnce(&str) -> String) -> Result<()> {
    let old = fs::read_to_string(path).unwrap_or_default();
    // A link leads out of the copy.
    if path.is_symlink() {
        fs::remove_file(path)?;
    }
    fs::write(path, by(&old)).with_context(|| path.display().to_string())
}
