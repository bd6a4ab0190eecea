//! A request as text, key by key.

use std::collections::BTreeMap;

use super::ZONE;

/// What is dropped into the spool. Its times are short: a scenario that fails should do so soon.
#[derive(Clone)]
pub struct Request {
    /// The zone, and the file's name.
    pub zone: String,
    tables: BTreeMap<String, BTreeMap<String, String>>,
}

impl Request {
    /// The zone of 2007 to zhost2, with the command that its administrator would look with.
    pub fn new() -> Self {
        Self::of(ZONE, "zhost2")
    }

    /// Any zone to any host.
    pub fn of(zone: &str, to: &str) -> Self {
        let request = Self { zone: zone.to_owned(), tables: BTreeMap::new() };
        request
            .set("", "zone", &format!("{zone:?}"))
            .set("", "to", &format!("{to:?}"))
            .set("", "ticket", "\"OPS-1138\"")
            .set("shutdown", "timeout", "\"5s\"")
            .set("verify", "timeout", "\"3s\"")
            .set("verify", "commands", "[\"/opt/mysql/bin/mysqladmin status\"]")
    }

    /// Sets `key` in `[table]` (none: at the top) to a value as TOML writes it.
    pub fn set(mut self, table: &str, key: &str, value: &str) -> Self {
        self.tables.entry(table.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (table, keys) in &self.tables {
            if !table.is_empty() {
                text += &format!("\n[{table}]\n");
            }
            for (key, value) in keys {
                text += &format!("{key} = {value}\n");
            }
        }
        text
    }
}
