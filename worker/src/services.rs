//! What the worker needs of the two services, so that a test can replace them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bynder::{
    Account, Bynder, BynderError, Download, ImportId, ImportState, Metaproperty, Parcel, Saved, Template,
};
use common::asset::{Asset, AssetDetail, AssetId};
use common::file_name::FileName;
use common::hash::ContentHash;
use common::job::Lane;
use common::permission::Permission;
use files::spool::{Arriving, SpooledFile};
use imatag::{
    Body, Directory, Imatag, ImatagError, MediumId, MediumState, ResultLocation, Submit, SubmitAnswer,
    UploadSlot,
};
use jiff::Timestamp;
use queue::QueueError;

/// Whether this asset is the one to find.
pub type Wanted<'a> = dyn Fn(&Asset) -> bool + Sync + 'a;

/// What the worker needs of Bynder; each method is [`Bynder`]'s of the same name.
#[async_trait]
pub trait Portal: Send + Sync {
    fn under(&self, permission: Permission<QueueError>) -> Arc<dyn Portal>;
    fn in_lane(&self, lane: Lane) -> Arc<dyn Portal>;
    fn portal_now(&self) -> Timestamp;
    async fn reserve_calls(&self, calls: u32) -> Result<Arc<dyn Portal>, BynderError>;

    async fn asset(&self, id: &AssetId) -> Result<AssetDetail, BynderError>;
    async fn template(&self, id: &AssetId) -> Result<Template, BynderError>;
    async fn row(&self, id: &AssetId) -> Result<Option<Asset>, BynderError>;
    async fn says_active(&self, id: &AssetId) -> Result<bool, BynderError>;
    async fn metaproperties(&self) -> Result<Vec<Metaproperty>, BynderError>;
    async fn find_created_since(
        &self,
        since: Timestamp,
        is_wanted: &Wanted<'_>,
    ) -> Result<Option<Asset>, BynderError>;

    async fn download(
        &self,
        id: &AssetId,
        version: u32,
        length: Option<u64>,
    ) -> Result<Download, BynderError>;
    async fn hash_version(&self, id: &AssetId, version: u32) -> Result<(ContentHash, u64), BynderError>;
    fn parts_of(&self, bytes: u64) -> u64;
    async fn upload_parcel(
        &self,
        asset: &AssetId,
        file: &Arriving,
        name: &FileName,
    ) -> Result<Parcel, BynderError>;
    async fn finalise(
        &self,
        asset: &AssetId,
        parcel: &Parcel,
        name: &FileName,
    ) -> Result<ImportId, BynderError>;
    async fn poll_import(&self, import: &ImportId) -> Result<ImportState, BynderError>;

    async fn save_version(&self, asset: &AssetId, import: &ImportId) -> Result<Saved, BynderError>;
    async fn save_asset(
        &self,
        import: &ImportId,
        fields: &[(String, String)],
    ) -> Result<Saved<AssetId>, BynderError>;
    async fn save_additional(&self, asset: &AssetId, parcel: &Parcel) -> Result<(), BynderError>;
    async fn set_texts(&self, asset: &AssetId, texts: &[(&str, &str)]) -> Result<(), BynderError>;

    async fn account(&self) -> Result<Account, BynderError>;
    async fn newest(&self, limit: u32) -> Result<Vec<Asset>, BynderError>;
    async fn may_download(&self, id: &AssetId, version: u32) -> Result<(), BynderError>;
}

/// What the worker needs of Imatag; each method is [`Imatag`]'s of the same name.
#[async_trait]
pub trait Watermarker: Send + Sync {
    fn under(&self, permission: Permission<QueueError>) -> Arc<dyn Watermarker>;
    fn can_find(&self) -> bool;
    fn paused(&self) -> Option<Duration>;
    async fn upload_slot(&self) -> UploadSlot;

    async fn find(
        &self,
        asset: &AssetId,
        original: ContentHash,
        first: &Directory,
    ) -> Result<Option<(MediumId, MediumState)>, ImatagError>;
    async fn submit(
        &self,
        file: &SpooledFile,
        submit: Submit<'_>,
        slot: UploadSlot,
    ) -> Result<SubmitAnswer, ImatagError>;
    async fn status_of(
        &self,
        medium: &MediumId,
        asset: &AssetId,
        original: ContentHash,
    ) -> Result<Option<MediumState>, ImatagError>;
    async fn download(&self, location: ResultLocation) -> Result<Body, ImatagError>;
}

