//! Whether a result may replace its original.

use common::check::{Check, Obstacle};
use common::hash::FileFacts;

use crate::checks::Checks;
use crate::compare::{Finding, compare, concerns};

/// Why a result may not replace its original.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResult {
    #[error("the result is an empty file")]
    Empty,
    /// The same bytes as the original; holds their SHA-256.
    #[error("the result is the original unchanged (SHA-256 {0})")]
    Unchanged(String),
    /// Properties that must be the same differ.
    #[error("{}", listed(.0))]
    Differs(Vec<Difference>),
}

/// A failed check, with both values for a person to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("check {}: the original has {original}, the result {result}", check.name())]
pub struct Difference {
    pub check: Check,
    pub original: String,
    pub result: String,
}

/// A check that could not be made, through no fault of the result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("check {}: {reason}", check.name())]
pub struct Unchecked {
    pub check: Check,
    pub obstacle: Obstacle,
    /// The reason, for a person.
    pub reason: String,
}

/// Compares the result with the original by the enabled checks; returns those that could not be made.
///
/// # Errors
/// The result may not replace the original.
pub fn check_result(
    original: &FileFacts,
    result: &FileFacts,
    checks: &Checks,
) -> Result<Vec<Unchecked>, BadResult> {
    if result.bytes == 0 {
        return Err(BadResult::Empty);
    }
    if result.sha256 == original.sha256 {
        return Err(BadResult::Unchanged(result.sha256.to_string()));
    }
    let (mut differences, mut unchecked) = (Vec::new(), Vec::new());
    let kind = original.media_type.as_deref().unwrap_or_default();
    for check in Check::ALL.into_iter().filter(|check| checks.includes(*check) && concerns(*check, kind)) {
        match compare(check, original, result, checks.similarity) {
            Finding::Same => {}
            Finding::Impossible(obstacle, reason) => {
                unchecked.push(Unchecked { check, obstacle, reason });
            }
            Finding::Differs { original, result } => {
                differences.push(Difference { check, original, result });
                // A file of another type differs in everything; more differences would add nothing.
                if check == Check::MediaType {
                    break;
                }
            }
        }
    }
    if differences.is_empty() { Ok(unchecked) } else { Err(BadResult::Differs(differences)) }
}

/// Groups the checks that fail for the same reason: a result that cannot be read fails many for one.
fn listed(differences: &[Difference]) -> String {
    let reason = |difference: &Difference| (difference.original.clone(), difference.result.clone());
    let alike = differences.chunk_by(|one, other| reason(one) == reason(other));
    let sentences = alike.map(|alike| {
        let [Difference { original, result, .. }, _, ..] = alike else { return alike[0].to_string() };
        let names: Vec<_> = alike.iter().map(|difference| difference.check.name()).collect();
        format!("checks {}: the original has {original}, the result {result}", names.join(", "))
    });
    sentences.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use common::hash::ContentHash;

    use super::*;

    fn facts(hash: u8, bytes: u64, media_type: Option<&str>, pixels: Option<(u32, u32)>) -> FileFacts {
        let sha256 = ContentHash::from_bytes([hash; 32]);
        FileFacts { sha256, bytes, media_type: media_type.map(str::to_owned), pixels, content: None }
    }

    #[test]
    fn each_difference_that_matters_is_named() {
        let original = facts(1, 10, Some("image/png"), Some((3, 2)));
        let table = [
            (facts(2, 11, Some("image/png"), Some((3, 2))), None),
            (facts(2, 0, None, None), Some("the result is an empty file")),
            (facts(1, 10, Some("image/png"), Some((3, 2))), Some("the original unchanged")),
            (
                facts(2, 9, Some("image/jpeg"), Some((3, 2))),
                Some("media_type: the original has the type image/png, the result the type image/jpeg"),
            ),
            (facts(2, 9, None, Some((3, 2))), Some("the result no known type")),
            (
                facts(2, 9, Some("image/png"), Some((2, 3))),
                Some("pixel_size: the original has 3 × 2 pixels, the result 2 × 3 pixels"),
            ),
            (facts(2, 9, Some("image/png"), None), Some("the result no readable size")),
        ];
        for (result, wanted) in table {
            let error = check_result(&original, &result, &Checks::default()).err();
            let error = error.map(|error| error.to_string());
            assert_eq!(error.is_some(), wanted.is_some(), "{result:?}");
            assert!(error.unwrap_or_default().contains(wanted.unwrap_or_default()), "{result:?}");
        }
    }

    #[test]
    fn a_reason_that_several_checks_share_is_said_once() {
        let difference = |check, result: &str| Difference {
            check,
            original: "readable content".to_owned(),
            result: result.to_owned(),
        };
        let differences = [
            difference(Check::PixelSize, "another"),
            difference(Check::Orientation, "none: it is cut off"),
            difference(Check::Dpi, "none: it is cut off"),
        ];
        assert_eq!(
            BadResult::Differs(differences.into()).to_string(),
            "check pixel_size: the original has readable content, the result another; \
             checks orientation, dpi: the original has readable content, the result none: it is cut off"
        );
    }

    #[test]
    fn a_type_or_size_that_the_original_does_not_show_is_not_checked() {
        let result = facts(2, 9, Some("image/png"), Some((3, 2)));
        let table = [
            (facts(1, 10, None, None), vec![Check::MediaType, Check::PixelSize]),
            (facts(1, 10, None, Some((3, 2))), vec![Check::MediaType]),
            (facts(1, 10, Some("image/png"), None), vec![Check::PixelSize]),
        ];
        let checks = Checks { enabled: [Check::MediaType, Check::PixelSize].into(), ..Checks::default() };
        for (original, wanted) in table {
            let unchecked = check_result(&original, &result, &checks).unwrap();
            let found: Vec<_> = unchecked.iter().map(|unchecked| unchecked.check).collect();
            assert_eq!(found, wanted, "{original:?}");
        }
        let film = facts(1, 10, Some("video/mp4"), None);
        assert_eq!(check_result(&film, &facts(2, 9, Some("video/mp4"), None), &checks), Ok(Vec::new()));
    }

    #[test]
    fn a_check_that_is_switched_off_finds_nothing() {
        let original = facts(1, 10, Some("image/png"), Some((3, 2)));
        let result = facts(2, 9, Some("image/png"), Some((2, 3)));
        let mut checks = Checks::default();
        checks.enabled.remove(&Check::PixelSize);
        assert!(check_result(&original, &result, &Checks::default()).is_err());
        assert!(check_result(&original, &result, &checks).is_ok());
    }

    #[test]
    fn an_original_that_an_older_release_inspected_is_said_not_to_be_checked() {
        let original = facts(1, 10, Some("image/png"), Some((3, 2)));
        let unchecked =
            check_result(&original, &facts(2, 9, Some("image/png"), Some((3, 2))), &Checks::default());
        let unchecked = unchecked.unwrap();
        let found: Vec<_> = unchecked.iter().map(|unchecked| unchecked.check).collect();
        let of_pictures: Vec<_> = Check::ALL
            .into_iter()
            .filter(|check| concerns(*check, "image/") && !concerns(*check, ""))
            .collect();
        assert_eq!(found, of_pictures);
        assert!(
            unchecked[0].to_string().contains("orientation: the original was inspected by another release")
        );
    }
}
