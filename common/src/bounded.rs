//! Numbers and texts of messages, which anybody with access to the broker may have written: within what this program can
//! add to, store and show.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};

/// More versions than any asset has, attempts than any job makes.
pub const MOST_COUNT: u64 = 1_000_000_000;
/// Longer than anything is waited for, in milliseconds: ten years.
pub const MOST_MILLISECONDS: u64 = 10 * 366 * 24 * 3600 * 1000;
/// More than any job moves, in bytes; a database of signed numbers holds it.
pub const MOST_BYTES: u64 = 1 << 53;

/// A number that is at most this.
pub fn at_most<'de, const MOST: u64, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Copy + Into<u64> + fmt::Display,
    D: Deserializer<'de>,
{
    within(T::deserialize(deserializer)?, MOST)
}

/// The same of one that may be absent.
pub fn optional<'de, const MOST: u64, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Copy + Into<u64> + fmt::Display,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer)?.map(|number| within(number, MOST)).transpose()
}

/// A text of at most `MOST` bytes.
pub fn text<'de, const MOST: usize, D>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text.len() > MOST {
        return Err(D::Error::custom(format_args!(
            "a text of {} bytes: expected at most {MOST}",
            text.len()
        )));
    }
    Ok(text)
}

fn within<T: Copy + Into<u64> + fmt::Display, E: Error>(number: T, most: u64) -> Result<T, E> {
    if number.into() > most {
        return Err(E::custom(format_args!("{number} is too much: expected at most {most}")));
    }
    Ok(number)
}
