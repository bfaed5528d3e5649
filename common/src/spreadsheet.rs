//! Texts in a spreadsheet, which must not become formulas.

use crate::visible;

/// The characters that make a spreadsheet treat a cell as a formula. (So do tabs and line breaks, which are shown as
/// escapes.)
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// The text as a cell: with a `'` before anything that could begin a formula, at the start and after each `;`.
pub fn cell(text: &str) -> String {
    let text = visible::shown(text);
    let cells = text.split(';').map(|cell| {
        let start = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '"' || is_invisible(c));
        if start.starts_with(FORMULA_STARTS) { format!("'{cell}") } else { cell.to_owned() }
    });
    cells.collect::<Vec<_>>().join(";")
}

/// Characters without width, which a spreadsheet may have removed by the time it parses the text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}
