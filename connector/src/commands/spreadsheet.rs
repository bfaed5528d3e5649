//! Rows for a spreadsheet.

use std::io;

use common::spreadsheet::cell;
use csv::{QuoteStyle, ReaderBuilder, WriterBuilder};
use serde::Serialize;

/// A row, after the column names if it is the first. No cell becomes a formula: texts come from outside, and times before the year 0
/// begin with `-`. Every cell is quoted, since some spreadsheets treat `;` as a separator.
pub(super) fn row(line: impl Serialize, is_first: bool) -> io::Result<String> {
    let mut plain = WriterBuilder::new().has_headers(is_first).from_writer(Vec::new());
    plain.serialize(line)?;
    let plain = plain.into_inner().map_err(csv::IntoInnerError::into_error)?;
    let mut guarded = WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(Vec::new());
    for record in ReaderBuilder::new().has_headers(false).from_reader(plain.as_slice()).records() {
        guarded.write_record(record?.iter().map(cell))?;
    }
    let text = guarded.into_inner().map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(text).map_err(io::Error::other)
}
