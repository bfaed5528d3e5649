//! What people did by the operator's page.

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Serialize;
use strum::IntoStaticStr;

use super::Ledger;
use crate::state::DatabaseError;
use common::asset::AssetId;

/// More acts are not kept, so that a program that acts again and again does not fill the disk. `acts.sql` has the same number.
const MOST: u64 = 100_000;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ActKind {
    /// Failed jobs went back to their step.
    Retry,
    /// Failed jobs were forgotten.
    Drop,
    Pause,
    Resume,
}

impl ActKind {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// An act that is about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAct {
    /// The name of the token.
    pub by: String,
    pub at: Timestamp,
    pub kind: ActKind,
    /// To which jobs, or why.
    pub what: String,
    /// If it concerns one asset.
    pub asset: Option<AssetId>,
    /// How many jobs were counted for it.
    pub matching: u64,
}

/// An act on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Act {
    pub id: u64,
    pub by: String,
    pub at: Timestamp,
    /// An [`ActKind`]'s name; a newer release may have others.
    pub kind: String,
    pub what: String,
    pub asset_id: Option<String>,
    pub matching: u64,
    /// `None` while it is under way, and if its process ended before it did.
    pub ended: Option<Timestamp>,
    /// How many jobs it changed.
    pub changed: Option<u64>,
    /// Why it ended early.
    pub trouble: Option<String>,
}

const COLUMNS: &str = "act, name, at_ms, kind, what, asset_id, matching, ended_ms, changed, trouble";

impl Act {
    fn read(row: &Row<'_>) -> Result<Self, DatabaseError> {
        let at = |milliseconds| {
            Timestamp::from_millisecond(milliseconds)
                .map_err(|error| DatabaseError::Damaged(error.to_string()))
        };
        Ok(Self {
            id: row.get(0)?,
            by: row.get(1)?,
            at: at(row.get(2)?)?,
            kind: row.get(3)?,
            what: row.get(4)?,
            asset_id: row.get(5)?,
            matching: row.get(6)?,
            ended: row.get::<_, Option<i64>>(7)?.map(at).transpose()?,
            changed: row.get(8)?,
            trouble: row.get(9)?,
        })
    }
}

