//! Decodes a listing: its rows as raw JSON, each of which is decoded by itself. Pure.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::decode::{Number, Row};
use common::asset::Asset;
use common::parse_error::from_json;
use http_client::{Redactor, excerpt, prose};

/// Far more rows than a page has.
const MOST_ROWS: usize = 10_000;
/// How many rows of a page that cannot be read are logged one by one.
const MOST_LOGGED: usize = 10;
/// A row with many times the fields of a real one. Decoding takes many times its size.
const MOST_ROW_BYTES: usize = 1 << 20;

/// The three shapes of a listing: a bare array, `total.count` next to `media`, `count.total` next to `media`.
pub(super) struct Listing {
    pub(super) rows: Vec<Box<RawValue>>,
    pub(super) total: Option<u64>,
}

/// Rows, at most as many as a real portal sends.
struct Rows(Vec<Box<RawValue>>);

/// The number of matches, whose form varies.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Facets {
    count: Number<u64>,
    total: Number<u64>,
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;

        impl<'de> Visitor<'de> for Expected {
            type Value = Rows;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of assets")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Rows, A::Error> {
                rows(sequence).map(Rows)
            }
        }

        deserializer.deserialize_seq(Expected)
    }
}

fn rows<'de, A: SeqAccess<'de>>(mut sequence: A) -> Result<Vec<Box<RawValue>>, A::Error> {
    let mut rows = Vec::new();
    while let Some(row) = sequence.next_element()? {
        if rows.len() == MOST_ROWS {
            return Err(A::Error::custom(format_args!("more than {MOST_ROWS} rows")));
        }
        rows.push(row);
    }
    Ok(rows)
}

impl<'de> Deserialize<'de> for Listing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;

        impl<'de> Visitor<'de> for Expected {
            type Value = Listing;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of assets or an object with one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Listing, A::Error> {
                Ok(Listing { rows: rows(sequence)?, total: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listing, A::Error> {
                let (mut media, mut total, mut count) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "media" => media = Some(map.next_value::<Rows>()?.0),
                        "total" => total = map.next_value::<Loose>()?.0.count.0,
                        "count" => count = map.next_value::<Loose>()?.0.total.0,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                let rows = media.ok_or_else(|| A::Error::missing_field("media"))?;
                Ok(Listing { rows, total: total.or(count) })
            }
        }

        deserializer.deserialize_any(Expected)
    }
}

/// Facets, or any other value, which is ignored.
struct Loose(Facets);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let is_small = raw.get().len() <= MOST_ROW_BYTES;
        Ok(Self(if is_small {
            serde_json::from_str(raw.get()).unwrap_or_default()
        } else {
            Facets::default()
        }))
    }
}

/// Decodes the rows of a page. An unreadable one must not stop a run over millions; its id is returned if it has one. Rows of a few
/// bytes must not make a log of gigabytes.
pub(super) fn readable_rows(rows: &[Box<RawValue>]) -> (Vec<Asset>, Vec<Option<String>>) {
    let (mut assets, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        match readable(row) {
            Ok(asset) => assets.push(asset),
            Err(Unreadable { id, reason }) => {
                if unreadable.len() < MOST_LOGGED {
                    tracing::warn!(
                        asset_id = id,
                        reason,
                        "a row of the listing cannot be read and is left out"
                    );
                }
                unreadable.push(id);
            }
        }
    }
    if let Some(more @ 1..) = unreadable.len().checked_sub(MOST_LOGGED) {
        tracing::warn!(rows = more, "further rows of the page cannot be read and are left out");
    }
    (assets, unreadable)
}

/// Why a row is left out, and its id if it has one.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) id: Option<String>,
    reason: String,
}

pub(super) fn readable(row: &RawValue) -> Result<Asset, Unreadable> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }

    let read = || {
        if row.get().len() > MOST_ROW_BYTES {
            return Err(format!("it has more than {MOST_ROW_BYTES} bytes"));
        }
        let row: Row = from_json(&mut serde_json::Deserializer::from_str(row.get()))?;
        row.into_detail().map(|detail| detail.asset).map_err(|error| error.to_string())
    };
    read().map_err(|reason| {
        let id = serde_json::from_str(row.get()).ok().map(|Named { id }| prose(&excerpt(&id)));
        Unreadable { id, reason: Redactor::default().excerpt(&reason) }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> serde_json::Result<Listing> {
        serde_json::from_str(text)
    }

    #[test]
    fn each_shape_is_read_with_its_total() {
        let table = [
            (json!([{}, {}]), 2, None),
            (json!({"media": [{}], "total": {"count": 7}}), 1, Some(7)),
            (json!({"count": {"total": "8", "type": {"image": 3}}, "media": []}), 0, Some(8)),
            (json!({"total": 9, "media": [0], "count": null}), 1, None),
        ];
        for (answer, rows, total) in table {
            let listing = read(&answer.to_string()).unwrap();
            assert_eq!((listing.rows.len(), listing.total), (rows, total), "{answer}");
        }
        for wrong in ["{}", "7", r#"{"media": {}}"#, r#"{"media": [1"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn more_rows_than_a_portal_sends_are_refused_before_they_take_memory() {
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert_eq!(read(&many(MOST_ROWS)).unwrap().rows.len(), MOST_ROWS);
        assert!(read(&many(MOST_ROWS + 1)).is_err());
    }

    /// Counts what is logged.
    struct Lines(std::sync::atomic::AtomicUsize);

    impl tracing::Subscriber for Lines {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn however_many_rows_cannot_be_read_few_are_logged() {
        for (rows, lines) in [(1, 1), (MOST_LOGGED, MOST_LOGGED), (MOST_ROWS, MOST_LOGGED + 1)] {
            let listing = read(&format!("[{}{{}}]", "{},".repeat(rows - 1))).unwrap();
            let logged = std::sync::Arc::new(Lines(0.into()));
            let found = tracing::subscriber::with_default(logged.clone(), || readable_rows(&listing.rows));
            assert_eq!((found.0.len(), found.1.len()), (0, rows));
            assert_eq!(logged.0.load(std::sync::atomic::Ordering::Relaxed), lines, "{rows}");
        }
    }

    #[test]
    fn a_row_that_is_too_large_or_no_asset_is_left_out_under_its_id() {
        let row = |value: serde_json::Value| serde_json::value::to_raw_value(&value).unwrap();
        let large = json!({"id": "A1", "tags": vec![0; MOST_ROW_BYTES]});
        for (value, id) in [(large, Some("A1")), (json!({"id": "A2"}), Some("A2")), (json!(7), None)] {
            assert_eq!(readable(&row(value)).unwrap_err().id.as_deref(), id);
        }
    }
}
