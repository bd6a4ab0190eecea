//! Where one host's ZFS keeps its state and data.
//!
//! `state.json` is read as a whole, changed under a lock and replaced by a rename. Data is in
//! `data/<id>/live` and `data/<id>/<snapshot's id>`. IDs never change, so a rename moves no data. A
//! transfer does not hold that lock; it has a lock of its own, which ends with its process. The
//! next command removes a dataset whose receiver is dead, as a kernel removes what a killed `zfs
//! receive` made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::files;
use super::lock::Lock;
use super::state::{Dataset, Incoming, Snapshot, State};
use crate::world::Host;

/// The place where one host's ZFS keeps its state and data.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    /// The host's root directory.
    pub root: PathBuf,
}

impl Store {
    /// The host's.
    pub fn of(host: &Host) -> Self {
        Self { dir: host.state_dir().join("zfs"), root: host.root.clone() }
    }

    /// A state to look at. What dead receivers left is gone from it.
    pub fn read(&self) -> io::Result<State> {
        let state = self.load()?;
        if self.abandoned(&state).is_empty() {
            return Ok(state);
        }
        self.change(|state| Ok(state.clone()))?
    }

    /// Changes the state under the lock. What `change` answers is handed on; whatever it made of the state
    /// is kept, so it must not begin what it will refuse.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        fs::create_dir_all(&self.dir)?;
        let _lock = Lock::wait(&self.dir.join("lock"))?;
        let mut state = self.load()?;
        let before = state.clone();
        let dead = self.abandoned(&state);
        let mut garbage = Vec::new();
        for name in dead {
            garbage.extend(self.forget_incoming(&mut state, &name));
        }
        let answer = change(&mut state);
        if state != before {
            self.save(&state)?;
        }
        for dir in garbage {
            files::remove(&dir)?;
        }
        Ok(answer)
    }

    fn load(&self) -> io::Result<State> {
        match fs::read(self.dir.join("state.json")) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(why) => Err(why),
        }
    }

    /// Not synced: a lab's host that loses power is out of its scope, a killed command isn't.
    fn save(&self, state: &State) -> io::Result<()> {
        let draft = self.dir.join("state.json.new");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        fs::rename(draft, self.dir.join("state.json"))
    }

    /// Datasets with a receive whose process is gone.
    fn abandoned(&self, state: &State) -> Vec<String> {
        let dead = |dataset: &Dataset| match &dataset.incoming {
            // A process's own locks don't stop it, so it must not try them.
            Some(incoming) if incoming.pid != std::process::id() => {
                Lock::try_exclusive(&self.flight(dataset.id)).is_ok_and(|lock| lock.is_some())
            }
            _ => false,
        };
        state.datasets.iter().filter(|(_, dataset)| dead(dataset)).map(|(name, _)| name.clone()).collect()
    }

    /// Takes back what a receive into `name` has made. Answers the directories to remove once the state
    /// no longer names them.
    pub fn forget_incoming(&self, state: &mut State, name: &str) -> Vec<PathBuf> {
        let Some(dataset) = state.datasets.get_mut(name) else { return Vec::new() };
        match dataset.incoming.take() {
            Some(Incoming { staged: Some(id), .. }) => vec![self.data(dataset.id).join(id.to_string())],
            Some(Incoming { staged: None, .. }) => {
                let dir = self.data(dataset.id);
                state.datasets.remove(name);
                vec![dir]
            }
            None => Vec::new(),
        }
    }

    /// All of a dataset's data.
    pub fn data(&self, id: u64) -> PathBuf {
        self.dir.join("data").join(id.to_string())
    }

    /// What a mount of the dataset shows.
    pub fn live(&self, dataset: &Dataset) -> PathBuf {
        self.data(dataset.id).join("live")
    }

    /// What the snapshot holds.
    pub fn frozen(&self, dataset: &Dataset, snapshot: &Snapshot) -> PathBuf {
        self.data(dataset.id).join(snapshot.id.to_string())
    }

    /// Held by the receiver of a dataset.
    pub fn flight(&self, id: u64) -> PathBuf {
        self.data(id).join("incoming.lock")
    }

    /// Held, shared, by those who send a snapshot.
    pub fn sending(&self, dataset: &Dataset, snapshot: &Snapshot) -> PathBuf {
        self.data(dataset.id).join(format!("{}.lock", snapshot.id))
    }

    /// Makes the empty data of a new dataset.
    pub fn make_data(&self, dataset: &Dataset) -> io::Result<()> {
        let live = self.live(dataset);
        // A killed command's leftover: ids that were not stored are given out again.
        files::remove(&self.data(dataset.id))?;
        fs::create_dir_all(self.data(dataset.id))?;
        fs::DirBuilder::new().mode(0o755).create(live)
    }

    /// The host's absolute path as a path below its root directory.
    pub fn in_root(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path.trim_start_matches('/')))
    }
}
