//! What a child takes away from itself before it touches a byte of a file.

use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;
use rustix::time::{ClockId, clock_gettime};

/// The program itself and its libraries, which are mapped from files and shared by all.
const PROGRAM: u64 = 128 << 20;

/// The three standard streams and the file: while it is open, nothing else can be opened and nobody be connected to.
const DESCRIPTORS: u64 = 4;

/// Limits the process for good.
pub(super) fn enter(memory: u64) -> io::Result<()> {
    set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Many kernels and container engines offer no Landlock, and without it the other limits remain.
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
    can_start_threads()
}

/// Decoders start threads. Where this user may start no more of them, no picture could be decoded, which is no fault of its
/// file; the limit is not lowered here, since it counts every process and thread of the user.
fn can_start_threads() -> io::Result<()> {
    std::thread::Builder::new().spawn(|| ()).map(|thread| drop(thread.join()))
}

/// Gives the process so many more seconds of processor time: the parent's deadline comes first, unless it died.
pub(super) fn seconds_more(seconds: u64) -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    let maximum = getrlimit(Resource::Cpu).maximum;
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(used + seconds), maximum })?)
}

/// Both limits, soft and hard; one that is tighter already stays.
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
