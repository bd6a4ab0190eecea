//! The zone of 2007 on its way to a host that accepts it; each test changes one thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::zonepath::ZonepathState;
use super::{Check, Judgement, Reserved, ScratchRoom, World, judge};
use crate::cmd::zoneadm::{ZoneLine, ZoneList, ZoneState};
use crate::config::Accept;
use crate::host::landing::Landing;
use crate::job::code::Reason;
use crate::job::layout::Layout;
use crate::job::message::Offer;
use crate::job::name::{Bytes, DatasetName, Guid, HostName, JobId, SnapshotName, ZoneName};
use crate::job::request::Request;
use crate::job::survey::{Dataset, Kind, OsLevel, Property, Source, Survey, Zone};

/// A GiB.
pub const GIB: u64 = 1 << 30;

/// Its configuration, exported on OmniOS.
const CONFIG: &str = "\
create -b
set zonepath=/export/zones/dbbackup
set brand=sparse
set autoboot=true
set limitpriv=default
set ip-type=shared
add fs
set dir=/opt/pkgsrc
set special=data/zones/dbbackup/pkgsrc
set type=zfs
end
add net
set address=192.0.2.10/24
set physical=nge0
end
add attr
set name=comment
set type=string
set value=\"database backup\"
end
add dataset
set name=data/zones/dbbackup/tank
end
";

/// All that a check looks at, owned.
pub struct Case {
    pub job: JobId,
    pub offer: Offer,
    pub accept: Accept,
    pub world: World,
    pub reserved: Vec<Reserved>,
    pub scratch: ScratchRoom,
}

impl Case {
    pub fn layout(&self) -> Result<Layout, Vec<String>> {
        let names: Vec<_> = self.offer.survey.datasets.iter().map(|dataset| dataset.name.clone()).collect();
        let quarantine = |pool: &str| {
            if pool == self.accept.quarantine.pool() {
                return Some(self.accept.quarantine.clone());
            }
            let home = self.accept.datasets.iter().find(|dataset| dataset.pool() == pool);
            home.map(|home| home.join("zmigrate").unwrap())
        };
        Layout::new(&names, &self.offer.request.target.datasets, &self.job, quarantine)
    }

    pub fn judge(&self) -> Judgement {
        let layout = self.layout();
        judge(&Check {
            job: &self.job,
            offer: &self.offer,
            accept: &self.accept,
            layout: layout.as_ref().map_err(Vec::as_slice),
            world: &self.world,
            reserved: &self.reserved,
            scratch: &self.scratch,
        })
    }

    /// The reasons, a line each; empty when the zone may come.
    pub fn refusals(&self) -> String {
        Reason::texts(&self.judge().refusals).join("\n")
    }

    pub fn findings(&self) -> String {
        self.judge().findings.join("\n")
    }
}

pub fn name(text: &str) -> DatasetName {
    DatasetName::new(text).unwrap()
}

/// Sets a property of a surveyed dataset locally.
pub fn local(dataset: &mut Dataset, property: &str, value: &str) {
    let set = Property { value: value.to_owned(), source: Source::Local };
    Arc::make_mut(&mut dataset.properties).insert(property.to_owned(), set);
}

fn inherited(dataset: &mut Dataset, property: &str, value: &str, from: &str) {
    let set = Property { value: value.to_owned(), source: Source::Inherited(name(from)) };
    Arc::make_mut(&mut dataset.properties).insert(property.to_owned(), set);
}

fn dataset(text: &str, gib: u64) -> Dataset {
    Dataset {
        name: name(text),
        guid: Guid(1),
        kind: Kind::Filesystem,
        version: Some(5),
        referenced: Bytes(gib * GIB),
        logical: Bytes(gib * GIB),
        properties: Arc::default(),
    }
}

pub fn zone_line(name: &str, state: ZoneState, zonepath: &str) -> ZoneLine {
    ZoneLine {
        id: None,
        name: name.to_owned(),
        state,
        zonepath: zonepath.into(),
        uuid: None,
        brand: None,
        ip_type: None,
    }
}

