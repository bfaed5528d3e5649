//! The facts of a file as people may see them: a text in a file may be a link with a signature. Pure.

use super::{Content, Film, Picture, Profile, View};
use crate::prose::prose;

/// Digits of the hash in the name of a profile.
const LONGEST_HASH: usize = 12;

impl Content {
    /// With each text of the file's author by the filter for prose, and without the thumbnail.
    #[must_use]
    pub fn shown(self) -> Self {
        match self {
            Self::Picture(picture) => Self::Picture(picture.shown()),
            Self::Film(film) => Self::Film(film.shown()),
            Self::Unreadable(reason) => Self::Unreadable(prose(&reason)),
            Self::Document { .. } | Self::Unread | Self::Other => self,
        }
    }
}

impl Picture {
    fn shown(self) -> Self {
        Self {
            icc_profile: self.icc_profile.map(|name| profile_name(&name)),
            profile: self.profile.map(|profile| match profile {
                Profile::Icc { name, is_srgb } => Profile::Icc { name: profile_name(&name), is_srgb },
                Profile::Absent | Profile::Srgb => profile,
            }),
            colours: self.colours.map(|colours| prose(&colours)),
            credits: self.credits.into_iter().map(|(credit, text)| (credit, prose(&text))).collect(),
            view: self.view.and_then(|view| match view {
                View::Undecodable(reason) => Some(View::Undecodable(prose(&reason))),
                View::TooLarge { .. } => Some(view),
                // A person can recognise the picture.
                View::Thumbnail(_) => None,
            }),
            ..self
        }
    }
}

impl Film {
    fn shown(self) -> Self {
        Self {
            damage: self.damage.map(|damage| prose(&damage)),
            tracks: vec![prose(&self.tracks.join(", "))],
            ..self
        }
    }
}

/// The name of a profile: its description as prose, and in brackets the hash that identifies it.
pub fn profile_name(name: &str) -> String {
    let is_hash =
        |hash: &&str| hash.len() <= LONGEST_HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = name.strip_suffix(')').and_then(|name| name.rsplit_once(" ("));
    match (parts.filter(|(_, hash)| is_hash(hash)), is_hash(&name)) {
        (Some((description, hash)), _) => format!("{} ({hash})", prose(description)),
        (None, true) => name.to_owned(),
        (None, false) => prose(name),
    }
}
