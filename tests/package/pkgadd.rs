//! What pkgadd(8) and pkgrm(8) do with a package in directory format: the order of scripts, what they are given, class
//! scripts with pairs on stdin, files, modes and times. Owners are left alone, and nothing is written down anywhere.
//!
//! A [`Target`] is the root that is installed into, either as `pkgadd -R` does it, or as if it were the live system: then
//! scripts see its own `/etc`, `/opt` and `/var`, and the doubles of SMF's commands on their path.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Doubles of svcs, svcadm, svcprop, pgrep, zonename, and of the system's class scripts.
pub fn doubles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/package/doubles")
}

/// Where a package goes.
pub struct Target {
    /// Its root.
    pub root: PathBuf,
    /// What the doubles remember; `root` in it leads to the root.
    pub state: PathBuf,
    /// As the live system, or by -R.
    pub live: bool,
}

/// A line of pkgmap that installs something.
struct Entry {
    ftype: String,
    class: String,
    path: String,
    mode: u32,
    /// When it was packed; nothing for a directory.
    time: Option<Duration>,
}

/// How a script ended and what it said.
pub type Ended = Result<String, String>;

impl Target {
    /// A root that is there already.
    pub fn new(root: &Path, state: &Path, live: bool) -> Self {
        fs::create_dir_all(state.join("property")).unwrap();
        let _ = std::os::unix::fs::symlink(root, state.join("root"));
        Self { root: root.to_owned(), state: state.to_owned(), live }
    }

    /// The calls of svcadm so far, which are forgotten.
    pub fn calls(&self) -> Vec<String> {
        let file = self.state.join("calls");
        let calls = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        calls.lines().map(str::to_owned).collect()
    }

    /// Sets what `svcprop -p` says.
    pub fn property(&self, name: &str, value: &str) {
        let file = self.state.join("property").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{value}\n")).unwrap();
    }

    /// A shell script of the package or the service, as it would run on this system, with these in its environment.
    pub fn run(
        &self,
        script: &Path,
        args: &[&str],
        stdin: &str,
        environment: &[(&str, &Path)],
    ) -> (Option<i32>, String) {
        let mut text = fs::read_to_string(script).unwrap();
        if self.live {
            text = text.replace("$PKG_INSTALL_ROOT/", &format!("{}/", self.root.display()));
            for dir in ["/etc/", "/opt/", "/var/"] {
                for before in [' ', '"', '=', '-'] {
                    text = text
                        .replace(&format!("{before}{dir}"), &format!("{before}{}{dir}", self.root.display()));
                }
            }
        }
        let include = doubles().join("smf_include.sh");
        text = text.replace("/lib/svc/share/smf_include.sh", &include.display().to_string());
        let copy = self.state.join("script");
        fs::write(&copy, text).unwrap();
        // From a file: a script that reads nothing may be over before a pipe is written.
        let given = self.state.join("stdin");
        fs::write(&given, stdin).unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .arg(&copy)
            .args(args)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", doubles().display()))
            .env("DOUBLE", &self.state)
            .envs(environment.iter().copied())
            .stdin(fs::File::open(&given).unwrap());
        // To a file: a daemon that stays would keep a pipe open.
        let said = self.state.join("said");
        let out = fs::File::create(&said).unwrap();
        let status = command.stdout(out.try_clone().unwrap()).stderr(out).status().unwrap();
        (status.code(), fs::read_to_string(said).unwrap())
    }

    fn script(&self, package: &Path, name: &str, stdin: &str) -> Ended {
        let Some(script) = found(package, name) else { return Ok(String::new()) };
        let base = if self.live { Path::new("/") } else { &self.root };
        let mut environment = vec![("PKGINST", Path::new("ZMGRzmigrate")), ("BASEDIR", base)];
        environment.extend((!self.live).then_some(("PKG_INSTALL_ROOT", base)));
        match self.run(&script, &[], stdin, &environment) {
            (Some(0), said) => Ok(said),
            (status, said) => Err(format!("{name}: {status:?}: {said}")),
        }
    }

    /// `pkgadd -n`, also over an installed one.
    pub fn add(&self, package: &Path) -> Ended {
        let mut said = self.script(package, "preinstall", "")?;
        let entries = entries(package);
        for class in classes(package) {
            let mut pairs = String::new();
            for entry in entries.iter().filter(|entry| entry.class == class) {
                let (from, to) = (package.join("reloc").join(&entry.path), self.root.join(&entry.path));
                if entry.ftype == "d" {
                    fs::create_dir_all(&to).unwrap();
                    fs::set_permissions(&to, fs::Permissions::from_mode(entry.mode)).unwrap();
                    continue;
                }
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                if found(package, &format!("i.{class}")).is_some() {
                    pairs.push_str(&format!("{} {}\n", from.display(), to.display()));
                } else {
                    let _ = fs::remove_file(&to);
                    fs::copy(&from, &to).unwrap();
                    fs::set_permissions(&to, fs::Permissions::from_mode(entry.mode)).unwrap();
                    let packed = SystemTime::UNIX_EPOCH + entry.time.unwrap();
                    fs::File::open(&to).unwrap().set_modified(packed).unwrap();
                }
            }
            said.push_str(&self.script(package, &format!("i.{class}"), &pairs)?);
        }
        said.push_str(&self.script(package, "postinstall", "")?);
        Ok(said)
    }

    /// `pkgrm -n`.
    pub fn remove(&self, package: &Path) -> Ended {
        let mut said = self.script(package, "preremove", "")?;
        let entries = entries(package);
        for class in classes(package).iter().rev() {
            let paths = entries.iter().rev().filter(|entry| entry.class == *class);
            let mut files = String::new();
            for entry in paths {
                let path = self.root.join(&entry.path);
                if entry.ftype == "d" {
                    // What is not empty stays.
                    let _ = fs::remove_dir(&path);
                } else if found(package, &format!("r.{class}")).is_some() {
                    files.push_str(&format!("{}\n", path.display()));
                } else {
                    // One that is gone already is no fault.
                    let gone = fs::remove_file(&path);
                    assert!(gone.is_ok() || !path.exists(), "{gone:?}");
                }
            }
            said.push_str(&self.script(package, &format!("r.{class}"), &files)?);
        }
        said.push_str(&self.script(package, "postremove", "")?);
        Ok(said)
    }
}

/// A script of the package, or the system's for its class.
fn found(package: &Path, name: &str) -> Option<PathBuf> {
    [package.join("install"), doubles()].map(|dir| dir.join(name)).into_iter().find(|script| script.exists())
}

/// In the order of their installation; they are removed in the opposite one.
fn classes(package: &Path) -> Vec<String> {
    let pkginfo = fs::read_to_string(package.join("pkginfo")).unwrap();
    let line = pkginfo.lines().find_map(|line| line.strip_prefix("CLASSES=")).unwrap();
    line.split(' ').map(str::to_owned).collect()
}

fn entries(package: &Path) -> Vec<Entry> {
    let pkgmap = fs::read_to_string(package.join("pkgmap")).unwrap();
    let entry = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ["1", ftype, class, path, mode, _owner, _group, ref tail @ ..] = words[..] else { return None };
        let mode = u32::from_str_radix(mode, 8).ok()?;
        let time = tail.get(2).map(|time| Duration::from_secs(time.parse().unwrap()));
        (ftype != "i").then(|| Entry {
            ftype: ftype.into(),
            class: class.into(),
            path: path.into(),
            mode,
            time,
        })
    };
    pkgmap.lines().filter_map(entry).collect()
}
