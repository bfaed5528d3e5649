//! The service's words for a medium's state, read into a closed set.

use super::ResponseWire;

/// What a status word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusWord {
    /// Not finished.
    Pending,
    /// Finished.
    Ready,
    /// Cannot be watermarked.
    Failed,
    /// Carries a watermark already.
    AlreadyProtected,
}

impl ResponseWire {
    /// The meaning of a word; `None` for one the profile does not list.
    pub fn word(&self, word: &str) -> Option<StatusWord> {
        let table = [
            (&self.pending, StatusWord::Pending),
            (&self.ready, StatusWord::Ready),
            (&self.failed, StatusWord::Failed),
            (&self.already_protected, StatusWord::AlreadyProtected),
        ];
        let listed = |words: &&Vec<String>| words.iter().any(|listed| listed.eq_ignore_ascii_case(word));
        table.into_iter().find(|(words, _)| listed(words)).map(|(_, meaning)| meaning)
    }
}
