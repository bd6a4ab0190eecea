//! The one door through which a process is started.
//!
//! Every child gets the same clean room: the program is looked up on the configured path and nowhere else,
//! the environment is `LC_ALL=C` and that path, the directory is `/`, stdin is `/dev/null`, stdout and stderr
//! are always open pipes (zfs-fuse hangs for ever on a closed descriptor), and the child leads a process
//! group of its own (a dialogue a session), so that a deadline ends its children as well, and begins a process
//! [`contract`](super::contract), so that it is never the service's. Output is bounded. A command that is over its
//! time is killed and that is what the error says; whether its effect took place is for the caller to look at.
//!
//! Not done here: retrying, judging exit codes beyond zero and not zero, and anything about what the command
//! was for.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::argv::Argv;
use super::child::Living;
use super::contract::{Contract, Terms};
use super::drain::{Drain, Keep};
use super::output::{Output, RunError, STDERR_TAIL, lossy, one_line};
use super::streaming::{Streaming, Trace};
use super::thread;

/// The most that a command may print on stdout: `zfs get -r all` prints 80 bytes a property, 60 properties a
/// dataset.
pub const STDOUT_LIMIT: usize = 64 << 20;
/// For how long the pipes' end is awaited after the child has ended: a grandchild may hold them for ever.
const LINGER: Duration = Duration::from_secs(2);

/// The programs of this host: where they are found and how long they may take. Cheap to clone.
#[derive(Clone)]
pub struct Programs {
    path: Arc<[PathBuf]>,
    timeout: Duration,
    trace: Option<Trace>,
    stdout_limit: usize,
    keep: Option<Arc<Path>>,
}

impl Programs {
    /// Programs found in the directories of `path`, in that order; each may take `timeout` unless its
    /// [`Argv`] says otherwise.
    pub fn new(path: Vec<PathBuf>, timeout: Duration) -> Self {
        Self { path: path.into(), timeout, trace: None, stdout_limit: STDOUT_LIMIT, keep: None }
    }

    /// The same programs, telling `trace` one line at the start and one at the end of each command. The lines
    /// hold no newline.
    #[must_use]
    pub fn with_trace(&self, trace: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { trace: Some(Arc::new(trace)), ..self.clone() }
    }

    /// A line of the caller's own for whoever traces: what a command left in a file, say. Control characters are escaped.
    pub fn note(&self, line: &str) {
        self.tell(format_args!("{}", one_line(line)));
    }

    /// The same programs, whose streams are kept in this directory while they run ([`kept`](super::contract::kept)).
    #[must_use]
    pub fn keeping(&self, dir: &Path) -> Self {
        Self { keep: Some(dir.into()), ..self.clone() }
    }

    /// Whether there is a program of this name on the path.
    pub fn has(&self, program: &str) -> bool {
        self.find(program).is_some()
    }

    /// Where the program of this name is.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        let plain = !program.is_empty() && !program.contains('/');
        let runnable = |file: &PathBuf| {
            file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        plain.then(|| self.path.iter().map(|dir| dir.join(program)).find(runnable)).flatten()
    }

    /// Runs a command to its end, whatever its exit status is.
    ///
    /// # Errors
    /// Every [`RunError`] but `Failed`.
    pub fn run(&self, argv: &Argv) -> Result<Output, RunError> {
        let limit = argv.limit().unwrap_or(self.timeout);
        self.tell(format_args!("run {argv}"));
        let result = self.run_within(argv, limit);
        match &result {
            Ok(output) => self.tell(format_args!("{}: {}", argv.program(), output.status)),
            Err(error) => self.tell(format_args!("{error}")),
        }
        result
    }

    /// Runs a command to its end and takes any exit status but 0 for an error.
    ///
    /// # Errors
    /// Every [`RunError`].
    pub fn ok(&self, argv: &Argv) -> Result<Output, RunError> {
        self.run(argv)?.into_ok(argv)
    }

    /// Starts a command whose stdout is read by the caller (`zfs send`). It has no deadline: see
    /// [`Streaming::killer`].
    ///
    /// # Errors
    /// `NotFound` or `Spawn`.
    pub fn spawn_reader(&self, argv: &Argv) -> Result<Streaming, RunError> {
        self.spawn_streaming(argv, Stdio::null(), false, None, Terms::Stream)
    }

    /// Starts a command whose stdin is written by the caller (`zfs receive`). It has no deadline: see
    /// [`Streaming::killer`].
    ///
    /// # Errors
    /// `NotFound` or `Spawn`.
    pub fn spawn_writer(&self, argv: &Argv) -> Result<Streaming, RunError> {
        self.spawn_streaming(argv, Stdio::piped(), true, None, Terms::Stream)
    }

