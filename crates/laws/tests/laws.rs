//! Every law holds for its seeds and for every input that ever broke it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has to stop there")]

mod seeds;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use budget::{Beat, Budget};
use laws::LAWS;
use nix::sys::resource::{Resource, setrlimit};

/// Bytes: the limit of a reader of ordinary files (`media::reader`), plus the program.
const ADDRESS_SPACE: u64 = (192 + 128) << 20;

/// CPU seconds for all inputs together: no more than the deadline for reading one file.
const PROCESSOR: u64 = 60;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn found(target: &str) -> Vec<Vec<u8>> {
    let Ok(folder) = std::fs::read_dir(folder("tests/found").join(target)) else { return Vec::new() };
    folder.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// Limits this process itself, so that anything above the limits kills it.
#[test]
fn every_law_holds_within_the_limits_of_a_reader() {
    let seeds: Vec<_> = LAWS.iter().map(|(target, law)| (law, seeds::of(target))).collect();
    setrlimit(Resource::RLIMIT_AS, ADDRESS_SPACE, ADDRESS_SPACE).unwrap();
    setrlimit(Resource::RLIMIT_CPU, PROCESSOR, PROCESSOR).unwrap();
    for (law, seeds) in seeds {
        let taken = seeds.iter().filter(|seed| law(seed)).count();
        assert!(taken > 0 && taken + 1 >= seeds.len(), "{taken} of {} seeds are worth mutation", seeds.len());
    }
    for (target, law) in LAWS {
        for input in found(target) {
            law(&input);
        }
    }
}

#[test]
fn the_laws_of_messages_hold_with_any_field_wrong() {
    for (target, law) in [("job", laws::job as fn(&[u8]) -> bool), ("event", laws::event)] {
        let mutated: Vec<_> = seeds::of(target).iter().flat_map(|seed| laws::mutations(seed)).collect();
        assert!(mutated.len() > 500, "{}", mutated.len());
        for message in mutated {
            law(&message);
        }
    }
}

#[test]
fn a_budget_takes_any_announcement_and_stays_within_its_bounds() {
    let budget = Budget::of_group(NonZeroU32::new(4500).unwrap());
    let beat = r#"{"v":2,"member":"other","used":3,"leaving":false,"program":"worker","deployment":"connector",
        "out":["Bynder"],"in_hand":2}"#;
    let heard = laws::mutations(beat.as_bytes());
    let heard: Vec<Beat> = heard.iter().filter_map(|beat| serde_json::from_slice(beat).ok()).collect();
    assert!(heard.len() > 20, "{}", heard.len());
    for beat in heard {
        budget.receive(&beat);
        assert_eq!((budget.announce().used, budget.paused()), (0, None), "{beat:?}");
    }
}

#[test]
fn the_fuzzer_has_a_target_and_a_planted_bug_for_each_law_and_no_other() {
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let laws: BTreeSet<_> = LAWS.iter().map(|(target, _)| (*target).to_owned()).collect();
    let manifest: toml::Table =
        std::fs::read_to_string(folder("../../fuzz/Cargo.toml")).unwrap().parse().unwrap();
    let built =
        manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap().to_owned());
    assert_eq!(built.collect::<BTreeSet<_>>(), laws);
    for law in &laws {
        let target =
            std::fs::read_to_string(folder("../../fuzz/fuzz_targets").join(format!("{law}.rs"))).unwrap();
        assert!(
            target.contains(&format!("fuzz_target!(|data: &[u8]| -> Corpus {{ if laws::{law}(data) ")),
            "{target}"
        );
    }
    assert_eq!(names(folder("../../fuzz/planted")), laws);
}
