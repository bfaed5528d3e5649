//! The limits that a child sets on itself before it reads a byte of a file.

use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;
use rustix::time::{ClockId, clock_gettime};

use super::calls;

/// Address space of the program and its libraries, in bytes. They are mapped from files and shared by all readers.
const PROGRAM: u64 = 128 << 20;

/// The three standard streams and the file: while it is open, the child can open nothing else and connect nowhere.
const DESCRIPTORS: u64 = 4;

/// Limits the process irrevocably.
pub(super) fn enter(memory: u64) -> io::Result<()> {
    set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Ignored: many kernels and container engines have no Landlock, and the other limits hold without it.
    let _ = without_files_and_network();
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Data, memory),
        (Resource::As, memory + PROGRAM),
        (Resource::Nofile, DESCRIPTORS),
    ] {
        limit(resource, most)?;
    }
    // Ignored as well: a kernel can be built without such filters.
    let _ = calls::give_up();
    can_start_threads()
}

/// Fails if this user may start no more threads. Decoders start threads, so every picture would be blamed for it.
/// `RLIMIT_NPROC` is not lowered, because it counts all processes and threads of the user.
fn can_start_threads() -> io::Result<()> {
    std::thread::Builder::new().spawn(|| ()).map(|thread| drop(thread.join()))
}

/// Allows this many more seconds of CPU time. This matters only if the parent died; its deadline is earlier.
pub(super) fn seconds_more(seconds: u64) -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    let maximum = getrlimit(Resource::Cpu).maximum;
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(used + seconds), maximum })?)
}

/// Sets the soft and the hard limit; a hard limit that is already lower stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

fn without_files_and_network() -> Result<(), landlock::RulesetError> {
    let abi = ABI::V6;
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?;
    ruleset.create()?.restrict_self().map(drop)
}
