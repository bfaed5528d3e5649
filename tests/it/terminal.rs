//! What the programs print cannot act on a terminal, whatever names the library holds.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harness::{Bench, Ran, picture, quick};

/// Sets the title, colours, clears the line, begins another line, uses C1 and turns the direction of writing.
const HOSTILE: &str =
    "\u{1b}]0;pwned\u{7}\u{1b}[31mRED\u{1b}[2K\n0000  FAKE LINE\u{9b}1m\u{2028}\u{202e}gpj.exe";

fn assert_harmless(what: &str, ran: &Ran) {
    for text in [&ran.out, &ran.talk] {
        let acts = |c: char| (c.is_control() && c != '\n') || ('\u{2028}'..='\u{202e}').contains(&c);
        assert!(!text.contains(acts), "{what}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("0000")), "{what} forges a line: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_lets_an_assets_name_act_on_the_terminal() {
    let bench = Bench::new(quick()).await;
    let protected = bench.sandbox.add_asset(picture(HOSTILE, 1)).unwrap();
    let noted = bench.sandbox.add_asset(picture(HOSTILE, 2)).unwrap();
    let note = |marker: &str| sandbox::Edit { marker: Some(marker.to_owned()), ..sandbox::Edit::default() };
    bench.sandbox.edit(&noted, note(&format!("see {HOSTILE}"))).unwrap();
    bench.until_listed().await;
    let everything = [("CONNECTOR_LOG", "trace".to_owned())];
    assert_harmless("sync", bench.run_with(&["sync", "--full"], &everything).await.assert_code(6));
    let hash = bench.asset(&protected).versions[1].sha256.clone();
    // Another size, so that `verify` has a broken asset to name.
    let marker = bench.asset(&protected).marker.unwrap();
    bench.sandbox.edit(&protected, note(&format!("{marker}0"))).unwrap();
    bench.until_listed().await;
    let shows = "RED\\u{1b}[2K\\u{a}0000  FAKE LINE\\u{9b}1m\\u{2028}\\u{202e}gpj.exe";
    for (command, code, names_it) in [
        (&["failed", "list"][..], 0, true),
        (&["failed", "show"], 0, false),
        (&["failed", "list", "--json"], 0, false),
        (&["lookup", &hash], 0, true),
        (&["lookup", &hash, "--json"], 0, false),
        (&["report", "--since", "2020-01-01"], 0, true),
        (&["report", "--since", "2020-01-01", "--format", "json"], 0, false),
        (&["status"], 0, false),
        (&["plan"], 0, false),
        (&["verify"], 6, true),
        (&["report", HOSTILE], 2, true),
    ] {
        let ran = bench.run(command).await;
        assert_harmless(&format!("{command:?}"), &ran);
        ran.assert_code(code);
        let text = format!("{}{}", ran.out, ran.talk);
        assert!(!names_it || text.contains(shows), "{command:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_output_finds_no_room_fails_and_one_whose_reader_went_away_does_not() {
    let bench = Bench::new(quick()).await;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sync().await.assert_code(0);
    for arguments in [
        &["report", "--since", "2020-01-01"][..],
        &["report", "--since", "2020-01-01", "--format", "json"],
        &["status"],
        &["config", "show"],
        &["secrets", "keygen"],
    ] {
        let into = async |stdout: Stdio| {
            let mut command = bench.command(arguments);
            let child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
            Ran::new(child.wait_with_output().await.unwrap())
        };
        let ran = into(File::options().write(true).open("/dev/full").unwrap().into()).await;
        assert!(ran.assert_code(1).talk.contains("could not be written (No space left"), "{ran:#?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        into(writer.into()).await.assert_code(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_typed_is_not_shown_and_the_terminal_is_as_before_afterwards() {
    let bench = Bench::new(quick()).await;
    let recipient = config::keygen().recipient;
    for is_stopped in [false, true] {
        let terminal = openpty(None, None).unwrap();
        let shows = || tcgetattr(&terminal.slave).unwrap().local_flags.contains(LocalFlags::ECHO);
        assert!(shows());
        let mut command = bench.command(&["secrets", "encrypt", "--recipient", &recipient]);
        let input = Stdio::from(terminal.slave.try_clone().unwrap());
        let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut asks = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut asks).await.unwrap();
        assert!(asks.contains("Type the secret") && !shows(), "{asks}");
        let mut screen = File::from(terminal.master.try_clone().unwrap());
        if is_stopped {
            kill(Pid::from_raw(child.id().unwrap().cast_signed()), Signal::SIGINT).unwrap();
        } else {
            // Standing still, it would leave the terminal as it is.
            kill(Pid::from_raw(child.id().unwrap().cast_signed()), Signal::SIGTSTP).unwrap();
            screen.write_all(b"typed-s3cr3t\n").unwrap();
        }
        let ran = Ran::new(child.wait_with_output().await.unwrap());
        ran.assert_code(if is_stopped { 5 } else { 0 });
        assert!(is_stopped || ran.out.contains("BEGIN AGE ENCRYPTED FILE"), "{ran:#?}");
        assert!(shows());
        fcntl(&terminal.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut screened = Vec::new();
        let _ = screen.read_to_end(&mut screened);
        assert_eq!(String::from_utf8_lossy(&screened).trim(), "", "the terminal showed it");
    }
}
