//! The package: what is in it is what SMF, RBAC and IPS are told, it can be read by a reader of its own, and what it installs
//! runs. In place of pkgadd, SMF's commands and the class scripts of a system stand doubles (`package/`).

#[path = "package/facts.rs"]
mod facts;
#[path = "harness/mod.rs"]
mod harness;
#[path = "package/pkgadd.rs"]
mod pkgadd;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use facts::{repository, text};
use harness::{HOSTS, Plan, SOURCE, Scene, TARGET, VERIFY, ZONE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pkgadd::Target;

/// What `create_default_instance` of the manifest makes.
const SERVICE: &str = "svc:/application/zmigrate:default";

/// What SMF runs, below a root.
const METHOD: &str = "opt/zmigrate/lib/svc/method/zmigrate";

/// Has SMF look at the manifests.
const IMPORT: &str = "svcadm restart svc:/system/manifest-import:default";

fn build(args: &[&str], into: &Path) -> Output {
    Command::new(repository().join("pkg/build"))
        .args(args)
        .arg(into)
        .env("ZMIGRATE_PKGMK", env!("CARGO_BIN_EXE_zmigrate-pkgmk"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn check(args: &[&str], stream: &Path) -> Output {
    Command::new(repository().join("pkg/check"))
        .args(args)
        .arg(stream)
        .env("ZMIGRATE_PKGCHK", env!("CARGO_BIN_EXE_zmigrate-pkgchk"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Directory with zmigrate and zmigrated as they were built for these tests.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_zmigrate")).parent().unwrap().to_owned()
}

/// A package of these programs, made once: `ZMIGRATE_PACKAGE` names one that was made before. With the directory that
/// pkg/check took it apart into.
fn package() -> &'static (PathBuf, PathBuf) {
    static PACKAGE: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("package");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let stream = std::env::var_os("ZMIGRATE_PACKAGE").map_or_else(
            || {
                let made = build(&["--test", "--programs", programs().to_str().unwrap()], &dir);
                assert!(made.status.success(), "{}", words(&made));
                PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
            },
            PathBuf::from,
        );
        let apart = dir.join("apart");
        let checked = check(&["--extract", apart.to_str().unwrap()], &stream);
        assert!(checked.status.success(), "{}", words(&checked));
        (stream, apart)
    })
}

#[test]
fn the_same_sources_make_the_same_package_and_the_directory_is_what_the_stream_holds() {
    let (stream, apart) = package();
    if std::env::var_os("ZMIGRATE_PACKAGE").is_none() {
        let again = tempfile::tempdir().unwrap();
        let made = build(&["--test", "--programs", programs().to_str().unwrap()], again.path());
        let other = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        assert!(fs::read(stream).unwrap() == fs::read(other).unwrap(), "two streams differ");
    }
    let directory = stream.parent().unwrap().join("ZMGRzmigrate");
    let differ = Command::new("diff").arg("-r").args([&directory, apart]).output().unwrap();
    assert!(differ.status.success(), "{}", words(&differ));
}

#[test]
fn programs_for_another_system_are_packed_only_for_a_test() {
    let dir = tempfile::tempdir().unwrap();
    let made = build(&["--programs", programs().to_str().unwrap()], dir.path());
    assert!(!made.status.success());
    assert!(words(&made).contains("is not linked for Solaris or illumos"), "{}", words(&made));
    assert!(fs::read_dir(dir.path()).unwrap().all(|entry| entry.unwrap().path().extension().is_none()));
}

#[test]
fn a_package_that_was_damaged_anywhere_is_not_taken() {
    let whole = fs::read(&package().0).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("damaged.pkg");
    let find = |what: &str| whole.windows(what.len()).position(|at| at == what.as_bytes()).unwrap();
    let (map, last) = (find(": 1 "), whole.len());
    let flips = [
        ("the header's first line", 3),
        ("its size", find("\nZMGRzmigrate 1 ") + 17),
        ("its padding", 500),
        ("a cpio header", 512),
        ("the first archive's pkgmap", map + 60),
        ("a program", last / 2),
        ("the manifest", last - 3000),
        ("the last padding", last - 1),
    ];
    for (what, at) in flips {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert!(!check(&[], &file).status.success(), "{what}, changed at {at}, was taken");
    }
    for (what, end) in [("cut by a block", last - 512), ("cut in the middle", last / 2), ("empty", 0)] {
        fs::write(&file, &whole[..end]).unwrap();
        assert!(!check(&[], &file).status.success(), "{what}, it was taken");
    }
    let mut bytes = whole;
    bytes.extend([0; 512]);
    fs::write(&file, &bytes).unwrap();
    assert!(!check(&[], &file).status.success(), "with a block too many it was taken");
}

// --- what SMF, RBAC and IPS are told

#[test]
fn the_manifest_is_valid_by_illumos_dtd() {
    let valid = Command::new("xmllint")
        .args(["--nonet", "--noout", "--dtdvalid"])
        .arg(repository().join("tests/samples/smf/service_bundle.dtd.1"))
        .arg(repository().join("smf/zmigrate.xml"))
        .output();
    match valid {
        Ok(valid) => assert!(valid.status.success(), "{}", words(&valid)),
        Err(why) => assert!(std::env::var_os("CI").is_none(), "xmllint: {why}"),
    }
}

#[test]
fn every_file_that_the_manifest_names_is_in_the_package() {
    let manifest = facts::manifest();
    let installed = facts::installed();
    let mut methods = Vec::new();
    for method in manifest.iter().filter(|element| element.name == "exec_method") {
        let exec = method.get("exec");
        let program = exec.strip_suffix(" %m").unwrap_or_else(|| panic!("{exec}"));
        assert_eq!(installed[program].mode, "0555", "{program}");
        methods.push(method.get("name").to_owned());
    }
    assert_eq!(methods, ["start", "stop", "refresh"]);
    for page in manifest.iter().filter(|element| element.name == "manpage") {
        let (title, section) = (page.get("title"), page.get("section"));
        let file = format!("{}/man{section}/{title}.{section}", page.get("manpath"));
        assert!(installed.contains_key(&file), "{file}");
    }
    let config = manifest.iter().find(|element| element.get("name") == "config_file").unwrap();
    assert_eq!(config.get("value"), zmigrate::config::FILE);
    assert_eq!(installed[config.get("value")].class, "preserve");
}

#[test]
fn the_method_script_reads_the_properties_that_the_manifest_has() {
    let script = text("smf/svc-zmigrate");
    let manifest = facts::manifest();
    let after = |what: &'static str| {
        let rest = script.split(what).skip(1);
        rest.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(after("property config/"), ["config_file", "log_level"]);
    for name in after("property config/") {
        assert!(manifest.iter().any(|e| e.name == "propval" && e.get("name") == name), "{name}");
        assert!(manifest.iter().any(|e| e.name == "prop_pattern" && e.get("name") == name), "{name}");
    }
    // The levels of the template, of the script and of the daemon.
    let levels: Vec<&str> = manifest.iter().filter(|e| e.name == "value").map(|e| e.get("name")).collect();
    assert!(script.contains(&format!("\n\t{}) ;;", levels.join("|"))), "{levels:?}");
    let help = Command::new(env!("CARGO_BIN_EXE_zmigrated")).arg("--help").output().unwrap();
    let possible = format!("[possible values: {}]", levels.join(", "));
    assert!(words(&help).contains(&possible), "{}", words(&help));
}

#[test]
fn the_service_is_disabled_keeps_all_privileges_and_gives_a_step_the_time_that_it_needs() {
    let manifest = facts::manifest();
    let element = |name: &str| manifest.iter().find(|element| element.name == name).unwrap();
    assert_eq!(element("create_default_instance").get("enabled"), "false");
    let credential = element("method_credential");
    assert_eq!(credential.attributes.len(), 2, "zoneadm wants the full set of privileges");
    for dependency in manifest.iter().filter(|element| element.name == "dependency") {
        assert_eq!(dependency.get("restart_on"), "none", "{}", dependency.get("name"));
    }
    let stop = manifest.iter().find(|e| e.name == "exec_method" && e.get("name") == "stop").unwrap();
    let limit = Duration::from_secs(stop.get("timeout_seconds").parse().unwrap());
    assert!(limit > zmigrate::config::COMMAND_TIMEOUT, "{limit:?}");
    let ignored = manifest.iter().find(|element| element.get("name") == "ignore_error").unwrap();
    assert_eq!(ignored.get("value"), "core,signal");
}

#[test]
fn every_authorization_that_is_asked_for_exists_and_the_profile_holds_it() {
    let lines = |file: &str, fields: usize| -> Vec<Vec<String>> {
        let split = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<_> = text(file).lines().map(split).collect();
        lines.iter().for_each(|line| assert_eq!(line.len(), fields, "{file}: {line:?}"));
        lines
    };
    let authorizations: Vec<String> =
        lines("pkg/rbac/auth_attr", 6).into_iter().map(|mut l| l.remove(0)).collect();
    let profile = lines("pkg/rbac/prof_attr", 5).remove(0);
    let held = profile[4].strip_prefix("auths=").unwrap();
    assert_eq!(held.split(',').collect::<Vec<_>>(), authorizations);
    let asked = facts::manifest().into_iter().filter(|e| e.get("name").ends_with("_authorization"));
    let asked: Vec<String> = asked.map(|element| element.get("value").to_owned()).collect();
    assert_eq!(asked.len(), 4);
    asked.iter().for_each(|name| assert!(authorizations.contains(name), "{name}"));
    for command in lines("pkg/rbac/exec_attr", 7) {
        assert_eq!(command[0], profile[0]);
        assert_eq!(facts::installed()[&command[5]].mode, "0555");
    }
}

#[test]
fn ips_delivers_what_pkgadd_does() {
    let mut svr4 = facts::installed();
    // The scratch is below a dataset of its own, which a directory in a new boot environment would keep from being mounted. And
    // of a directory that it delivers, pkg uninstall carries off what is in it.
    svr4.retain(|path, _| !path.starts_with("/export/") && !path.starts_with("/var/spool/"));
    let manifest = svr4.remove("/var/svc/manifest/application/zmigrate.xml").unwrap();
    svr4.insert("/lib/svc/manifest/application/zmigrate.xml".into(), manifest);
    let ips = facts::ips();
    assert_eq!(ips.keys().collect::<Vec<_>>(), svr4.keys().collect::<Vec<_>>());
    for (path, wanted) in &svr4 {
        let action = &ips[path];
        let of = |key: &str| action.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        let found = [of("mode"), of("owner"), of("group")];
        assert_eq!(found, [&wanted.mode, &wanted.owner, &wanted.group].map(|w| Some(w.as_str())), "{path}");
        let restarts = of("restart_fmri").unwrap_or_default();
        let wanted = match path.as_str() {
            path if path.starts_with("/etc/security/") => "svc:/system/rbac:default",
            path if path.ends_with("zmigrate.xml") => "svc:/system/manifest-import:default",
            path if path.ends_with("bin/zmigrated") => SERVICE,
            _ => "",
        };
        assert_eq!(restarts, wanted, "{path}");
        let disables = path.ends_with("bin/zmigrated").then_some(SERVICE);
        assert_eq!(of("disable_fmri"), disables, "{path}: no daemon outlives its program");
        assert_eq!(of("preserve").is_some(), path == zmigrate::config::FILE, "{path}");
    }
    let service = SERVICE.strip_suffix(":default").unwrap();
    let services = format!("\nset name=org.opensolaris.smf.fmri value={service} value={SERVICE}\n");
    assert!(text("pkg/zmigrate.p5m").contains(&services), "{services}");
}

// --- installed

/// Ends the daemon of a root, whatever becomes of the test.
struct Daemon<'a>(&'a Path);

impl Daemon<'_> {
    fn pid(&self) -> Option<Pid> {
        let pid = fs::read_to_string(self.0.join("var/spool/zmigrate/lock")).ok()?.trim().parse().ok()?;
        let pid = Pid::from_raw(pid);
        kill(pid, None).is_ok().then_some(pid)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

#[test]
fn the_installed_daemons_move_a_zone() {
    let mut scene = Scene::new(&Plan::default());
    let state = tempfile::tempdir().unwrap();
    let targets = [SOURCE, TARGET].map(|i| Target::new(&scene.host(i), &state.path().join(HOSTS[i]), true));
    let configured = [SOURCE, TARGET].map(|i| fs::read(scene.configuration(i)).unwrap());
    let _ended = targets.each_ref().map(|target| Daemon(&target.root));
    for (target, wanted) in targets.iter().zip(configured) {
        let said = target.add(&package().1).unwrap();
        assert!(said.contains("svcadm enable zmigrate"), "{said}");
        let file = target.root.join("etc/opt/zmigrate/zmigrate.toml");
        assert!(fs::read(&file).unwrap() == wanted, "the configuration was overwritten");
        let program = target.root.join("opt/zmigrate/bin/zmigrated");
        assert!(
            !program.is_symlink() && fs::metadata(&program).unwrap().permissions().mode() & 0o777 == 0o555
        );
        target.property("config/config_file", file.to_str().unwrap());
        target.property("config/log_level", "info");
        target.property("restarter/contract", "77");
        method(target, "start", 0);
    }
    scene.drop_request(&Scene::request(&format!("[verify]\ncommands = [\"{VERIFY}\"]\n")));
    scene.wait_ended(Duration::from_secs(60)).unwrap_or_else(|why| panic!("{why}\n{}", scene.dump()));
    assert_eq!(scene.zone_state(TARGET).as_deref(), Some("running"), "{ZONE}: {}", scene.dump());
    for target in &targets {
        let pid = Daemon(&target.root).pid().unwrap();
        method(target, "refresh", 0);
        method(target, "stop", 0);
        assert!(kill(pid, None).is_err(), "stop returned before the daemon's end");
        // A second stop, and a refresh of a daemon that is not there, end the service no more.
        method(target, "stop", 0);
        assert!(method(target, "refresh", 0).contains("no zmigrated"));
    }
}

fn method(target: &Target, verb: &str, wanted: i32) -> String {
    let script = target.root.join(METHOD);
    let (status, said) = target.run(&script, &[verb], "", &[("SMF_FMRI", Path::new(SERVICE))]);
    assert_eq!(status, Some(wanted), "{verb}: {said}");
    said
}

/// A host without a lab: the package and nothing else.
fn bare(live: bool) -> (tempfile::TempDir, Target) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for below in ["etc/security", "var/run", "var/spool"] {
        fs::create_dir_all(root.join(below)).unwrap();
    }
    for file in ["auth_attr", "exec_attr", "prof_attr"] {
        fs::write(root.join("etc/security").join(file), "").unwrap();
    }
    let target = Target::new(&root, &dir.path().join("state"), live);
    (dir, target)
}

#[test]
fn a_start_that_can_not_succeed_tells_smf_by_its_status() {
    let (_dir, target) = bare(true);
    target.add(&package().1).unwrap();
    target.property("restarter/contract", "77");
    let config = target.root.join("etc/opt/zmigrate/zmigrate.toml");
    for (file, level, toml, words) in [
        ("zmigrate.toml", "info", "", "expected an absolute path"),
        ("", "info", "", "expected an absolute path"),
        ("/", "loud", "", "expected notice or info"),
        ("/", "info", "[nonsense]\n", "nonsense"),
    ] {
        let file = if file == "/" { config.to_str().unwrap() } else { file };
        target.property("config/config_file", if file.is_empty() { "\"\"" } else { file });
        target.property("config/log_level", level);
        fs::write(&config, toml).unwrap();
        let said = method(&target, "start", 96);
        assert!(said.contains(words), "{said}");
    }
    // A spool that is no directory: nothing that another try helps.
    target.property("config/config_file", config.to_str().unwrap());
    let spool = target.root.join("spool");
    fs::write(&spool, "").unwrap();
    fs::write(&config, format!("[spool]\ndir = {spool:?}\n")).unwrap();
    method(&target, "start", 95);
    fs::write(target.state.join("zonename"), "z1\n").unwrap();
    assert!(method(&target, "start", 96).contains("global zone"));
    method(&target, "restart", 95);
}

#[test]
fn a_daemon_without_the_rights_that_it_needs_says_so_by_its_status() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // A copy, and in a place that everybody may enter: root's checkout may be root's alone.
    let program = dir.path().join("zmigrated");
    fs::copy(env!("CARGO_BIN_EXE_zmigrated"), &program).unwrap();
    let config = dir.path().join("zmigrate.toml");
    let start = |spool: &Path, scratch: &Path| {
        fs::write(&config, format!("[spool]\ndir = {spool:?}\n[scratch]\ndir = {scratch:?}\n")).unwrap();
        let mut daemon = Command::new(&program);
        daemon.arg("--config").arg(&config).arg("--detach");
        if nix::unistd::geteuid().is_root() {
            daemon.uid(65534);
        }
        let done = daemon.output().unwrap();
        (done.status.code(), words(&done))
    };
    // Whoever is not root makes no directory there.
    let (status, said) = start(Path::new("/no-rights-here"), &dir.path().join("scratch"));
    assert_eq!(status, Some(100), "{said}");
    let own = dir.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    let (status, said) = start(&own.join("spool"), Path::new("/no-rights-here/either/scratch"));
    assert_eq!(status, Some(100), "{said}");
    assert!(said.contains("/no-rights-here:"), "{said}");
}

#[test]
fn the_method_script_is_not_run_by_hand() {
    let (_dir, target) = bare(true);
    target.add(&package().1).unwrap();
    let script = target.root.join(METHOD);
    let by_hand = |environment: &[(&str, &Path)]| {
        let (status, said) = target.run(&script, &["stop"], "", environment);
        assert_eq!(status, Some(99), "{said}");
        assert!(said.contains("by hand run /"), "{said}");
    };
    by_hand(&[]);
    fs::write(target.state.join("no-smf"), "").unwrap();
    by_hand(&[("SMF_FMRI", Path::new(SERVICE))]);
}

#[test]
fn pkgadd_imports_the_service_and_leaves_it_disabled() {
    let (_dir, target) = bare(true);
    target.add(&package().1).unwrap();
    assert_eq!(fs::read_to_string(target.state.join("state")).unwrap(), "disabled\n");
    // By the class manifest and by postinstall; no enable, and nothing for svc:/system/rbac, which this system has not.
    assert_eq!(target.calls(), [IMPORT, IMPORT]);
    fs::write(target.state.join("rbac"), "").unwrap();
    target.add(&package().1).unwrap();
    assert!(target.calls().contains(&"svcadm restart svc:/system/rbac:default".to_owned()));
    assert_rights_are_merged(&target);
}

/// svc-rbac takes a fragment only if it is younger than the file that it goes into, which [`bare`] has made.
fn assert_rights_are_merged(target: &Target) {
    let changed = |path: &str| fs::metadata(target.root.join(path)).unwrap().modified().unwrap();
    for kind in ["auth_attr", "exec_attr", "prof_attr"] {
        let [file, fragment] =
            ["", ".d/ZMGRzmigrate"].map(|end| changed(&format!("etc/security/{kind}{end}")));
        assert!(fragment >= file, "{kind}: {fragment:?} is older than {file:?}");
    }
}

#[test]
fn pkgadd_is_refused_outside_the_global_zone() {
    let (_dir, target) = bare(true);
    fs::write(target.state.join("zonename"), "z1\n").unwrap();
    let refused = target.add(&package().1).unwrap_err();
    assert!(refused.contains("global zone"), "{refused}");
    assert!(!target.root.join("opt").exists());
}

#[test]
fn an_upgrade_stops_a_running_service_for_its_time_and_keeps_jobs_and_configuration() {
    let (_dir, target) = bare(true);
    target.add(&package().1).unwrap();
    let config = target.root.join("etc/opt/zmigrate/zmigrate.toml");
    fs::write(&config, "# mine\n").unwrap();
    let journal = target.root.join("var/spool/zmigrate/active/job/journal");
    fs::create_dir_all(journal.parent().unwrap()).unwrap();
    fs::write(&journal, "{}\n").unwrap();
    for (permanent, enable) in [("true", "svcadm enable svc:"), ("false", "svcadm enable -t svc:")] {
        fs::write(target.state.join("state"), "online\n").unwrap();
        target.property("general/enabled", permanent);
        target.calls();
        target.add(&package().1).unwrap();
        let calls = target.calls();
        assert_eq!(calls[0], "svcadm disable -s -t svc:/application/zmigrate:default");
        assert!(calls.last().unwrap().starts_with(enable), "{calls:?}");
        assert_eq!(fs::read_to_string(target.state.join("state")).unwrap(), "online\n");
    }
    assert_eq!(fs::read_to_string(config).unwrap(), "# mine\n");
    assert!(journal.exists());
}

#[test]
fn an_upgrade_starts_again_what_an_upgrade_has_stopped_and_nothing_else() {
    let (_dir, target) = bare(true);
    target.add(&package().1).unwrap();
    let is = |state: &str, enabled: &str| {
        fs::write(target.state.join("state"), format!("{state}\n")).unwrap();
        target.property("general/enabled", enabled);
    };
    let marker = target.root.join("var/run/zmigrate.upgrade");
    let starts = || target.calls().iter().any(|call| call.starts_with("svcadm enable"));
    // One that is not stopped is not upgraded, and, disabled by an operator, not started by the next upgrade.
    is("online", "true");
    fs::write(target.state.join("on-disable"), "false\n").unwrap();
    let refused = target.add(&package().1).unwrap_err();
    assert!(refused.contains("svcs -xv svc:/application/zmigrate:default"), "{refused}");
    assert!(!marker.exists());
    fs::remove_file(target.state.join("on-disable")).unwrap();
    is("disabled", "false");
    target.add(&package().1).unwrap();
    assert!(!starts());
    // An upgrade that was broken off behind the stop: an operator has disabled it since, or has not.
    for (enabled, again) in [("false", false), ("true", true)] {
        is("disabled", enabled);
        fs::write(&marker, "").unwrap();
        target.calls();
        target.add(&package().1).unwrap();
        assert_eq!(starts(), again, "enabled for good: {enabled}");
        assert!(!marker.exists());
    }
}

#[test]
fn pkgrm_refuses_while_a_job_is_active_and_never_takes_what_is_in_spool_and_scratch() {
    for live in [true, false] {
        let (_dir, target) = bare(live);
        target.add(&package().1).unwrap();
        spool_is(&target, &target.root.join("var/spool/zmigrate"));
        let job = target.root.join("var/spool/zmigrate/active/job");
        let done = target.root.join("var/spool/zmigrate/done/job");
        let part = target.root.join("export/scratch/zmigrate/out/part");
        [&job, &done, part.parent().unwrap()].into_iter().for_each(|dir| fs::create_dir_all(dir).unwrap());
        fs::write(&part, "").unwrap();
        target.calls();
        let refused = target.remove(&package().1).unwrap_err();
        assert!(refused.contains("active jobs"), "{refused}");
        assert_eq!(target.calls(), [""; 0], "a refusal touches nothing");
        assert!(target.root.join("opt/zmigrate/bin/zmigrate").exists());

        fs::remove_dir(&job).unwrap();
        target.remove(&package().1).unwrap();
        assert!(!target.root.join("opt/zmigrate").exists());
        assert!(done.exists() && part.exists());
        assert!(target.root.join("etc/opt/zmigrate/zmigrate.toml").exists());
        let disable = "svcadm disable -s svc:/application/zmigrate:default";
        let calls: &[&str] = if live { &[disable, IMPORT, IMPORT] } else { &[] };
        assert_eq!(target.calls(), calls);
    }
}

/// Has a configuration with another spool, which no daemon has seen.
fn spool_is(target: &Target, spool: &Path) {
    let config = target.root.join("etc/opt/zmigrate/zmigrate.toml");
    fs::write(config, format!("[spool]\ndir = {spool:?}\n")).unwrap();
}

#[test]
fn pkgrm_asks_zmigrate_where_its_jobs_are() {
    let (dir, target) = bare(true);
    target.add(&package().1).unwrap();
    let spool = target.root.join("spool");
    let job = spool.join("active/dbbackup-20070518T033600Z-7f3a");
    fs::create_dir_all(&job).unwrap();
    fs::create_dir(spool.join("outbox")).unwrap();
    // A configuration whose name svcprop quotes.
    let config = dir.path().join("a site's (own).toml");
    fs::write(&config, format!("[spool]\ndir = {spool:?}\n")).unwrap();
    target.property("config/config_file", config.to_str().unwrap());
    let refused = target.remove(&package().1).unwrap_err();
    assert!(refused.contains("has active jobs"), "{refused}");

    // It came while the service was being disabled, which is taken back.
    fs::remove_dir(&job).unwrap();
    fs::write(target.state.join("state"), "online\n").unwrap();
    fs::write(target.state.join("on-disable"), format!("mkdir '{}'\n", job.display())).unwrap();
    target.calls();
    let refused = target.remove(&package().1).unwrap_err();
    assert!(refused.contains("has active jobs"), "{refused}");
    let [disable, enable] = ["disable -s", "enable"].map(|verb| format!("svcadm {verb} {SERVICE}"));
    assert_eq!(target.calls(), [disable, enable]);

    fs::remove_file(target.state.join("on-disable")).unwrap();
    fs::remove_dir(&job).unwrap();
    target.remove(&package().1).unwrap();
    assert!(spool.join("active").exists());
}

#[test]
fn pkgrm_refuses_where_zmigrate_can_not_tell_and_takes_what_has_never_run() {
    let (_dir, target) = bare(true);
    target.add(&package().1).unwrap();
    let config = target.root.join("etc/opt/zmigrate/zmigrate.toml");
    fs::write(&config, "[nonsense]\n").unwrap();
    target.calls();
    let refused = target.remove(&package().1).unwrap_err();
    assert!(refused.contains("can't be told") && refused.contains("nonsense"), "{refused}");
    assert_eq!(target.calls(), [""; 0], "a refusal touches nothing");
    spool_is(&target, &target.root.join("never/made"));
    target.remove(&package().1).unwrap();
    // A second time, as behind a removal that was broken off: the programs are gone.
    fs::write(&config, "[nonsense]\n").unwrap();
    let program = target.root.join("opt/zmigrate/bin/zmigrate");
    target.add(&package().1).unwrap();
    fs::remove_file(&program).unwrap();
    let refused = target.remove(&package().1);
    assert!(refused.is_ok(), "{refused:?}");
}

#[test]
fn installing_into_another_root_touches_no_service() {
    let (_dir, target) = bare(false);
    fs::write(target.state.join("state"), "online\n").unwrap();
    fs::write(target.state.join("imported"), "").unwrap();
    target.add(&package().1).unwrap();
    assert_eq!(target.calls(), [""; 0]);
    assert!(target.root.join("var/svc/manifest/application/zmigrate.xml").exists());
    // As that host boots.
    assert_rights_are_merged(&target);
}
