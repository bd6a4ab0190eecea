//! The lab: two Solaris hosts in a directory, for demo, tests and play. It is never packaged.
//!
//! It is one program with many names. `LAB/<host>/usr/sbin/zoneadm` and the other commands are
//! links to it. Called by such a name it *is* that command on that host, with its state on disk
//! below `LAB/<host>/.lab`. It refuses, prints and exits as the manual pages say, and as recordings
//! of the real programs show (tests/recorded). Called by its own name it builds, breaks and reboots
//! hosts.
//!
//! It never guesses: it refuses by name the parts of a command that no test has needed yet. A
//! failure of the lab itself (a state file that is not JSON, a full disk) ends with status 99 and a
//! line that begins with `zmigrate-lab:`, so nobody can mistake it for a failure of the emulated
//! command.

#[macro_use]
mod say;
mod bench;
mod control;
mod demo;
mod disk;
mod faults;
mod hosts;
mod inner;
mod net;
mod os;
mod picture;
mod play;
mod real;
mod running;
mod scene;
mod stage;
mod world;
mod zfs;
mod zones;

use std::path::Path;
use std::process::ExitCode;

use world::Host;

/// Status of a command that the lab itself could not carry out.
pub const LAB_FAILED: i32 = 99;

fn main() -> ExitCode {
    // zmigrated refuses a configuration that a group can write, as a user's umask may have it.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let argv: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let argv0 = argv.first().map_or("", String::as_str);
    let name = Path::new(argv0).file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let status = match name.as_str() {
        // The product's own programs, linked into a host's /opt/zmigrate/bin: the very functions that the
        // shipped programs call, so that the demo needs no second build. Tests run the shipped ones.
        "zmigrated" => return zmigrate::daemon::main_from(with_configuration(argv)),
        "zmigrate" => return zmigrate::cli::main_from(with_configuration(argv)),
        command if world::COMMANDS.contains(&command) => emulated(argv0, command, &argv[1..]),
        _ => control::main(&argv),
    };
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

/// A host's program finds its configuration in /etc/opt/zmigrate; here that is below the host's directory.
fn with_configuration(mut argv: Vec<String>) -> Vec<String> {
    let told = argv.iter().any(|arg| arg == "-c" || arg.starts_with("--config"));
    let program = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join(&argv[0]))
        .find(|file| file.is_symlink());
    let program = if argv[0].contains('/') { Some(Path::new(&argv[0]).to_owned()) } else { program };
    if let Some(root) = program.as_deref().and_then(|program| program.ancestors().nth(4))
        && !told
    {
        let file = root.join("etc/opt/zmigrate/zmigrate.toml");
        argv.splice(1..1, ["-c".to_owned(), file.to_string_lossy().into_owned()]);
    }
    argv
}

fn emulated(argv0: &str, command: &str, args: &[String]) -> i32 {
    let host = match Host::of_argv0(argv0) {
        Ok(host) => host,
        Err(why) => {
            err!("zmigrate-lab: {why:#}");
            return LAB_FAILED;
        }
    };
    faults::guarded(&host, command, args, || run(&host, command, args))
}

/// The command's effect and answer, without faults and without a line in the calls' log.
fn run(host: &Host, command: &str, args: &[String]) -> i32 {
    let done = match command {
        "zfs" | "zpool" => zfs_command(host, command, args),
        "zoneadm" => zones::zoneadm::main(host, args),
        "zonecfg" => zones::zonecfg::main(host, args),
        "zlogin" => zones::zlogin::main(host, args),
        "ifconfig" => net::ifconfig::main(host, args),
        "route" => net::route::main(host, args),
        "ssh" => net::ssh::main(host, args),
        "netstat" => net::netstat::main(host, args),
        "ipadm" => net::ipadm::ipadm(host, args),
        "dladm" => net::dladm::dladm(host, args),
        "mount" => zones::mount::main(host, args),
        "svcs" => os::svcs::main(host, args),
        "svcprop" => os::svcs::svcprop(host, args),
        _ => os::main(host, command, args),
    };
    done.unwrap_or_else(|why| {
        err!("zmigrate-lab: {command} on {}: {why:#}", host.name());
        LAB_FAILED
    })
}

fn zfs_command(host: &Host, command: &str, args: &[String]) -> anyhow::Result<i32> {
    let settings = host.settings()?;
    if settings.real_zfs {
        let program = if command == "zfs" { &settings.zfs_program } else { &settings.zpool_program };
        return inner::pass_through(program, args);
    }
    Ok(if command == "zfs" { zfs::zfs(host, args) } else { zfs::zpool(host, args) })
}