/// What another job for zone `web` holds.
pub fn reserved() -> Reserved {
    Reserved {
        job: JobId::new("web-20070518T030000Z-0001").unwrap(),
        zone: ZoneName::new("web").unwrap(),
        zonepath: "/export/zones/web".to_owned(),
        datasets: vec![name("data/zones/web")],
        holders: vec![name("data/zones/zmigrate/web-20070518T030000Z-0001")],
        pools: BTreeMap::from([("data".to_owned(), Bytes(10 * GIB))]),
        scratch: Bytes(GIB),
    }
}

/// A case in which nothing is wrong.
pub fn case() -> Case {
    let top = "data/zones/dbbackup";
    let mut datasets: Vec<_> = [(top, 1), ("data/zones/dbbackup/pkgsrc", 2), ("data/zones/dbbackup/tank", 0)]
        .map(|(name, gib)| dataset(name, gib))
        .into();
    datasets.push(dataset("data/zones/dbbackup/tank/mysql", 37));
    inherited(&mut datasets[0], "mountpoint", "/export/zones/dbbackup", "data/zones");
    local(&mut datasets[1], "mountpoint", "legacy");
    local(&mut datasets[2], "mountpoint", "none");
    local(&mut datasets[2], "zoned", "on");
    local(&mut datasets[3], "mountpoint", "/var/mysql");
    inherited(&mut datasets[3], "zoned", "on", "data/zones/dbbackup/tank");
    let os = OsLevel {
        system: "SunOS".to_owned(),
        release: "5.11".to_owned(),
        version: "omnios-r151046-aaaa".to_owned(),
        processor: "i386".to_owned(),
        entire: None,
        brands: None,
        patches: BTreeMap::new(),
    };
    let zone = ZoneName::new("dbbackup").unwrap();
    let survey = Survey {
        os: os.clone(),
        zone: Zone {
            name: zone.clone(),
            brand: "sparse".to_owned(),
            zonepath: "/export/zones/dbbackup".to_owned(),
            running: true,
            autoboot: true,
            config: CONFIG.to_owned(),
        },
        datasets,
        maintenance: Vec::new(),
    };
    let there = [("data", "/data"), ("data/zones", "/export/zones"), ("data/other", "/data/other")];
    let native = ["mountpoint", "zoned", "quota", "compression", "canmount", "atime", "sharenfs", "sharesmb"];
    let given =
        [("mountpoint", "/export/zones"), ("zoned", "off"), ("sharenfs", "off"), ("compression", "off")];
    let landing = Landing {
        above: [(name("data/zones"), given.map(|(name, value)| (name.to_owned(), value.to_owned())).into())]
            .into(),
        known: Some(native.map(str::to_owned).into()),
    };
    Case {
        job: JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap(),
        offer: Offer {
            serial: 1,
            plan: false,
            from: HostName::new("zhost1").unwrap(),
            request: Request::new(zone, HostName::new("zhost2").unwrap()),
            survey,
            snapshot: SnapshotName::new("migrate").unwrap(),
            part: Bytes(128 << 20),
        },
        accept: Accept {
            datasets: vec![name("data/zones")],
            quarantine: name("data/zones/zmigrate"),
            zonepaths: vec!["/export/zones".to_owned()],
            lofs: Vec::new(),
            links: None,
            addresses: None,
            defrouters: Vec::new(),
            devices: false,
            limitpriv: "default".to_owned(),
            route: false,
        },
        world: World {
            zones: ZoneList {
                zones: vec![zone_line("global", ZoneState::Running, "/")],
                complaints: String::new(),
            },
            claims: Vec::new(),
            datasets: there.map(|(dataset, mountpoint)| (name(dataset), mountpoint.to_owned())).into(),
            available: BTreeMap::from([(name("data/zones"), Bytes(100 * GIB))]),
            used: BTreeMap::new(),
            own: Vec::new(),
            landing,
            zpl_version: 5,
            os,
            zonepath: ZonepathState::Absent,
        },
        reserved: Vec::new(),
        scratch: ScratchRoom {
            dir: "/export/scratch/zmigrate".to_owned(),
            free_on_disk: Bytes(200 * GIB),
            share: Bytes(200 * GIB),
        },
    }
}
