//! A folder with a `zfs` for the unit tests of the transfer: one dataset, one image.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use chrono::DateTime;
use tempfile::TempDir;

use super::check::fixture::case;
use crate::job::event::Event;
use crate::job::image::{Image, images};
use crate::job::layout::Layout;
use crate::job::message;
use crate::job::name::{Bytes, Guid, HostName};
use crate::job::part::{ENTRY_VERSION, Entry, entry_name, part_name};
use crate::job::progress::Progress;
use crate::job::record::Job;
use crate::process::Programs;
use crate::stream::PartHasher;
use crate::transport::arrivals::{Arrivals, JobBox};

/// The folder, and a job that moves one dataset.
pub struct Fixture {
    dir: TempDir,
    pub job: Job,
    pub layout: Layout,
    pub image: Image,
    pub programs: Programs,
}

impl Fixture {
    /// The image has this guid, and parts of this size.
    pub fn new(guid: Guid, part: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["bin", "bin/q", "bin/streams", "scratch", "dropbox/in", "dropbox/out"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/zfs"), dir.path().join("bin/zfs")).unwrap();
        let mut case = case();
        case.offer.survey.datasets.truncate(1);
        case.offer.part = Bytes(part);
        let layout = case.layout().unwrap();
        let (id, offer) = (case.job.clone(), Box::new(case.offer));
        let host = HostName::new("zhost2").unwrap();
        let taken = Event::Taken { job: id.clone(), host, peer: offer.from.clone(), offer };
        let mut job = Job::begin(DateTime::UNIX_EPOCH, &taken).unwrap();
        job.guids.insert(layout.datasets[0].source.clone(), guid);
        job.generation = 1;
        let path = vec![dir.path().join("bin"), "/bin".into(), "/usr/bin".into()];
        let programs = Programs::new(path, Duration::from_secs(60));
        let image = images(&job).remove(0);
        let fixture = Self { dir, job, layout, image, programs };
        fixture.write("job", id.as_str());
        fixture.write("guid", &guid.to_string());
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("bin").join(name), text).unwrap();
    }

    /// What `zfs send` prints and `zfs receive` must be fed.
    pub fn stream(&self, bytes: &[u8]) {
        fs::write(self.path("bin/streams").join(self.image.name().replace('/', "%")), bytes).unwrap();
    }

    /// How often a command was run.
    pub fn runs(&self, command: &str) -> usize {
        let log = fs::read_to_string(self.path("bin/log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(command)).count()
    }

    /// The next `zfs receive` fails.
    pub fn break_receive(&self) {
        self.write("broken", "");
    }

    /// The target's side of the dropbox.
    pub fn inbox(&self) -> JobBox {
        Arrivals::new(self.path("dropbox")).job(&self.job.id)
    }

    /// A file in the dropbox.
    pub fn arrived(&self, name: &str) -> PathBuf {
        self.path("dropbox/in").join(self.job.id.as_str()).join(name)
    }

    /// Puts a part and its entry into the dropbox, as the source does.
    pub fn put(&self, attempt: u32, number: u32, last: bool, bytes: &[u8]) {
        let mut hasher = PartHasher::new();
        hasher.update(bytes);
        let entry = Entry {
            v: ENTRY_VERSION,
            dataset: self.image.dataset.clone(),
            from: None,
            to: self.image.to.clone(),
            guid: self.image.guid.unwrap(),
            attempt,
            number,
            last,
            digest: hasher.finish(),
        };
        let part = self.arrived(&part_name(&self.image.stem, number));
        fs::create_dir_all(part.parent().unwrap()).unwrap();
        fs::write(part, bytes).unwrap();
        let entry = serde_json::to_vec(&entry).unwrap();
        fs::write(self.arrived(&entry_name(&self.image.stem, number)), entry).unwrap();
    }

    /// The entry of a part in the dropbox.
    pub fn entry(&self, number: u32) -> Option<Entry> {
        let entry = fs::read(self.arrived(&entry_name(&self.image.stem, number))).ok()?;
        serde_json::from_slice(&entry).ok()
    }

    /// Puts the target's report.
    pub fn report(&self, progress: &Progress) {
        self.inbox().put_progress("progress", &message::seal(&self.job.id, progress.clone())).unwrap();
    }
}
