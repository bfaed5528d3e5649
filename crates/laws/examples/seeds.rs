//! Writes the seeds of a fuzz target to a folder: `seeds TARGET FOLDER`.

#![expect(clippy::unwrap_used, reason = "a command reports on its standard error")]

#[path = "../tests/seeds/mod.rs"]
mod seeds;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [target, folder] = arguments.try_into().unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    for (number, seed) in seeds::of(&target).iter().enumerate() {
        std::fs::write(format!("{folder}/seed-{number}"), seed).unwrap();
    }
}
