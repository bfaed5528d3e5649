//! Hashes a file while it is received.

use sha2::{Digest, Sha256};

use common::hash::ContentHash;

/// An additional hash that a legacy marker needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraHash {
    /// 32 hex digits.
    Md5,
    /// 40 hex digits.
    Sha1,
}

pub(super) struct Hashing {
    sha256: Sha256,
    extra: Option<Extra>,
}

enum Extra {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
}

impl Hashing {
    pub(super) fn new(extra: Option<ExtraHash>) -> Self {
        let extra = extra.map(|algorithm| match algorithm {
            ExtraHash::Md5 => Extra::Md5(md5::Md5::new()),
            ExtraHash::Sha1 => Extra::Sha1(sha1::Sha1::new()),
        });
        Self { sha256: Sha256::new(), extra }
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.sha256.update(chunk);
        match &mut self.extra {
            Some(Extra::Md5(hasher)) => hasher.update(chunk),
            Some(Extra::Sha1(hasher)) => hasher.update(chunk),
            None => {}
        }
    }

    pub(super) fn finish(self) -> (ContentHash, Option<String>) {
        let extra = self.extra.map(|extra| match extra {
            Extra::Md5(hasher) => hex::encode(hasher.finalize()),
            Extra::Sha1(hasher) => hex::encode(hasher.finalize()),
        });
        (ContentHash::from_bytes(self.sha256.finalize().into()), extra)
    }
}
