//! `[filters]`: the assets that runs cover.

use std::collections::BTreeMap;
use std::fmt;

use bytesize::ByteSize;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use common::asset::{AssetType, Orientation};
use common::parse_error::short;

/// `[filters]`: all given filters must match; a list matches with any of its entries.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// Types of asset.
    pub types: Vec<AssetType>,
    /// File extensions.
    pub extensions: Vec<String>,
    /// Brands by name or id.
    pub brands: Vec<String>,
    /// Tags, any of them.
    pub tags: Vec<String>,
    /// Collections by name or id, any of them.
    pub collections: Vec<String>,
    /// Metaproperties by name, each with values of which one must match.
    pub metaproperties: BTreeMap<String, Vec<String>>,
    /// Patterns with `*` and `?` for the asset's name or its file's; case does not matter.
    pub names: Vec<String>,
    /// A search text for Bynder.
    pub keyword: Option<String>,
    /// Single assets.
    pub ids: Vec<String>,
    /// When the asset was created.
    pub created: Option<DateRange>,
    /// When the asset was last modified.
    pub modified: Option<DateRange>,
    /// The smallest file.
    #[schemars(with = "Option<String>")]
    pub min_size: Option<ByteSize>,
    /// The largest file.
    #[schemars(with = "Option<String>")]
    pub max_size: Option<ByteSize>,
    /// Whether the asset is public.
    pub public: Option<bool>,
    /// Whether the asset is archived.
    pub archived: Option<bool>,
    /// Whether the asset's use is limited.
    pub limited: Option<bool>,
    /// The orientations of a picture, any of them.
    pub orientation: Vec<Orientation>,
    /// A fraction of the library, chosen by the assets' ids: the same one each time.
    pub sample: Option<f64>,
    /// The assets to omit although they match.
    pub exclude: Exclude,
}

/// `[filters.exclude]`: an asset that matches any entry is omitted.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exclude {
    /// Types of asset.
    pub types: Vec<AssetType>,
    /// File extensions.
    pub extensions: Vec<String>,
    /// Brands by name or id.
    pub brands: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Metaproperties by name, each with values.
    pub metaproperties: BTreeMap<String, Vec<String>>,
    /// Patterns for names.
    pub names: Vec<String>,
    /// Single assets.
    pub ids: Vec<String>,
}

/// A range of time, written `FROM..TO`: dates (UTC) or times, either of which may be omitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DateRange {
    /// The first moment of the range.
    pub from: Option<Timestamp>,
    /// The first moment after the range; a date at its end belongs to the range.
    pub before: Option<Timestamp>,
}

impl DateRange {
    /// Whether the moment is in the range.
    pub fn contains(self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.before.is_none_or(|before| moment < before)
    }
}

impl TryFrom<String> for DateRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{:?} is not a date range; write FROM..TO, such as 2024-01-01..2024-12-31 or 2024-06-01T08:00:00Z..",
                short(&text)
            )
        };
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let end = |text: &str, days_later| match text.trim() {
            "" => Ok(None),
            text => moment(text, days_later).map(Some).ok_or_else(wrong),
        };
        let (from, before) = (end(from, 0)?, end(to, 1)?);
        if from.is_none() && before.is_none() {
            return Err(wrong());
        }
        if from.zip(before).is_some_and(|(from, before)| from >= before) {
            return Err(format!("{text:?} ends before it begins; write the earlier end first"));
        }
        Ok(Self { from, before })
    }
}

impl From<DateRange> for String {
    fn from(range: DateRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for DateRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string()).unwrap_or_default();
        write!(formatter, "{}..{}", text(self.from), text(self.before))
    }
}

/// A time on the command line; a date means its midnight in UTC.
///
/// # Errors
/// What to write instead.
pub fn read_moment(text: &str) -> Result<Timestamp, String> {
    moment(text.trim(), 0)
        .ok_or_else(|| "write a date or a time, such as 2026-01-31 or 2026-01-31T08:00:00Z".to_owned())
}

/// A time, or a date, which means its midnight or that of a day this many days later.
fn moment(text: &str, days_later: i64) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let date: Date = text.parse().ok().filter(|_| text.len() == "2024-01-01".len())?;
    let date = date.checked_add(days_later.days()).ok()?;
    TimeZone::UTC.to_timestamp(date.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<String, String> {
        DateRange::try_from(text.to_owned()).map(|range| range.to_string())
    }

    #[test]
    fn a_stretch_of_time_has_dates_or_times_and_either_end() {
        assert_eq!(range("2024-01-01..2024-12-31").unwrap(), "2024-01-01T00:00:00Z..2025-01-01T00:00:00Z");
        assert_eq!(range("2024-06-01T08:00:00Z..").unwrap(), "2024-06-01T08:00:00Z..");
        assert_eq!(range(" ..2024-06-01").unwrap(), "..2024-06-02T00:00:00Z");
        for wrong in
            ["", "..", "2024-01-01", "yesterday..", "2024-13-01..", "2024-1-1..", "2024-02-01..2024-01-01"]
        {
            assert!(range(wrong).is_err(), "{wrong}");
        }
        let day = DateRange::try_from("2024-01-01..2024-01-01".to_owned()).unwrap();
        assert!(day.contains("2024-01-01T23:59:59Z".parse().unwrap()));
        assert!(!day.contains("2024-01-02T00:00:00Z".parse().unwrap()));
    }
}
