//! A portal in memory: its assets, the listing's rows, and the files of their versions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bynder::{
    Account, BynderError, Download, ImportId, ImportState, Metaproperty, Parcel, Saved, Template, Words,
};
use common::asset::{Asset, AssetDetail, AssetId, FileVersion, samples};
use common::file_name::FileName;
use common::hash::ContentHash;
use common::job::Lane;
use common::permission::Permission;
use files::spool::Arriving;
use futures::{StreamExt, TryStreamExt};
use http_client::Sent;
use jiff::Timestamp;
use queue::QueueError;

use super::{HASH_FIELD, HASH_ID};
use crate::services::{Portal, Wanted};

#[derive(Clone, Default)]
pub(crate) struct FakePortal {
    state: Arc<Mutex<PortalState>>,
    permission: Option<Permission<QueueError>>,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of a portal")]
pub(crate) struct PortalState {
    /// Every call, as its name and its subject.
    pub(crate) calls: Vec<String>,
    /// What single GETs show.
    pub(crate) assets: BTreeMap<AssetId, Template>,
    /// What the listing shows.
    pub(crate) rows: BTreeMap<AssetId, Asset>,
    pub(crate) files: BTreeMap<(AssetId, u32), Vec<u8>>,
    /// The errors of future calls, by the call's name.
    pub(crate) errors: Vec<(&'static str, BynderError)>,
    /// The call that panics.
    pub(crate) panics: Option<&'static str>,
    /// The state of imports; done by default.
    pub(crate) import: Option<ImportState>,
    /// Saves are answered as not converted.
    pub(crate) converts_late: bool,
    /// Saves wait for a person's approval.
    pub(crate) hides_saves: bool,
    /// Written texts are not stored.
    pub(crate) drops_texts: bool,
    pub(crate) says_active: bool,
    pub(crate) definitions: Vec<Metaproperty>,
    pub(crate) uploaded: Vec<u8>,
    /// The length of an upload's parts; one part by default.
    pub(crate) part_size: Option<u64>,
    /// The file name that storage sends with a file.
    pub(crate) sent_name: Option<String>,
}

pub(crate) fn template(detail: AssetDetail) -> Template {
    Template { detail, words: Words::default(), restrictions: Vec::new(), additional: Vec::new() }
}

pub(crate) fn not_found() -> BynderError {
    BynderError::NotFound { operation: "o".to_owned(), message: "404".to_owned() }
}

pub(crate) fn unavailable(sent: Sent) -> BynderError {
    BynderError::Unavailable { operation: "o".to_owned(), reason: "503".to_owned(), sent }
}

impl FakePortal {
    pub(crate) fn lock(&self) -> MutexGuard<'_, PortalState> {
        self.state.lock().unwrap()
    }

    /// Makes the next call of this name fail.
    pub(crate) fn fails(&self, call: &'static str, error: BynderError) {
        self.lock().errors.push((call, error));
    }

    /// Adds an asset whose versions hold these files, the last one active, and a matching row.
    pub(crate) fn has(&self, id: &str, files: &[&[u8]]) {
        let lengths: Vec<_> = files.iter().map(|file| file.len() as u64).collect();
        let mut detail = samples::detail(&lengths, u32::try_from(files.len()).unwrap());
        detail.asset.id = id.parse().unwrap();
        detail.asset.extensions = vec!["jpg".to_owned()];
        let mut state = self.lock();
        for (version, file) in (1..).zip(files) {
            state.files.insert((detail.asset.id.clone(), version), file.to_vec());
        }
        state.rows.insert(detail.asset.id.clone(), detail.asset.clone());
        state.assets.insert(detail.asset.id.clone(), template(detail));
    }

    /// Changes an asset, both in single GETs and in the listing.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Template)) {
        let mut state = self.lock();
        let asset = state.assets.get_mut(&id.parse().unwrap()).unwrap();
        change(asset);
        let row = asset.detail.asset.clone();
        state.rows.insert(row.id.clone(), row);
    }

    /// Writes this text into the hash metaproperty.
    pub(crate) fn marks(&self, id: &str, text: &str) {
        self.change(id, |asset| {
            asset.detail.asset.properties.insert(HASH_FIELD.to_owned(), vec![text.to_owned()]);
        });
    }

    pub(crate) fn marker_text(&self, id: &str) -> String {
        let state = self.lock();
        state.assets[&id.parse().unwrap()].detail.asset.marker_text(HASH_FIELD).unwrap_or_default()
    }

