//! ZFS's own encryption: the properties, the keys, and what a locked filesystem refuses (illumos since
//! 2019; `libzfs_crypto.c`, `dsl_crypt.c`; read, not run).
//!
//! Data is never encrypted here. What counts for a move is kept: which filesystem has which root, whether
//! its key is loaded, and that a send without -w of an unlocked one succeeds and is plain text.
//! Keys come from `file://` alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::command::{Fail, Outcome, Session, cannot_open, status};
use super::state::{Crypt, Dataset, Key, State};
use super::view::Source;
use super::{feature, mounts, options};

/// The properties that make an encryption root, or go with one.
const GIVEN: [&str; 2] = ["keyformat", "keylocation"];

/// An encryption property's value and source; `None` for any other property. What a filesystem below an
/// encryption root shows as keyformat is unverified.
pub fn get(state: &State, dataset: &Dataset, property: &str) -> Option<(String, Source)> {
    let known = ["encryption", "keylocation", "keyformat", "pbkdf2iters", "encryptionroot", "keystatus"]
        .contains(&property);
    if !known {
        return None;
    }
    let root = root(state, dataset);
    let key = root.and_then(|(_, root)| root.key.as_ref());
    let (Some(crypt), Some((name, _)), Some(key)) = (&dataset.crypt, root, key) else {
        return Some(match property {
            "encryption" => ("off".into(), Source::Default),
            "keylocation" | "keyformat" => ("none".into(), Source::Default),
            "pbkdf2iters" => ("0".into(), Source::Default),
            _ => ("-".into(), Source::None),
        });
    };
    Some(match property {
        "encryption" => (crypt.cipher.clone(), Source::None),
        "keylocation" => match &dataset.key {
            Some(key) => (key.location.clone(), Source::Local),
            None => ("none".into(), Source::Default),
        },
        "keyformat" => (key.format.clone(), Source::None),
        // The default count of a passphrase.
        "pbkdf2iters" if key.format == "passphrase" => ("350000".into(), Source::None),
        "pbkdf2iters" => ("0".into(), Source::Default),
        "encryptionroot" => (name.to_owned(), Source::None),
        _ => (if key.loaded { "available" } else { "unavailable" }.into(), Source::None),
    })
}

/// The encryption root of a filesystem, with its name.
fn root<'a>(state: &'a State, dataset: &Dataset) -> Option<(&'a str, &'a Dataset)> {
    let id = dataset.crypt.as_ref()?.root;
    state.datasets.iter().find(|(_, root)| root.id == id).map(|(name, root)| (name.as_str(), root))
}

/// Whether it is encrypted and its key is not loaded.
pub fn is_locked(state: &State, dataset: &Dataset) -> bool {
    let key = root(state, dataset).and_then(|(_, root)| root.key.as_ref());
    key.is_some_and(|key| !key.loaded)
}

/// Whether a filesystem may be made below `parent` with these properties: zfs_crypto_create.
pub fn may_create(
    session: &Session,
    state: &State,
    parent: &str,
    local: &BTreeMap<String, String>,
    clone: bool,
) -> Result<(), String> {
    let given = local.contains_key("encryption") || GIVEN.iter().any(|name| local.contains_key(*name));
    if clone {
        let reason = "Encryption properties must inherit from origin dataset.";
        return if given { Err(reason.into()) } else { Ok(()) };
    }
    if given && !feature::is_enabled(state, parent, "encryption") {
        return Err("Encryption feature not enabled.".into());
    }
    let Some(parent) = state.dataset(parent) else { return Ok(()) };
    let value = |name: &str| local.get(name).map(String::as_str);
    let new_root = GIVEN.iter().any(|name| local.contains_key(*name));
    let encrypted = match value("encryption") {
        Some(cipher) => cipher != "off",
        None => parent.crypt.is_some(),
    };
    if !encrypted {
        let reason = "Encryption must be turned on to set encryption properties.";
        return if new_root { Err(reason.into()) } else { Ok(()) };
    }
    if parent.crypt.is_none() && !new_root || new_root && value("keyformat").is_none() {
        return Err("Keyformat required for new encryption root.".into());
    }
    if !new_root {
        let locked = "encryption root's key is not loaded or provided";
        return if is_locked(state, parent) { Err(locked.into()) } else { Ok(()) };
    }
    material(session, state, value("keyformat").unwrap_or(""), value("keylocation").unwrap_or("prompt"))
        .map(drop)
}

