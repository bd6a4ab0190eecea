//! Jobs for the unit tests beside this.

use crate::job::event::Event;
use crate::job::message::Offer;
use crate::job::name::{Bytes, HostName, JobId, SnapshotName, ZoneName};
use crate::job::phase::Phase;
use crate::job::record::Job;
use crate::job::request::Request;
use crate::job::survey::{OsLevel, Survey, Zone};

const ID: &str = "db-20070518T033600Z-7f3a";

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn request() -> Request {
    Request::new(ZoneName::new("db").unwrap(), host("zhost2"))
}

fn begun(event: &Event, phase: Phase) -> Job {
    let at = "2007-05-18T03:36:00Z".parse().unwrap();
    Job { phase, ..Job::begin(at, event).unwrap() }
}

/// zhost1's job that moves `db` to zhost2.
pub fn source(phase: Phase) -> Job {
    let event = Event::Admitted {
        job: JobId::new(ID).unwrap(),
        host: host("zhost1"),
        request: Box::new(request()),
        snapshot: SnapshotName::new("migrate").unwrap(),
        part: Bytes(1 << 20),
    };
    begun(&event, phase)
}

/// zhost2's job of the same migration.
pub fn target(phase: Phase) -> Job {
    let zone = Zone {
        name: ZoneName::new("db").unwrap(),
        brand: "sparse".to_owned(),
        zonepath: "/zones/db".to_owned(),
        running: true,
        autoboot: true,
        config: String::new(),
    };
    let survey = Survey { os: OsLevel::default(), zone, datasets: Vec::new(), maintenance: Vec::new() };
    let offer = Offer {
        serial: 1,
        plan: false,
        from: host("zhost1"),
        request: request(),
        survey,
        snapshot: SnapshotName::new("migrate").unwrap(),
        part: Bytes(1 << 20),
    };
    let event = Event::Taken {
        job: JobId::new(ID).unwrap(),
        host: host("zhost2"),
        peer: host("zhost1"),
        offer: Box::new(offer),
    };
    begun(&event, phase)
}
