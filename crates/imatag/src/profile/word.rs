//! Maps the service's words for a medium's state to a closed set.

use super::ResponseWire;

/// The meaning of a status word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusWord {
    Pending,
    Ready,
    /// It cannot be watermarked.
    Failed,
    /// It carries a watermark already.
    AlreadyProtected,
}

impl ResponseWire {
    /// The meaning of a word; `None` if the profile does not list it.
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
