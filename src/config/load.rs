//! The configuration's file. It says what root runs, so only root, or the user that runs this
//! program, may be able to write it, or to put another file in its place.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::guard::{self, Seen};

/// The largest file that is read. No configuration is longer.
const LARGEST: u64 = 1 << 20;

/// The file's text.
///
/// # Errors
/// Says why it can't be read or is not trusted.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    // A FIFO of that name would block the daemon's start for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut file = File::open(path).map_err(unreadable)?;
    judge(path, &file)?;
    let mut bytes = Vec::new();
    (&mut file).take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err("is longer than 1 MiB, which no configuration is".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8: see line {line}")
    })
}

/// Judges the very file that is read, and the directory that it lies in, links followed.
fn judge(path: &Path, file: &File) -> Result<(), String> {
    let unknown = |error: std::io::Error| format!("can't be looked at: {error}");
    let real = path.canonicalize().map_err(unknown)?;
    let directory = real.parent().unwrap_or(&real);
    let file = Seen::of(&real, &file.metadata().map_err(unknown)?);
    let directory = Seen::at(directory).map_err(unknown)?;
    guard::file(&file, guard::me()).map_err(|flaw| format!("{}: {}", flaw.why, flaw.remedy))?;
    guard::holder(&directory, guard::me())
        .map_err(|flaw| format!("lies in {}, which {}: {}", flaw.path, flaw.why, flaw.remedy))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use crate::config::Config;

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
        assert_eq!(load(&path).map(|config| config.host.to_string()).as_deref(), Ok("zhost1"));
        std::fs::write(&path, "\nx = 1\n").unwrap();
        assert!(
            load(&path)
                .unwrap_err()
                .contains("z.toml:2:1: unknown key `x`, expected one of `host`, `spool`,")
        );
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
}
