//! Uploads the parts of a result while the rest of it is still being received.

use bynder::Parcel;
use common::asset::AssetId;
use common::file_name::FileName;
use config::OutputMode;
use files::spool::Arriving;

use crate::context::StepContext;

/// Uploads the parts of a file as they arrive. `None` if that is not possible or has failed: the upload then begins once the
/// file has passed its checks. Parts of which nothing is made change no asset, so no lease is needed.
pub(super) async fn upload(
    context: &StepContext,
    asset: &AssetId,
    name: Option<&FileName>,
    mode: OutputMode,
    file: &Arriving,
) -> Option<Parcel> {
    let name = name.filter(|_| gains(mode, context.bynder.parts_of(file.bytes())))?;
    // A file that waits for space in the spool, or breaks off at once, costs no call.
    file.part(0..1).await?;
    context.locks.contact().ok()?;
    match context.bynder.upload_parcel(asset, file, name).await {
        Ok(parcel) => Some(parcel),
        Err(error) => {
            tracing::info!(%error, "the upload begins again once the whole file is there");
            None
        }
    }
}

/// Whether a file of this many parts is uploaded while it arrives. The only part of a small file ends with the file. An
/// additional file is named by its hash, and the name is given before the first part.
fn gains(mode: OutputMode, parts: u64) -> bool {
    match mode {
        OutputMode::Version | OutputMode::Copy => parts > 1,
        OutputMode::Additional => false,
    }
}