    /// Starts a command whose stdin and stdout are both the caller's (`ssh -s HOST sftp`), with the variable `kept` of our own
    /// environment, if it is set. It leads a session, which has no terminal: `ssh` asks nothing by itself, but one that it starts for
    /// a jump host does not get its options (ssh(1), -J), and would ask there. No deadline: see [`Streaming::killer`].
    ///
    /// # Errors
    /// `NotFound` or `Spawn`.
    pub fn spawn_dialogue(&self, argv: &Argv, kept: &str) -> Result<Streaming, RunError> {
        // Whatever ssh's configuration has it leave behind (ControlPersist) is not ours to end.
        self.spawn_streaming(argv, Stdio::piped(), false, Some(kept), Terms::Command)
    }

    fn spawn_streaming(
        &self,
        argv: &Argv,
        stdin: Stdio,
        capture: bool,
        kept: Option<&str>,
        terms: Terms,
    ) -> Result<Streaming, RunError> {
        self.tell(format_args!("start {argv}"));
        let started = self.spawn(argv, stdin, kept, terms).and_then(|living| {
            Streaming::new(argv.clone(), living, capture, self.trace.clone())
                .map_err(|source| RunError::Spawn { argv: argv.clone(), source })
        });
        if let Err(error) = &started {
            self.tell(format_args!("{error}"));
        }
        started
    }

    fn spawn(&self, argv: &Argv, stdin: Stdio, kept: Option<&str>, terms: Terms) -> Result<Living, RunError> {
        let program = self.find(argv.program()).ok_or_else(|| RunError::NotFound {
            program: argv.program(),
            directories: self.path_text(", "),
        })?;
        let mut command = Command::new(program);
        command
            .args(argv.arguments())
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", self.path_text(":"))
            .envs(kept.and_then(|name| Some((name, std::env::var_os(name)?))))
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if kept.is_none() {
            command.process_group(0);
        } else {
            // SAFETY: between fork and exec setsid(2) may be called, and nothing else is done there.
            unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
        }
        Contract::start(&mut command, terms, self.keep.as_deref().map(|dir| (dir, argv)))
            .map(|(child, contract)| Living::new(child, contract))
            .map_err(|source| RunError::Spawn { argv: argv.clone(), source })
    }

    fn run_within(&self, argv: &Argv, limit: Duration) -> Result<Output, RunError> {
        let mut living = self.spawn(argv, Stdio::null(), None, Terms::Command)?;
        let (_, stdout, stderr) = living.take_pipes();
        let (events, ended) = mpsc::channel();
        let parts = watch(&living, events.clone()).and_then(|()| {
            let full = move || drop(events.send(Event::Full));
            Ok((
                start(stdout, Keep::Head(self.stdout_limit), full)?,
                start(stderr, Keep::Tail(STDERR_TAIL), || {})?,
            ))
        });
        // On an error `living` is dropped here, which ends the child.
        let (stdout, stderr) = parts.map_err(|source| RunError::Spawn { argv: argv.clone(), source })?;
        match ended.recv_timeout(limit) {
            Ok(Event::Ended) => {
                let status =
                    living.reap().map_err(|source| RunError::Spawn { argv: argv.clone(), source })?;
                let stdout = stdout.finish(LINGER);
                // Whoever holds the one pipe holds the other: no second wait.
                let stderr = stderr.finish(if stdout.open { Duration::ZERO } else { LINGER });
                Output::new(argv, status, stdout, stderr, self.stdout_limit)
            }
            Ok(Event::Full) => {
                living.kill_and_reap();
                Err(RunError::TooMuch { argv: argv.clone(), limit: self.stdout_limit })
            }
            Err(_) => {
                let gone = living.kill_and_reap();
                let stderr = lossy(stderr.finish(Duration::ZERO).bytes);
                Err(RunError::Deadline { argv: argv.clone(), after: limit, stderr, gone })
            }
        }
    }

    fn path_text(&self, separator: &str) -> String {
        let dirs: Vec<_> = self.path.iter().map(|dir| dir.to_string_lossy()).collect();
        dirs.join(separator)
    }

    fn tell(&self, line: fmt::Arguments<'_>) {
        if let Some(trace) = &self.trace {
            trace(&one_line(&line.to_string()));
        }
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Programs").field("path", &self.path).field("timeout", &self.timeout).finish()
    }
}

/// What happens first.
enum Event {
    Ended,
    Full,
}

