//! An asset: its versions and metadata, its state in the index, and what was done to it.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{LINK_NAME, MARKER_NAME, STATUS_NAME, StoredFile, extension_of, kind_of};

/// Who made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// The seeded library.
    Seeded,
    /// A person, through the sandbox's own interface.
    Person,
    /// A client, through the portal's API.
    Client,
}

/// The outcome that a correct run without filters has for an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// The name of an outcome, or `skipped_unchanged` or `opted_out`.
    pub outcome: String,
    /// The failure class, if the outcome is `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

impl Planted {
    pub fn outcome(name: &str) -> Self {
        Self { outcome: name.to_owned(), class: None }
    }

    /// Whether the last job of the asset, by the name and failure class of its outcome, is as planted. An asset that is left
    /// alone has no job.
    pub fn is_met_by(&self, last: Option<(&str, Option<&str>)>) -> bool {
        let (name, class) = last.unwrap_or(("none", None));
        let planted = match self.outcome.as_str() {
            "skipped_unchanged" | "opted_out" => "none",
            other => other,
        };
        name == planted && class == self.class.as_deref()
    }

    /// A failure of this class.
    pub fn failed(class: &str) -> Self {
        Self { outcome: "failed".to_owned(), class: Some(class.to_owned()) }
    }
}

/// The key of an asset's collections in the index.
pub(crate) const COLLECTIONS: &str = "collections";

/// Metaproperties for people's texts.
pub(crate) const TEXTS: [&str; 2] = ["Source_ID", "Shoot_Date"];

pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) file: Option<StoredFile>,
    pub(crate) file_name: String,
    pub(crate) maker: Maker,
    pub(crate) made: Timestamp,
}

/// The metadata that people wrote; clients must not change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Baseline {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) copyright: String,
    pub(crate) tags: Vec<String>,
    pub(crate) brand: String,
    pub(crate) properties: BTreeMap<String, Vec<String>>,
    pub(crate) is_public: bool,
    pub(crate) orientation: String,
    pub(crate) restricted: Restricted,
    pub(crate) attached: Attached,
}

/// Restrictions of an asset's use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restricted {
    /// Downloads have to be requested.
    pub limited: bool,
    pub archived: bool,
    /// The portal puts its own watermark on downloads.
    pub watermarked: bool,
    /// `archiveDate`, `limitedDate`, `watermarkDate` and `datePublished`, if set.
    pub dates: BTreeMap<String, String>,
}

/// What people attach to an asset besides metadata. The client's calls cannot write any of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attached {
    /// Ids of the collections that hold it.
    pub collections: Vec<String>,
    /// Names of custom thumbnails.
    pub thumbnails: Vec<String>,
    /// Where it is in use.
    pub usages: Vec<String>,
    /// Links that are open to anyone.
    pub public_links: Vec<String>,
    /// The focus point of the first version, for cropping.
    pub focus_point: Option<(u32, u32)>,
}

/// An additional file of an asset.
pub(crate) struct Additional {
    pub(crate) name: String,
    pub(crate) file: StoredFile,
}

/// When and by whom the active version was last changed.
pub(crate) struct Made {
    pub(crate) by: Maker,
    pub(crate) at: Instant,
}

pub(crate) struct Asset {
    pub(crate) id: String,
    pub(crate) words: Baseline,
    pub(crate) baseline: Baseline,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) versions: Vec<Version>,
    pub(crate) active: u32,
    pub(crate) active_change: Made,
    pub(crate) additional: Vec<Additional>,
    /// The asset of which a client made this copy; known by the file.
    pub(crate) copy_of: Option<String>,
    /// Files that await approval to become versions, with their names.
    pub(crate) waiting: Vec<(StoredFile, String)>,
    /// Additional files that await approval.
    pub(crate) waiting_additional: Vec<Additional>,
    pub(crate) marker: Option<String>,
    /// The value of the status metaproperty.
    pub(crate) status: Option<String>,
    /// The value of the link metaproperty.
    pub(crate) link: Option<String>,
    /// Who opted the asset out since the start, if anyone.
    pub(crate) opted_out_by: Option<Maker>,
    pub(crate) pending: Vec<(Instant, Change)>,
    pub(crate) deleted: bool,
    pub(crate) refuses_download: bool,
    pub(crate) planted: Planted,
    /// Number of client requests for this asset by its id.
    pub(crate) touched: u64,
    /// When a client last read this asset by its id.
    pub(crate) last_look: Option<Instant>,
    /// People's metadata at that time.
    pub(crate) seen: Option<Baseline>,
    /// Whether a person changed it between a client's last read and its save, which is the documented race.
    pub(crate) crossed: bool,
    /// The rows sent to the index, and when; `None` after the asset was deleted.
    pub(crate) indexed: Vec<(Instant, Option<Value>)>,
}

/// A change that was accepted and has not taken effect yet.
pub(crate) enum Change {
    Marker(String),
    Status(String),
    Link(String),
    Words(Box<dyn Fn(&mut Baseline) + Send + Sync>),
}

