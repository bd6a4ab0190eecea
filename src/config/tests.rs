use super::*;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

const SHIPPED: &str = include_str!("../../pkg/zmigrate.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse("z.toml", text, "zhost1").map_err(|faults| Faults(faults).to_string())
}

fn name(text: &str) -> HostName {
    HostName::new(text).unwrap()
}

fn defaults() -> Config {
    Config {
        host: name("zhost1"),
        spool: "/var/spool/zmigrate".into(),
        scratch: Scratch {
            dir: "/export/scratch/zmigrate".into(),
            max: Bytes(214_748_364_800),
            part: Bytes(134_217_728),
        },
        syslog: Syslog {
            facility: Facility::DAEMON,
            remote: None,
            format: Format::Rfc3164,
            enterprise: 32473,
        },
        commands: Commands {
            path: ["/usr/sbin", "/usr/bin", "/sbin"].map(PathBuf::from).to_vec(),
            timeout: Duration::from_secs(600),
        },
        jobs: Jobs { parallel: 1, offers: 4, doubt_after: Duration::from_secs(900), bandwidth: None },
        peers: BTreeMap::new(),
        accept: BTreeMap::new(),
    }
}

/// The text with every commented-out key in force: prose has a blank after the '#'.
fn enabled(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn an_empty_file_and_the_shipped_one_are_the_defaults() {
    assert_eq!(parse(""), Ok(defaults()));
    assert_eq!(parse(SHIPPED), Ok(defaults()));
}

#[test]
fn the_shipped_configuration_with_every_key_in_force_is_the_defaults_and_its_examples() {
    let mut expected = defaults();
    let dropbox = "/net/zhost3/export/scratch/zmigrate/dropbox/zhost1".into();
    expected.syslog.remote = Some("tcp://loghost:514".parse().unwrap());
    let sftp = Sftp {
        address: "zhost2.example.com".to_owned(),
        user: "zmigrate-zhost1".to_owned(),
        ssh_options: ["-o", "IdentityFile=/etc/opt/zmigrate/id_ed25519"].map(str::to_owned).to_vec(),
        dropbox: "/".into(),
        connections: 2,
    };
    expected.peers.insert(name("zhost2"), Peer { transport: Transport::Sftp(sftp) });
    expected.peers.insert(name("zhost3"), Peer { transport: Transport::Directory { dropbox } });
    let zones = DatasetName::new("data/zones").unwrap();
    let accept = Accept {
        quarantine: zones.join("zmigrate").unwrap(),
        datasets: vec![zones],
        zonepaths: vec!["/export/zones".to_owned()],
        lofs: Vec::new(),
        links: Some(vec!["nge0".to_owned(), "web*".to_owned()]),
        addresses: Some(vec![Network::parse("192.0.2.0/24").unwrap()]),
        defrouters: Vec::new(),
        devices: false,
        limitpriv: "default".to_owned(),
        route: false,
    };
    expected.accept.insert(name("zhost2"), accept);
    let text = enabled(SHIPPED);
    assert_eq!(parse(&text).as_ref(), Ok(&expected));
    // What the examples write out is what would hold without it.
    let short = "[syslog]\nremote = \"tcp://loghost\"\n\
                 [peer.zhost2]\ntransport = \"sftp\"\n\
                 address = \"zhost2.example.com\"\nuser = \"zmigrate-zhost1\"\n\
                 ssh_options = [\"-o\", \"IdentityFile=/etc/opt/zmigrate/id_ed25519\"]\n\
                 [peer.zhost3]\ntransport = \"directory\"\n\
                 dropbox = \"/net/zhost3/export/scratch/zmigrate/dropbox/zhost1\"\n\
                 [accept.zhost2]\ndatasets = [\"data/zones\"]\nzonepaths = [\"/export/zones\"]\n\
                 links = [\"nge0\", \"web*\"]\naddresses = [\"192.0.2.0/24\"]\n";
    assert_eq!(parse(short).as_ref(), Ok(&expected));
}

#[test]
fn every_key_is_read() {
    let text = r#"
[host]
name = "a"
[spool]
dir = "/s"
[scratch]
dir = "/t"
max = "8M"
part = "4M"
[syslog]
facility = "local7"
remote = "tcp://[::1]:601"
format = "rfc5424"
enterprise = 1
[commands]
path = ["/lab/bin"]
timeout = "1m"
[jobs]
parallel = 64
offers = 2
doubt_after = "2m"
bandwidth = "10M"
[peer.b]
transport = "directory"
dropbox = "/b/a"
[peer.d]
transport = "sftp"
address = "fe80::1%net0"
user = "zm_a"
ssh_options = ["-oPort=2222", "-J", "jump"]
dropbox = "/zmigrate"
connections = 16
[accept.c]
datasets = ["tank/x", "data/y z"]
quarantine = "data/y z/q"
zonepaths = ["/z", "/"]
lofs = ["/opt"]
devices = true
limitpriv = "default,!net_rawaccess"
route = true
"#;
    let read = parse(text).unwrap();
    assert_eq!(read.host.as_str(), "a");
    assert_eq!(read.spool, Path::new("/s"));
    assert_eq!(read.scratch, Scratch { dir: "/t".into(), max: Bytes(8 << 20), part: Bytes(4 << 20) });
    let syslog = Syslog {
        facility: "local7".parse().unwrap(),
        remote: Some("tcp://[::1]:601".parse().unwrap()),
        format: Format::Rfc5424,
        enterprise: 1,
    };
    assert_eq!(read.syslog, syslog);
    let commands = Commands { path: vec!["/lab/bin".into()], timeout: Duration::from_secs(60) };
    assert_eq!(read.commands, commands);
    let jobs = Jobs {
        parallel: 64,
        offers: 2,
        doubt_after: Duration::from_secs(120),
        bandwidth: Some(Bytes(10 << 20)),
    };
    assert_eq!(read.jobs, jobs);
    assert_eq!(read.peers["b"].transport, Transport::Directory { dropbox: "/b/a".into() });
    let sftp = Sftp {
        address: "fe80::1%net0".to_owned(),
        user: "zm_a".to_owned(),
        ssh_options: ["-oPort=2222", "-J", "jump"].map(str::to_owned).to_vec(),
        dropbox: "/zmigrate".into(),
        connections: 16,
    };
    assert_eq!(read.peers["d"].transport, Transport::Sftp(sftp));
    let accept = &read.accept["c"];
    assert_eq!(accept.quarantine.as_str(), "data/y z/q");
    assert_eq!(accept.datasets.len(), 2);
    assert_eq!(
        (&accept.zonepaths[..], &accept.lofs[..]),
        (&["/z".to_owned(), "/".to_owned()][..], &["/opt".to_owned()][..])
    );
    assert_eq!((accept.devices, accept.route), (true, true));
    assert_eq!(accept.limitpriv, "default,!net_rawaccess");
}

#[test]
fn all_faults_come_at_once_each_with_its_place_and_advice() {
    let text = r#"[host]
nmae = "zhost1"
[spool]
dir = "var/spool"
[scratch]
max = "128M"
part = "1000K"
[syslog]
facility = "kern"
format = "json"
remote = "loghost:514"
enterprise = 0
[commands]
path = []
timeout = 10
[jobs]
parallel = 0
offers = 65
bandwidth = "fast"
[peer.zhost1]
transport = "directory"
dropbox = "/x"
[peer."a/b"]
transport = "nfs"
dropbox = "/x"
[peer.zhost4]
transport = "directory"
user = "joe"
[peer.zhost6]
transport = "sftp"
address = "-oProxyCommand=x"
ssh_options = ["StrictHostKeyChecking=no", "-oBatchMode no", ""]
connections = 17
[accept.zhost2]
datasets = ["data/zones"]
quarantine = "data/zones2/q"
lofs = ["opt"]
devices = "no"
limitpriv = "all privileges"
[accept.zhost3]
datasets = []
zonepaths = []
[accept.zhost5]
datasets = ["data/zones"]
quarantine = "data/zones"
zonepaths = ["/z/"]
[lab]
"#;
    let expected = r#"z.toml:2:1: unknown key `host.nmae`, expected `name`
z.toml:4:7: `spool.dir`: 'var/spool' is not an absolute path
z.toml:6:7: `scratch.max`: 128M is less than two parts of 128M
z.toml:7:8: `scratch.part`: '1000K' is not a whole number of MiB from 1M to 4G
z.toml:9:12: `syslog.facility`: 'kern' is not a facility, expected one of user, mail, daemon, auth, lpr, news, uucp, cron, local0 … local7
z.toml:10:10: `syslog.format`: 'json' is unknown, expected one of `rfc3164`, `rfc5424`
z.toml:11:10: `syslog.remote`: 'loghost:514' begins with neither udp:// nor tcp://, expected such as "udp://loghost:514" or "tcp://loghost"
z.toml:12:14: `syslog.enterprise`: must be from 1 to 4294967295
z.toml:14:8: `commands.path`: is empty: no command could be found
z.toml:15:11: `commands.timeout`: expected a string, found a whole number
z.toml:17:12: `jobs.parallel`: must be from 1 to 64
z.toml:18:10: `jobs.offers`: must be from 1 to 64
z.toml:19:13: `jobs.bandwidth`: 'fast' is not a size: write a whole number of bytes, or one with K, M, G or T, such as "128M"
z.toml:20:7: `peer.zhost1`: is this host itself
z.toml:23:7: `peer."a/b"`: 'a/b' is not a host's name: letters, digits, '-', '_' and '.', the first a letter or digit
z.toml:24:13: `peer."a/b".transport`: 'nfs' is unknown, expected `directory` or `sftp`
z.toml:26:1: `peer.zhost4.dropbox` is missing
z.toml:28:8: `peer.zhost4.user`: belongs to the transport "sftp", and this one is "directory"
z.toml:29:1: `peer.zhost6.user` is missing
z.toml:31:11: `peer.zhost6.address`: '-oProxyCommand=x' is not a host's name or address
z.toml:32:16: `peer.zhost6.ssh_options[0]`: 'StrictHostKeyChecking=no' is always `yes` here: leave it out
z.toml:32:44: `peer.zhost6.ssh_options[1]`: '-oBatchMode no' is always `yes` here: leave it out
z.toml:32:62: `peer.zhost6.ssh_options[2]`: '' is empty or has a control character in it
z.toml:33:15: `peer.zhost6.connections`: must be from 1 to 16
z.toml:34:1: `accept.zhost2.zonepaths` is missing
z.toml:36:14: `accept.zhost2.quarantine`: 'data/zones2/q' does not lie below one of `datasets`
z.toml:37:9: `accept.zhost2.lofs[0]`: 'opt' is not an absolute path
z.toml:38:11: `accept.zhost2.devices`: expected `true` or `false`, found a string
z.toml:39:13: `accept.zhost2.limitpriv`: 'all privileges' is not a set of privileges such as "default,dtrace_user"
z.toml:41:12: `accept.zhost3.datasets`: is empty: no zone could land here
z.toml:42:13: `accept.zhost3.zonepaths`: is empty: no zone could land here
z.toml:45:14: `accept.zhost5.quarantine`: 'data/zones' is one of `datasets` itself: name one below it
z.toml:46:14: `accept.zhost5.zonepaths[0]`: '/z/' ends with '/': leave that out
z.toml:47:2: unknown key `lab`, expected one of `host`, `spool`, `scratch`, `syslog`, `commands`, `jobs`, `peer`, `accept`"#;
    let said = parse(text).unwrap_err();
    assert_eq!(said, expected, "{said}");
}

#[test]
fn a_peer_that_is_no_section_is_one_fault() {
    let said = parse("peer.a = \"/x\"\naccept.b = 1\n").unwrap_err();
    assert_eq!(
        said,
        "z.toml:1:10: `peer.a`: expected a section, found a string\n\
         z.toml:2:12: `accept.b`: expected a section, found a whole number"
    );
}

#[test]
fn this_hosts_own_name_must_be_legal_when_it_is_needed() {
    let faults = Config::parse("z.toml", "", "zhost1!").unwrap_err();
    let said = Faults(faults).to_string();
    assert!(
        said.starts_with("z.toml:1:1: `host.name`: is not given, and this host's own name 'zhost1!' is not"),
        "{said}"
    );
    assert!(Config::parse("z.toml", "host.name = \"zhost1\"", "").is_ok());
}

#[test]
fn a_default_quarantine_may_be_too_long_a_name() {
    let text = format!("[accept.a]\ndatasets = [\"d/{}\"]\nzonepaths = [\"/z\"]\n", "x".repeat(250));
    let said = parse(&text).unwrap_err();
    assert!(
        said.contains("`accept.a.quarantine`: is not given, and the default") && said.ends_with("255 bytes"),
        "{said}"
    );
}

#[test]
fn scratch_has_a_place_for_each_peer_and_job() {
    let config = defaults();
    let job = JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap();
    let dropbox = config.dropbox(&name("zhost2"));
    assert_eq!(dropbox, Path::new("/export/scratch/zmigrate/dropbox/zhost2"));
    let out = config.out(&job);
    assert_eq!(out, Path::new("/export/scratch/zmigrate/out/dbbackup-20070518T033600Z-7f3a"));
}

#[test]
fn a_file_that_is_no_configuration_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("z.toml");
    let load = |path: &Path| Config::load(path, "zhost1").map_err(|faults| faults.to_string());
    assert!(load(&path).unwrap_err().contains("z.toml: can't be read: "));
    assert!(load(dir.path()).unwrap_err().ends_with(": is not a file"));
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(load(&path).unwrap_err().contains("longer than 1 MiB"));
    std::fs::write(&path, b"\n# \xff\n").unwrap();
    assert!(load(&path).unwrap_err().ends_with("is not UTF-8: see line 2"));
    std::fs::write(&path, "#".repeat(1 << 20)).unwrap();
    assert_eq!(load(&path), Ok(defaults()));
    std::fs::write(&path, "\nx = 1\n").unwrap();
    assert!(
        load(&path).unwrap_err().contains("z.toml:2:1: unknown key `x`, expected one of `host`, `spool`,")
    );
}

