//! Lists the library by pages.

use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp};

use super::clock::portal_time;
use super::listing::{Listing, readable_rows};
use super::{Bynder, BynderError};
use common::asset::{Asset, AssetId, AssetType, Orientation};
use http_client::Operation;

const OPERATION: &str = "listing assets";

/// The most rows of a page.
const MOST_ROWS: u32 = 1000;

/// The date column by which a listing is sorted and limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DateField {
    /// `dateCreated`
    #[default]
    Created,
    /// `dateModified`
    Modified,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListQuery {
    /// Rows in a page, at most 1000.
    pub limit: u32,
    /// The page number, from 1; 0 omits it.
    pub page: u32,
    pub order: Option<(DateField, Order)>,
    /// Lower and upper limit of a date column.
    pub dates: Option<(DateField, Option<Timestamp>, Option<Timestamp>)>,
    /// Assets of any of these types.
    pub types: Vec<AssetType>,
    /// Assets with all of these tags.
    pub tags: Vec<String>,
    pub collection_ids: Vec<String>,
    /// Assets with all of these metaproperty options.
    pub property_option_ids: Vec<String>,
    pub brand_id: Option<String>,
    /// A search text.
    pub keyword: Option<String>,
    pub orientation: Option<Orientation>,
    pub public: Option<bool>,
    pub archived: Option<bool>,
    pub limited: Option<bool>,
    /// Only these assets.
    pub ids: Vec<AssetId>,
    /// Whether rows show the active version's number.
    pub include_versions: bool,
    /// Whether to count all matches as well.
    pub total: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub assets: Vec<Asset>,
    /// The unreadable rows, by their ids if those are readable.
    pub unreadable: Vec<Option<String>>,
    /// The number of all matches, if requested.
    pub total: Option<u64>,
    /// The portal's clock.
    pub portal_time: Option<Timestamp>,
}

impl Page {
    /// The number of rows that the portal sent.
    pub fn rows(&self) -> usize {
        self.assets.len() + self.unreadable.len()
    }
}

impl Bynder {
    /// Fetches one page. The listing is a search index: it lags, and does not prove that an asset is gone.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, BynderError> {
        self.list_as_of_now(|| query.clone()).await
    }

    /// The newest assets in the listing, at most a page.
    pub async fn newest(&self, limit: u32) -> Result<Vec<Asset>, BynderError> {
        let order = Some((DateField::Created, Order::Descending));
        let query = ListQuery { limit, order, include_versions: true, ..ListQuery::default() };
        self.list(&query).await.map(|page| page.assets)
    }

    /// The first such asset in the listing that was created at this time or later. Reads page by page and stores
    /// none.
    pub async fn find_created_since(
        &self,
        since: Timestamp,
        is_wanted: impl Fn(&Asset) -> bool + Send,
    ) -> Result<Option<Asset>, BynderError> {
        // A second earlier, since it is unknown whether the limit is inclusive.
        let from = since.checked_sub(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MIN);
        let mut first = None;
        for page in 1.. {
            let query = ListQuery {
                limit: MOST_ROWS,
                page,
                order: Some((DateField::Created, Order::Ascending)),
                dates: Some((DateField::Created, Some(from), None)),
                ..ListQuery::default()
            };
            let found = self.list(&query).await?;
            let is_last = found.rows() == 0;
            let begins = found.assets.first().map(|asset| asset.id.clone());
            // A portal that ignores the page number would be queried endlessly.
            if begins.is_some() && begins == first {
                let reason = format!("page {page} begins as the page before");
                return Err(BynderError::Unexpected { operation: OPERATION.to_owned(), reason });
            }
            first = begins;
            if let Some(asset) = found.assets.into_iter().find(|asset| is_wanted(asset)) {
                return Ok(Some(asset));
            }
            if is_last {
                break;
            }
        }
        Ok(None)
    }

    /// Fetches one page of a query that is built when the budget lets the call go, not when its wait begins.
    pub(super) async fn list_as_of_now(&self, query: impl Fn() -> ListQuery) -> Result<Page, BynderError> {
        let url = self.url(OPERATION, &["api", "v4", "media", ""])?;
        let build = |client: &reqwest::Client| client.get(url.clone()).query(&query().parameters());
        let response = self.send(Operation::List, OPERATION, build).await?;
        let portal_time = portal_time(response.headers());
        let Listing { rows, total } = self.read(Operation::List, OPERATION, response).await?;
        let (assets, unreadable) = readable_rows(&rows);
        Ok(Page { assets, unreadable, total, portal_time })
    }
}

impl ListQuery {
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        let mut add = |name, value: String| {
            if !value.is_empty() {
                parameters.push((name, value));
            }
        };
        add("limit", self.limit.to_string());
        if self.page > 0 {
            add("page", self.page.to_string());
        }
        if let Some((field, order)) = self.order {
            let direction = match order {
                Order::Ascending => "asc",
                Order::Descending => "desc",
            };
            add("orderBy", format!("{} {direction}", field.parameter()));
        }
        if let Some((field, from, to)) = self.dates {
            add(field.parameter(), from.map(filter_date).unwrap_or_default());
            add(field.upper_parameter(), to.map(filter_date).unwrap_or_default());
        }
        add("type", self.types.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","));
        add("tags", self.tags.join(","));
        add("brandId", self.brand_id.clone().unwrap_or_default());
        add("keyword", self.keyword.clone().unwrap_or_default());
        add("orientation", self.orientation.map_or("", Orientation::name).to_owned());
        let flag =
            |wanted: Option<bool>| wanted.map_or("", |wanted| if wanted { "1" } else { "0" }).to_owned();
        add("isPublic", flag(self.public));
        add("archive", flag(self.archived));
        add("limited", flag(self.limited));
        add("collectionId", self.collection_ids.join(","));
        add("propertyOptionId", self.property_option_ids.join(","));
        add("ids", self.ids.iter().map(AssetId::as_str).collect::<Vec<_>>().join(","));
        if self.include_versions {
            add("includeVersionNumber", "1".to_owned());
        }
        if self.total {
            add("total", "1".to_owned());
        }
        parameters
    }
}

impl DateField {
    fn parameter(self) -> &'static str {
        match self {
            Self::Created => "dateCreated",
            Self::Modified => "dateModified",
        }
    }

    fn upper_parameter(self) -> &'static str {
        match self {
            Self::Created => "dateCreatedTo",
            Self::Modified => "dateModifiedTo",
        }
    }

    /// The row's value in this column.
    pub fn of(self, asset: &Asset) -> Timestamp {
        match self {
            Self::Created => asset.created,
            Self::Modified => asset.modified,
        }
    }
}

/// Whole seconds and `Z`: the portal ignores a filter in any other form and returns the whole library.
pub(super) fn filter_date(at: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", at).unwrap_or_default()
}