impl Asset {
    pub(crate) fn active_version(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == self.active)
    }

    /// Bynder's asset type, which follows from the file name of the active version.
    pub(crate) fn kind(&self) -> &'static str {
        self.active_version().map_or("image", |version| kind_of(&version.file_name))
    }

    /// Whether the asset itself awaits approval.
    pub(crate) fn is_hidden(&self) -> bool {
        self.versions.is_empty()
    }

    pub(crate) fn top(&self) -> u32 {
        self.versions.iter().map(|version| version.number).max().unwrap_or_default()
    }

    /// Applies the changes that are due, and updates the index.
    pub(crate) fn settle(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|(at, _)| *at <= now);
        self.pending = later;
        let due: Vec<(Instant, Change)> = due;
        let changed = due.iter().map(|(at, _)| *at).max();
        for (_, change) in due {
            match change {
                Change::Marker(text) => self.marker = Some(text).filter(|text| !text.is_empty()),
                Change::Status(text) => self.status = Some(text).filter(|text| !text.is_empty()),
                Change::Link(text) => self.link = Some(text).filter(|text| !text.is_empty()),
                Change::Words(change) => change(&mut self.words),
            }
        }
        if let Some(at) = changed {
            self.changed_at(at);
        }
    }

    /// Records a change: updates the modification time, and sends the row to the index, which lags.
    pub(crate) fn changed(&mut self) {
        self.changed_at(Instant::now());
    }

    fn changed_at(&mut self, at: Instant) {
        self.modified = whole_second(Timestamp::now()).max(self.modified);
        let row = (!self.deleted && !self.is_hidden()).then(|| self.row(false));
        self.indexed.push((at, row));
        // Only the newest entry older than the index lag is ever read.
        let excess = self.indexed.len().saturating_sub(50);
        self.indexed.drain(..excess);
    }

    /// The asset in the portal's JSON.
    pub(crate) fn row(&self, with_versions: bool) -> Value {
        let active = self.active_version();
        let file = active.and_then(|version| version.file.as_ref());
        let mut row = json!({
            "id": self.id,
            "idHash": &self.id[..8],
            "name": self.words.name,
            "fileName": active.map(|version| &version.file_name),
            "description": self.words.description,
            "copyright": self.words.copyright,
            "type": self.kind(),
            "extension": [extension_of(active.map_or("", |version| &version.file_name))],
            "fileSize": file.map_or(0, |file| file.bytes),
            "activeVersion": self.active,
            "brandId": self.words.brand,
            "userCreated": "Jo Example",
            "dateCreated": self.created.to_string(),
            "dateModified": self.modified.to_string(),
            "datePublished": self.created.to_string(),
            "orientation": self.words.orientation,
            "archive": u8::from(self.words.restricted.archived),
            "limited": u8::from(self.words.restricted.limited),
            "watermarked": u8::from(self.words.restricted.watermarked),
            "isPublic": u8::from(self.words.is_public),
            "tags": self.words.tags,
            "propertyOptions": self.words.properties.iter().filter(|(name, _)| !TEXTS.contains(&name.as_str())).flat_map(|(_, values)| values).map(|name| option_id(name)).collect::<Vec<_>>(),
            "thumbnails": self.thumbnails(),
            COLLECTIONS: self.words.attached.collections,
        });
        if let Some(fields) = row.as_object_mut() {
            self.add_properties(fields);
            for (name, time) in &self.words.restricted.dates {
                fields.insert(name.clone(), json!(time));
            }
            if with_versions {
                fields.insert("mediaItems".to_owned(), self.items());
            }
        }
        row
    }

    fn add_properties(&self, fields: &mut Map<String, Value>) {
        for (name, values) in self.words.properties.iter().filter(|(_, values)| !values.is_empty()) {
            let value = if TEXTS.contains(&name.as_str()) { json!(values.join(",")) } else { json!(values) };
            fields.insert(format!("property_{name}"), value);
        }
        if let Some(marker) = &self.marker {
            fields.insert(format!("property_{MARKER_NAME}"), json!(marker));
        }
        if let Some(status) = &self.status {
            fields.insert(format!("property_{STATUS_NAME}"), json!(status));
        }
        if let Some(link) = &self.link {
            fields.insert(format!("property_{LINK_NAME}"), json!(link));
        }
    }

    fn thumbnails(&self) -> Map<String, Value> {
        let own = self.words.attached.thumbnails.iter();
        own.map(|name| (name.clone(), json!(format!("https://thumbnails.invalid/{}/{name}", self.id))))
            .collect()
    }

    /// A focus point belongs to a file; other versions have none, because no call sets it.
    fn focus_point(&self, version: u32) -> Value {
        let own = self.words.attached.focus_point.filter(|_| version == 1);
        own.map_or(Value::Null, |(x, y)| json!({"x": x, "y": y}))
    }

    fn items(&self) -> Value {
        let originals = self.versions.iter().map(|version| {
            json!({
                "id": format!("{}-{}", self.id, version.number),
                "type": "original",
                "version": version.number,
                "active": u8::from(version.number == self.active),
                "fileName": version.file_name,
                "dateCreated": version.made.to_string(),
                "size": version.file.as_ref().map(|file| file.bytes),
                "width": null,
                "height": null,
                "focusPoint": self.focus_point(version.number),
            })
        });
        // Every asset has a derivative. It has a version number too but is not an original.
        let preview = json!({"id": "x", "type": "web", "version": self.active, "active": 1, "fileName": null, "size": 7});
        let additional = self.additional.iter().enumerate().map(|(number, additional)| {
            json!({
                "id": format!("{}-A{number}", self.id),
                "type": "additional",
                "version": self.active,
                "active": 1,
                "fileName": additional.name,
                "size": additional.file.bytes,
            })
        });
        json!(originals.chain(additional).chain([preview]).collect::<Vec<_>>())
    }
}

pub(crate) fn option_id(name: &str) -> String {
    format!("OPTION-{}", hex::encode_upper(name))
}

/// The portal's times have no fractions of a second.
pub(crate) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
