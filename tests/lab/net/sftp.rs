//! An SFTP server, version 3 of the protocol (draft-ietf-secsh-filexfer-02) with OpenSSH's
//! extensions, on stdin and stdout. It never leaves its directory.

use std::collections::HashMap;
use std::fs::{self, File, ReadDir};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};

use crate::disk;

const OK: u32 = 0;
const EOF: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const FAILURE: u32 = 4;
const UNSUPPORTED: u32 = 8;
/// The largest packet, as OpenSSH's.
const LARGEST: u32 = 256 << 10;
/// What is given for one read, so that it is less than was asked for, as it may be of any server.
const READ: u32 = 100;

enum Open {
    File(File),
    Dir(ReadDir),
}

/// Serves until stdin ends. In `state`, the host's: nothing can be written while `disk-full` is there; each file that came whole is
/// a line of `arrived.log`; when one has come whose name ends as `breaks-behind` says, the connection breaks before the answer, and when
/// `breaks-at-the-end` is there, it breaks before a folder is removed.
pub fn serve(root: &Path, state: &Path) -> Result<()> {
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let mut server = Server { root, state, full: state.join("disk-full"), open: HashMap::new(), last: 0 };
    loop {
        let mut head = [0; 4];
        match from.read_exact(&mut head) {
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let length = u32::from_be_bytes(head);
        if length > LARGEST {
            bail!("a packet of {length} bytes");
        }
        let mut packet = vec![0; length as usize];
        from.read_exact(&mut packet)?;
        let mut reply = Reply::default();
        server.answer(&mut Packet(&packet), &mut reply)?;
        to.write_all(&(reply.0.len() as u32).to_be_bytes())?;
        to.write_all(&reply.0)?;
        to.flush()?;
    }
}

/// What is left to be read of a request.
struct Packet<'a>(&'a [u8]);

impl<'a> Packet<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(n) else { bail!("a packet is too short") };
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.take(8)?.try_into()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.u32()? as usize;
        self.take(n)
    }

    fn text(&mut self) -> Result<&'a str> {
        Ok(std::str::from_utf8(self.bytes()?)?)
    }
}

#[derive(Default)]
struct Reply(Vec<u8>);

impl Reply {
    fn u32(&mut self, n: u32) -> &mut Self {
        self.0.extend(n.to_be_bytes());
        self
    }

    fn u64(&mut self, n: u64) -> &mut Self {
        self.0.extend(n.to_be_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len() as u32);
        self.0.extend(bytes);
        self
    }

    fn head(&mut self, kind: u8, id: u32) -> &mut Self {
        self.0.push(kind);
        self.u32(id)
    }

    fn status(&mut self, id: u32, code: u32) {
        let said = ["Success", "End of file", "No such file", "Permission denied", "Failure"];
        let said = said.get(code as usize).copied().unwrap_or("Operation unsupported");
        self.head(101, id).u32(code).bytes(said.as_bytes()).bytes(b"");
    }
}

struct Server<'a> {
    root: &'a Path,
    state: &'a Path,
    full: PathBuf,
    open: HashMap<u32, Open>,
    last: u32,
}

