//! Bounds for numbers and texts in messages, which anyone with access to the broker may have written: within them the program
//! can add, store and display them.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Maximum count: above the versions of any asset and the attempts of any job.
pub const MOST_COUNT: u64 = 1_000_000_000;
/// Maximum wait, in milliseconds: ten years.
pub const MOST_MILLISECONDS: u64 = 10 * 366 * 24 * 3600 * 1000;
/// Maximum traffic of a job, in bytes; fits SQLite's signed integers.
pub const MOST_BYTES: u64 = 1 << 53;

/// Deserialises a number of at most `MOST`.
pub fn at_most<'de, const MOST: u64, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Copy + Into<u64> + fmt::Display,
    D: Deserializer<'de>,
{
    within(T::deserialize(deserializer)?, MOST)
}

/// Deserialises an optional number of at most `MOST`.
pub fn optional<'de, const MOST: u64, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Copy + Into<u64> + fmt::Display,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer)?.map(|number| within(number, MOST)).transpose()
}

/// Deserialises a text of at most `MOST` bytes.
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

/// Deserialises an optional text that is for people or a service's support alone; one of more than `MOST` bytes is left out.
pub fn short<'de, const MOST: usize, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| text.len() <= MOST))
}

/// Deserialises a list of texts; keeps the first `MOST` of at most `LONGEST` bytes, since a list in memory takes many times the bytes
/// of its message.
pub fn few_texts<'de, const MOST: usize, const LONGEST: usize, D>(
    deserializer: D,
) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Texts<const MOST: usize, const LONGEST: usize>;

    impl<'de, const MOST: usize, const LONGEST: usize> Visitor<'de> for Texts<MOST, LONGEST> {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of texts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = sequence.next_element::<String>()? {
                if texts.len() < MOST && text.len() <= LONGEST {
                    texts.push(text);
                }
            }
            Ok(texts)
        }
    }

    deserializer.deserialize_seq(Texts::<MOST, LONGEST>)
}

fn within<T: Copy + Into<u64> + fmt::Display, E: Error>(number: T, most: u64) -> Result<T, E> {
    if number.into() > most {
        return Err(E::custom(format_args!("{number} is too much: expected at most {most}")));
    }
    Ok(number)
}
