//! Sends one part of a file to storage.

use std::ops::Range;

use futures::StreamExt;
use reqwest::multipart::Form;

use super::super::call::unavailable;
use super::super::download::storage_refusal;
use super::{Bynder, BynderError, UploadTarget};
use common::job::MOST_PARTS;
use files::spool::ArrivedPart;
use http_client::{BodyProgress, Link, Operation};

/// A part's number, from 1, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) range: Range<u64>,
}

/// The number of parts of a file of this length; each costs a portal call.
pub fn part_count(bytes: u64, size: u64) -> u64 {
    bytes.max(1).div_ceil(size_of_parts(bytes, size))
}

fn size_of_parts(bytes: u64, size: u64) -> u64 {
    bytes.div_ceil(MOST_PARTS).next_multiple_of(1 << 20).max(size)
}

/// Divides a file into parts of this size or larger; an empty file has one part.
pub(super) fn parts(bytes: u64, size: u64) -> Vec<Part> {
    let size = size_of_parts(bytes, size);
    let starts = (0..bytes.max(1)).step_by(usize::try_from(size).unwrap_or(usize::MAX));
    (1..).zip(starts).map(|(number, start)| Part { number, range: start..bytes.min(start + size) }).collect()
}

impl Bynder {
    /// Sends one part to storage, without a credential: S3 responds with 400 to one it does not know.
    pub(super) async fn send_part(
        &self,
        operation: &str,
        endpoint: &Link,
        target: &UploadTarget,
        number: u32,
        parts: usize,
        content: &ArrivedPart,
    ) -> Result<(), BynderError> {
        let key = target.part_key(number);
        let mut form = Form::new();
        for (name, value) in &target.multipart_params.0 {
            let value = if name == "key" { &key } else { value };
            form = form.text(name.clone(), value.clone());
        }
        let base = target.s3_filename.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        form = form
            .text("name", format!("{base}/p{number}"))
            .text("chunk", number.to_string())
            .text("chunks", parts.to_string())
            .text("Filename", key);
        let _turn = self.inner.parts_under_way.acquire().await;
        let progress = BodyProgress::start();
        let body = reqwest::Body::wrap_stream(progress.watch(content.stream()).boxed());
        // Storage ignores every field after the file.
        form = form.part("file", http_client::part(body, content.bytes(), &base));
        let transport = &self.inner.transport;
        let request = transport.client().post(endpoint.url().clone()).multipart(form);
        let response =
            transport.send_file(Operation::SendPart, request, &progress, transport.timeout()).await;
        let response = response.map_err(|error| unavailable(operation, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        // S3 quotes the signature that it refuses.
        let values = target.multipart_params.0.values().cloned();
        let message = http_client::read_text_without(response, values).await;
        Err(storage_refusal(operation, status, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_file_in_order_and_without_gaps() {
        const SIZE: u64 = 32 << 20;
        for bytes in [1, SIZE - 1, SIZE, SIZE + 1, 3 << 30, 200 << 30] {
            let parts = parts(bytes, SIZE);
            let mut end = 0;
            for (index, part) in parts.iter().enumerate() {
                assert_eq!(part.number as usize, index + 1);
                assert_eq!(part.range.start, end);
                end = part.range.end;
            }
            assert_eq!(end, bytes);
            assert_eq!(parts.len() as u64, part_count(bytes, SIZE));
            assert!(parts.len() as u64 <= MOST_PARTS);
            let smallest =
                parts[..parts.len() - 1].iter().map(|part| part.range.end - part.range.start).min();
            assert!(smallest.is_none_or(|smallest| smallest >= SIZE));
        }
    }

    #[test]
    fn an_empty_file_is_one_empty_part() {
        assert_eq!(parts(0, 5 << 20), [Part { number: 1, range: 0..0 }]);
    }
}