#[test]
fn no_text_makes_it_panic() {
    let samples = [enabled(SHIPPED), SHIPPED.to_owned()];
    let mut state = 0x2007_0518_u64;
    // xorshift64: the same texts on every run.
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..3_000 {
        let mut bytes = samples[round % samples.len()].clone().into_bytes();
        for _ in 0..=random(4) {
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(5) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes.insert(at, b"\"'[]{}=.,#\n\\\0\x7f\xc3"[random(15)]),
                2 => drop(bytes.drain(at..(at + random(20)).min(bytes.len()))),
                3 => bytes.truncate(at),
                _ => bytes[at] ^= 1 << random(8),
            }
        }
        match Config::parse("z.toml", &String::from_utf8_lossy(&bytes), "zhost1") {
            Ok(_) => taken += 1,
            Err(faults) => {
                refused += 1;
                assert!(!faults.is_empty() && faults.len() <= Faults::MOST + 1);
                let shown = Faults(faults).to_string();
                assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            }
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn a_host_without_a_name_in_the_file_is_called_without_its_domain() {
    assert_eq!(without_domain("zhost1.example.com"), "zhost1");
    assert_eq!(without_domain("zhost1"), "zhost1");
    assert!(!own_name().contains('.'));
}

#[test]
fn a_file_that_others_can_write_or_replace_does_not_choose_what_root_runs() {
    let tmp = tempfile::tempdir().unwrap();
    let (dir, link) = (tmp.path().join("etc"), tmp.path().join("z.toml"));
    let path = dir.join("z.toml");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(&path, "").unwrap();
    symlink(&path, &link).unwrap();
    for (directory, file, trusted) in [
        (0o755, 0o644, true),
        (0o700, 0o600, true),
        (0o1777, 0o644, true),
        (0o755, 0o664, false),
        (0o755, 0o646, false),
        (0o775, 0o644, false),
        (0o777, 0o644, false),
    ] {
        set_permissions(&dir, Permissions::from_mode(directory)).unwrap();
        set_permissions(&path, Permissions::from_mode(file)).unwrap();
        // A link leads to the file and directory that count.
        for name in [&path, &link] {
            let read = Config::load(name, "zhost1").map_err(|faults| faults.to_string());
            assert_eq!(read.is_ok(), trusted, "{directory:o} {file:o}: {read:?}");
            if let Err(said) = read {
                let real = path.canonicalize().unwrap();
                let wrong = if file == 0o644 { real.parent().unwrap() } else { &real };
                assert!(said.ends_with(&format!(": chmod go-w {}", wrong.display())), "{said}");
            }
        }
    }
}