impl Server<'_> {
    fn answer(&mut self, packet: &mut Packet<'_>, reply: &mut Reply) -> Result<()> {
        let kind = packet.byte()?;
        if kind == 1 {
            reply.0.push(2);
            reply.u32(3);
            for extension in ["posix-rename@openssh.com", "fsync@openssh.com", "limits@openssh.com"] {
                reply.bytes(extension.as_bytes()).bytes(b"1");
            }
            reply.bytes(b"statvfs@openssh.com").bytes(b"2");
            return Ok(());
        }
        let id = packet.u32()?;
        let done = self.request(kind, id, packet, reply)?;
        if let Err(why) = done {
            reply.0.clear();
            // As errno_to_portable() of OpenSSH.
            reply.status(
                id,
                match why.kind() {
                    io::ErrorKind::NotFound => NO_SUCH_FILE,
                    io::ErrorKind::PermissionDenied => PERMISSION_DENIED,
                    io::ErrorKind::UnexpectedEof => EOF,
                    io::ErrorKind::Unsupported => UNSUPPORTED,
                    _ => FAILURE,
                },
            );
        } else if reply.0.is_empty() {
            reply.status(id, OK);
        }
        Ok(())
    }

    /// The outer error is a peer that does not speak the protocol.
    fn request(
        &mut self,
        kind: u8,
        id: u32,
        packet: &mut Packet<'_>,
        reply: &mut Reply,
    ) -> Result<io::Result<()>> {
        Ok(match kind {
            3 => {
                let (path, flags) = (self.path(packet.text()?), packet.u32()?);
                let mut options = File::options();
                options.read(flags & 1 != 0).write(flags & 2 != 0).truncate(flags & 16 != 0);
                options.create(flags & 8 != 0).create_new(flags & 32 != 0);
                options.open(path).map(|file| self.hand_out(Open::File(file), id, reply))
            }
            4 => self.open.remove(&handle(packet)?).map(drop).ok_or_else(no_handle),
            5 => {
                let (handle, at, count) = (handle(packet)?, packet.u64()?, packet.u32()?.min(READ));
                let mut bytes = vec![0; count as usize];
                self.file(handle).and_then(|file| file.read_at(&mut bytes, at)).and_then(|read| {
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    reply.head(103, id).bytes(&bytes[..read]);
                    Ok(())
                })
            }
            6 => {
                let (handle, at, bytes) = (handle(packet)?, packet.u64()?, packet.bytes()?);
                if self.full.exists() {
                    return Ok(Err(io::ErrorKind::StorageFull.into()));
                }
                self.file(handle).and_then(|file| file.write_all_at(bytes, at))
            }
            7 => fs::symlink_metadata(self.path(packet.text()?)).map(|meta| attributes(&meta, id, reply)),
            17 => fs::metadata(self.path(packet.text()?)).map(|meta| attributes(&meta, id, reply)),
            11 => fs::read_dir(self.path(packet.text()?)).map(|dir| self.hand_out(Open::Dir(dir), id, reply)),
            12 => self.names(handle(packet)?, id, reply),
            13 => fs::remove_file(self.path(packet.text()?)),
            14 => fs::DirBuilder::new().mode(0o700).create(self.path(packet.text()?)),
            15 => {
                let breaks = self.state.join("breaks-at-the-end");
                if breaks.exists() {
                    broken(&breaks)?;
                }
                fs::remove_dir(self.path(packet.text()?))
            }
            18 => {
                let (from, to) = (self.path(packet.text()?), self.path(packet.text()?));
                if to.exists() { Err(io::ErrorKind::AlreadyExists.into()) } else { fs::rename(from, to) }
            }
            200 => match packet.text()? {
                "posix-rename@openssh.com" => {
                    let (from, to) = (self.path(packet.text()?), self.path(packet.text()?));
                    let renamed = fs::rename(from, &to);
                    self.arrived(&to)?;
                    renamed
                }
                "fsync@openssh.com" => self.file(handle(packet)?).and_then(File::sync_all),
                "limits@openssh.com" => {
                    let piece = u64::from(LARGEST - 1024);
                    reply.head(201, id).u64(u64::from(LARGEST)).u64(piece).u64(piece).u64(100);
                    Ok(())
                }
                "statvfs@openssh.com" => {
                    let free = if self.full.exists() { 0 } else { 1 << 30 };
                    reply.head(201, id).u64(4096).u64(4096).u64(1 << 30).u64(free).u64(free);
                    for _ in 0..6 {
                        reply.u64(0);
                    }
                    Ok(())
                }
                _ => Err(io::ErrorKind::Unsupported.into()),
            },
            _ => Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// A file has its name.
    fn arrived(&self, file: &Path) -> Result<()> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        disk::append(&self.state.join("arrived.log"), &name)?;
        let breaks = self.state.join("breaks-behind");
        if fs::read_to_string(&breaks).is_ok_and(|end| name.ends_with(&end)) {
            return broken(&breaks);
        }
        Ok(())
    }

    /// Below the root, whatever the path says: `..` goes no higher, as in a chroot.
    fn path(&self, text: &str) -> PathBuf {
        let mut path = PathBuf::new();
        for part in Path::new(text).components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::ParentDir => drop(path.pop()),
                _ => {}
            }
        }
        self.root.join(path)
    }

    fn hand_out(&mut self, open: Open, id: u32, reply: &mut Reply) {
        self.last += 1;
        self.open.insert(self.last, open);
        reply.head(102, id).bytes(&self.last.to_be_bytes());
    }

    fn file(&self, handle: u32) -> io::Result<&File> {
        match self.open.get(&handle) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(no_handle()),
        }
    }

    fn names(&mut self, handle: u32, id: u32, reply: &mut Reply) -> io::Result<()> {
        let Some(Open::Dir(dir)) = self.open.get_mut(&handle) else { return Err(no_handle()) };
        let names: Vec<String> =
            dir.take(100).flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        if names.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.head(104, id).u32(names.len() as u32);
        for name in names {
            reply.bytes(name.as_bytes()).bytes(name.as_bytes()).u32(0);
        }
        Ok(())
    }
}

/// Once.
fn broken(why: &Path) -> Result<()> {
    fs::remove_file(why)?;
    bail!("client_loop: send disconnect: Broken pipe")
}

fn handle(packet: &mut Packet<'_>) -> Result<u32> {
    Ok(u32::from_be_bytes(packet.bytes()?.try_into()?))
}

fn no_handle() -> io::Error {
    io::Error::other("no such handle")
}

/// Size, and mode with the file's type.
fn attributes(meta: &fs::Metadata, id: u32, reply: &mut Reply) {
    reply.head(105, id).u32(1 | 4).u64(meta.len()).u32(meta.mode());
}