/// Makes a new filesystem an encryption root, or gives it a cipher of its own, as its properties say. They
/// leave `local`, which keeps what can be set.
pub fn settle(
    session: &Session,
    state: &State,
    dataset: &mut Dataset,
    local: &mut BTreeMap<String, String>,
) -> io::Result<()> {
    let cipher = local.remove("encryption").map(|cipher| match cipher.as_str() {
        "on" => "aes-256-gcm".to_owned(),
        _ => cipher,
    });
    let [format, location] = GIVEN.map(|name| local.remove(name));
    match (&cipher, &mut dataset.crypt) {
        (Some(off), crypt) if off == "off" => *crypt = None,
        (Some(cipher), Some(crypt)) => crypt.cipher.clone_from(cipher),
        (Some(cipher), crypt) => *crypt = Some(Crypt { cipher: cipher.clone(), root: dataset.id }),
        (None, _) => {}
    }
    let (Some(crypt), Some(format)) = (&mut dataset.crypt, format) else { return Ok(()) };
    let location = location.unwrap_or_else(|| "prompt".into());
    let material = material(session, state, &format, &location).map_err(io::Error::other)?;
    crypt.root = dataset.id;
    dataset.key = Some(Key { format, location, material, loaded: true });
    Ok(())
}

/// Reads a key.
fn material(session: &Session, state: &State, format: &str, location: &str) -> Result<String, String> {
    if location == "prompt" {
        return Err("a key from the terminal is not emulated in this lab; use keylocation=file://".into());
    }
    let Some(path) = location.strip_prefix("file://").filter(|path| path.starts_with('/')) else {
        return Err("invalid keylocation".into());
    };
    let bytes = fs::read(mounts::locate(&session.store, state, path))
        .map_err(|_| "Failed to open key material file: No such file or directory".to_owned())?;
    match (format, bytes.len()) {
        ("raw", 0..=31) => Err("Raw key too short (expected 32).".into()),
        ("raw", 33..) => Err("Raw key too long (expected 32).".into()),
        _ => Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}

/// `zfs load-key [-L keylocation] filesystem`
pub fn load(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "aL:nr")?;
    with_key(session, &parsed, "load", |state, name, key| {
        if key.loaded {
            return Err(format!("Key already loaded for '{name}'."));
        }
        let location = parsed.value('L').unwrap_or(&key.location);
        if material(session, state, &key.format, location)? != key.material {
            return Err(format!("Incorrect key provided for '{name}'."));
        }
        Ok(true)
    })
}

/// `zfs unload-key filesystem`
pub fn unload(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "ar")?;
    with_key(session, &parsed, "unload", |state, name, key| {
        if !key.loaded {
            return Err(format!("Key already unloaded for '{name}'."));
        }
        let root = state.dataset(name).map(|root| root.id);
        let below = |dataset: &&Dataset| dataset.crypt.as_ref().map(|crypt| crypt.root) == root;
        if state.datasets.values().filter(below).any(|dataset| dataset.mounted.is_some()) {
            return Err(format!("'{name}' is busy."));
        }
        Ok(false)
    })
}

