//! Suggestions for misspelt names.

/// Least Jaro-Winkler similarity of a useful suggestion.
const ALIKE: f64 = 0.7;

/// Maximum length of a candidate, in bytes; bounds the work on hostile names.
const LONGEST: usize = 200;

/// The most similar candidate, if one is similar enough.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let short = candidates.filter(|candidate| candidate.len() <= LONGEST);
    let scored = short.map(|candidate| (strsim::jaro_winkler(&candidate.to_lowercase(), &lower), candidate));
    let alike = scored.filter(|(score, _)| *score > ALIKE);
    alike.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, candidate)| candidate)
}
