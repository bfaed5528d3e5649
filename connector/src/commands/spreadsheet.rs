//! Rows for a spreadsheet.

use std::io;

use csv::{QuoteStyle, WriterBuilder};
use serde::Serialize;

/// A row, after the column names if it is the first. Every cell is quoted, since some spreadsheets treat `;` as a separator. Its texts
/// from outside have to be a [`cell`](common::spreadsheet::cell).
pub(super) fn row(line: impl Serialize, is_first: bool) -> io::Result<String> {
    let mut writer =
        WriterBuilder::new().quote_style(QuoteStyle::Always).has_headers(is_first).from_writer(Vec::new());
    writer.serialize(line)?;
    let text = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(text).map_err(io::Error::other)
}
