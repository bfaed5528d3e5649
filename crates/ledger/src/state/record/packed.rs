//! Ids as they are stored: half as long if they have the usual form, which is hexadecimal, and otherwise as they are.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, ToSql};

/// The usual form of an id: where its 32 digits have hyphens, and their case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A job's id: lower case without hyphens.
    Job,
    /// A Bynder asset's id: upper case, 8-4-4-16.
    Asset,
    /// Imatag's ids: UUIDs in lower case.
    Uuid,
}

impl Form {
    fn hyphens(self) -> &'static [usize] {
        match self {
            Self::Job => &[],
            Self::Asset => &[8, 12, 16],
            Self::Uuid => &[8, 12, 16, 20],
        }
    }

    /// The text with these 16 bytes.
    fn text(self, bytes: [u8; 16]) -> String {
        let digits = if self == Self::Asset { hex::encode_upper(bytes) } else { hex::encode(bytes) };
        let mut text = String::with_capacity(36);
        for (at, digit) in digits.chars().enumerate() {
            if self.hyphens().contains(&at) {
                text.push('-');
            }
            text.push(digit);
        }
        text
    }

    /// The bytes of a text of exactly this form.
    pub(crate) fn bytes(self, text: &str) -> Option<[u8; 16]> {
        if text.len() != 32 + self.hyphens().len() {
            return None;
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(text.replace('-', ""), &mut bytes).ok()?;
        (self.text(bytes) == text).then_some(bytes)
    }
}

/// An id, to be stored or compared with stored ones.
pub(crate) struct Packed<'a>(pub(crate) Form, pub(crate) &'a str);

impl Packed<'_> {
    /// The stored value.
    pub(crate) fn value(&self) -> Value {
        match self.0.bytes(self.1) {
            Some(bytes) => Value::Blob(bytes.to_vec()),
            None => Value::Text(self.1.to_owned()),
        }
    }
}

impl ToSql for Packed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(self.value()))
    }
}

/// Stored bytes, or a text.
enum Stored {
    Bytes([u8; 16]),
    Text(String),
}

impl FromSql for Stored {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => {
                Ok(Self::Bytes(bytes.try_into().map_err(|_| FromSqlError::InvalidBlobSize {
                    expected_size: 16,
                    blob_size: bytes.len(),
                })?))
            }
            other => other.as_str().map(|text| Self::Text(text.to_owned())),
        }
    }
}

/// The id in this column.
pub(crate) fn unpacked(row: &Row<'_>, column: usize, form: Form) -> rusqlite::Result<String> {
    Ok(unpacked_if_any(row, column, form)?.unwrap_or_default())
}

/// The id in this column, if there is one.
pub(crate) fn unpacked_if_any(row: &Row<'_>, column: usize, form: Form) -> rusqlite::Result<Option<String>> {
    Ok(row.get::<_, Option<Stored>>(column)?.map(|stored| match stored {
        Stored::Bytes(bytes) => form.text(bytes),
        Stored::Text(text) => text,
    }))
}

/// Several ids of this form as one value: all their bytes, or a JSON array if one of them has another form.
pub(crate) fn pack_all(ids: &[String], form: Form) -> Option<Value> {
    if ids.is_empty() {
        return None;
    }
    let bytes: Option<Vec<_>> = ids.iter().map(|id| form.bytes(id)).collect();
    Some(match bytes {
        Some(bytes) => Value::Blob(bytes.concat()),
        None => Value::Text(serde_json::Value::from(ids).to_string()),
    })
}

/// The ids that [`pack_all`] made a value of; `None` for any other value.
pub(crate) fn unpack_all(value: ValueRef<'_>, form: Form) -> Option<Vec<String>> {
    match value {
        ValueRef::Null => Some(Vec::new()),
        ValueRef::Blob(bytes) => {
            let (ids, rest) = bytes.as_chunks::<16>();
            rest.is_empty().then(|| ids.iter().map(|id| form.text(*id)).collect())
        }
        other => serde_json::from_str(other.as_str().ok()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_of_exactly_the_usual_form_becomes_bytes() {
        let job = "059c8b7c45f15b9a64feb8639646163a";
        let asset = "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF";
        let uuid = "1f0a9c2e-77b1-4d3c-9e55-12ab34cd56ef";
        for (form, own) in [(Form::Job, job), (Form::Asset, asset), (Form::Uuid, uuid)] {
            assert_eq!(form.bytes(own).map(|bytes| form.text(bytes)).as_deref(), Some(own));
            for other in
                [job, asset, uuid, &job.to_uppercase(), &asset.to_lowercase(), &uuid.to_uppercase(), "A", ""]
            {
                assert_eq!(form.bytes(other).is_some(), other == own, "{form:?} {other}");
            }
            let moved = own.replace('-', "") + &"-".repeat(form.hyphens().len());
            assert_eq!(form.bytes(&moved).is_some(), form == Form::Job);
        }
    }
}