impl Ledger {
    /// Records an act before it begins; returns its id.
    pub async fn begin_act(&self, act: NewAct) -> Result<u64, DatabaseError> {
        self.state
            .write(move |transaction| {
                transaction.execute(
                    "INSERT INTO acts (at_ms, name, kind, what, asset_id, matching) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        act.at.as_millisecond(),
                        act.by,
                        act.kind.name(),
                        act.what,
                        act.asset.as_ref().map(AssetId::as_str),
                        act.matching
                    ],
                )?;
                let id = transaction.last_insert_rowid().unsigned_abs();
                transaction.execute("DELETE FROM acts WHERE act <= ?1", [id.saturating_sub(MOST)])?;
                Ok(id)
            })
            .await
    }

    /// Records how an act ended.
    pub async fn end_act(
        &self,
        act: u64,
        at: Timestamp,
        changed: u64,
        trouble: Option<String>,
    ) -> Result<(), DatabaseError> {
        let sql = "UPDATE acts SET ended_ms = ?2, changed = ?3, trouble = ?4 WHERE act = ?1";
        self.state
            .write(move |transaction| {
                transaction.execute(sql, params![act, at.as_millisecond(), changed, trouble])?;
                Ok(())
            })
            .await
    }

    /// The latest acts, newest first, older than `before`.
    pub async fn acts(&self, before: Option<u64>, count: u64) -> Result<Vec<Act>, DatabaseError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM acts WHERE act < coalesce(?1, 9223372036854775807) ORDER BY act DESC LIMIT ?2"
        );
        self.acts_by(sql, (before, count)).await
    }

    /// The latest acts that concern this asset alone, newest first.
    pub async fn acts_on(&self, asset: &AssetId, count: u64) -> Result<Vec<Act>, DatabaseError> {
        let sql = format!("SELECT {COLUMNS} FROM acts WHERE asset_id = ?1 ORDER BY act DESC LIMIT ?2");
        self.acts_by(sql, (asset.to_string(), count)).await
    }

    async fn acts_by(
        &self,
        sql: String,
        of: impl rusqlite::Params + Send + 'static,
    ) -> Result<Vec<Act>, DatabaseError> {
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query(of)?;
                let mut acts = Vec::new();
                while let Some(row) = rows.next()? {
                    acts.push(Act::read(row)?);
                }
                Ok(acts)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn retry(second: i64) -> NewAct {
        let (by, what) = ("ann".to_owned(), "class permission".to_owned());
        NewAct { by, at: at(second), kind: ActKind::Retry, what, asset: None, matching: 7 }
    }

    fn ids(acts: &[Act]) -> Vec<u64> {
        acts.iter().map(|act| act.id).collect()
    }

    #[tokio::test]
    async fn an_act_is_on_record_from_its_beginning_and_completed_once() {
        let ledger = Ledger::new(State::in_memory().unwrap());
        let id = ledger.begin_act(retry(0)).await.unwrap();
        let begun = ledger.acts(None, 9).await.unwrap();
        let expected = Act {
            id,
            by: "ann".to_owned(),
            at: at(0),
            kind: "retry".to_owned(),
            what: "class permission".to_owned(),
            asset_id: None,
            matching: 7,
            ended: None,
            changed: None,
            trouble: None,
        };
        assert_eq!(begun, std::slice::from_ref(&expected));
        ledger.end_act(id, at(5), 6, Some("the broker is away".to_owned())).await.unwrap();
        let trouble = Some("the broker is away".to_owned());
        let ended = Act { ended: Some(at(5)), changed: Some(6), trouble, ..expected };
        assert_eq!(ledger.acts(None, 9).await.unwrap(), [ended]);
        assert!(ledger.end_act(id, at(6), 7, None).await.is_err(), "what is on record stays");
    }

    #[tokio::test]
    async fn acts_are_listed_from_the_newest_by_pages_and_by_asset() {
        let ledger = Ledger::new(State::in_memory().unwrap());
        let asset: AssetId = "A1".parse().unwrap();
        for second in 0..5 {
            let asset = (second % 2 == 1).then(|| asset.clone());
            ledger.begin_act(NewAct { asset, ..retry(second) }).await.unwrap();
        }
        let page = ledger.acts(None, 2).await.unwrap();
        assert_eq!(ids(&page), [5, 4]);
        assert_eq!(ids(&ledger.acts(Some(4), 2).await.unwrap()), [3, 2]);
        assert_eq!(ids(&ledger.acts_on(&asset, 9).await.unwrap()), [4, 2]);
        assert_eq!(ledger.acts_on(&"A2".parse().unwrap(), 9).await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_record_of_acts_has_a_bound_and_nothing_younger_can_be_deleted() {
        let ledger = Ledger::new(State::in_memory().unwrap());
        for _ in 0..2 {
            ledger.begin_act(retry(0)).await.unwrap();
        }
        let delete = |act: u64| {
            ledger
                .state
                .write(move |transaction| Ok(transaction.execute("DELETE FROM acts WHERE act = ?1", [act])?))
        };
        assert!(delete(1).await.is_err());
        let last = "INSERT INTO acts SELECT ?1, at_ms, name, kind, what, asset_id, matching, NULL, NULL, NULL FROM acts LIMIT 1";
        ledger.state.write(move |transaction| Ok(transaction.execute(last, [MOST])?)).await.unwrap();
        let id = ledger.begin_act(retry(1)).await.unwrap();
        assert_eq!((id, ids(&ledger.acts(None, 9).await.unwrap())), (MOST + 1, vec![MOST + 1, MOST, 2]));
    }
}
