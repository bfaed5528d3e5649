//! The system calls that a child gives up.

use std::env::consts::ARCH;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as ArgumentLength, SeccompCmpOp as Operator,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter, sock_filter,
};

/// What opens, connects or changes something by its name, starts a program, reaches into another process, or allocates
/// outside the limits of memory; [`in_part`] has the rest. A limit on descriptors alone does not prevent it, since code that has taken over the child can
/// close a descriptor first.
const REFUSED: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_truncate,
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    FCHMODAT2,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_memfd_create,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_io_uring_setup,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
];
/// Newer calls, which have the same numbers on every architecture.
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;
/// The same by their older calls, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const REFUSED_OLD: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_unlink,
    libc::SYS_rmdir,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_fork,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OLD: &[i64] = &[];

/// What the filter's own instructions load and do: the number of the call is at the start of what it is given.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
const CALL: u32 = 0;
/// The bit that x32 calls have in their number, and no other call. The other rules do not know them.
const X32: u32 = 0x4000_0000;
/// It starts threads and processes, by flags in memory, which no filter can read. The C library falls back to `clone` where a
/// kernel does not have it.
const CLONE3: u32 = 435;

/// Makes each of these calls fail, for this thread and those that it starts. The other calls stay: decoders start
/// threads, and which calls an allocator and a runtime need changes with their versions.
///
/// # Errors
/// The kernel or the architecture has no such filter.
pub(super) fn give_up() -> io::Result<()> {
    apply_filter(&program()?).map_err(io::Error::other)
}

fn program() -> io::Result<BpfProgram> {
    let architecture = TargetArch::try_from(ARCH).map_err(io::Error::other)?;
    let filter = in_part().and_then(|in_part| {
        let rules = REFUSED.iter().chain(REFUSED_OLD).map(|call| (*call, Vec::new())).chain(in_part);
        let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        SeccompFilter::new(rules.collect(), SeccompAction::Allow, refuse, architecture)
    });
    let program: BpfProgram = filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
    let by_number = [
        sock_filter { code: LOAD, jt: 0, jf: 0, k: CALL },
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: X32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs() },
        sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: CLONE3 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs() },
    ];
    Ok(by_number.into_iter().chain(program).collect())
}

/// Calls that are refused by their first argument: those that limit or signal another process, and that start one instead
/// of a thread. A process aborts by a signal to itself.
fn in_part() -> Result<[(i64, Vec<SeccompRule>); 3], BackendError> {
    let first = |is: Operator, value: u64| {
        SeccompRule::new(vec![SeccompCondition::new(0, ArgumentLength::Dword, is, value)?])
            .map(|rule| vec![rule])
    };
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    Ok([
        (libc::SYS_prlimit64, first(Operator::Ne, 0)?),
        (libc::SYS_tgkill, first(Operator::Ne, std::process::id().into())?),
        (libc::SYS_clone, first(Operator::MaskedEq(thread), 0)?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();

    /// The filter's answer to a call with this first argument, as a kernel of this architecture computes it.
    fn answer(program: &[sock_filter], call: u32, argument: u32) -> u32 {
        // What is loaded first besides the call is the architecture, which is then compared.
        let loaded = program.iter().position(|step| step.code == LOAD && step.k != CALL).unwrap();
        let architecture = program[loaded + 1].k;
        let (mut loaded, mut at) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            match code {
                LOAD => {
                    loaded = match k {
                        CALL => call,
                        4 => architecture,
                        16 => argument,
                        other => panic!("{other} is not given"),
                    }
                }
                0x54 => loaded &= k,
                0x05 => at += k as usize,
                JUMP_IF_EQUAL => at += usize::from(if loaded == k { jt } else { jf }),
                JUMP_IF_AT_LEAST => at += usize::from(if loaded >= k { jt } else { jf }),
                RETURN => return k,
                other => panic!("{other:#x} is not interpreted"),
            }
        }
    }

    #[test]
    fn a_call_is_refused_by_its_number_and_by_that_for_x32() {
        let program = program().unwrap();
        for call in REFUSED.iter().chain(REFUSED_OLD) {
            let call = u32::try_from(*call).unwrap();
            assert_eq!(answer(&program, call, 0), REFUSAL, "{call}");
            assert_eq!(answer(&program, X32 | call, 0), REFUSAL, "x32 {call}");
        }
        for call in [libc::SYS_read, libc::SYS_write, libc::SYS_mmap, libc::SYS_exit_group] {
            let call = u32::try_from(call).unwrap();
            assert_eq!(answer(&program, call, 0), libc::SECCOMP_RET_ALLOW, "{call}");
            assert_eq!(answer(&program, X32 | call, 0), REFUSAL, "x32 {call}");
        }
    }

    #[test]
    fn a_reader_starts_threads_and_limits_itself_and_nothing_else() {
        let program = program().unwrap();
        let calls = [libc::SYS_prlimit64, libc::SYS_tgkill, libc::SYS_clone];
        let [limit, signal, clone] = calls.map(|call| u32::try_from(call).unwrap());
        let thread = (libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_THREAD).unsigned_abs();
        assert_eq!(answer(&program, clone, thread), libc::SECCOMP_RET_ALLOW);
        for process in [libc::SIGCHLD, libc::CLONE_VM | libc::CLONE_VFORK, 0] {
            assert_eq!(answer(&program, clone, process.unsigned_abs()), REFUSAL, "{process:#x}");
        }
        let unknown = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        assert_eq!(answer(&program, CLONE3, 0), unknown);
        assert_eq!(answer(&program, limit, 0), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(&program, limit, 4711), REFUSAL);
        assert_eq!(answer(&program, signal, std::process::id()), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(&program, signal, 1), REFUSAL);
    }
}
