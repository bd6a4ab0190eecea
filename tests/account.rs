//! The receiving account: what `zmigrate peer` prints and writes, and that sshd, with what was printed, lets a peer do
//! nothing but put files into its dropbox.
//!
//! The printed texts are in `golden/peer`; `UPDATE=1` writes them anew. The rest needs root, `unshare` and OpenSSH's
//! server: it runs this very binary again in a mount namespace where `/etc`, `/run` and `/srv` are its own, so
//! the machine's accounts and sshd are not touched. With `ZMIGRATE_REAL` or `CI` set it fails where it can't run.

#![cfg(target_os = "linux")]

#[path = "account/host.rs"]
mod host;
#[path = "account/inside.rs"]
mod inside;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use host::{Host, KEY};
use inside::{Inside, peer_may};

// --- what is printed

/// `zmigrate peer ARGS` of a host with the default places, which it does not touch.
fn golden(name: &str, args: &[&str]) {
    let host = Host::new("zhost1", "/export/scratch/zmigrate");
    let said = host.peer(args);
    let out = said.out.replace(host.dir().to_str().unwrap(), "/etc/opt/zmigrate");
    // The machine's own, where it has one.
    let key = fs::read_to_string("/etc/ssh/ssh_host_ed25519_key.pub").unwrap_or_default();
    let bare: Vec<&str> = key.split_whitespace().take(2).collect();
    let out = out.replace(&format!(" --host-key '{}'", bare.join(" ")), "");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peer").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &out).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(out, wanted, "{} differs; UPDATE=1 writes it anew", file.display());
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let left = fs::read_dir(host.dir()).unwrap().count();
    assert_eq!(left, 2, "nothing is written without --write");
}

#[test]
fn both_ways_are_printed_for_both_hosts() {
    golden("both.txt", &["zhost2", "--address", "zhost2.example.com"]);
}

#[test]
fn the_senders_part_is_printed() {
    golden("send.txt", &["zhost2", "--role", "send"]);
}

#[test]
fn the_receivers_part_is_printed_with_the_key_and_the_places_that_were_given() {
    let places = ["--dataset", "data/zones", "--zonepath", "/export/zones"];
    golden("receive.txt", &[&["zhost2", "--role", "receive", "--key", KEY], &places[..]].concat());
}

#[test]
fn what_can_not_be_a_peer_is_refused() {
    let host = Host::new("zhost1", "/export/scratch/zmigrate");
    for (args, words) in [
        (&["zhost1"][..], "zhost1 is this host itself"),
        (&["zhost2", "--address=-oProxyCommand=x"], "is not a host's name or address"),
        (&["zhost2", "--address", "a;b"], "is not a host's name or address"),
        (&["zhost2", "--key", "ssh-ed25519"], "is not one line of a public key"),
        (&["a-host-with-a-very-long-name-indeed"], "is longer than the 32 bytes"),
    ] {
        let said = host.peer(args);
        assert_eq!(said.status, 2, "{args:?}: {}", said.out);
        assert!(said.err.contains(words), "{args:?}: {}", said.err);
    }
}

// --- what is written, as an ordinary user

