//! Whole migrations between two hosts of the lab, on emulated ZFS, by the shipped programs. One file for each
//! family of scenario; `tests/README.md` says how to run one and to read what it prints.

mod lab;

mod cancel;
mod dropboxes;
mod failures;
mod forgotten;
mod happy;
mod hostile;
mod integrity;
mod levels;
mod meanwhile;
mod messages;
mod peers;
mod reboots;
mod refusals;
mod rights;
mod routes;
mod sftp;
mod steps;
mod undo;
