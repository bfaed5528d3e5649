//! Compares an answer with `docs/openapi.json`: the keywords of JSON Schema that the document uses.

use serde_json::Value;

pub(crate) struct OpenApi {
    document: Value,
}

impl OpenApi {
    pub(crate) fn parse(document: &str) -> Self {
        Self { document: serde_json::from_str(document).unwrap() }
    }

    /// The methods and paths of the document.
    pub(crate) fn operations(&self) -> Vec<(&str, &str)> {
        let paths = self.document["paths"].as_object().unwrap();
        let of =
            |(path, methods)| Value::as_object(methods).unwrap().keys().map(move |method| (&**method, path));
        paths.iter().map(|(path, methods)| (path.as_str(), methods)).flat_map(of).collect()
    }

    /// Fails unless an answer to this request has the schema that the document names for the status.
    pub(crate) fn assert_answer(&self, method: &str, path: &str, status: u16, answer: &Value) {
        let response = &self.document["paths"][path][method]["responses"][status.to_string()];
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} documents no answer {status}");
        if let Err(wrong) = self.check(schema, answer) {
            panic!("{method} {path} {status}: {wrong}: {answer:#}");
        }
    }

    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = match schema["$ref"].as_str() {
            Some(place) => self.document.pointer(place.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        if let Some(parts) = schema["anyOf"].as_array() {
            let wrong: Vec<_> = parts.iter().filter_map(|part| self.check(part, value).err()).collect();
            return if wrong.len() < parts.len() { Ok(()) } else { Err(wrong.join("; ")) };
        }
        let types: Vec<_> = match &schema["type"] {
            Value::Array(types) => types.iter().map(|name| name.as_str().unwrap()).collect(),
            name => vec![name.as_str().unwrap()],
        };
        if !types.iter().any(|name| is_of(name, value)) {
            return Err(format!("{value} is not {types:?}"));
        }
        if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            return Err(format!("{value} is none of {}", schema["enum"]));
        }
        for item in value.as_array().into_iter().flatten().filter(|_| schema["items"].is_object()) {
            self.check(&schema["items"], item)?;
        }
        let Some(fields) = value.as_object() else { return Ok(()) };
        let required = schema["required"].as_array().into_iter().flatten();
        if let Some(name) = required.filter_map(Value::as_str).find(|name| !fields.contains_key(*name)) {
            return Err(format!("{name} is missing"));
        }
        for (name, value) in fields {
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => return Err(format!("{name} is not documented")),
                (Value::Null, more) if more.is_object() => self.check(more, value)?,
                (Value::Null, _) => {}
                (part, _) => self.check(part, value).map_err(|wrong| format!("{name}: {wrong}"))?,
            }
        }
        Ok(())
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}
