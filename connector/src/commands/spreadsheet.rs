//! Rows for a spreadsheet, in which no text becomes a formula.

use std::io;

use common::visible;
use csv::{QuoteStyle, WriterBuilder};
use serde::Serialize;

/// The characters that make a spreadsheet treat a cell as a formula. (So do tabs and line breaks, which are shown as
/// escapes.)
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A row, after the column names if it is the first. Every cell is quoted, since some spreadsheets treat `;` as a separator. Its texts
/// from outside have to be [`safe`].
pub(super) fn row(line: impl Serialize, is_first: bool) -> io::Result<String> {
    let mut writer =
        WriterBuilder::new().quote_style(QuoteStyle::Always).has_headers(is_first).from_writer(Vec::new());
    writer.serialize(line)?;
    let text = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// The text as a cell that is no formula and one line.
pub(super) fn safe(text: &str) -> String {
    guarded(&visible::shown(text))
}

/// Characters without width, which a spreadsheet may have removed by the time it parses the text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Puts a `'` before anything that could begin a formula: at the start of the text and after each `;`.
fn guarded(text: &str) -> String {
    let cells = text.split(';').map(|cell| {
        let start = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"' || is_invisible(c));
        if start.starts_with(FORMULA_STARTS) { format!("'{cell}") } else { cell.to_owned() }
    });
    cells.collect::<Vec<_>>().join(";")
}
