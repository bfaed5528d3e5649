//! Uploads a file through Bynder's S3: initialise, send the parts, register each, finalise.

mod fields;
mod part;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::call::unavailable;
use super::{Bynder, BynderError};
use common::asset::AssetId;
use common::file_name::FileName;
use common::job::{ImportId, Parcel, UploadText};
use files::spool::{Arriving, SpooledFile};
use http_client::{Link, Operation, Sent};

use fields::Fields;
pub use part::part_count;
use part::{Part, parts};

/// The most parts that a process sends at once, of all files: each needs a connection and its buffers.
pub(super) const MOST_PARTS_UNDER_WAY: usize = 64;
/// The most attempts to resend a part: about half a minute, after which the upload's address may have expired.
const MOST_DELIVERIES: u32 = 7;
/// The wait before the first of them; it doubles.
const FIRST_DELIVERY_PAUSE: Duration = Duration::from_millis(200);
/// The longest that an upload in progress waits for the request budget: a silence after a 429, and a margin.
const LONGEST_PAUSES: Duration = Duration::from_mins(8);
/// The most "not ready" responses to the registration of a part; they come a few seconds apart.
const MOST_REGISTRATIONS: u32 = 6;
/// The pause between two of them.
const REGISTRATION_PAUSE: Duration = Duration::from_secs(2);

/// The address for the parts of one file.
#[derive(Deserialize)]
struct UploadTarget {
    s3file: Target,
    /// The base key; a part's key is this with `/p<number>` appended.
    s3_filename: UploadText,
    /// Fields that storage requires, among them policy and signature; their names are in mixed case.
    multipart_params: Fields,
}

#[derive(Deserialize)]
struct Target {
    uploadid: UploadText,
    targetid: UploadText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finalised {
    import_id: ImportId,
}

impl Bynder {
    /// Uploads a file; Bynder has to convert the resulting import before it can be saved.
    ///
    /// A repetition costs an orphaned import and nothing else: only a save changes an asset.
    pub async fn upload(
        &self,
        asset: &AssetId,
        file: &SpooledFile,
        file_name: &FileName,
    ) -> Result<ImportId, BynderError> {
        let parcel = self.upload_parcel(asset, &file.arriving(), file_name).await?;
        self.finalise(asset, &parcel, file_name).await
    }

    /// Uploads the parts of a file, each as soon as it has arrived, several at once, and registers them in order, as Bynder's
    /// own libraries do. They become an import ([`Bynder::finalise`]) or an additional file of an asset, under this name.
    ///
    /// A repetition costs orphaned parts and nothing else: only a save changes an asset.
    pub async fn upload_parcel(
        &self,
        asset: &AssetId,
        file: &Arriving,
        file_name: &FileName,
    ) -> Result<Parcel, BynderError> {
        let operation = &uploading(asset);
        let endpoint = self.endpoint(operation).await?;
        let url = self.url(operation, &["api", "upload", "init"])?;
        let form = [("filename", file_name.for_upload())];
        let build = |client: &reqwest::Client| client.post(url.clone()).form(&form);
        let target: UploadTarget = self.call(Operation::UploadPlace, operation, build).await?;
        let parts = parts(file.bytes(), self.inner.part_size);
        // Uploaded parts wait here for their registration while other transfers continue.
        let (there, mut arrived) = mpsc::channel(parts.len());
        let deliveries: Vec<_> = parts
            .iter()
            .map(|part| self.deliver_part(operation, &endpoint, &target, part, parts.len(), file))
            .collect();
        let deliver = async {
            let mut deliveries = stream::iter(deliveries).buffered(self.inner.parts_at_once);
            while let Some(number) = deliveries.try_next().await? {
                // The channel has room for all parts. The receiver is gone only if a registration failed, which
                // ends this loop as well.
                there.try_send(number).ok();
            }
            drop(there);
            Ok::<_, BynderError>(())
        };
        let register = async {
            while let Some(number) = arrived.recv().await {
                retry_after_pauses(|| self.register(operation, &target, number)).await?;
            }
            Ok::<_, BynderError>(())
        };
        tokio::try_join!(deliver, register)?;
        let (upload_id, target_id) = (target.s3file.uploadid, target.s3file.targetid);
        // Does not overflow, since a file has at most MOST_PARTS.
        let parts = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        Ok(Parcel { upload_id, target_id, s3_file_name: target.s3_filename, parts })
    }

    /// The number of parts in which a file of this length is uploaded; each costs a portal call.
    pub fn parts_of(&self, bytes: u64) -> u64 {
        part_count(bytes, self.inner.part_size)
    }