    /// Activates another version.
    pub(crate) fn activates(&self, id: &str, active: u32) {
        self.change(id, |asset| {
            asset.detail.asset.active_version = Some(active);
            asset
                .detail
                .versions
                .iter_mut()
                .for_each(|version| version.active = Some(version.number == active));
        });
    }

    /// The calls that changed something, in order.
    pub(crate) fn effects(&self) -> Vec<String> {
        let state = self.lock();
        let effects = state
            .calls
            .iter()
            .filter(|call| ["upload", "save", "write"].iter().any(|effect| call.starts_with(effect)));
        effects.cloned().collect()
    }

    pub(crate) fn count(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|made| made.starts_with(call)).count()
    }

    fn call(
        &self,
        name: &str,
        about: impl std::fmt::Display,
    ) -> Result<MutexGuard<'_, PortalState>, BynderError> {
        let panics = self.lock().panics;
        assert_ne!(panics, Some(name), "SECRET");
        let mut state = self.lock();
        state.calls.push(format!("{name} {about}"));
        match state.errors.iter().position(|(call, _)| *call == name) {
            Some(at) => Err(state.errors.remove(at).1),
            None => Ok(state),
        }
    }

    /// Records a call that changes something.
    fn effect(
        &self,
        name: &str,
        about: impl std::fmt::Display,
    ) -> Result<MutexGuard<'_, PortalState>, BynderError> {
        let checked = self.permission.as_ref().map_or(Ok(()), Permission::check);
        checked.map_err(|error| BynderError::Withheld {
            operation: name.to_owned(),
            reason: error.to_string(),
        })?;
        self.call(name, about)
    }
}

