//! placeholder
use super::name::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub zone: ZoneName,
    pub to: HostName,
    pub target: Target,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub boot: Option<bool>,
    pub datasets: BTreeMap<DatasetName, DatasetName>,
}
