//! Process contracts of illumos and Oracle Solaris: contract(5), process(5), libcontract(3LIB).
//!
//! A template is made active for one thread; a process that this thread then forks begins a contract on its terms
//! (`contract_process_fork` in process.c, which cfork calls for fork and vfork alike). The number of the new contract is what
//! `latest` says to the same thread. std takes fork on Solaris, and on illumos posix_spawn, which is a vfork by the same thread
//! there (`posix_spawn` in libc's spawn.c), so nothing has to be done about it. exec clears the child's copy of the template
//! (`exec_common` in exec.c).
//!
//! Never run by anything in this repository, only type-checked: there is no Solaris here. The files named are illumos-gate's, and the
//! terms those of `init_template` in its zoneadmd.c and zlogin.c. That Oracle Solaris 11.4, with the same manual pages, does the same is
//! unverified.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command};
use std::ptr;

use libc::{c_int, c_uint, c_void};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::stat::Mode;

use super::id::{Id, Terms};

const ROOT: &str = "/system/contract/process";

/// sys/contract.h and sys/contract/process.h.
const CTD_COMMON: c_int = 0;
const CTD_ALL: c_int = 2;
const CT_PR_NOORPHAN: c_uint = 0x2;
const CT_PR_PGRPONLY: c_uint = 0x4;
const CT_PR_REGENT: c_uint = 0x8;
const CT_PR_EV_HWERR: c_uint = 0x20;

#[link(name = "contract")]
// SAFETY: as libcontract.h declares them. A `safe` one takes numbers alone; on a descriptor that is no contract's it fails. All but
// the getters give their fault as a value, not by errno.
unsafe extern "C" {
    safe fn ct_tmpl_set_critical(fd: c_int, events: c_uint) -> c_int;
    safe fn ct_tmpl_set_informative(fd: c_int, events: c_uint) -> c_int;
    safe fn ct_pr_tmpl_set_fatal(fd: c_int, events: c_uint) -> c_int;
    safe fn ct_pr_tmpl_set_param(fd: c_int, parameters: c_uint) -> c_int;
    safe fn ct_tmpl_activate(fd: c_int) -> c_int;
    safe fn ct_tmpl_clear(fd: c_int) -> c_int;
    safe fn ct_ctl_abandon(fd: c_int) -> c_int;
    fn ct_status_read(fd: c_int, detail: c_int, status: *mut *mut c_void) -> c_int;
    fn ct_status_free(status: *mut c_void);
    fn ct_status_get_id(status: *mut c_void) -> libc::ctid_t;
    fn ct_pr_status_get_members(
        status: *mut c_void,
        members: *mut *mut libc::pid_t,
        count: *mut c_uint,
    ) -> c_int;
}

// SAFETY: as signal.h declares it; it takes numbers alone.
unsafe extern "C" {
    safe fn sigsend(kind: libc::idtype_t, id: libc::id_t, signal: c_int) -> c_int;
}

