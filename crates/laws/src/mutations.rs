//! Messages with one wrong field, as an attacker, a bug or another release may write them.

use serde_json::{Value, json};

/// The values that replace a field; `None` removes it.
fn replacements() -> Vec<Option<Value>> {
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let extreme = [json!(-1), json!(0), json!(u32::MAX), json!(u64::MAX), json!(i64::MIN), json!(1e308)];
    let texts =
        [String::new(), "x".repeat(300), "😀".repeat(64), "a\u{0}\u{1b}[2J\n".to_owned(), "..".to_owned()];
    let others = [json!(null), json!(true), json!([]), json!({}), nested];
    let values = extreme.into_iter().chain(texts.map(Value::from)).chain(others);
    std::iter::once(None).chain(values.map(Some)).collect()
}

/// All variants of the message in which one field, at any depth, is removed or replaced.
#[must_use]
pub fn mutations(message: &[u8]) -> Vec<Vec<u8>> {
    let Ok(value) = serde_json::from_slice::<Value>(message) else { return Vec::new() };
    let mut mutated = Vec::new();
    for path in paths(&value, "") {
        for replacement in replacements() {
            let mut value = value.clone();
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            match (value.pointer_mut(parent), replacement) {
                (Some(Value::Object(fields)), Some(replacement)) => {
                    drop(fields.insert(name.to_owned(), replacement));
                }
                (Some(Value::Object(fields)), None) => drop(fields.remove(name)),
                (Some(Value::Array(items)), Some(replacement)) => items[0] = replacement,
                _ => continue,
            }
            mutated.push(value.to_string().into_bytes());
        }
    }
    mutated
}

/// The JSON pointers of every field, and of the first item of every list.
fn paths(value: &Value, to: &str) -> Vec<String> {
    let inner: Vec<_> = match value {
        Value::Object(fields) => fields.iter().map(|(name, inner)| (format!("{to}/{name}"), inner)).collect(),
        Value::Array(items) => items.first().map(|inner| (format!("{to}/0"), inner)).into_iter().collect(),
        _ => Vec::new(),
    };
    let further = inner.into_iter().flat_map(|(path, inner)| {
        let below = paths(inner, &path);
        std::iter::once(path).chain(below)
    });
    further.collect()
}