#[test]
fn the_senders_part_is_written_once_and_what_differs_is_left_as_it_is() {
    let host = Host::new("zhost1", "/export/scratch/zmigrate");
    if !Path::new("/usr/bin/ssh-keygen").exists() {
        return host::skip("ssh-keygen is not installed");
    }
    let said = host.peer(&["zhost2", "--role", "send", "--write"]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("done    key ") && said.out.contains("done    [peer.zhost2] in "),
        "{}",
        said.out
    );
    assert!(said.out.contains("left    for you to do\n   zhost2's host key"), "{}", said.out);
    let key = host.dir().join("id_ed25519_zhost2");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    assert!(said.out.contains(&format!("--role receive --key '{}'", public.trim())), "{}", said.out);
    let config = fs::read_to_string(host.config()).unwrap();
    assert!(config.starts_with("# kept\n"), "{config}");

    let again = host.peer(&["zhost2", "--role", "send", "--write"]);
    assert_eq!(again.status, 0, "{}{}", again.out, again.err);
    assert!(
        again.out.contains("ok      key ") && again.out.contains("ok      [peer.zhost2] in "),
        "{}",
        again.out
    );
    assert_eq!(fs::read_to_string(host.config()).unwrap(), config);

    let other = host.peer(&["zhost2", "--role", "send", "--address", "192.0.2.2", "--write"]);
    assert_eq!(other.status, 1, "{}", other.out);
    assert!(other.out.contains("differs [peer.zhost2] in "), "{}", other.out);
    assert_eq!(fs::read_to_string(host.config()).unwrap(), config);
    assert_eq!(fs::read_to_string(key.with_extension("pub")).unwrap(), public);
}

#[test]
fn a_configuration_that_is_a_link_is_not_written_through() {
    let host = Host::new("zhost1", "/export/scratch/zmigrate");
    let elsewhere = host.dir().join("elsewhere.toml");
    fs::rename(host.config(), &elsewhere).unwrap();
    symlink(&elsewhere, host.config()).unwrap();
    let places = ["--dataset", "data/zones", "--zonepath", "/export/zones"];
    let said = host.peer(&[&["zhost2", "--role", "receive", "--write", "--json"], &places[..]].concat());
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.out.contains("is a link; zmigrate does not write through links"), "{}", said.out);
    assert!(!fs::read_to_string(&elsewhere).unwrap().contains("accept"));
}

