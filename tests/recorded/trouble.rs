//! What a host may meet, played with the lab's commands: each line is what the real command prints or says
//! in that situation, by the source named at the lab's own code.

use std::fs;
use std::process::Output;

use crate::host::Host;

fn stdout(done: &Output) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

fn stderr(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

fn ask(host: &Host, line: &str) -> Output {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    host.try_run(&words[0], &words[1..])
}

/// The pool `data` with data/zones/web.
fn pool() -> Host {
    let host = Host::new();
    fs::File::create(host.path("var/tmp/disk")).unwrap().set_len(256 << 20).unwrap();
    for line in ["zpool create data /var/tmp/disk", "zfs create -p data/zones/web"] {
        host.run(line);
    }
    host
}

fn configured(host: &Host, zone: &str, text: &str) -> Output {
    let file = host.dir.path().join("zone.cfg");
    fs::write(&file, text).unwrap();
    let args = ["-z", zone, "-f", &file.to_string_lossy()].map(str::to_owned);
    host.try_run("zonecfg", &args)
}

const NET_PROPERTY: &str = "create -b
set zonepath=/export/zones/web
set brand=sparse
set autoboot=true
set ip-type=exclusive
add net
set allowed-address=\"192.0.2.35/24\"
set physical=\"web0\"
set global-nic=\"auto\"
add property (name=primary,value=\"true\")
add property (name=gateway,value=\"192.0.2.1\")
end
add device
set match=\"/dev/zvol/rdsk/tank/v1\"
add property (name=model,value=\"virtio blk\")
end
";

#[test]
fn get_shows_a_bookmark_with_four_properties() {
    let host = pool();
    host.run("zfs snapshot data/zones/web@zrepl_1");
    host.run("zfs bookmark data/zones/web@zrepl_1 data/zones/web#zrepl_CURSOR");
    let all = stdout(&ask(&host, "zfs get -rHp -o name,property,value,source all data/zones/web"));
    let of_mark: Vec<&str> = all
        .lines()
        .filter_map(|line| line.strip_prefix("data/zones/web#zrepl_CURSOR\t")?.split('\t').next())
        .collect();
    assert_eq!(of_mark, ["type", "creation", "createtxg", "guid"], "{all}");
    let guids = stdout(&ask(&host, "zfs get -rHp -o value guid data/zones/web"));
    let guids: Vec<&str> = guids.lines().collect();
    assert_eq!(guids.len(), 3);
    assert_eq!(guids[1], guids[2], "a bookmark has its snapshot's guid");
    let listed = stdout(&ask(&host, "zfs list -rH -t all -o name data/zones/web"));
    assert_eq!(listed, "data/zones/web\ndata/zones/web@zrepl_1\ndata/zones/web#zrepl_CURSOR\n");
    assert_eq!(stdout(&ask(&host, "zfs list -rH -o name data/zones/web")), "data/zones/web\n");
}

#[test]
fn get_shows_an_encrypted_dataset_and_send_decrypts_it() {
    let host = pool();
    fs::write(host.path("etc/web.key"), [7; 32]).unwrap();
    let options = "-o encryption=aes-256-gcm -o keyformat=raw -o keylocation=file:///etc/web.key";
    host.run(&format!("zfs create {options} data/zones/secret"));
    host.run("zfs snapshot data/zones/secret@s");
    let all = stdout(&ask(&host, "zfs get -Hp -o name,property,value,source all data/zones/secret"));
    for wanted in [
        "encryption\taes-256-gcm\t-",
        "keylocation\tfile:///etc/web.key\tlocal",
        "keyformat\traw\t-",
        "pbkdf2iters\t0\tdefault",
        "encryptionroot\tdata/zones/secret\t-",
        "keystatus\tavailable\t-",
    ] {
        assert!(all.contains(&format!("data/zones/secret\t{wanted}\n")), "{wanted} in {all}");
    }
    let plain = stdout(&ask(&host, "zfs get -Hp -o property,value,source all data/zones/web"));
    assert!(plain.contains("encryption\toff\tdefault\n") && !plain.contains("keystatus"), "{plain}");
    let sent = ask(&host, "zfs send data/zones/secret@s");
    assert!(sent.status.success() && !sent.stdout.is_empty(), "{}", stderr(&sent));
}

#[test]
fn a_clone_blocks_the_destroy_of_its_origin() {
    let host = pool();
    host.run("zfs snapshot data/zones/web@s");
    host.run("zfs clone data/zones/web@s data/copy");
    let columns = stdout(&ask(&host, "zfs list -H -o name,origin data/copy"));
    assert_eq!(columns, "data/copy\tdata/zones/web@s\n");
    let refused = ask(&host, "zfs destroy -r data/zones/web");
    let wanted = "cannot destroy 'data/zones/web': filesystem has dependent clones\n\
                  use '-R' to destroy the following datasets:\ndata/copy\n";
    assert_eq!((refused.status.code(), stderr(&refused)), (Some(1), wanted.to_owned()));
}

#[test]
fn a_pool_takes_only_values_of_its_features() {
    let host = Host::new();
    fs::File::create(host.path("var/tmp/disk")).unwrap().set_len(256 << 20).unwrap();
    host.run("zpool create -d -o feature@lz4_compress=enabled old /var/tmp/disk");
    host.run("zfs set compression=lz4 old");
    for (setting, why) in [
        ("checksum=skein", "pool and or dataset must be upgraded to set this property or value"),
        ("recordsize=1M", "'recordsize' must be power of 2 from 512B to 128KB"),
        (
            "compression=zstd-6",
            "'compression' must be one of 'on | off | lzjb | gzip | gzip-[1-9] | zle | lz4'",
        ),
    ] {
        let refused = ask(&host, &format!("zfs set {setting} old"));
        let wanted = format!("cannot set property for 'old': {why}\n");
        assert_eq!((refused.status.code(), stderr(&refused)), (Some(1), wanted), "{setting}");
    }
    let feature = |name: &str| stdout(&ask(&host, &format!("zpool get -Hp -o value feature@{name} old")));
    assert_eq!((feature("lz4_compress"), feature("skein")), ("active\n".into(), "disabled\n".into()));
    host.run("zpool set feature@large_blocks=enabled old");
    host.run("zfs set recordsize=1M old");
}

#[test]
fn a_net_property_reads_back_as_it_was_written() {
    let host = Host::new();
    let done = configured(&host, "web", NET_PROPERTY);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(stdout(&ask(&host, "zonecfg -z web export")), NET_PROPERTY);
    let document = fs::read_to_string(host.path("etc/zones/web.xml")).unwrap();
    assert!(document.contains("<net-attr name=\"gateway\" value=\"192.0.2.1\"/>"), "{document}");
}

#[test]
fn two_zones_may_name_datasets_inside_each_other() {
    let host = pool();
    for (zone, special) in [("web", "data/shared"), ("other", "data/shared/b")] {
        let text = format!(
            "create -b\nset zonepath=/export/zones/{zone}\nset brand=sparse\nadd fs\nset dir=/d\n\
             set special={special}\nset type=zfs\nend\n"
        );
        assert!(configured(&host, zone, &text).status.success());
    }
    let export = stdout(&ask(&host, "zonecfg -z other export"));
    assert!(export.contains("set special=\"data/shared/b\"\n"), "{export}");
}

#[test]
fn an_exclusive_zone_does_not_boot_without_its_link() {
    let host = Host::new();
    host.install();
    host.run("zonecfg -z web select net physical=web0; clear global-nic; end");
    assert_eq!(stdout(&ask(&host, "dladm show-link -p -o LINK")), "nge0\n");
    let refused = ask(&host, "zoneadm -z web boot");
    let wanted = "zone 'web': failed to add network device: No such file or directory\n\
                  zoneadm: zone 'web': call to zoneadmd failed\n";
    assert_eq!((refused.status.code(), stderr(&refused)), (Some(1), wanted.to_owned()));
    assert!(ask(&host, "zoneadm -z web verify").status.success(), "verify does not look for it");
    host.run("dladm create-vnic -l nge0 web0");
    host.run("zoneadm -z web boot");
}

#[test]
fn services_do_not_come_up_on_a_read_only_root() {
    let host = Host::new();
    host.install();
    host.lab(&["zone", "zhost1", "web", r#"{"boot_ms":0}"#]);
    host.run("zoneadm -z web boot");
    let milestone = || {
        let asked = ask(&host, "svcs -z web -H -o state milestone/multi-user-server");
        stdout(&asked).trim_end().to_owned()
    };
    assert_eq!(milestone(), "online");
    host.run("zoneadm -z web halt");
    host.run("zfs set readonly=on tank/zones");
    host.run("zoneadm -z web boot");
    assert_eq!(milestone(), "offline");
}

#[test]
fn the_first_boot_writes_the_mac_address_into_the_configuration() {
    let host = Host::new();
    host.install();
    let mac = || {
        let export = stdout(&ask(&host, "zonecfg -z web export"));
        export.lines().find(|line| line.starts_with("set mac-addr=")).map(str::to_owned)
    };
    assert_eq!(mac(), None);
    host.run("zoneadm -z web boot");
    let first = mac();
    assert!(first.as_deref().is_some_and(|line| line.starts_with("set mac-addr=\"2:8:20:")), "{first:?}");
    host.run("zoneadm -z web halt");
    host.run("zoneadm -z web boot");
    assert_eq!(mac(), first, "later boots keep it");
}
