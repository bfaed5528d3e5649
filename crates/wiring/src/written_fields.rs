//! Finds the metaproperties that the connector writes, and checks that they are suitable.

use bynder::Metaproperty;
use common::asset::Asset;
use common::excerpt::excerpt;
use common::marker::{Kin, Marker, Records, Status};
use common::parse_error::harmless;
use common::prose::prose;
use config::Config;
use jiff::Timestamp;

/// Why a configured metaproperty cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetapropertyError {
    /// The portal has no metaproperty of that name.
    #[error("{key}: the portal has no metaproperty {:?}{}; create a text metaproperty of that name", harmless(.name), nearest_text(.nearest.as_deref()))]
    Missing {
        /// The configuration key that names it.
        key: &'static str,
        name: String,
        /// The most similar existing name.
        nearest: Option<String>,
    },
    /// It is not a text field.
    #[error("{key}: the metaproperty {name:?} is of type {:?}; it must be a text field", excerpt(&prose(.kind)))]
    NotText {
        /// The configuration key that names it.
        key: &'static str,
        /// Its name.
        name: String,
        /// Its type.
        kind: String,
    },
    /// It is not an API field.
    #[error(
        "{key}: the metaproperty {name:?} is not an API field, so it could never be read back; switch on \"API field\" in its settings"
    )]
    NotShown {
        /// The configuration key that names it.
        key: &'static str,
        /// Its name.
        name: String,
    },
    /// It cannot be written.
    #[error("{key}: the metaproperty {name:?} is not editable; switch on \"editable\" in its settings")]
    NotEditable {
        /// The configuration key that names it.
        key: &'static str,
        /// Its name.
        name: String,
    },
}

fn nearest_text(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {:?}?)", prose(name)))
}

/// The metaproperties that the connector writes.
#[derive(Debug, Clone)]
pub struct WrittenFields {
    /// Holds the marker: listings show it by name, writes need its id.
    pub hash: Metaproperty,
    /// Shows people the asset's status.
    pub status: Option<Metaproperty>,
    /// Links a copy and its original.
    pub link: Option<Metaproperty>,
}

impl WrittenFields {
    pub fn marker(&self, asset: &Asset) -> Marker {
        asset.marker(&self.hash.name)
    }

    /// What is written for an asset in one call, by the metaproperty's id: the marker with these records, and with it
    /// the status and the link.
    pub fn texts(&self, records: &Records, status: Status<'_>) -> Vec<(&str, String)> {
        let status = self.status.as_ref().map(|field| (field.id.as_str(), status.text(Timestamp::now())));
        let link = self.link.as_ref().zip(records.kin()).map(|(field, kin)| match kin {
            Kin::CopyOf(other) | Kin::CopiedTo(other) => (field.id.as_str(), other.to_string()),
        });
        [(self.hash.id.as_str(), records.to_string())].into_iter().chain(status).chain(link).collect()
    }

    pub fn ids(&self) -> Vec<&str> {
        let others = self.status.iter().chain(&self.link);
        [&self.hash].into_iter().chain(others).map(|field| field.id.as_str()).collect()
    }
}

/// Finds the metaproperties to write among the portal's, and checks them.
pub fn written_fields(known: &[Metaproperty], config: &Config) -> Result<WrittenFields, MetapropertyError> {
    let hash = text_field(known, "bynder.hash_metaproperty", &config.bynder.hash_metaproperty)?;
    let optional = |key, name: Option<&str>| name.map(|name| text_field(known, key, name)).transpose();
    let status = optional("bynder.status_metaproperty", config.bynder.status_metaproperty.as_deref())?;
    let link = optional("output.link_metaproperty", config.output.link_metaproperty.as_deref())?;
    Ok(WrittenFields { hash, status, link })
}

fn text_field(
    known: &[Metaproperty],
    key: &'static str,
    name: &str,
) -> Result<Metaproperty, MetapropertyError> {
    let Some(found) = known.iter().find(|property| property.name == name) else {
        let names = known.iter().map(|property| property.name.as_str());
        let nearest = common::nearest::nearest(name, names).map(str::to_owned);
        return Err(MetapropertyError::Missing { key, name: name.to_owned(), nearest });
    };
    let name = name.to_owned();
    if !found.is_text() {
        return Err(MetapropertyError::NotText { key, name, kind: http_client::excerpt(&found.kind) });
    }
    if !found.is_api_field() {
        return Err(MetapropertyError::NotShown { key, name });
    }
    if !found.is_editable() {
        return Err(MetapropertyError::NotEditable { key, name });
    }
    Ok(found.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_and_the_link_are_written_with_the_records() {
        let field = |id: &str| -> Metaproperty {
            serde_json::from_value(serde_json::json!({"id": id, "name": id})).unwrap()
        };
        let mut fields = WrittenFields { hash: field("i"), status: None, link: None };
        let records = Records::default().with_kin(Kin::CopiedTo("C".parse().unwrap()));
        assert_eq!(fields.texts(&records, Status::Protected), [("i", records.to_string())]);
        (fields.status, fields.link) = (Some(field("s")), Some(field("l")));
        let texts = fields.texts(&records, Status::Protected);
        let ids: Vec<_> = texts.iter().map(|(id, _)| *id).collect();
        assert_eq!((&ids, texts[2].1.as_str()), (&vec!["i", "s", "l"], "C"));
        assert!(texts[1].1.starts_with("protected "), "{texts:?}");
        assert_eq!(ids, fields.ids());
    }

    #[test]
    fn of_a_type_only_prose_is_shown() {
        let said = |kind: &str| {
            let (key, name, kind) = ("bynder.hash_metaproperty", "imatag_hash".to_owned(), kind.to_owned());
            MetapropertyError::NotText { key, name, kind }.to_string()
        };
        assert!(said("select2").contains("is of type \"select2\""), "{}", said("select2"));
        let link = said("https://x.example/f.jpg?X-Amz-Signature=s3cr3tS1gn4ture0123");
        assert!(!link.contains("s3cr3t") && !link.contains("x.example"), "{link}");
    }

    #[test]
    fn of_a_suggested_name_only_prose_is_shown() {
        let said = |nearest: &str| {
            let (key, name) = ("bynder.hash_metaproperty", "imatag_hash".to_owned());
            MetapropertyError::Missing { key, name, nearest: Some(nearest.to_owned()) }.to_string()
        };
        assert!(said("imatag_hsh").contains("did you mean \"imatag_hsh\"?"), "{}", said("imatag_hsh"));
        for code in
            ["imatag_hash?X-Amz-Signature=s3cr3tS1gn4ture0123456789", "imatag_has https://x.example/s3cr3t"]
        {
            assert!(!said(code).contains("s3cr3t"), "{}", said(code));
        }
    }
}