fn with_key(
    session: &Session,
    parsed: &options::Parsed,
    verb: &str,
    judge: impl Fn(&State, &str, &Key) -> Result<bool, String>,
) -> Outcome {
    if let Some(option) = ['a', 'n', 'r'].into_iter().find(|&option| parsed.has(option)) {
        return Err(Fail::Text(format!("zfs {verb}-key -{option} is not emulated in this lab")));
    }
    let name = match parsed.operands {
        [] => return Err(Fail::Usage("Missing dataset argument".into())),
        [name] => name,
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    let complaint = session.store.change(|state| -> Result<Option<String>, Fail> {
        let Some(dataset) = state.dataset(name) else { return Err(cannot_open(name)) };
        let judged = match (root(state, dataset), &dataset.key) {
            (None, _) => Err(format!("'{name}' is not encrypted.")),
            (Some((root, _)), None) => {
                Err(format!("Keys must be {verb}ed for encryption root of '{name}' ({root})."))
            }
            (Some(_), Some(key)) => judge(state, name, key),
        };
        match judged {
            Err(reason) => Ok(Some(format!("Key {verb} error: {reason}"))),
            Ok(loaded) => {
                let key = state.datasets.get_mut(name).and_then(|dataset| dataset.key.as_mut());
                key.into_iter().for_each(|key| key.loaded = loaded);
                Ok(None)
            }
        }
    })??;
    Ok(status(complaint.as_slice()))
}

/// The kernel has no key after a boot.
pub fn forget_keys(state: &mut State) {
    for key in state.datasets.values_mut().filter_map(|dataset| dataset.key.as_mut()) {
        key.loaded = false;
    }
}

/// Whether a rename to below `parent` would part a filesystem from its encryption root.
pub fn leaves_its_root(state: &State, name: &str, parent: &str) -> bool {
    let Some(dataset) = state.dataset(name).filter(|dataset| dataset.key.is_none()) else { return false };
    let root_of = |dataset: &Dataset| dataset.crypt.as_ref().map(|crypt| crypt.root);
    dataset.crypt.is_some() && root_of(dataset) != state.dataset(parent).and_then(root_of)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;
    use super::*;

    /// The encrypted filesystem data/web with a child.
    fn encrypted() -> Bench {
        let bench = Bench::new();
        let key = bench.path("/etc/web.key");
        fs::create_dir_all(key.parent().unwrap()).unwrap();
        fs::write(key, [7; 32]).unwrap();
        let how = "-o encryption=on -o keyformat=raw -o keylocation=file:///etc/web.key";
        assert_eq!(bench.zfs(&format!("create {how} data/web")), 0);
        assert_eq!(bench.zfs("create data/web/db"), 0);
        bench
    }

    fn locked() -> Bench {
        let bench = encrypted();
        assert_eq!(bench.zfs("snapshot -r data/web@s"), 0);
        assert_eq!(bench.zfs("unload-key data/web"), 1, "it is mounted");
        for line in ["unmount data/web/db", "unmount data/web", "unload-key data/web"] {
            assert_eq!(bench.zfs(line), 0, "{line}");
        }
        bench
    }

    #[test]
    fn a_child_inherits_cipher_and_root_and_the_keys_state() {
        let bench = encrypted();
        for (name, location) in [("data/web", "file:///etc/web.key"), ("data/web/db", "none")] {
            assert_eq!(bench.get(name, "encryption"), "aes-256-gcm");
            assert_eq!(bench.get(name, "encryptionroot"), "data/web");
            assert_eq!(bench.get(name, "keystatus"), "available");
            assert_eq!(bench.get(name, "keylocation"), location);
        }
        assert_eq!(bench.get("data", "encryption"), "off");
        assert_eq!(bench.get("data", "keystatus"), "-");
    }

    #[test]
    fn a_locked_filesystem_is_neither_mounted_nor_sent_nor_received_into() {
        let bench = locked();
        assert_eq!(bench.get("data/web/db", "keystatus"), "unavailable");
        for line in ["mount data/web", "send data/web/db@s", "create data/web/new", "load-key data/web/db"] {
            assert_eq!(bench.zfs(line), 1, "{line}");
        }
        assert_eq!(bench.zfs("load-key data/web"), 0);
        assert_eq!(bench.zfs("mount data/web"), 0);
    }

    #[test]
    fn only_the_right_key_unlocks() {
        let bench = locked();
        fs::write(bench.path("/etc/other.key"), [8; 32]).unwrap();
        assert_eq!(bench.zfs("load-key -L file:///etc/other.key data/web"), 1);
        assert_eq!(bench.zfs("load-key -L file:///etc/web.key data/web"), 0);
        assert_eq!(bench.zfs("load-key data/web"), 1, "it is loaded");
    }

    #[test]
    fn a_reboot_forgets_the_keys() {
        let bench = encrypted();
        super::super::reboot(&bench.host).unwrap();
        assert_eq!(bench.get("data/web", "keystatus"), "unavailable");
        assert_eq!(bench.get("data/web", "mounted"), "no");
    }

    #[test]
    fn an_encryption_root_needs_a_format_and_keeps_its_children() {
        let bench = encrypted();
        for line in [
            "create -o encryption=on data/x",
            "create -o keyformat=raw data/x",
            "create -o encryption=on -o keyformat=raw -o keylocation=file:///etc/none data/x",
            "rename data/web/db data/db",
            "set encryption=off data/web",
        ] {
            assert_eq!(bench.zfs(line), 1, "{line}");
        }
        assert_eq!(bench.zfs("rename data/web data/w"), 0);
        assert_eq!(bench.get("data/w/db", "encryptionroot"), "data/w");
    }
}
