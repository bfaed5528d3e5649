//! What a process shows at `/metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No process takes longer to begin to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// One answer to one scrape.
#[derive(Debug, Clone)]
pub(crate) struct Scrape {
    pub(crate) text: String,
}

impl Scrape {
    /// Asks until somebody answers.
    pub(crate) async fn of(port: u16) -> Self {
        let asking = async {
            loop {
                match get(port, "/metrics").await {
                    Ok(answer) if answer.starts_with("HTTP/1.1 200") => break answer,
                    // A process does not announce that it listens.
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asking).await.expect("nobody answers");
        let (_, text) = answer.split_once("\r\n\r\n").unwrap();
        Self { text: text.to_owned() }
    }

    /// Each metric by name, with its type and the names of its labels.
    pub(crate) fn metrics(&self) -> BTreeMap<String, (String, BTreeSet<String>)> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let mut metrics: BTreeMap<_, _> =
            types.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new()))).collect();
        for (name, labels) in self.samples() {
            let suffixes = ["_bucket", "_sum", "_count"];
            let family = suffixes.iter().find_map(|suffix| {
                name.strip_suffix(suffix)
                    .filter(|family| metrics.get(*family).is_some_and(|it| it.0 == "histogram"))
            });
            let (_, known) = metrics.get_mut(family.unwrap_or(name)).unwrap();
            known.extend(labels.keys().filter(|label| *label != "le").cloned());
        }
        metrics
    }

    /// The values that each label takes.
    pub(crate) fn values(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut values: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (_, labels) in self.samples() {
            for (label, value) in labels.into_iter().filter(|(label, _)| label != "le") {
                values.entry(label).or_default().insert(value);
            }
        }
        values
    }

    /// The sum of a metric's series, of which there has to be one.
    pub(crate) fn total(&self, metric: &str) -> i64 {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix(metric));
        let values = lines.filter(|rest| rest.starts_with(['{', ' ']));
        let values: Vec<i64> = values.map(|rest| rest.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        assert!(!values.is_empty(), "there is no {metric}: {}", self.text);
        values.iter().sum()
    }

    fn samples(&self) -> impl Iterator<Item = (&str, BTreeMap<String, String>)> {
        self.text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            // No value of ours holds a comma or a quote.
            let pairs = labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
            let pairs = pairs.map(|pair| {
                let (label, value) = pair.split_once('=').unwrap();
                (label.to_owned(), value.trim_matches('"').to_owned())
            });
            (name, pairs.collect())
        })
    }
}

/// One request over a connection of its own; the whole answer.
pub(crate) async fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
