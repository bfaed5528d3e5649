//! Text from outside in a message to a chat.

/// The text as code, which Slack and Mattermost neither format nor search for mentions and links. `&`, `<` and `>` are escaped
/// because Slack reads `<!channel>` and `<address>` in code as well, and Teams may read HTML. Teams' cards know no code: there the
/// blank keeps `[words](address)` from becoming a link.
///
/// Slack's rules: <https://docs.slack.dev/messaging/formatting-message-text>
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    let mut before = '\0';
    quoted.push('`');
    for c in text.chars() {
        match c {
            '&' => quoted.push_str("&amp;"),
            '<' => quoted.push_str("&lt;"),
            '>' => quoted.push_str("&gt;"),
            '`' => quoted.push('\''),
            '(' if before == ']' => quoted.push_str(" ("),
            c => quoted.push(c),
        }
        before = c;
    }
    quoted.push('`');
    quoted
}
