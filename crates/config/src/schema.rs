//! The configuration as a JSON schema, for editors and for programs that write configurations.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::quiet_hours::{TimeOfDay, Zone};
use super::{Config, DateRange, SecretValue};

/// The schema (draft 2020-12) of a configuration file: each key with its meaning and its default.
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), "Bynder & Imatag connector".into());
    schema
}

/// A text of a certain format.
macro_rules! text {
    ($kind:ty, $name:literal, $($rest:tt)*) => {
        impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", $($rest)*})
            }
        }
    };
}

text!(TimeOfDay, "TimeOfDay", "pattern": "^[0-2][0-9]:[0-5][0-9]$");
text!(Zone, "TimeZone", "examples": ["UTC", "Europe/Paris"]);
text!(DateRange, "DateRange", "pattern": "\\.\\.", "examples": ["2024-01-01..2024-12-31", "2024-06-01T08:00:00Z.."]);

impl JsonSchema for SecretValue {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let place = |key: &str| {
            json_schema!({
                "type": "object",
                "properties": {key: {"type": "string"}},
                "required": [key],
                "additionalProperties": false
            })
        };
        json_schema!({"anyOf": [place("env"), place("file"), place("encrypted"), {"type": "string"}]})
    }
}