#[async_trait]
impl Portal for FakePortal {
    fn under(&self, permission: Permission<QueueError>) -> Arc<dyn Portal> {
        Arc::new(Self { permission: Some(permission), ..self.clone() })
    }
    fn in_lane(&self, lane: Lane) -> Arc<dyn Portal> {
        self.lock().calls.push(format!("lane {}", lane.name()));
        Arc::new(self.clone())
    }
    fn portal_now(&self) -> Timestamp {
        Timestamp::now()
    }
    async fn reserve_calls(&self, calls: u32) -> Result<Arc<dyn Portal>, BynderError> {
        drop(self.call("reserve", calls)?);
        Ok(Arc::new(self.clone()))
    }
    async fn asset(&self, id: &AssetId) -> Result<AssetDetail, BynderError> {
        let state = self.call("asset", id)?;
        state.assets.get(id).map(|asset| asset.detail.clone()).ok_or_else(not_found)
    }
    async fn template(&self, id: &AssetId) -> Result<Template, BynderError> {
        self.call("template", id)?.assets.get(id).cloned().ok_or_else(not_found)
    }
    async fn row(&self, id: &AssetId) -> Result<Option<Asset>, BynderError> {
        Ok(self.call("row", id)?.rows.get(id).cloned())
    }
    async fn says_active(&self, id: &AssetId) -> Result<bool, BynderError> {
        Ok(self.call("says_active", id)?.says_active)
    }
    async fn metaproperties(&self) -> Result<Vec<Metaproperty>, BynderError> {
        Ok(self.call("metaproperties", "")?.definitions.clone())
    }
    async fn find_created_since(
        &self,
        since: Timestamp,
        is_wanted: &Wanted<'_>,
    ) -> Result<Option<Asset>, BynderError> {
        Ok(self.call("find_created_since", since)?.rows.values().find(|row| is_wanted(row)).cloned())
    }
    async fn download(&self, id: &AssetId, version: u32, _: Option<u64>) -> Result<Download, BynderError> {
        let state = self.call("download", format!("{id} {version}"))?;
        let file = state.files.get(&(id.clone(), version)).cloned().ok_or_else(not_found)?;
        let bytes = Some(file.len() as u64);
        let body = futures::stream::iter([Ok(file.into())]).boxed();
        Ok(Download { bytes, file_name: state.sent_name.clone(), body })
    }
    async fn hash_version(&self, id: &AssetId, version: u32) -> Result<(ContentHash, u64), BynderError> {
        let state = self.call("hash", format!("{id} {version}"))?;
        let file = state.files.get(&(id.clone(), version)).ok_or_else(not_found)?;
        Ok((ContentHash::of(&file[..]).unwrap(), file.len() as u64))
    }
    fn parts_of(&self, bytes: u64) -> u64 {
        self.lock().part_size.map_or(1, |size| bytes.div_ceil(size))
    }
    async fn upload_parcel(
        &self,
        _: &AssetId,
        file: &Arriving,
        name: &FileName,
    ) -> Result<Parcel, BynderError> {
        drop(self.call("upload", name)?);
        let whole = file.part(0..file.bytes()).await;
        let whole = whole.ok_or_else(|| unavailable(Sent::No))?;
        let pieces: Vec<_> = whole.stream().try_collect().await.unwrap();
        self.lock().uploaded = pieces.concat();
        let text = |text: &str| text.to_owned().try_into().unwrap();
        Ok(Parcel {
            upload_id: text("U"),
            target_id: text("T"),
            s3_file_name: text(&name.to_string()),
            parts: 1,
        })
    }
    async fn finalise(&self, _: &AssetId, _: &Parcel, name: &FileName) -> Result<ImportId, BynderError> {
        drop(self.call("finalise", name)?);
        Ok("I".to_owned().try_into().unwrap())
    }
    async fn poll_import(&self, import: &ImportId) -> Result<ImportState, BynderError> {
        Ok(self.call("poll", import)?.import.unwrap_or(ImportState::Done))
    }
    async fn save_version(&self, asset: &AssetId, import: &ImportId) -> Result<Saved, BynderError> {
        let mut state = self.effect("save", format!("{asset} {import}"))?;
        if state.converts_late {
            return Ok(Saved::NotConverted);
        }
        if !state.hides_saves {
            let file = state.uploaded.clone();
            let bytes = Some(file.len() as u64);
            let detail = &mut state.assets.get_mut(asset).ok_or_else(not_found)?.detail;
            let number = detail.top().unwrap_or_default() + 1;
            detail.versions.iter_mut().for_each(|version| version.active = Some(false));
            detail.versions.push(FileVersion {
                number,
                active: Some(true),
                bytes,
                file_name: None,
                added: None,
            });
            detail.asset.active_version = Some(number);
            state.files.insert((asset.clone(), number), file);
        }
        Ok(Saved::Done(()))
    }
    async fn save_asset(
        &self,
        import: &ImportId,
        fields: &[(String, String)],
    ) -> Result<Saved<AssetId>, BynderError> {
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let about = format!("new {import} {}", field("name").unwrap_or_default());
        if self.effect("save", about)?.converts_late {
            return Ok(Saved::NotConverted);
        }
        let file = self.lock().uploaded.clone();
        if !self.lock().hides_saves {
            self.has("COPY", &[&file]);
            let (drops_texts, text) = (self.lock().drops_texts, field(&format!("metaproperty.{HASH_ID}")));
            self.change("COPY", |copy| copy.detail.asset.name = field("name").unwrap_or_default());
            if let Some(text) = text.filter(|_| !drops_texts) {
                self.marks("COPY", &text);
            }
        }
        Ok(Saved::Done("COPY".parse().unwrap()))
    }
    async fn save_additional(&self, asset: &AssetId, parcel: &Parcel) -> Result<(), BynderError> {
        let mut state = self.effect("save", format!("{asset} additional"))?;
        if !state.hides_saves {
            let asset = state.assets.get_mut(asset).ok_or_else(not_found)?;
            asset.additional.push(String::from(parcel.s3_file_name.clone()));
        }
        Ok(())
    }
    async fn set_texts(&self, asset: &AssetId, texts: &[(&str, &str)]) -> Result<(), BynderError> {
        let shown: Vec<_> = texts.iter().map(|(id, text)| format!("{id}={text}")).collect();
        let drops = self.effect("write", format!("{asset} {}", shown.join(" ")))?.drops_texts;
        if let Some((_, text)) = texts.iter().find(|(id, _)| *id == HASH_ID && !drops) {
            self.marks(asset.as_str(), text);
        }
        Ok(())
    }
    async fn account(&self) -> Result<Account, BynderError> {
        self.call("account", "").map(|_| Account { name: "acme".to_owned() })
    }
    async fn newest(&self, limit: u32) -> Result<Vec<Asset>, BynderError> {
        Ok(self.call("newest", limit)?.rows.values().cloned().collect())
    }
    async fn may_download(&self, id: &AssetId, version: u32) -> Result<(), BynderError> {
        self.call("may_download", format!("{id} {version}")).map(|_| ())
    }
}