#[test]
fn a_dropbox_gets_a_dataset_of_its_own_with_a_quota_and_check_sees_it() {
    let tmp = tempfile::tempdir().unwrap();
    let scratch = tmp.path().canonicalize().unwrap().join("zmigrate");
    fs::create_dir(&scratch).unwrap();
    let host = Host::new("zhost2", scratch.to_str().unwrap());
    host.fake_zfs(&scratch);
    let quota = |host: &Host| {
        let said = host::zmigrate(&host.config(), &["check", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let findings = json["findings"].as_array().unwrap().clone();
        findings
            .into_iter()
            .find(|finding| finding["says"].as_str().unwrap().contains("dataset data/scratch"))
            .unwrap()
    };
    let write = |host: &Host| {
        let said = host.peer(&["zhost1", "--role", "receive", "--write", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        json["laid"][1].clone()
    };
    let dropbox = scratch.join("dropbox/zhost1");
    let places = "[accept.zhost1]\ndatasets = [\"data/zones\"]\nzonepaths = [\"/export/zones\"]\n";
    fs::write(host.config(), fs::read_to_string(host.config()).unwrap() + places).unwrap();

    // As a daemon has left it, and a peer that is at work in it.
    fs::create_dir_all(dropbox.join("in/job")).unwrap();
    fs::create_dir(dropbox.join("out")).unwrap();
    let found = quota(&host);
    assert_eq!(found["level"], "warn");
    assert!(
        found["says"]
            .as_str()
            .unwrap()
            .contains("lies in dataset data/scratch: it has no dataset and quota of its own"),
        "{found}"
    );
    let laid = write(&host);
    assert_eq!(laid["became"], "failed", "{laid}");
    assert!(laid["why"].as_str().unwrap().contains("has files in it"), "{laid}");
    assert!(dropbox.join("in/job").is_dir());

    fs::remove_dir(dropbox.join("in/job")).unwrap();
    let laid = write(&host);
    assert_eq!(laid["became"], "done", "{laid}");
    assert_eq!(laid["what"], "dataset data/scratch/dropbox-zhost1, quota 200.0 GiB");
    let created = fs::read_to_string(host.dir().join("created")).unwrap();
    let mount = format!("mountpoint={}", dropbox.display());
    assert_eq!(
        created.trim(),
        format!(
            "create -o {mount} -o quota=200G -o exec=off -o setuid=off -o devices=off data/scratch/dropbox-zhost1"
        )
    );
    assert_eq!(write(&host)["became"], "was-there");
    let found = quota(&host);
    assert_eq!(found["level"], "ok");
    assert_eq!(found["says"], "dataset data/scratch/dropbox-zhost1, quota 214748364800 bytes");
}

// --- the account itself

#[test]
fn check_on_the_sender_names_a_missing_key_and_a_host_key_that_is_not_known_or_changed() {
    let test = "check_on_the_sender_names_a_missing_key_and_a_host_key_that_is_not_known_or_changed";
    let Some(inside) = Inside::or_run(test) else { return };
    let sshd = inside.ready();
    inside.assert_sender_checked(&sshd, &[]);
    inside.shell("chmod 644 \"$0\"/key");
    inside.assert_sender_checked(&sshd, &["/key can be read by others (mode 0644)"]);
    inside.shell("chmod 600 \"$0\"/key; mv \"$0\"/known \"$0\"/known.ours");
    inside.assert_sender_checked(&sshd, &[&format!("host key of [127.0.0.1]:{} is not known", sshd.port)]);
    inside.shell(
        "sed \"s|ssh-ed25519 .*|$(cut -d' ' -f1,2 \"$0\"/key.pub)|\" \"$0\"/known.ours > \"$0\"/known",
    );
    inside.assert_sender_checked(&sshd, &["shows another ssh host key than before, ED25519 SHA256:"]);
    inside.shell("mv \"$0\"/known.ours \"$0\"/known; mv \"$0\"/key \"$0\"/elsewhere");
    inside.assert_sender_checked(&sshd, &["no key: none of "]);
}

#[test]
fn a_peers_key_opens_its_dropbox_and_nothing_else() {
    let Some(inside) = Inside::or_run("a_peers_key_opens_its_dropbox_and_nothing_else") else { return };
    let sshd = inside.ready();
    peer_may(
        &sshd,
        &["put FILE in/.x", "rename in/.x in/x", "mkdir in/job", "ls out", "rm in/x", "rmdir in/job"],
    );
    for refused in [
        "put FILE x",
        "put FILE out/x",
        "get /etc/passwd COPY",
        "get ../../../etc/passwd COPY",
        "symlink / in/link",
        "chmod 777 in",
        "rm out/hello",
        "rename in in2",
    ] {
        sshd.refuses(refused);
    }
    // A shell and a command: SFTP is what runs instead, and finds no client.
    for command in [&[][..], &["id"], &["sh", "-c", "id"]] {
        let said = sshd.ssh(&["-T"], command);
        assert!(!said.out.contains("uid="), "{}", said.out);
    }
    let said = sshd.ssh(&["-tt"], &[]);
    assert!(said.err.contains("PTY allocation request failed"), "{}", said.err);
    // Forwards, there and back, and of sockets.
    let port = sshd.port.to_string();
    let there = sshd.ssh(&["-W", &format!("127.0.0.1:{port}")], &[]);
    assert!(there.status != 0 && !there.out.contains("SSH-"), "{there:?}");
    for forward in [["-R", "0:127.0.0.1:1"], ["-R", "/tmp/s:/tmp/t"]] {
        let said = sshd.ssh(&["-N", "-o", "ExitOnForwardFailure=yes", forward[0], forward[1]], &[]);
        assert!(said.status == 255 && said.err.contains("remote port forwarding failed"), "{said:?}");
    }
    // And no password.
    let said = sshd.ssh(&["-o", "PubkeyAuthentication=no"], &["id"]);
    assert!(said.status == 255 && said.err.contains("Permission denied (publickey)"), "{said:?}");
}

#[test]
fn check_says_what_sshd_would_refuse_and_sshd_does_refuse_it() {
    let Some(inside) = Inside::or_run("check_says_what_sshd_would_refuse_and_sshd_does_refuse_it") else {
        return;
    };
    let sshd = inside.ready();
    // It answers what is put where it looks.
    let mut daemon = inside.daemon();
    daemon.wait_told("event=ready");
    inside.assert_checked(&[]);
    sshd.lets_in(true);
    let chmod = |path: &str, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let dropbox = "/srv/zmigrate/dropbox/zhost1";
    let out = &format!("{dropbox}/out") as &str;
    let (no_root, no_key) = ("127.0.0.1:/ can't be reached: ", "on 127.0.0.1 does not let us in ");
    let no_way = "permission denied over there";
    for (path, wrong, right, sender_says) in [
        ("/srv", 0o1777, 0o755, no_root),
        ("/srv/zmigrate", 0o775, 0o755, no_root),
        (dropbox, 0o757, 0o755, no_root),
        (dropbox, 0o700, 0o755, no_way),
        (out, 0o700, 0o755, no_way),
        ("/etc/opt/zmigrate/keys", 0o777, 0o755, no_key),
        ("/etc/opt/zmigrate/keys", 0o700, 0o755, no_key),
    ] {
        chmod(path, wrong);
        inside.assert_checked(&[path]);
        sshd.lets_in(false);
        inside.assert_sender_checked(&sshd, &[sender_says]);
        chmod(path, right);
        inside.assert_checked(&[]);
        sshd.lets_in(true);
        inside.assert_sender_checked(&sshd, &[]);
    }
    // What sshd would put up with and the daemon would not.
    for path in [format!("{dropbox}/in"), format!("{dropbox}/out")] {
        let right = fs::metadata(&path).unwrap().permissions();
        chmod(&path, 0o777);
        inside.assert_checked(&[&path]);
        fs::set_permissions(&path, right).unwrap();
    }
    inside.assert_checked(&[]);
    inside.shell("usermod -p '*LK*' zmigrate-zhost1");
    inside.assert_checked(&["account zmigrate-zhost1 is locked"]);
    inside.shell("usermod -p NP zmigrate-zhost1");
    inside.shell("sed -i 's/DisableForwarding yes/DisableForwarding no/; s/AllowTcpForwarding no/AllowTcpForwarding yes/' /etc/ssh/sshd_config");
    inside.assert_checked(&["AllowTcpForwarding is yes, not no"]);
}

#[test]
fn a_host_key_that_is_given_is_made_known_once_and_another_one_is_told() {
    let test = "a_host_key_that_is_given_is_made_known_once_and_another_one_is_told";
    let Some(inside) = Inside::or_run(test) else { return };
    inside.prepare();
    inside.shell("rm -f /etc/ssh/ssh_known_hosts; cp \"$0\"/host.pub /etc/ssh/ssh_host_ed25519_key.pub");
    // The other side's command has it, as this one's host key.
    let said = inside.peer(&["--role", "receive", "--key", KEY]);
    let key = said.out.split(" --host-key '").nth(1).unwrap().split('\'').next().unwrap();
    let send = |key: &str| inside.peer(&["--role", "send", "--write", "--json", "--host-key", key]);
    assert_eq!(send(key).became(), ["done", "done", "done"]);
    let known = fs::read_to_string("/etc/ssh/ssh_known_hosts").unwrap();
    assert_eq!(known, format!("zhost1 {key}\n"));
    assert_eq!(send(key).became(), ["was-there"; 3]);
    let other = send(KEY);
    assert_eq!(other.became()[1], "differs");
    assert!(other.out.contains("ssh-keygen -f /etc/ssh/ssh_known_hosts -R zhost1"), "{}", other.out);
    assert_eq!(fs::read_to_string("/etc/ssh/ssh_known_hosts").unwrap(), known);
    // Behind what else is there.
    fs::write("/etc/ssh/ssh_known_hosts", format!("web {KEY}")).unwrap();
    assert_eq!(send(key).became()[1], "done");
    assert_eq!(fs::read_to_string("/etc/ssh/ssh_known_hosts").unwrap(), format!("web {KEY}\nzhost1 {key}\n"));
}

#[test]
fn a_block_that_sshd_would_not_heed_is_not_put_into_its_configuration() {
    let Some(inside) = Inside::or_run("a_block_that_sshd_would_not_heed_is_not_put_into_its_configuration")
    else {
        return;
    };
    inside.prepare();
    let file = Path::new("/etc/ssh/sshd_config");
    let right = fs::read_to_string(file).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
    for (text, became, words) in [
        (right.replace("Subsystem", "#Subsystem"), "failed", "there is no `Subsystem sftp internal-sftp`"),
        (format!("{right}Match User *\n    PermitTTY yes"), "failed", "PermitTTY is yes, not no"),
        (format!("{right}No such keyword\n"), "failed", "Bad configuration option: No"),
        (
            format!("{right}Match User zmigrate-zhost1\n    PermitTTY no\n"),
            "differs",
            "ChrootDirectory is none",
        ),
    ] {
        fs::write(file, &text).unwrap();
        let said = inside.peer_write();
        assert_eq!((said.status, said.became()[4].as_str()), (1, became), "{}", said.out);
        assert!(said.out.contains(words), "{words}: {}", said.out);
        assert_eq!(fs::read_to_string(file).unwrap(), text);
        assert!(!Path::new("/etc/ssh/sshd_config.zmigrate").exists());
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o640);
    }
    fs::rename(file, "/etc/ssh/elsewhere").unwrap();
    symlink("elsewhere", file).unwrap();
    fs::write(file, &right).unwrap();
    let said = inside.peer_write();
    assert!(
        said.out.contains("/etc/ssh/sshd_config is a link; zmigrate does not write through links"),
        "{}",
        said.out
    );
    assert_eq!(fs::read_to_string(file).unwrap(), right);
}

#[test]
fn peer_write_may_be_repeated_and_the_daemon_takes_what_the_account_puts() {
    let Some(inside) =
        Inside::or_run("peer_write_may_be_repeated_and_the_daemon_takes_what_the_account_puts")
    else {
        return;
    };
    let sshd = inside.ready();
    let again = inside.peer_write();
    assert_eq!(again.status, 0, "{}", again.out);
    // No ZFS in here: the dataset is left to the administrator.
    assert_eq!(
        again.became(),
        ["was-there", "left", "was-there", "was-there", "was-there", "was-there"],
        "{}",
        again.out
    );

    let mut daemon = inside.daemon();
    daemon.wait_told("event=ready");
    // No offer that can be read: the daemon takes it out, which it can only do by having looked.
    let inbox = PathBuf::from("/srv/zmigrate/dropbox/zhost1/in/db-20070518T033600Z-7f3a");
    peer_may(&sshd, &["mkdir in/db-20070518T033600Z-7f3a", "put FILE in/db-20070518T033600Z-7f3a/offer"]);
    daemon.wait("the offer to be taken out", || inbox.is_dir() && !inbox.join("offer").exists());
    assert!(!daemon.told().contains("dropbox-refused"), "{}", daemon.told());
    // Given to somebody else: it is no longer looked at.
    inside.shell("chown 65534 /srv/zmigrate/dropbox/zhost1/in");
    daemon.wait_told(
        "event=dropbox-refused peer=zhost1 error=\"/srv/zmigrate/dropbox/zhost1/in belongs to user 65534",
    );
    daemon.wait_told("remedy=\"chown zmigrate-zhost1 /srv/zmigrate/dropbox/zhost1/in; ");
    inside.shell("chown zmigrate-zhost1 /srv/zmigrate/dropbox/zhost1/in");
    daemon.wait_told("event=dropbox-accepted peer=zhost1");
}