fn start(
    pipe: Option<impl io::Read + Send + 'static>,
    keep: Keep,
    overflow: impl FnOnce() + Send + 'static,
) -> io::Result<Drain> {
    let pipe = pipe.ok_or_else(|| io::Error::other("the child has no such pipe"))?;
    Drain::start(pipe, keep, overflow)
}

/// Tells `events` when the child has ended, without reaping it.
fn watch(living: &Living, events: mpsc::Sender<Event>) -> io::Result<()> {
    let killer = living.killer.clone();
    let awaiting = move || {
        killer.await_end();
        // Nobody listens any more when the deadline has come first.
        drop(events.send(Event::Ended));
    };
    thread::start("await", awaiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Status;
    use std::io::{Read, Write};
    use std::sync::Mutex;

    fn programs() -> Programs {
        Programs::new(vec!["/bin".into(), "/usr/bin".into()], Duration::from_secs(60))
    }

    fn sh(script: &str) -> Argv {
        Argv::new("sh").args(["-c", script])
    }

    #[test]
    fn output_and_exit_code_are_told_apart_from_each_other() {
        let output = programs().run(&sh("echo out; echo err >&2; exit 3")).unwrap();
        assert_eq!(output.status, Status::Exit(3));
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
        assert!(!output.stderr_cut);
    }

    #[test]
    fn a_signal_is_not_an_exit_code() {
        assert_eq!(programs().run(&sh("kill -TERM $$")).unwrap().status, Status::Signal(15));
    }

    #[test]
    fn a_failure_names_the_command_its_status_and_its_words() {
        let error =
            programs().ok(&sh("echo 'cannot\topen' >&2; echo two >&2; echo ERROR: x; exit 1")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`sh -c "), "{text}");
        assert!(text.ends_with(r": exit 1: cannot\topen; two: ERROR: x"), "{text}");
    }

    #[test]
    fn the_environment_holds_a_locale_and_a_path_and_nothing_else() {
        let output = programs().ok(&Argv::new("env")).unwrap();
        let mut lines: Vec<_> = output.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["LC_ALL=C", "PATH=/bin:/usr/bin"]);
    }

    #[test]
    fn the_child_runs_in_the_root_directory_with_empty_input_and_leads_its_group() {
        let output = programs().ok(&sh("pwd; wc -c; ps -o pgid= -p $$; echo $$")).unwrap();
        let lines: Vec<_> = output.stdout.lines().map(str::trim).collect();
        assert_eq!(lines[..2], ["/", "0"]);
        assert_eq!(lines[2], lines[3]);
    }

    #[test]
    fn a_program_is_looked_up_on_the_path_alone() {
        let programs = Programs::new(vec!["/nonexistent".into()], Duration::from_secs(1));
        assert!(!programs.has("sh") && !programs.has("../bin/sh") && !programs.has(""));
        let text = programs.run(&sh("")).unwrap_err().to_string();
        assert!(text.starts_with("no program `sh` in /nonexistent"), "{text}");
    }

    #[test]
    fn a_deadline_kills_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let ours = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
        let mut reader = std::fs::File::open(&fifo).unwrap();
        let script = format!("exec 9>'{}'; sleep 1000 & echo started >&9; wait", fifo.display());
        let error = programs().run(&sh(&script).within(Duration::from_secs(1))).unwrap_err();
        assert!(matches!(&error, RunError::Deadline { gone: true, .. }), "{error}");
        // The fifo ends for us when the shell and its child are dead, not before.
        drop(ours);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "started\n");
    }

    #[test]
    fn too_much_output_ends_the_command() {
        let error = Programs { stdout_limit: 100_000, ..programs() }.run(&sh("yes")).unwrap_err();
        assert!(matches!(error, RunError::TooMuch { limit: 100_000, .. }), "{error}");
    }

    #[test]
    fn of_a_long_complaint_the_end_is_kept() {
        let output = programs().run(&sh("yes | head -c 100000 >&2; echo last >&2")).unwrap();
        assert_eq!(output.stderr.len(), STDERR_TAIL);
        assert!(output.stderr_cut && output.stderr.ends_with("last\n"));
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipes_open_does_not_hold_us() {
        let programs = programs();
        let output = programs.run(&sh("sleep 1000 & echo $!")).unwrap();
        assert_eq!(output.status, Status::Exit(0));
        let pid: i32 = output.stdout.trim().parse().unwrap();
        // It outlives the command, as zoneadmd must.
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_rather_than_altered() {
        let error = programs().ok(&sh(r"printf 'a\377b'")).unwrap_err();
        assert!(matches!(error, RunError::NotText { .. }), "{error}");
        let failed = programs().run(&sh(r"printf 'a\377b'; exit 1")).unwrap();
        assert_eq!(failed.stdout, "a\u{fffd}b");
    }

    #[test]
    fn each_command_leaves_two_lines_in_the_trace() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let traced = programs().with_trace(move |line| sink.lock().unwrap().push(line.to_owned()));
        traced.run(&sh("exit 7")).unwrap();
        traced.spawn_reader(&sh("true\n")).unwrap().wait_ok().unwrap();
        let wanted = ["run sh -c 'exit 7'", "sh: exit 7", r"start sh -c $'true\n'", "sh: exit 0"];
        assert_eq!(*lines.lock().unwrap(), wanted);
    }

    #[test]
    fn a_stream_is_read_from_a_command() {
        let mut sending = programs().spawn_reader(&sh("yes | head -c 3000000; echo bye >&2")).unwrap();
        let mut bytes = Vec::new();
        sending.take_stdout().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 3_000_000);
        assert_eq!(sending.wait_ok().unwrap().stderr, "bye\n");
    }

    #[test]
    fn a_stream_is_written_to_a_command() {
        let mut receiving = programs().spawn_writer(&Argv::new("wc").arg("-c")).unwrap();
        let mut stdin = receiving.take_stdin().unwrap();
        (0..100).for_each(|_| stdin.write_all(&[7; 65_536]).unwrap());
        drop(stdin);
        assert_eq!(receiving.wait_ok().unwrap().stdout.trim(), "6553600");
    }

    #[test]
    fn a_dialogue_is_written_and_read_and_ended_with_what_it_said() {
        let mut talking =
            programs().spawn_dialogue(&sh("echo no >&2; read line; echo $line; exec cat"), "X").unwrap();
        let (mut stdin, mut stdout) = (talking.take_stdin().unwrap(), talking.take_stdout().unwrap());
        stdin.write_all(b"hello\n").unwrap();
        let mut said = [0; 6];
        stdout.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello\n");
        drop(stdin);
        let output = talking.end(Duration::from_secs(60)).unwrap();
        assert_eq!((output.status, output.stderr.as_str()), (Status::Exit(0), "no\n"));
    }

    #[test]
    fn a_dialogue_that_does_not_end_is_killed_and_what_it_said_is_kept() {
        let mut talking =
            programs().spawn_dialogue(&sh("echo no >&2; echo ready; exec sleep 1000"), "X").unwrap();
        talking.take_stdout().unwrap().read_exact(&mut [0; 6]).unwrap();
        let output = talking.end(Duration::from_millis(100)).unwrap();
        assert_eq!((output.status, output.stderr.as_str()), (Status::Signal(9), "no\n"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_dialogue_leads_a_session_and_so_has_no_terminal_to_ask_on() {
        let argv = Argv::new("cut").args(["-d ", "-f1,6", "/proc/self/stat"]);
        let mut talking = programs().spawn_dialogue(&argv, "X").unwrap();
        let mut text = String::new();
        talking.take_stdout().unwrap().read_to_string(&mut text).unwrap();
        let (process, session) = text.trim().split_once(' ').unwrap();
        assert_eq!(process, session);
    }

    #[test]
    fn one_variable_may_be_handed_on() {
        let programs = programs();
        let said = |name: &str| {
            let mut talking = programs.spawn_dialogue(&Argv::new("env"), name).unwrap();
            let mut text = String::new();
            talking.take_stdout().unwrap().read_to_string(&mut text).unwrap();
            text
        };
        assert!(said("CARGO_MANIFEST_DIR").contains(env!("CARGO_MANIFEST_DIR")));
        assert_eq!(said("ZMIGRATE_NO_SUCH_VARIABLE").lines().count(), 2);
    }

    #[test]
    fn a_killer_ends_a_stream_and_is_harmless_afterwards() {
        let mut sending = programs().spawn_reader(&Argv::new("yes")).unwrap();
        let killer = sending.killer();
        let mut stdout = sending.take_stdout().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        killer.kill();
        std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
        assert_eq!(sending.wait().unwrap().status, Status::Signal(9));
        killer.kill();
    }

    #[test]
    fn dropping_a_stream_ends_its_command() {
        let mut sending = programs().spawn_reader(&sh("sleep 1000 & echo $!; wait")).unwrap();
        let mut stdout = sending.take_stdout().unwrap();
        drop(sending);
        // The end of the pipe is the end of all who held it.
        std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    }

    #[test]
    fn an_untaken_stream_does_not_block_the_end() {
        let status = programs().spawn_reader(&Argv::new("yes")).unwrap().wait().unwrap().status;
        assert_eq!(status, Status::Signal(13));
        assert!(programs().spawn_writer(&Argv::new("cat")).unwrap().wait().unwrap().status.is_ok());
    }
}
