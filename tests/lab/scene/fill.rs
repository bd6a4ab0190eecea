//! The files of a scene's zone.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::Result;

/// A zone's root: many small files, odd names, links, modes, and the command that the request verifies with.
pub fn fill_root(root: &Path, var: &Path, bytes: u64) -> Result<()> {
    fs::create_dir_all(root)?;
    let mysql = root.join("opt/mysql/bin");
    fs::create_dir_all(&mysql)?;
    let admin = mysql.join("mysqladmin");
    fs::write(&admin, "#!/bin/sh\necho 'Uptime: 7  Threads: 1  Questions: 2'\n")?;
    fs::set_permissions(&admin, fs::Permissions::from_mode(0o755))?;
    fs::create_dir_all(root.join("etc"))?;
    fs::write(root.join("etc/release"), "  OmniOS v11 r151046\n")?;
    fs::write(root.join("etc/odd name: é"), "a blank, a colon and a letter beyond ASCII\n")?;
    symlink("release", root.join("etc/a link"))?;
    symlink("../nowhere", root.join("etc/dangling"))?;
    fs::hard_link(root.join("etc/release"), root.join("etc/the same file"))?;
    let secret = root.join("etc/shadow");
    fs::write(&secret, "root:NP:6445::::::\n")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400))?;
    fs::create_dir_all(var.join("empty"))?;
    let files = (bytes / 8192).clamp(4, 2000);
    for number in 0..files {
        let dir = root.join(format!("usr/lib/pkg{:02}", number % 37));
        fs::create_dir_all(&dir)?;
        write_noise(&dir.join(format!("file{number}")), bytes / files, number)?;
    }
    Ok(())
}

/// A database's directory: one large file, an empty one, and its mode.
pub fn fill_data(dir: &Path, bytes: u64, name: &str) -> Result<()> {
    let seed = name.bytes().fold(7, |seed: u64, b| seed.wrapping_mul(31).wrapping_add(u64::from(b)));
    write_noise(&dir.join("ibdata1"), bytes, seed)?;
    fs::write(dir.join("empty"), "")?;
    fs::write(dir.join("auto.cnf"), format!("[auto]\n# {name}\n"))?;
    fs::set_permissions(dir.join("ibdata1"), fs::Permissions::from_mode(0o660))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o750))?;
    Ok(())
}

/// Half of it compressible, the same for the same seed.
fn write_noise(path: &Path, bytes: u64, seed: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = seed | 1;
    let mut block = [0u8; 4096];
    let mut left = bytes;
    while left > 0 {
        for word in block[..2048].chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let n = left.min(4096) as usize;
        file.write_all(&block[..n])?;
        left -= n as u64;
    }
    Ok(file.flush()?)
}