/// Starts a command in a contract of its own.
pub(super) fn start(command: &mut Command, terms: Terms) -> io::Result<(Child, Option<Id>)> {
    let template = Template::activate(terms)
        .map_err(|e| io::Error::new(e.kind(), format!("no process contract: {e}")))?;
    let started = command.spawn();
    drop(template);
    let latest = latest();
    let mut child = started.inspect_err(|_| {
        // One whose exec has failed has left an empty contract. Without a fork it is an earlier command's, and not empty or
        // as good as given up.
        latest.iter().filter(|id| members(id).is_empty()).for_each(abandon);
    })?;
    match latest {
        Ok(id) => Ok((child, Some(id))),
        // A contract that nobody can name could never be given up.
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// The processes in a contract; none when it is gone, or the number is another's by now.
pub(super) fn members(id: &Id) -> Vec<i32> {
    let here = identify(id.number).is_ok_and(|found| found == *id);
    let read = || Status::read(&opened(&format!("{}/status", id.number), OFlag::O_RDONLY)?, CTD_ALL);
    if here { read().map_or_else(|_| Vec::new(), |status| status.members()) } else { Vec::new() }
}

/// SIGKILL to all processes in a contract, in one go.
pub(super) fn kill(id: &Id) {
    if !members(id).is_empty()
        && let Ok(number) = libc::id_t::try_from(id.number)
    {
        // ESRCH: they have ended meanwhile.
        sigsend(libc::P_CTID, number, libc::SIGKILL);
    }
}

/// Gives a contract up: an empty one is gone, a stream's members are killed, others go on without an owner.
pub(super) fn abandon(id: &Id) {
    // One that can't be opened is gone already. One that could not be given up ends with the daemon.
    if let Ok(control) = opened(&format!("{}/ctl", id.number), OFlag::O_WRONLY) {
        ct_ctl_abandon(control.as_raw_fd());
    }
}

/// Active for this thread until it is dropped.
struct Template(OwnedFd);

impl Template {
    fn activate(terms: Terms) -> io::Result<Self> {
        let file = opened("template", OFlag::O_RDWR)?;
        let fd = file.as_raw_fd();
        let parameters = match terms {
            Terms::Stream => CT_PR_NOORPHAN,
            Terms::Command => CT_PR_PGRPONLY | CT_PR_REGENT,
        };
        // Nobody reads events, so none is asked for: a contract with unread critical ones would not go away.
        checked(ct_tmpl_set_critical(fd, 0))?;
        checked(ct_tmpl_set_informative(fd, 0))?;
        checked(ct_pr_tmpl_set_fatal(fd, CT_PR_EV_HWERR))?;
        checked(ct_pr_tmpl_set_param(fd, parameters))?;
        checked(ct_tmpl_activate(fd))?;
        Ok(Self(file))
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        ct_tmpl_clear(self.0.as_raw_fd());
    }
}

/// The contract that this thread's last fork began.
fn latest() -> io::Result<Id> {
    let number = Status::read(&opened("latest", OFlag::O_RDONLY)?, CTD_COMMON)?.id();
    identify(number)
}

/// The change time of a contract's directory is when the contract was made (`ctfs_cdir_getattr` in ctfs_cdir.c).
fn identify(number: i32) -> io::Result<Id> {
    let made = fs::metadata(format!("{ROOT}/{number}"))?;
    Ok(Id { number, born: format!("{}.{:09}", made.ctime(), made.ctime_nsec()) })
}

/// What libcontract has read of a contract; freed when dropped.
struct Status(*mut c_void);

impl Status {
    fn read(file: &OwnedFd, detail: c_int) -> io::Result<Self> {
        let mut status = ptr::null_mut();
        // SAFETY: `status` is a valid place for the handle, which is only used when 0 is returned.
        checked(unsafe { ct_status_read(file.as_raw_fd(), detail, &raw mut status) })?;
        Ok(Self(status))
    }

    fn id(&self) -> libc::ctid_t {
        // SAFETY: the handle is good until it is dropped.
        unsafe { ct_status_get_id(self.0) }
    }

    fn members(&self) -> Vec<i32> {
        let (mut list, mut count) = (ptr::null_mut(), 0);
        // SAFETY: the handle is good until it is dropped, and both are valid places for what is given.
        let fault = unsafe { ct_pr_status_get_members(self.0, &raw mut list, &raw mut count) };
        if fault != 0 || list.is_null() {
            return Vec::new();
        }
        // SAFETY: on success `list` has `count` numbers, which belong to the handle and are copied here.
        unsafe { std::slice::from_raw_parts(list, count as usize) }.to_vec()
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        // SAFETY: the handle came from ct_status_read and is freed once.
        unsafe { ct_status_free(self.0) }
    }
}

/// Not by std, which opens with O_CLOEXEC: `ctfs_tmpl_open`, `ctfs_latest_open` and `ctfs_ctl_open` take the access mode and
/// nothing beside it, and copen (open.c) hands that flag down to them.
fn opened(name: &str, access: OFlag) -> io::Result<OwnedFd> {
    let file = open(format!("{ROOT}/{name}").as_str(), access, Mode::empty())?;
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(file)
}

fn checked(fault: c_int) -> io::Result<()> {
    if fault == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(fault)) }
}
