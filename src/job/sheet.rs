//! Reading a TOML file key by key, so that all of its faults come out at once, each with its place.
//!
//! A [`Section`] hands out the value of each key that its reader asks for, and by that learns which keys there
//! are: what nobody asked for is an unknown key when the section is closed. A value that is absent or faulty comes
//! out as `None`; the reader goes on and sees from [`Sheet::finish`] whether there was a fault.
//!
//! Pure; takes any text without panicking. After a syntax error the rest is still read, but neither the lines of
//! that error nor absent keys are complained about, because the error may be what hides them.

mod advice;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::{Datetime, Offset};

use super::fault::{Fault, Faults};
use advice::{expected, listed};

/// One file's text, parsed, and the faults found in it so far.
pub struct Sheet<'a> {
    file: &'a str,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    broken_lines: BTreeSet<usize>,
    faults: RefCell<Vec<Fault>>,
}

impl<'a> Sheet<'a> {
    /// Parses the text. `file` is the name that faults show.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let faults: Vec<Fault> = errors
            .iter()
            .take(Faults::MOST)
            .map(|error| {
                let offset = error.span().map_or(text.len(), |span| span.start);
                let said = format!("not TOML: {}", error.message().escape_debug());
                Fault::at(file, text, offset, "", said)
            })
            .collect();
        let broken_lines = faults.iter().map(|fault| fault.line).collect();
        Self { file, text, root, broken_lines, faults: RefCell::new(faults) }
    }

    /// The file's top level.
    pub fn top(&self) -> Section<'_> {
        Section {
            sheet: self,
            path: String::new(),
            at: 0,
            entries: Some(self.root.get_ref()),
            asked: Vec::new(),
        }
    }

    /// All faults, in the order of their lines; none means that the values handed out are all there is.
    pub fn finish(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| (fault.line, fault.column));
        faults.dedup();
        let more = faults.len().saturating_sub(Faults::MOST);
        if more > 0 {
            faults.truncate(Faults::MOST);
            faults.push(Fault::of_file(self.file, "has more faults than these: mend them first"));
        }
        faults
    }

    fn fault(&self, offset: usize, key: &str, message: String) {
        // One above the bound is enough to know that there were more.
        if self.faults.borrow().len() > Faults::MOST {
            return;
        }
        let fault = Fault::at(self.file, self.text, offset, key, message);
        if !self.broken_lines.contains(&fault.line) {
            self.faults.borrow_mut().push(fault);
        }
    }
}

/// One table of the file, present or not.
pub struct Section<'s> {
    sheet: &'s Sheet<'s>,
    path: String,
    at: usize,
    entries: Option<&'s DeTable<'s>>,
    asked: Vec<&'static str>,
}

/// One key's value and its place.
struct Value<'s> {
    sheet: &'s Sheet<'s>,
    key: String,
    at: usize,
    value: &'s DeValue<'s>,
}

/// A key that the file's writer chose (a dataset, a peer), with what stands behind it.
pub struct Named<'s> {
    /// The key, as written.
    pub name: &'s str,
    at: usize,
    value: Value<'s>,
}

