//! An Imatag in memory that answers as a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use common::asset::AssetId;
use common::hash::ContentHash;
use common::permission::Permission;
use files::spool::SpooledFile;
use futures::StreamExt;
use http_client::Sent;
use imatag::{
    Attempted, Body, Directory, ImatagError, MediumId, MediumState, ResultLocation, Submit, SubmitAnswer,
    Submitted, UploadSlot,
};
use queue::QueueError;
use tokio::sync::Semaphore;

use crate::services::Watermarker;

#[derive(Clone)]
pub(crate) struct FakeWatermarker {
    state: Arc<Mutex<WatermarkerState>>,
    slots: Arc<Semaphore>,
    permission: Option<Permission<QueueError>>,
}

pub(crate) struct WatermarkerState {
    /// Every call, as its name and its subject.
    pub(crate) calls: Vec<String>,
    /// The errors of future calls, by the call's name.
    pub(crate) errors: Vec<(&'static str, ImatagError)>,
    pub(crate) can_find: bool,
    pub(crate) paused: Option<Duration>,
    /// The result of `find`.
    pub(crate) found: Option<(MediumId, MediumState)>,
    /// The results of future submits; by default the medium `M` is pending.
    pub(crate) submitted: VecDeque<Submitted>,
    /// The state of a medium; `None`: it is of another file.
    pub(crate) status: Option<MediumState>,
    pub(crate) result: Vec<u8>,
    /// The length that is announced of it; its own by default.
    pub(crate) announced: Option<u64>,
}

pub(crate) fn medium() -> MediumId {
    "M".to_owned().try_into().unwrap()
}

pub(crate) fn body(file: &[u8]) -> Body {
    let stream = futures::stream::iter([Ok(file.to_vec().into())]).boxed();
    Body { bytes: Some(file.len() as u64), stream }
}

pub(crate) fn unavailable(sent: Sent) -> ImatagError {
    ImatagError::Unavailable { at: Attempted::default(), reason: "503".to_owned(), sent }
}

impl Default for FakeWatermarker {
    fn default() -> Self {
        let state = WatermarkerState {
            calls: Vec::new(),
            errors: Vec::new(),
            can_find: true,
            paused: None,
            found: None,
            submitted: VecDeque::new(),
            status: Some(MediumState::Ready(ResultLocation::Medium(medium()))),
            result: super::WATERMARKED.to_vec(),
            announced: None,
        };
        Self { state: Arc::new(Mutex::new(state)), slots: Arc::new(Semaphore::new(1)), permission: None }
    }
}

impl FakeWatermarker {
    pub(crate) fn lock(&self) -> MutexGuard<'_, WatermarkerState> {
        self.state.lock().unwrap()
    }

    /// Makes the next call of this name fail.
    pub(crate) fn fails(&self, call: &'static str, error: ImatagError) {
        self.lock().errors.push((call, error));
    }

    pub(crate) fn count(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|made| made.starts_with(call)).count()
    }

    /// Takes all upload slots until the returned value is dropped.
    pub(crate) async fn busy(&self) -> UploadSlot {
        self.upload_slot().await
    }

    fn call(
        &self,
        name: &str,
        about: impl std::fmt::Display,
    ) -> Result<MutexGuard<'_, WatermarkerState>, ImatagError> {
        let mut state = self.lock();
        state.calls.push(format!("{name} {about}"));
        match state.errors.iter().position(|(call, _)| *call == name) {
            Some(at) => Err(state.errors.remove(at).1),
            None => Ok(state),
        }
    }
}

#[async_trait]
impl Watermarker for FakeWatermarker {
    fn under(&self, permission: Permission<QueueError>) -> Arc<dyn Watermarker> {
        Arc::new(Self { permission: Some(permission), ..self.clone() })
    }
    fn can_find(&self) -> bool {
        self.lock().can_find
    }
    fn paused(&self) -> Option<Duration> {
        self.lock().paused
    }
    async fn upload_slot(&self) -> UploadSlot {
        Arc::clone(&self.slots).acquire_owned().await.unwrap().into()
    }
    async fn find(
        &self,
        asset: &AssetId,
        _: ContentHash,
        first: &Directory,
    ) -> Result<Option<(MediumId, MediumState)>, ImatagError> {
        Ok(self.call("find", format!("{asset} {}", first.as_str()))?.found.clone())
    }
    async fn submit(
        &self,
        _: &SpooledFile,
        submit: Submit<'_>,
        _slot: UploadSlot,
    ) -> Result<SubmitAnswer, ImatagError> {
        let checked = self.permission.as_ref().map_or(Ok(()), Permission::check);
        checked
            .map_err(|error| ImatagError::Withheld { at: Attempted::default(), reason: error.to_string() })?;
        let about = format!("{} {} {}", submit.file_name, submit.media_type, submit.directory.as_str());
        let submitted = self.call("submit", about)?.submitted.pop_front();
        let submitted = submitted.unwrap_or_else(|| Submitted::Pending(medium()));
        Ok(SubmitAnswer { submitted, request_id: Some("R".to_owned()) })
    }
    async fn status_of(
        &self,
        medium: &MediumId,
        _: &AssetId,
        _: ContentHash,
    ) -> Result<Option<MediumState>, ImatagError> {
        Ok(self.call("status", medium)?.status.clone())
    }
    async fn download(&self, _: ResultLocation) -> Result<Body, ImatagError> {
        let state = self.call("download", "")?;
        let body = body(&state.result);
        Ok(Body { bytes: state.announced.or(body.bytes), ..body })
    }
}
