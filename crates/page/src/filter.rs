//! Which failed jobs a request is about.

use common::ids::JobId;
use common::outcome::FailureClass;
use common::visible::shown;
use ledger::{FailedFilter, FailedFrom, FailedPlace};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use crate::problem::Problem;

/// A longer part of a name is in no name.
const LONGEST_NAME: usize = 200;
const LONGEST_ID: usize = 128;

/// The parameters that select failed jobs; empty ones count as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FailedQuery {
    pub class: Option<String>,
    /// A part of the asset's name.
    pub name: Option<String>,
    pub asset: Option<String>,
    pub job: Option<String>,
}

/// The parameters that select a page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PlaceQuery {
    pub after: Option<String>,
    pub before: Option<String>,
    pub limit: Option<String>,
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl FailedQuery {
    pub fn filter(&self) -> Result<FailedFilter, Problem> {
        let class = given(self.class.as_ref()).map(|name| {
            FailureClass::named(name)
                .ok_or_else(|| Problem::bad_query(format!("{name:?} is no kind of failure.")))
        });
        let name = given(self.name.as_ref());
        if name.is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return Err(Problem::bad_query(format!("A name has at most {LONGEST_NAME} characters.")));
        }
        // The form repeats the name as it is, so that it can be sent again: it must not change how the page reads.
        if name.is_some_and(|name| shown(name) != name) {
            let reason =
                "A part of a name cannot have control or invisible characters; look for a part without them.";
            return Err(Problem::bad_query(reason));
        }
        let asset = given(self.asset.as_ref())
            .map(|id| id.parse().map_err(|_| Problem::bad_query("This is not the id of an asset.")));
        let job = given(self.job.as_ref());
        if job.is_some_and(|job| job.len() > LONGEST_ID) {
            return Err(Problem::bad_query("This is not the id of a job."));
        }
        Ok(FailedFilter {
            job: job.map(|job| JobId(job.to_owned())),
            asset: asset.transpose()?,
            class: class.transpose()?,
            name: name.map(str::to_owned),
        })
    }

    /// A link to a page for the same jobs, with further parameters.
    pub fn link(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        let own = [("class", &self.class), ("name", &self.name), ("asset", &self.asset), ("job", &self.job)];
        for (key, value) in own {
            if let Some(value) = given(value.as_ref()) {
                query.append_pair(key, value);
            }
        }
        query.extend_pairs(more);
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
}

impl PlaceQuery {
    pub(crate) fn from(&self) -> Result<FailedFrom, Problem> {
        let place = |text: &str| {
            text.parse::<FailedPlace>()
                .map_err(|()| Problem::bad_query("There is no such place in the list."))
        };
        match (given(self.after.as_ref()), given(self.before.as_ref())) {
            (None, None) => Ok(FailedFrom::Skip(0)),
            (Some(after), None) => Ok(FailedFrom::After(place(after)?)),
            (None, Some(before)) => Ok(FailedFrom::Before(place(before)?)),
            (Some(_), Some(_)) => Err(Problem::bad_query("Give either after or before.")),
        }
    }

    /// The number of rows, up to `most`.
    pub(crate) fn limit(&self, usual: usize, most: usize) -> Result<usize, Problem> {
        let Some(text) = given(self.limit.as_ref()) else { return Ok(usual) };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| Problem::bad_query(format!("The limit is from 1 to {most}.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_of_a_form_select_everything_and_wrong_ones_are_refused() {
        let some = |text: &str| Some(text.to_owned());
        let empty = FailedQuery { class: some(""), name: some(" "), asset: some(""), job: some("") };
        assert_eq!(empty.filter().unwrap(), FailedFilter::default());
        assert_eq!(empty.link("/failed", &[]), "/failed");
        for wrong in [
            FailedQuery { class: some("odd"), ..FailedQuery::default() },
            FailedQuery { name: some(&"a".repeat(201)), ..FailedQuery::default() },
            FailedQuery { name: some("a\u{202e}b"), ..FailedQuery::default() },
            FailedQuery { asset: some("../x"), ..FailedQuery::default() },
            FailedQuery { job: some(&"a".repeat(129)), ..FailedQuery::default() },
        ] {
            assert!(wrong.filter().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_link_selects_the_same_jobs() {
        let name = "a&b=c \"<script>\"#é";
        let query = FailedQuery {
            class: Some("marker".to_owned()),
            name: Some(name.to_owned()),
            ..FailedQuery::default()
        };
        let link = query.link("/failed", &[("after", "17.5")]);
        let (_, text) = link.split_once('?').unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let wanted = [("class", "marker"), ("name", name), ("after", "17.5")];
        assert_eq!(pairs, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(!link.contains(['<', '"', ' ', '#']), "{link}");
    }

    #[test]
    fn a_page_begins_at_one_place_and_has_a_bounded_length() {
        let place = |after: &str, before: &str| PlaceQuery {
            after: Some(after.to_owned()),
            before: Some(before.to_owned()),
            limit: None,
        };
        assert_eq!(place("", "").from().unwrap(), FailedFrom::Skip(0));
        assert_eq!(place("16.2", "").from().unwrap(), FailedFrom::After("16.2".parse().unwrap()));
        assert_eq!(place("", "16.2").from().unwrap(), FailedFrom::Before("16.2".parse().unwrap()));
        assert!(place("16.2", "16.2").from().is_err() && place("first", "").from().is_err());
        let limit =
            |text: &str| PlaceQuery { limit: Some(text.to_owned()), ..PlaceQuery::default() }.limit(50, 500);
        assert_eq!((limit("").ok(), limit("500").ok()), (Some(50), Some(500)));
        assert!(["0", "501", "-1", "many"].iter().all(|text| limit(text).is_err()));
    }
}
