//! The system on which all scenarios run that do not name one themselves. `ZMIGRATE_PROFILE` is the brand of its zones: `sparse` (OmniOS,
//! where nothing is set), `ipkg`, or `solaris` (Oracle Solaris 11.4).

use serde_json::json;

use super::{Host, TOP};

/// The zones' brand.
pub fn brand() -> String {
    let brand = std::env::var("ZMIGRATE_PROFILE").unwrap_or_else(|_| "sparse".to_owned());
    assert!(
        ["sparse", "ipkg", "solaris"].contains(&brand.as_str()),
        "ZMIGRATE_PROFILE={brand} is no profile"
    );
    brand
}

/// Is it Solaris 11.4?
pub fn is_solaris() -> bool {
    brand() == "solaris"
}

/// The dataset of the zone's root.
pub fn root() -> String {
    format!("{TOP}/{}", if is_solaris() { "rpool/ROOT/solaris" } else { "ROOT/zbe" })
}

/// In the command by which the target mounts the zone's datasets: what the brand leaves to it, its root on illumos.
pub fn mounting() -> &'static [&'static str] {
    if is_solaris() { &["inherit", "canmount"] } else { &["canmount=on", "dbbackup/ROOT/zbe"] }
}

/// Makes a host one of an older release.
pub fn make_older(host: &Host) {
    set(
        host,
        "11-151044.0:20230201T194428Z",
        "r151044-1111111111",
        "11.4-11.4.33.0.1.94.0:20210517T160224Z",
        "11.4.33.94.0",
    );
}

/// Makes a host one of a newer release.
pub fn make_newer(host: &Host) {
    set(
        host,
        "11-151048.0:20240601T194428Z",
        "r151048-2222222222",
        "11.4-11.4.45.0.1.119.2:20220422T180316Z",
        "11.4.45.119.2",
    );
}

fn set(host: &Host, omnios: &str, kernel: &str, solaris: &str, sru: &str) {
    let (entire, kernel) = if is_solaris() {
        (format!("pkg://solaris/entire@{solaris}"), sru.to_owned())
    } else {
        (format!("pkg://omnios/entire@{omnios}"), format!("omnios-{kernel}"))
    };
    host.settings("entire", json!(entire));
    host.settings("kernel", json!(kernel));
}
