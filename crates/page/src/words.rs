//! The connector's terms in the words of people who work with pictures.

use common::outcome::FailureClass;

/// What a failure class means, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassWords {
    pub title: &'static str,
    pub remedy: &'static str,
}

/// The words for a failure class.
pub fn of_class(class: FailureClass) -> ClassWords {
    let (title, remedy) = match class {
        FailureClass::Permission => (
            "Not allowed in Bynder",
            "Ask the administrator of Bynder to give the connector's user the right to this asset. Then retry.",
        ),
        FailureClass::NoOriginal => (
            "No file in Bynder",
            "Upload the file again in Bynder. The new version is protected automatically.",
        ),
        FailureClass::Unsupported => (
            "Cannot be watermarked",
            "Leave such files out with a filter in the configuration, and drop this job.",
        ),
        FailureClass::Refused => ("Refused", "The reason says what was refused. Correct it, then retry."),
        FailureClass::BadResult => {
            ("Result failed a check", "Nothing was changed in Bynder. Report it to Imatag, then retry.")
        }
        FailureClass::Marker => (
            "Marker field in use",
            "Empty the connector's field of this asset in Bynder, or make the field editable. Then retry.",
        ),
        FailureClass::Ambiguous => (
            "Unknown at Imatag",
            "Look for the asset's id at Imatag, so that nothing is paid for twice. Then retry.",
        ),
        FailureClass::Exhausted => ("Failed too often", "Check that Bynder and Imatag work. Then retry."),
        FailureClass::TimedOut => ("Took too long", "Check that Bynder and Imatag work. Then retry."),
        FailureClass::Local => (
            "Fault of the connector's machine",
            "Free some space on its disk, or let it do fewer jobs at once. Then retry.",
        ),
        FailureClass::Malformed => {
            ("Unreadable job", "Find out what else writes to the message broker. Then drop this job.")
        }
    };
    ClassWords { title, remedy }
}

/// The words for how a job or a restoration ended, as the history of an asset names it.
pub(crate) fn of_outcome(name: &str) -> &str {
    match name {
        "watermarked" => "Protected",
        "already_protected" => "Was already protected",
        "superseded" => "Replaced by a person meanwhile",
        "awaiting_approval" => "Waits for approval in Bynder",
        "gone" => "Deleted in Bynder",
        "failed" => "Failed",
        "under_way" => "Under way",
        "missing" => "Given up without an outcome",
        "begun" | "saved" => "Original is being put back",
        "restored" => "Original put back",
        "crossed" => "Original put back, and a newer version came meanwhile",
        "withdrawn" => "Original not put back",
        other => other,
    }
}

/// The words for what a person did to a failed job.
pub(crate) fn of_act(kind: &str) -> &str {
    match kind {
        "retry" => "Retried",
        "drop" => "Dropped",
        other => other,
    }
}

/// The words for what a run covered.
pub(crate) fn of_mode(mode: &str) -> &str {
    match mode {
        "full" => "Whole library",
        "delta" => "Changes",
        "full_part" => "Part of the library",
        "delta_part" => "Part of the changes",
        other => other,
    }
}

/// The words for how far a run's walk got.
pub(crate) fn of_walk(state: &str) -> &str {
    match state {
        "enumerating" => "Is listing assets",
        "enumerated" => "Complete",
        "stopped" => "Stopped early",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_class_has_words_of_its_own() {
        let words = FailureClass::ALL.map(of_class);
        let titles: BTreeSet<_> = words.iter().map(|words| words.title).collect();
        assert_eq!(titles.len(), FailureClass::ALL.len());
    }

    #[test]
    fn every_outcome_has_words() {
        for name in common::outcome::Outcome::NAMES {
            assert_ne!(of_outcome(name), *name);
        }
    }
}
