//! The dashboards as they are provisioned, read with as little as a test needs to know of them.

use std::path::Path;

use serde_json::Value;

/// A dashboard's file.
pub(crate) struct Dashboard {
    pub(crate) name: String,
    pub(crate) json: Value,
}

/// One thing that is drawn.
pub(crate) struct Panel<'a> {
    pub(crate) title: &'a str,
    pub(crate) json: &'a Value,
}

impl Dashboard {
    /// Every dashboard there is.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/dashboards");
        let paths = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        let mut dashboards: Vec<_> = paths
            .map(|path| Self {
                name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                json: serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap(),
            })
            .collect();
        dashboards.sort_by(|one, other| one.name.cmp(&other.name));
        dashboards
    }

    /// What is marked in every panel: a name, and what it asks Prometheus.
    pub(crate) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        let annotations = self.json["annotations"]["list"].as_array().unwrap().iter();
        annotations.map(|one| (one["name"].as_str().unwrap(), one["expr"].as_str().unwrap()))
    }

    /// Every panel but the rows' titles.
    pub(crate) fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let panels = self.json["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
        panels.map(|json| Panel { title: json["title"].as_str().unwrap_or_default(), json })
    }
}

impl Panel<'_> {
    /// Whether it is empty while all is well.
    pub(crate) fn may_be_empty(&self) -> bool {
        ["Alerts", "Results not checked in full"].contains(&self.title)
    }

    /// What the panel asks Prometheus.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &str> {
        self.json["targets"].as_array().into_iter().flatten().map(|target| target["expr"].as_str().unwrap())
    }
}

/// The expression as Grafana would send it, for the instances of one deployment and a window that a test can fill.
pub(crate) fn filled_in(expression: &str, deployment: &str, instances: &str) -> String {
    let windows = expression.replace("$__rate_interval", "10m").replace("$__range", "1h");
    windows.replace("$deployment", deployment).replace("$instance", instances)
}

/// The names of metrics in an expression, and what stands around each of them.
pub(crate) fn metrics(expression: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts =
        expression.char_indices().filter(move |(at, c)| is_word(*c) && !expression[..*at].ends_with(is_word));
    starts.filter_map(move |(at, _)| {
        let word = expression[at..].split(|c| !is_word(c)).next().unwrap_or_default();
        let ours = ["connector_", "process_", "rabbitmq_"].iter().any(|prefix| word.starts_with(prefix));
        let before = &expression[..at];
        // A word in quotes is the value of a label.
        let in_quotes = before.matches('"').count() % 2 == 1;
        ((ours || word == "up") && !in_quotes).then(|| (before, word, &expression[at + word.len()..]))
    })
}