#[async_trait]
impl Portal for Bynder {
    fn under(&self, permission: Permission<QueueError>) -> Arc<dyn Portal> {
        Arc::new(Bynder::under(self, permission))
    }
    fn in_lane(&self, lane: Lane) -> Arc<dyn Portal> {
        Arc::new(Bynder::in_lane(self, lane))
    }
    fn portal_now(&self) -> Timestamp {
        Bynder::portal_now(self)
    }
    async fn reserve_calls(&self, calls: u32) -> Result<Arc<dyn Portal>, BynderError> {
        Ok(Arc::new(Bynder::reserve_calls(self, calls).await?))
    }
    async fn asset(&self, id: &AssetId) -> Result<AssetDetail, BynderError> {
        Bynder::asset(self, id).await
    }
    async fn template(&self, id: &AssetId) -> Result<Template, BynderError> {
        Bynder::template(self, id).await
    }
    async fn row(&self, id: &AssetId) -> Result<Option<Asset>, BynderError> {
        Bynder::row(self, id).await
    }
    async fn says_active(&self, id: &AssetId) -> Result<bool, BynderError> {
        Bynder::says_active(self, id).await
    }
    async fn metaproperties(&self) -> Result<Vec<Metaproperty>, BynderError> {
        Bynder::metaproperties(self).await
    }
    async fn find_created_since(
        &self,
        since: Timestamp,
        is_wanted: &Wanted<'_>,
    ) -> Result<Option<Asset>, BynderError> {
        Bynder::find_created_since(self, since, is_wanted).await
    }
    async fn download(
        &self,
        id: &AssetId,
        version: u32,
        length: Option<u64>,
    ) -> Result<Download, BynderError> {
        Bynder::download(self, id, version, length).await
    }
    async fn hash_version(&self, id: &AssetId, version: u32) -> Result<(ContentHash, u64), BynderError> {
        Bynder::hash_version(self, id, version).await
    }
    fn parts_of(&self, bytes: u64) -> u64 {
        Bynder::parts_of(self, bytes)
    }
    async fn upload_parcel(
        &self,
        asset: &AssetId,
        file: &Arriving,
        name: &FileName,
    ) -> Result<Parcel, BynderError> {
        Bynder::upload_parcel(self, asset, file, name).await
    }
    async fn finalise(
        &self,
        asset: &AssetId,
        parcel: &Parcel,
        name: &FileName,
    ) -> Result<ImportId, BynderError> {
        Bynder::finalise(self, asset, parcel, name).await
    }
    async fn poll_import(&self, import: &ImportId) -> Result<ImportState, BynderError> {
        Bynder::poll_import(self, import).await
    }
    async fn save_version(&self, asset: &AssetId, import: &ImportId) -> Result<Saved, BynderError> {
        Bynder::save_version(self, asset, import).await
    }
    async fn save_asset(
        &self,
        import: &ImportId,
        fields: &[(String, String)],
    ) -> Result<Saved<AssetId>, BynderError> {
        Bynder::save_asset(self, import, fields).await
    }
    async fn save_additional(&self, asset: &AssetId, parcel: &Parcel) -> Result<(), BynderError> {
        Bynder::save_additional(self, asset, parcel).await
    }
    async fn set_texts(&self, asset: &AssetId, texts: &[(&str, &str)]) -> Result<(), BynderError> {
        Bynder::set_texts(self, asset, texts).await
    }
    async fn account(&self) -> Result<Account, BynderError> {
        Bynder::account(self).await
    }
    async fn newest(&self, limit: u32) -> Result<Vec<Asset>, BynderError> {
        Bynder::newest(self, limit).await
    }
    async fn may_download(&self, id: &AssetId, version: u32) -> Result<(), BynderError> {
        Bynder::may_download(self, id, version).await
    }
}

#[async_trait]
impl Watermarker for Imatag {
    fn under(&self, permission: Permission<QueueError>) -> Arc<dyn Watermarker> {
        Arc::new(Imatag::under(self, permission))
    }
    fn can_find(&self) -> bool {
        Imatag::can_find(self)
    }
    fn paused(&self) -> Option<Duration> {
        Imatag::paused(self)
    }
    async fn upload_slot(&self) -> UploadSlot {
        Imatag::upload_slot(self).await
    }
    async fn find(
        &self,
        asset: &AssetId,
        original: ContentHash,
        first: &Directory,
    ) -> Result<Option<(MediumId, MediumState)>, ImatagError> {
        Imatag::find(self, asset, original, first).await
    }
    async fn submit(
        &self,
        file: &SpooledFile,
        submit: Submit<'_>,
        slot: UploadSlot,
    ) -> Result<SubmitAnswer, ImatagError> {
        Imatag::submit(self, file, submit, slot).await
    }
    async fn status_of(
        &self,
        medium: &MediumId,
        asset: &AssetId,
        original: ContentHash,
    ) -> Result<Option<MediumState>, ImatagError> {
        Imatag::status_of(self, medium, asset, original).await
    }
    async fn download(&self, location: ResultLocation) -> Result<Body, ImatagError> {
        Imatag::download(self, location).await
    }
}
