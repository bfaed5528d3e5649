//! Escapes characters that a terminal or an editor would act on or hide.

use std::borrow::Cow;

/// The text with such characters escaped as `\u{…}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_acted_on(c) || is_unseen(c), |c| c.escape_unicode().to_string())
}

/// The JSON text with such characters escaped as `\uXXXX`; line breaks, which occur only outside strings, stay. Needed because
/// JSON requires escapes only below U+0020.
pub fn shown_in_json(text: &str) -> Cow<'_, str> {
    let is_left = |c| (is_acted_on(c) || is_unseen(c)) && c != '\n';
    replaced(text, is_left, |c| {
        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
    })
}

/// Control characters (C0, DEL, C1), line and paragraph separators, direction marks, and zero-width characters except the
/// joiners, which words and emoji need.
pub fn is_acted_on(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// Invisible characters, and those that look like a blank; both can hide text in a name. These are Unicode's
/// `Default_Ignorable_Code_Point` without [`is_acted_on`] and the joiners, the interlinear annotation characters, the blank Braille pattern and the null
/// notehead.
pub fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2061}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn replaced(text: &str, is_wrong: impl Fn(char) -> bool, escaped: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&is_wrong) {
        return Cow::Borrowed(text);
    }
    let mut right = String::with_capacity(text.len());
    for c in text.chars() {
        if is_wrong(c) { right.push_str(&escaped(c)) } else { right.push(c) }
    }
    Cow::Owned(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters that must be escaped, between some that must not.
    const HOSTILE: &str = "a\u{1b}]0;t\u{7}\r\n\t\u{7f}\u{85}\u{9b}31m\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}\u{34f}\u{1160}\u{2063}\u{3164}\u{e0041}\u{206a}\u{17b4}\u{180b}\u{fe0f}\u{e0100}\u{fff9}\u{1bca0}\u{1d173}\u{e0fff}\u{2800}\u{1d159}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2060}\u{feff}é\u{200c}\u{200d}日\\";

    #[test]
    fn what_a_terminal_acts_on_is_shown_and_the_rest_stays_as_it_is() {
        let expected = [r"a\u{1b}]0;t\u{7}\u{d}\u{a}\u{9}\u{7f}\u{85}\u{9b}31m\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}\u{34f}\u{1160}\u{2063}\u{3164}\u{e0041}\u{206a}\u{17b4}\u{180b}\u{fe0f}\u{e0100}\u{fff9}\u{1bca0}\u{1d173}\u{e0fff}\u{2800}\u{1d159}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2060}\u{feff}é", "\u{200c}\u{200d}日\\"].concat();
        assert_eq!(shown(HOSTILE), expected);
        for c in '\0'..=char::MAX {
            let is_text = !c.is_control() && c.to_string() == shown(&c.to_string());
            assert!(is_text || shown(&c.to_string()).is_ascii(), "{c:?}");
        }
        assert!(matches!(shown("Brand guide 2.0 – été"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_means_the_same_and_holds_nothing_that_a_terminal_acts_on() {
        let value = serde_json::json!({"name": HOSTILE, "list": [HOSTILE, 1]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let safe = shown_in_json(&text);
            assert!(!safe.contains(|c| (is_acted_on(c) || is_unseen(c)) && c != '\n'), "{safe:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        }
    }
}
