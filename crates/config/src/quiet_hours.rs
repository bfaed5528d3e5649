//! The times of day with a smaller budget.

use std::num::NonZeroU32;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;
use common::parse_error::{harmless, short};

/// `[[quiet_hours]]`: one range of the day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The days on which it begins.
    #[serde(default = "every_day")]
    pub days: Vec<Day>,
    /// When it begins.
    pub from: TimeOfDay,
    /// When it ends: the next such time after the beginning, if necessary on the following day.
    pub to: TimeOfDay,
    /// The time zone of both times.
    #[serde(default)]
    pub time_zone: Zone,
    /// The request budget meanwhile.
    #[serde(default)]
    pub requests_per_5_minutes: Option<NonZeroU32>,
    /// What happens to the backlog meanwhile.
    #[serde(default)]
    pub backlog: Option<Backlog>,
}

/// What quiet hours do to the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backlog {
    /// No job of it starts.
    Pause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "these are days")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// All days, from the first of the week.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// Whether it is this day of the calendar.
    pub fn is(self, weekday: Weekday) -> bool {
        self as i8 == weekday.to_monday_zero_offset()
    }
}

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(pub Time);

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = (text.len() == "08:00".len()).then(|| Time::strptime("%H:%M", &text).ok()).flatten();
        time.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{:?} is not a time of day; write for example \"08:00\"",
                short(&text)
            ))
        })
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.strftime("%H:%M"))
    }
}

/// A time zone by its IANA name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(pub TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        TimeZone::get(&text).map(Self).map_err(|_| {
            serde::de::Error::custom(format!(
                "{:?} is not a time zone; write an IANA name such as \"Europe/Paris\"",
                harmless(&text)
            ))
        })
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

fn every_day() -> Vec<Day> {
    Day::ALL.to_vec()
}

/// Checks what the types cannot express: quiet hours change something, on some day, and only reduce the budget.
pub(super) fn check(entries: &[QuietHours], otherwise: NonZeroU32) -> Result<(), ConfigError> {
    for (number, entry) in entries.iter().enumerate() {
        let wrong = |key: &str, reason: String| {
            Err(ConfigError::value(format!("quiet_hours[{number}]{key}"), reason))
        };
        if entry.days.is_empty() {
            return wrong(".days", "is empty; leave it out for every day".to_owned());
        }
        match (entry.requests_per_5_minutes, entry.backlog) {
            (None, None) => {
                return wrong(
                    "",
                    "changes nothing; write requests_per_5_minutes = 1000, or backlog = \"pause\"".to_owned(),
                );
            }
            (Some(requests), _) if requests > otherwise => {
                return wrong(
                    ".requests_per_5_minutes",
                    format!(
                        "{requests} is above bynder.requests_per_5_minutes, which is {otherwise}; quiet hours only lower it"
                    ),
                );
            }
            (Some(_), _) | (None, Some(Backlog::Pause)) => {}
        }
    }
    Ok(())
}
