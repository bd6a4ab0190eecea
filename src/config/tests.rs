mod faults;

use super::*;

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
fn scratch_has_a_place_for_each_peer_and_job() {
    let config = defaults();
    let job = JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap();
    let dropbox = config.dropbox(&name("zhost2"));
    assert_eq!(dropbox, Path::new("/export/scratch/zmigrate/dropbox/zhost2"));
    let out = config.out(&job);
    assert_eq!(out, Path::new("/export/scratch/zmigrate/out/dbbackup-20070518T033600Z-7f3a"));
}

#[test]
fn a_host_without_a_name_in_the_file_is_called_without_its_domain() {
    assert_eq!(without_domain("zhost1.example.com"), "zhost1");
    assert_eq!(without_domain("zhost1"), "zhost1");
    assert!(!own_name().contains('.'));
}
