//! When a notice of each kind was last delivered: a file in the state directory, since a process may restart again and again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use files::private;

use super::notice::Kind;

const FILE: &str = "notices.json";

#[derive(Debug, Clone)]
pub(crate) struct Record {
    directory: PathBuf,
    /// Those of this process, which count although they could not be written.
    own: BTreeMap<String, Timestamp>,
}

impl Record {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), own: BTreeMap::new() }
    }

    /// Whether none of this kind was delivered in the time before `now`. A record that is later than now is a clock's mistake.
    pub(crate) fn is_due(&self, kind: Kind, every: Duration, now: Timestamp) -> bool {
        let Some(last) = self.read().get(kind.name()).copied() else { return true };
        Duration::try_from(now.duration_since(last)).map_or(true, |age| age >= every)
    }

    /// Records a delivery.
    pub(crate) fn delivered(&mut self, kind: Kind, now: Timestamp) -> io::Result<()> {
        self.own.insert(kind.name().to_owned(), now);
        let record = self.read();
        private::put(&self.directory, &[FILE], FILE, &serde_json::to_vec(&record).unwrap_or_default())
    }

    /// This process's alone if there is no record, or none that can be trusted.
    fn read(&self) -> BTreeMap<String, Timestamp> {
        let path = self.directory.join(FILE);
        let read = private::check(&path).and_then(|()| std::fs::read(&path));
        let written = read.ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut record: BTreeMap<_, _> = written.unwrap_or_default();
        record.extend(self.own.clone());
        record
    }
}
