//! A request as TOML: what differs from the defaults, so that a person sees what was asked for.

use toml::Value;

use super::{Attach, Keep, OnFailure, Request, Shutdown, Target, Verify};
use crate::job::units::duration_text;

impl Request {
    /// The request as a file that [`Request::parse`] reads back to the same. Keys that have their default are left
    /// out; fractions of a second too, which no key can hold.
    pub fn to_toml(&self) -> String {
        let default = Request::new(self.zone.clone(), self.to.clone());
        let mut sheet = Sheet::default();
        sheet.put("zone", self.zone.as_str());
        sheet.put("to", self.to.as_str());
        // `mode` has but one value yet, its default.
        if let Some(snapshot) = &self.snapshot {
            sheet.put("snapshot", snapshot.as_str());
        }
        if let Some(moment) = &self.not_before {
            // A date and time is not quoted in TOML.
            let moment = moment.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
            sheet.line("not_before", &moment);
        }
        if self.give_up != default.give_up {
            sheet.put("give_up", duration_text(self.give_up));
        }
        if let Some(outage) = self.max_outage {
            sheet.put("max_outage", duration_text(outage));
        }
        if let Some(ticket) = &self.ticket {
            sheet.put("ticket", ticket.as_str());
        }
        shutdown(&mut sheet, &self.shutdown, &default.shutdown);
        target(&mut sheet, &self.target);
        verify(&mut sheet, &self.verify, &default.verify);
        if let Keep::For(time) = self.source.keep {
            sheet.head("source");
            sheet.put("keep", duration_text(time));
        }
        sheet.text
    }
}

fn shutdown(sheet: &mut Sheet, shutdown: &Shutdown, default: &Shutdown) {
    sheet.head("shutdown");
    if shutdown.timeout != default.timeout {
        sheet.put("timeout", duration_text(shutdown.timeout));
    }
    if shutdown.force != default.force {
        sheet.put("force", shutdown.force);
    }
}

fn target(sheet: &mut Sheet, target: &Target) {
    sheet.head("target");
    if let Some(zonepath) = &target.zonepath {
        sheet.put("zonepath", zonepath.as_str());
    }
    match target.attach {
        Attach::Strict => {}
        Attach::Update => sheet.put("attach", "update"),
        Attach::UpdateAll => sheet.put("attach", "update-all"),
        Attach::Force => sheet.put("attach", "force"),
    }
    if let Some(boot) = target.boot {
        sheet.put("boot", boot);
    }
    sheet.head("target.datasets");
    for (from, to) in &target.datasets {
        sheet.put(&quoted(from.as_str()), to.as_str());
    }
    for (dataset, properties) in &target.properties {
        sheet.head(&format!("target.properties.{}", quoted(dataset.as_str())));
        for (name, value) in properties {
            sheet.put(&quoted(name), value.as_str());
        }
    }
    sheet.head("target.zonecfg");
    if !target.zonecfg.is_empty() {
        sheet.put("commands", target.zonecfg.clone());
    }
    if let Some(route) = &target.route {
        sheet.head("target.route");
        sheet.put("interface", route.interface());
        sheet.put("address", route.address().to_string());
        sheet.put("netmask", route.netmask().to_string());
        sheet.put("gateway", route.gateway().to_string());
    }
}

fn verify(sheet: &mut Sheet, verify: &Verify, default: &Verify) {
    sheet.head("verify");
    if verify.timeout != default.timeout {
        sheet.put("timeout", duration_text(verify.timeout));
    }
    if !verify.commands.is_empty() {
        sheet.put("commands", verify.commands.clone());
    }
    match verify.on_failure {
        OnFailure::Return => {}
        OnFailure::Stay => sheet.put("on_failure", "stay"),
    }
}

/// TOML text in the making. A section's head appears with its first key.
#[derive(Default)]
struct Sheet {
    text: String,
    head: Option<String>,
}

impl Sheet {
    fn head(&mut self, path: &str) {
        self.head = Some(path.to_owned());
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        self.line(key, &value.to_string());
    }

    fn line(&mut self, key: &str, value: &str) {
        if let Some(head) = self.head.take() {
            self.text.push_str(&format!("\n[{head}]\n"));
        }
        self.text.push_str(&format!("{key} = {value}\n"));
    }
}

/// A key that may hold slashes, colons and blanks.
fn quoted(key: &str) -> String {
    Value::from(key).to_string()
}