    /// Waits until a part has arrived, sends it until storage has it, and returns its number: only a part that broke off is
    /// sent again.
    async fn deliver_part(
        &self,
        operation: &str,
        endpoint: &Link,
        target: &UploadTarget,
        part: &Part,
        parts: usize,
        file: &Arriving,
    ) -> Result<u32, BynderError> {
        let Some(content) = file.part(part.range.clone()).await else {
            let reason = "the file did not arrive whole".to_owned();
            return Err(BynderError::Unavailable { operation: operation.to_owned(), reason, sent: Sent::No });
        };
        let mut tries = 0;
        loop {
            match self.send_part(operation, endpoint, target, part.number, parts, &content).await {
                Ok(()) => return Ok(part.number),
                Err(BynderError::Unavailable { reason, .. }) if tries < MOST_DELIVERIES => {
                    tracing::info!(operation, part = part.number, parts, reason, "sending a part again");
                    tokio::time::sleep(FIRST_DELIVERY_PAUSE * 2_u32.pow(tries)).await;
                    tries += 1;
                }
                // The policy or the address has expired: the next attempt requests a new one.
                Err(
                    BynderError::Forbidden { operation, message, .. }
                    | BynderError::NotFound { operation, message },
                ) => {
                    let reason = format!("storage refuses a part: {message}");
                    return Err(BynderError::Unavailable { operation, reason, sent: Sent::Maybe });
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn endpoint(&self, operation: &str) -> Result<Link, BynderError> {
        let ask = || async {
            let url = self.url(operation, &["api", "upload", "endpoint"])?;
            let endpoint: Link =
                self.call(Operation::UploadEndpoint, operation, |client| client.get(url.clone())).await?;
            // A link that no request may follow must not be cached.
            let link = self.inner.transport.check_link(endpoint.url());
            link.map(|()| endpoint).map_err(|error| unavailable(operation, error))
        };
        self.inner.upload_endpoint.get_or_try_init(ask).await.cloned()
    }

    /// Registers a part. Bynder responds with 500 until it sees the part.
    async fn register(&self, operation: &str, target: &UploadTarget, number: u32) -> Result<(), BynderError> {
        let url = self.url(operation, &["api", "v4", "upload", ""])?;
        // The id is in the body: in the path, some ids caused errors.
        let form = [
            ("id", target.s3file.uploadid.to_string()),
            ("targetid", target.s3file.targetid.to_string()),
            ("filename", target.part_key(number)),
            ("chunkNumber", number.to_string()),
        ];
        let mut tries = 0;
        loop {
            tries += 1;
            let build = |client: &reqwest::Client| client.post(url.clone()).form(&form);
            match self.send(Operation::UploadPart, operation, build).await {
                Ok(_) => return Ok(()),
                Err(BynderError::Unavailable { reason, .. }) if tries < MOST_REGISTRATIONS => {
                    tracing::debug!(operation, number, tries, reason, "the part is not registered yet");
                    tokio::time::sleep(REGISTRATION_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes an import of the parts of a file, under this name.
    pub async fn finalise(
        &self,
        asset: &AssetId,
        parcel: &Parcel,
        file_name: &FileName,
    ) -> Result<ImportId, BynderError> {
        let operation = &uploading(asset);
        let url = self.url(operation, &["api", "v4", "upload", ""])?;
        let form = [
            ("id", parcel.upload_id.to_string()),
            ("targetid", parcel.target_id.to_string()),
            ("s3_filename", parcel.s3_file_name.to_string()),
            ("chunks", parcel.parts.to_string()),
            // Without it, Bynder shows the file under a temporary name.
            ("original_filename", file_name.to_string()),
        ];
        let build = |client: &reqwest::Client| client.post(url.clone()).form(&form);
        let finish = || self.call::<Finalised>(Operation::UploadFinish, operation, build);
        Ok(retry_after_pauses(finish).await?.import_id)
    }
}

/// Makes a call of an upload in progress. If the job came back for it later, the parts already uploaded would be
/// lost, so this waits out the pauses of the request budget.
async fn retry_after_pauses<T, F>(call: impl Fn() -> F) -> Result<T, BynderError>
where
    F: Future<Output = Result<T, BynderError>>,
{
    let mut waited = Duration::ZERO;
    loop {
        match call().await {
            Err(BynderError::Paused { remaining }) if waited + remaining <= LONGEST_PAUSES => {
                waited += remaining;
                tokio::time::sleep(remaining).await;
            }
            ended => return ended,
        }
    }
}

/// Without the file's name, which storage may have sent.
fn uploading(asset: &AssetId) -> String {
    format!("uploading a file for asset {asset}")
}

impl UploadTarget {
    fn part_key(&self, number: u32) -> String {
        format!("{}/p{number}", self.s3_filename)
    }
}
