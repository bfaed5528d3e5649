#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { if laws::bynder(data) { Corpus::Keep } else { Corpus::Reject } });
