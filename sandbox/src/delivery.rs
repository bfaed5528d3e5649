//! Sends the bytes of files, and notes which were sent whole.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};

use crate::world::{MediumState, SandboxState, World};

/// Sends the pieces of a file, from this offset, at the line's speed. Notes when its last byte was first sent. That of a result
/// waits for parts of uploads, if the options say so.
pub(crate) fn sent(
    shared: &SandboxState,
    path: PathBuf,
    from: u64,
    length: u64,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let shared = shared.clone();
    futures::stream::try_unfold((Box::pin(pieces), from), move |(mut pieces, at)| {
        let (shared, path) = (shared.clone(), path.clone());
        async move {
            let Some(piece) = pieces.try_next().await? else { return Ok(None) };
            let at = at + piece.len() as u64;
            if at == length {
                let awaited = awaited_parts(&shared, &path);
                let mut parts = shared.world().parts.subscribe();
                // The sender is in the world, which this holds.
                let _ = parts.wait_for(|parts| *parts >= awaited).await;
                shared.world().sent.entry(path).or_insert_with(Instant::now);
            }
            shared.line.carry_down(piece.len()).await;
            Ok(Some((piece, (pieces, at))))
        }
    })
}

/// How many parts have to come in before the last byte of this file is sent.
fn awaited_parts(shared: &SandboxState, path: &Path) -> u32 {
    let is_result = |world: &World| {
        let mut media = world.media.values();
        media
            .any(|medium| matches!(&medium.state, MediumState::Working { result, .. } if result.path == path))
    };
    match shared.options.parts_before_results_end {
        0 => 0,
        parts if is_result(&shared.world()) => parts,
        _ => 0,
    }
}
