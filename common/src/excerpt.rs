//! A bounded line of a text from outside, for errors and logs.

const EXCERPT_CHARACTERS: usize = 200;

/// One line of at most 200 characters, free of control characters.
pub fn excerpt(text: &str) -> String {
    one_line(text).chars().take(EXCERPT_CHARACTERS).collect()
}

/// The text without control characters and further blanks.
pub fn one_line(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
