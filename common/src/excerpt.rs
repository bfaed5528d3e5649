//! Excerpts of texts from outside, for errors and logs.

const EXCERPT_CHARACTERS: usize = 200;

/// One line of at most 200 characters, without control characters.
pub fn excerpt(text: &str) -> String {
    one_line(text).chars().take(EXCERPT_CHARACTERS).collect()
}

/// The text on one line: control characters and whitespace become single spaces.
pub fn one_line(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
