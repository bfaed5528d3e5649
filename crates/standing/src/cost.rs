//! What an asset costs.

use config::OutputMode;

/// Portal calls for a small asset: download location, init, register, finalise, marker, check, save, and its share
/// of the calls that serve many jobs.
const CALLS_AN_ASSET: f64 = 7.5;
/// The same if the file goes into a copy: also checks whether the asset can be copied, and checks the copy.
const CALLS_A_COPY: f64 = 9.5;
/// The same for an additional file, which needs no finalise.
const CALLS_AN_ADDITIONAL_FILE: f64 = 6.5;

/// Portal calls for a small asset.
pub fn calls_an_asset(mode: OutputMode) -> f64 {
    match mode {
        OutputMode::Version => CALLS_AN_ASSET,
        OutputMode::Copy => CALLS_A_COPY,
        OutputMode::Additional => CALLS_AN_ADDITIONAL_FILE,
    }
}
