//! A portal in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};
use url::Url;

/// A portal whose listing and single assets are set apart from each other, since a real listing lags.
#[derive(Clone, Default)]
pub(super) struct FakePortal(Arc<Mutex<Content>>);

pub(super) struct Content {
    /// The rows of the listing.
    pub(super) rows: Vec<Value>,
    /// What a single GET shows, or the status with which it is refused; an asset without an entry is gone.
    pub(super) assets: BTreeMap<String, Result<Value, u16>>,
    /// The `Date` of the answers.
    pub(super) date: String,
    /// What the portal counts, if that differs from its rows.
    pub(super) total: Option<u64>,
    /// The most rows of a page, unless assets are asked for by their ids.
    pub(super) page: usize,
    /// The targets of the requests.
    pub(super) requests: Vec<String>,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            assets: BTreeMap::new(),
            date: date(at(1_000)),
            total: None,
            page: 1_000,
            requests: Vec::new(),
        }
    }
}

/// This many seconds after a day of 2027.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn date(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

/// A row of a picture of 9 bytes, created and modified at this second, whose first version is active.
pub(super) fn row(id: &str, second: i64) -> Value {
    let time = at(second).to_string();
    json!({
        "id": id, "name": "lake", "type": "image", "extension": ["jpg"], "fileSize": 9, "activeVersion": 1,
        "dateCreated": time, "dateModified": time
    })
}

/// What a single GET shows of this row's asset, with this many versions, of which the last is active.
pub(super) fn detail(row: &Value, versions: u32) -> Value {
    let original =
        |version| json!({"type": "original", "version": version, "active": version == versions, "size": 9});
    let mut detail = row.clone();
    detail["mediaItems"] = (1..=versions).map(original).collect();
    detail
}

/// The row with this text in the hash metaproperty.
pub(super) fn marked(mut row: Value, marker: &str) -> Value {
    row["property_h"] = json!(marker);
    row
}

impl FakePortal {
    pub(super) fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    /// Lists these rows, and shows the same of each asset.
    pub(super) fn has(&self, rows: impl IntoIterator<Item = Value>) {
        for row in rows {
            self.shows(&row, 1);
            self.lock().rows.push(row);
        }
    }

    /// Shows the asset of this row, with this many versions, in answer to a single GET.
    pub(super) fn shows(&self, row: &Value, versions: u32) {
        let id = row["id"].as_str().unwrap().to_owned();
        self.lock().assets.insert(id, Ok(detail(row, versions)));
    }

    /// The requests so far whose targets contain this text.
    pub(super) fn asked(&self, part: &str) -> Vec<String> {
        self.lock().requests.iter().filter(|target| target.contains(part)).cloned().collect()
    }

    /// Answers from now on; returns the address.
    pub(super) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(self.clone());
        tasks::brief(async move { axum::serve(listener, router).await });
        address
    }
}

async fn answer(State(portal): State<FakePortal>, request: Request) -> Response<Body> {
    let target = Url::parse("http://portal").unwrap().join(&request.uri().to_string()).unwrap();
    let mut content = portal.lock();
    content.requests.push(request.uri().to_string());
    let id = target.path().trim_start_matches("/api/v4/media/").trim_end_matches('/');
    let (status, body) = match (id, content.assets.get(id)) {
        ("", _) => (200, content.list(&target)),
        (_, Some(Ok(asset))) => (200, asset.clone()),
        (_, Some(Err(status))) => (*status, json!({"message": "no"})),
        (_, None) => (404, json!({"message": "gone"})),
    };
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.header("date", &content.date).body(Body::from(body.to_string())).unwrap()
}

impl Content {
    fn list(&self, target: &Url) -> Value {
        let asked: BTreeMap<String, String> = target.query_pairs().into_owned().collect();
        let get = |name: &str| asked.get(name).map(String::as_str);
        let number = |name| get(name).map_or(1, |text| text.parse::<usize>().unwrap());
        let (field, order) = get("orderBy").unwrap_or("dateCreated asc").split_once(' ').unwrap();
        let upper = format!("{field}To");
        let is_asked_for = |row: &&Value| {
            let (id, date) = (row["id"].as_str().unwrap(), row[field].as_str());
            get("ids").is_none_or(|ids| ids.split(',').any(|asked| asked == id))
                && date.map_or(get(field).is_none(), |date| get(field).is_none_or(|from| date >= from))
                && date.is_none_or(|date| get(&upper).is_none_or(|to| date <= to))
        };
        let mut rows: Vec<_> = self.rows.iter().filter(is_asked_for).cloned().collect();
        rows.sort_by_key(|row| row[field].as_str().map(str::to_owned));
        if order == "desc" {
            rows.reverse();
        }
        let total = self.total.unwrap_or(rows.len() as u64);
        let page = if get("ids").is_some() { rows.len() } else { self.page };
        let page = page.min(number("limit"));
        let mut rows: Vec<_> = rows.into_iter().skip((number("page") - 1) * page).take(page).collect();
        if get("includeVersionNumber").is_none() {
            for row in &mut rows {
                row["activeVersion"] = Value::Null;
            }
        }
        if get("total").is_some() { json!({"media": rows, "total": {"count": total}}) } else { json!(rows) }
    }
}