impl<'s> Section<'s> {
    /// Whether the file has this section at all.
    pub fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    /// Whether the file has this key. Does not make the key a known one.
    pub fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|table| table.contains_key(key))
    }

    /// A string that `parse` makes a `T` of; its error is a fragment that quotes the text.
    pub fn text<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.take(key)?.text(parse)
    }

    /// As [`Section::text`], for a key that has no default.
    pub fn required<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if !self.has(key) {
            self.absent(key);
        }
        self.text(key, parse)
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.text(key, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, meaning)| *meaning).ok_or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("'{}' is unknown, expected {}", text.escape_debug(), listed(&words))
            })
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        value.value.as_bool().or_else(|| value.wrong_type("`true` or `false`"))
    }

    /// A whole number within a range.
    pub fn count(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.take(key)?;
        let Some(number) = value.value.as_integer() else { return value.wrong_type("a whole number") };
        let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
        read.filter(|n| range.contains(n)).or_else(|| {
            value.fault(&format!("must be from {} to {}", range.start(), range.end()));
            None
        })
    }

    /// A moment with its offset from UTC: a time without one means another moment on every host.
    pub fn moment(&mut self, key: &'static str) -> Option<DateTime<Utc>> {
        let value = self.take(key)?;
        let DeValue::Datetime(written) = value.value else {
            return value.wrong_type("a date and time, such as 2007-05-18T03:00:00Z (without quotes)");
        };
        moment(written).map_err(|why| value.fault(why)).ok()
    }

    /// An array of strings, each read by `parse`. Every faulty element is named.
    pub fn texts<T, E: Display>(
        &mut self,
        key: &'static str,
        mut parse: impl FnMut(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let value = self.take(key)?;
        let DeValue::Array(items) = value.value else { return value.wrong_type("an array of strings") };
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(n, item)| {
                let key = format!("{}[{n}]", value.key);
                Value { sheet: self.sheet, key, at: item.span().start, value: item.get_ref() }
                    .text(&mut parse)
            })
            .collect();
        read.into_iter().collect()
    }

    /// As [`Section::texts`], for a key that has no default.
    pub fn required_texts<T, E: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnMut(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        if !self.has(key) {
            self.absent(key);
        }
        self.texts(key, parse)
    }

    /// The section below this key. An absent one is empty.
    pub fn section(&mut self, key: &'static str) -> Section<'s> {
        let path = self.path_of(key);
        match self.take(key) {
            Some(value) => value.section(),
            None => Section { sheet: self.sheet, path, at: self.at, entries: None, asked: Vec::new() },
        }
    }

    /// All keys of a section whose keys are the writer's choice.
    pub fn named(&self) -> Vec<Named<'s>> {
        let entries = self.entries.into_iter().flatten();
        entries
            .map(|(key, value)| Named {
                name: key.get_ref(),
                at: key.span().start,
                value: self.value_of(key.get_ref(), value),
            })
            .collect()
    }

    /// Makes keys known that are another value's to judge.
    pub fn known(&mut self, keys: &[&'static str]) {
        self.asked.extend(keys);
    }

    /// A fault that the reader found, at the key's value, or at the section's head if the key is absent.
    pub fn fault(&self, key: &str, why: &str) {
        let found = self.entries.and_then(|table| table.get(key));
        let at = found.map_or(self.at, |value| value.span().start);
        let path = self.path_of(key);
        self.sheet.fault(at, &path, format!("`{path}`: {why}"));
    }

    /// A fault: a key without a default is not there. None in a section that is not there either, or is no section,
    /// which is a fault of its own.
    pub fn absent(&self, key: &'static str) {
        if self.is_present() && self.sheet.broken_lines.is_empty() {
            let path = self.path_of(key);
            self.sheet.fault(self.at, &path, format!("`{path}` is missing"));
        }
    }

    /// Ends the reading: every key that nobody asked for is a fault.
    pub fn close(self) {
        for (key, _) in self.entries.into_iter().flatten() {
            if !self.asked.contains(&key.get_ref().as_ref()) {
                let path = self.path_of(key.get_ref());
                let said = format!("unknown key `{path}`, {}", expected(key.get_ref(), &self.asked));
                self.sheet.fault(key.span().start, &path, said);
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value<'s>> {
        self.asked.push(key);
        let value = self.entries?.get(key)?;
        Some(self.value_of(key, value))
    }

    fn value_of(&self, key: &str, value: &'s Spanned<DeValue<'s>>) -> Value<'s> {
        Value { sheet: self.sheet, key: self.path_of(key), at: value.span().start, value: value.get_ref() }
    }

    /// The key with its sections, quoted as TOML wants it where it is no bare key.
    fn path_of(&self, key: &str) -> String {
        let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let own = if !key.is_empty() && key.bytes().all(bare) { key } else { &format!("{key:?}") };
        if self.path.is_empty() { own.to_owned() } else { format!("{}.{own}", self.path) }
    }
}

impl<'s> Named<'s> {
    /// The key itself, read by `parse`.
    pub fn key<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let fault = |why: E| self.fault_at_key(&why.to_string());
        parse(self.name).map_err(fault).ok()
    }

    /// The value, a string.
    pub fn text<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        self.value.text(parse)
    }

    /// The value, a section.
    pub fn section(&self) -> Section<'s> {
        self.value.section()
    }

    /// A fault of the key.
    pub fn fault_at_key(&self, why: &str) {
        self.value.sheet.fault(self.at, &self.value.key, format!("`{}`: {why}", self.value.key));
    }
}

impl<'s> Value<'s> {
    fn text<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let Some(text) = self.value.as_str() else { return self.wrong_type("a string") };
        parse(text).map_err(|why| self.fault(&why.to_string())).ok()
    }

    fn section(&self) -> Section<'s> {
        let entries = self.value.as_table().or_else(|| self.wrong_type("a section"));
        Section { sheet: self.sheet, path: self.key.clone(), at: self.at, entries, asked: Vec::new() }
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a section",
        };
        self.fault(&format!("expected {expected}, found {found}"));
        None
    }

    fn fault(&self, why: &str) {
        self.sheet.fault(self.at, &self.key, format!("`{}`: {why}", self.key));
    }
}

