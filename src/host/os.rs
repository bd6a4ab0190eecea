//! stub
use super::StepError;
use crate::cmd::Programs;
use crate::job::survey::OsLevel;
/// level
pub fn level(programs: &Programs) -> Result<OsLevel, StepError> {
    let u = crate::cmd::uname::uname(programs)?;
    Ok(OsLevel {
        system: u.system,
        release: u.release,
        version: u.version,
        processor: u.processor,
        entire: None,
    })
}
