//! The words of messages and documents: plain technical English, without the idioms that readers stumbled over.

use std::path::{Path, PathBuf};

/// What is not written where a user reads it, in lower case.
const IDIOMS: [&str; 20] = [
    "anew",
    "are none",
    "are told",
    "beside",
    "go on",
    "goes on",
    "in hand",
    "is none",
    "is talk",
    "is told",
    "it were",
    "longer than nothing",
    "makes no sense",
    "nobody",
    "so many",
    "somebody",
    "stands beside",
    "stands in",
    "tells",
    "whoever",
];

/// The idioms in a text that begins at a line, each with its own line. Where the text breaks its lines does not matter.
fn idioms(text: &str, first_line: usize) -> Vec<(usize, &'static str)> {
    let (mut flat, mut line_of) = (String::from(" "), vec![first_line]);
    let mut line = first_line;
    for letter in text.chars() {
        line += usize::from(letter == '\n');
        // A comment of YAML begins each of its lines with a sign.
        let letter = if letter.is_whitespace() || letter == '#' { ' ' } else { letter };
        if letter != ' ' || !flat.ends_with(' ') {
            flat.push(letter.to_ascii_lowercase());
            line_of.resize(flat.len(), line);
        }
    }
    let is_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_whole = |at: usize, idiom: &str| {
        !flat[..at].ends_with(is_of_word) && !flat[at + idiom.len()..].starts_with(is_of_word)
    };
    let found = IDIOMS.iter().flat_map(|idiom| {
        let places = flat.match_indices(idiom).filter(|(at, _)| is_whole(*at, idiom));
        places.map(|(at, _)| (line_of[at], *idiom)).collect::<Vec<_>>()
    });
    found.collect()
}

/// The string literals of a source, each with its first line; an escape sequence is a space.
fn literals(source: &str) -> Vec<(usize, String)> {
    let (mut found, mut rest, mut line) = (Vec::new(), source, 1);
    while let Some(letter) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(hashes) = raw_string(rest) {
            let (start, end) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
            let length = rest[start..].find(&end).unwrap();
            found.push((line, rest[start..start + length].to_owned()));
            start + length + end.len()
        } else if letter == '"' {
            let length = quoted(&rest[1..]);
            found.push((line, unescaped(&rest[1..=length])));
            length + 2
        } else if rest.starts_with("'\\") {
            3 + rest[3..].find('\'').unwrap() + 1
        } else if letter == '\'' && rest.chars().nth(2) == Some('\'') {
            rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at)
        } else {
            // A whole name, so that its last letter does not look like the mark of a raw string.
            let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
            match rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len()) {
                0 => letter.len_utf8(),
                length => length,
            }
        };
        line += rest[..taken].matches('\n').count();
        rest = &rest[taken..];
    }
    found
}

/// The number of signs around a raw string that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('r')?;
    let hashes = inner.find(|letter| letter != '#')?;
    inner[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a quoted text, whose first quote is taken.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    rest.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })
    .unwrap()
}

/// The text with a space in the place of each escape sequence; a line that is continued keeps its break.
fn unescaped(text: &str) -> String {
    let mut letters = text.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next() == Some('\n') => plain.push('\n'),
            '\\' => plain.push(' '),
            _ => plain.push(letter),
        }
    }
    plain
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file below a folder whose name ends in one of these.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files(&path, extensions) } else { vec![path] });
    let is_wanted = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
    };
    below.filter(is_wanted).collect()
}

fn is_of_tests(path: &Path) -> bool {
    path.iter().any(|part| {
        let part = part.to_string_lossy();
        part == "tests" || part.trim_end_matches(".rs").ends_with("tests")
    })
}

/// The commands' help texts are in docs/commands.md, those of keys in docs/connector.schema.json.
#[test]
fn documents_are_in_plain_words() {
    let mut pages: Vec<_> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name)).into();
    for folder in ["docs", "deploy"] {
        pages.extend(files(&root().join(folder), &["md", "json", "yml", "yaml"]));
    }
    let mut refused = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        refused.extend(
            idioms(&text, 1).into_iter().map(|(line, idiom)| format!("{}:{line}: {idiom}", page.display())),
        );
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn messages_are_in_plain_words() {
    let (mut refused, mut read) = (Vec::new(), 0);
    for folder in ["connector", "producer", "worker", "sandbox", "crates", "common"] {
        for path in files(&root().join(folder), &["rs"]).into_iter().filter(|path| !is_of_tests(path)) {
            let source = std::fs::read_to_string(&path).unwrap();
            read += 1;
            let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for (line, text) in literals(source) {
                let found = idioms(&text, line).into_iter();
                refused.extend(found.map(|(line, idiom)| format!("{}:{line}: {idiom}", path.display())));
            }
        }
    }
    assert!(read > 300, "{read}");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn an_idiom_is_found_wherever_a_line_breaks_and_only_in_whole_words() {
    assert_eq!(idioms("It tells\nwhat goes\n  # on", 4), [(5, "goes on"), (4, "tells")]);
    assert_eq!(idioms("besides, a place-teller retells it, and is nonetheless here", 1), []);
    let source = "// \"tells\"\nlet r = 'r'; let a = f(\"an \\\"nobody\\\" is \\\n  told\", r#\"it \"tells\" it\"#, '\"', b'\\'');";
    let found: Vec<_> = literals(source).iter().flat_map(|(line, text)| idioms(text, *line)).collect();
    assert_eq!(found, [(2, "is told"), (2, "nobody"), (3, "tells")]);
}