fn moment(written: &Datetime) -> Result<DateTime<Utc>, &'static str> {
    let (Some(date), Some(time)) = (written.date, written.time) else {
        return Err("must have a date and a time, such as 2007-05-18T03:00:00Z");
    };
    let minutes = match written.offset {
        None => {
            return Err("a local time means another moment on each host: put Z (UTC) or +02:00 behind it");
        }
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => i32::from(minutes),
    };
    let impossible = "there is no such date and time";
    let local = NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
        .and_then(|day| {
            let second = time.second.unwrap_or(0).into();
            day.and_hms_nano_opt(time.hour.into(), time.minute.into(), second, time.nanosecond.unwrap_or(0))
        })
        .ok_or(impossible)?;
    let offset = FixedOffset::east_opt(minutes * 60).ok_or(impossible)?;
    Ok(local.and_local_timezone(offset).single().ok_or(impossible)?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str, read: impl FnOnce(&mut Section<'_>)) -> String {
        let sheet = Sheet::new("t.toml", text);
        let mut top = sheet.top();
        read(&mut top);
        top.close();
        Faults(sheet.finish()).to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_or_with_all() {
        let ask = |top: &mut Section<'_>| {
            for key in ["zone", "to", "mode", "target"] {
                top.text(key, |text| Ok::<_, String>(text.to_owned()));
            }
        };
        assert_eq!(
            faults("zone = \"a\"\n  traget = 1\n", ask),
            "t.toml:2:3: unknown key `traget`, expected one of `zone`, `to`, `mode`, …; did you mean `target`?"
        );
        assert_eq!(
            faults("\"colour\\n\" = 1\n", ask),
            "t.toml:1:1: unknown key `\"colour\\n\"`, expected one of `zone`, `to`, `mode`, `target`"
        );
        assert_eq!(faults("x = 1", |_| ()), "t.toml:1:1: unknown key `x`, this section has no keys");
    }

    #[test]
    fn a_moment_needs_its_offset() {
        for (text, expected) in [
            ("2007-05-18T03:00:00Z", "2007-05-18T03:00:00Z"),
            ("2007-05-18 05:00:00.5+02:00", "2007-05-18T03:00:00.500Z"),
        ] {
            let text = format!("at = {text}");
            let sheet = Sheet::new("t.toml", &text);
            assert_eq!(sheet.top().moment("at"), Some(expected.parse().unwrap()), "{text}");
        }
        for (text, why) in [
            ("2007-05-18T03:00:00", "`at`: a local time means another moment on each host"),
            ("2007-05-18", "`at`: must have a date and a time"),
            ("03:00:00", "`at`: must have a date and a time"),
            ("\"2007-05-18T03:00:00Z\"", "expected a date and time"),
            ("2007-02-30T03:00:00Z", ""),
            ("2007-05-18T03:00:60Z", ""),
        ] {
            let said = faults(&format!("at = {text}"), |top| assert_eq!(top.moment("at"), None, "{text}"));
            assert!(said.starts_with("t.toml:1:6: ") && said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn each_syntax_error_is_a_fault_and_what_it_hides_is_not() {
        let said = faults("zone = \nto = 5\nto = 6\n[a\nx = 1\n", |top| {
            top.required("zone", |text| Ok::<_, String>(text.to_owned()));
            top.required("host", |text| Ok::<_, String>(text.to_owned()));
            top.text("to", |text| Ok::<_, String>(text.to_owned()));
            top.section("a").close();
        });
        let places: Vec<&str> = said.lines().map(|line| line.split(": ").next().unwrap()).collect();
        assert!(places.iter().any(|place| place.starts_with("t.toml:1:")), "{said}");
        assert!(said.contains("t.toml:2:6: `to`: expected a string, found a whole number"), "{said}");
        assert!(said.contains("t.toml:3:1: not TOML: duplicate key"), "{said}");
        assert!(places.iter().any(|place| place.starts_with("t.toml:4:")), "{said}");
        assert!(!said.contains("missing"), "{said}");
    }

    #[test]
    fn numbers_keep_their_range_and_arrays_name_the_element() {
        let said = faults("n = 65\nm = 0x10\nlist = [\"a\", 1,\n \"b\"]\n", |top| {
            assert_eq!(top.count("n", 1..=64), None);
            assert_eq!(top.count("m", 1..=64), Some(16));
            let read = top.texts("list", |text| if text == "a" { Ok(()) } else { Err("is not a") });
            assert_eq!(read, None);
        });
        assert_eq!(
            said,
            "t.toml:1:5: `n`: must be from 1 to 64\n\
             t.toml:3:14: `list[1]`: expected a string, found a whole number\n\
             t.toml:4:2: `list[2]`: is not a"
        );
    }

    #[test]
    fn a_file_full_of_faults_shows_a_bounded_number_of_them() {
        let text: String = (0..1_000).map(|n| format!("key{n} = 1\n")).collect();
        let said = faults(&text, |_| ());
        assert_eq!(said.lines().count(), Faults::MOST + 1);
        assert!(said.ends_with("t.toml: has more faults than these: mend them first"), "{said}");
        let broken = "= =\n".repeat(1_000);
        assert!(faults(&broken, |_| ()).lines().count() <= Faults::MOST + 1);
    }
}
