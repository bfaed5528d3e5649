//! Where the bytes of a file are.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;

/// Bytes to read at a time for sending.
const READ_SIZE: u64 = 64 << 10;

#[derive(Debug, Clone)]
pub(super) enum Content {
    Memory(Bytes),
    Disk(Arc<File>),
}

impl Content {
    pub(super) fn stream(&self, part: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let content = self.clone();
        futures::stream::try_unfold(part.start, move |offset| {
            let content = content.clone();
            async move {
                let length = READ_SIZE.min(part.end - offset);
                if length == 0 {
                    return Ok(None);
                }
                let piece = content.read(offset, length).await?;
                Ok(Some((piece, offset + length)))
            }
        })
    }

    async fn read(self, offset: u64, length: u64) -> io::Result<Bytes> {
        match self {
            Self::Memory(held) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                let end = usize::try_from(offset + length).map_err(io::Error::other)?;
                Ok(held.slice(start..end))
            }
            Self::Disk(file) => tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
                file.read_exact_at(&mut piece, offset)?;
                Ok(piece.into())
            })
            .await
            .map_err(io::Error::other)?,
        }
    }
}
