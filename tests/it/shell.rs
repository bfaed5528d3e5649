//! Completions and man pages: each command of each program is in them, and their readers accept them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::command_reference::helps;
use crate::harness::PROGRAM;
use crate::harness::fleet::{PRODUCER, WORKER};

const PROGRAMS: [(&str, &str); 3] = [("connector", PROGRAM), ("producer", PRODUCER), ("worker", WORKER)];

/// What the program prints, which is not one word on stderr.
fn printed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success() && stderr.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn completions(shell: &str, name: &str) -> String {
    printed(Command::new(PROGRAM).args(["completions", shell, "--program", name]).env_clear())
}

#[test]
fn bash_completes_each_command_of_each_program() {
    for (name, program) in PROGRAMS {
        let commands: Vec<_> = helps(program).into_iter().map(|(path, _)| path).collect();
        let asked = commands[1..].iter().map(|path| {
            let (last, before) = path.split_last().unwrap();
            let previous = before.last().map_or(name, String::as_str);
            format!(
                "COMP_WORDS=({name} {}) COMP_CWORD={}; _{name} {name} {last} {previous}; echo ${{COMPREPLY[*]}}",
                path.join(" "),
                path.len()
            )
        });
        let script: Vec<_> = std::iter::once(completions("bash", name)).chain(asked).collect();
        let out = printed(Command::new("bash").args(["--norc", "-c", &script.join("\n")]));
        let offered: Vec<_> = out.lines().collect();
        assert_eq!(offered.len(), commands.len() - 1, "{out}");
        for (path, offered) in commands[1..].iter().zip(offered) {
            assert!(offered.split(' ').any(|word| word == path.last().unwrap()), "{path:?}: {offered}");
        }
    }
}

#[test]
fn each_shell_is_given_each_command_of_each_program() {
    for (name, program) in PROGRAMS {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let script = completions(shell, name);
            for (path, _) in helps(program) {
                let missing = path.iter().find(|word| !script.contains(word.as_str()));
                assert!(missing.is_none(), "{shell}: {name} {path:?}");
            }
        }
    }
}

#[test]
fn each_command_has_a_man_page_that_groff_reads_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(printed(Command::new(PROGRAM).arg("man").arg(&pages)), "");
    let written = std::fs::read_dir(&pages).unwrap().map(|page| page.unwrap().file_name());
    let written: BTreeSet<_> = written.map(|page| page.into_string().unwrap()).collect();
    let page_of = |name: &str, path: Vec<String>| [vec![name.to_owned()], path].concat().join("-") + ".1";
    let wanted = PROGRAMS
        .iter()
        .flat_map(|(name, program)| helps(program).into_iter().map(|(path, _)| page_of(name, path)));
    assert_eq!(written, wanted.collect());
    for page in written {
        let text = printed(
            Command::new("groff").args(["-Kutf8", "-man", "-Tutf8", "-ww", "-P-cbou"]).arg(pages.join(&page)),
        );
        assert!(text.contains("NAME") && text.contains("SYNOPSIS"), "{page}: {text}");
    }
}

#[test]
fn a_man_page_takes_the_place_of_a_link_and_leaves_its_target_alone() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    std::fs::write(&target, "kept").unwrap();
    let page = folder.path().join("connector.1");
    std::os::unix::fs::symlink(&target, &page).unwrap();
    printed(Command::new(PROGRAM).arg("man").arg(folder.path()));
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
    assert!(page.symlink_metadata().unwrap().is_file());
}

/// Only root can give a folder to another user: as any other user this test proves nothing.
#[test]
fn man_pages_are_not_written_where_another_user_can_exchange_them() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    if std::os::unix::fs::chown(&theirs, Some(12_345), None).is_err() {
        return;
    }
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    for (refused, reason) in [(theirs, "belongs to the user 12345"), (open, "777")] {
        let output = Command::new(PROGRAM).arg("man").arg(&refused).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
        assert_eq!(std::fs::read_dir(&refused).unwrap().count(), 0);
    }
}

/// As in the image, the archive and the package.
#[test]
fn under_the_name_of_another_program_the_connector_is_that_program() {
    let folder = tempfile::tempdir().unwrap();
    for (name, program) in &PROGRAMS[1..] {
        let link = folder.path().join(name);
        std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
        assert_eq!(helps(link.to_str().unwrap()), helps(program));
    }
}

#[test]
fn both_are_json_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let of = |arguments: &[&str]| -> serde_json::Value {
        let out = printed(Command::new(PROGRAM).args(arguments).arg("--json").current_dir(&folder));
        serde_json::from_str(out.lines().last().unwrap()).unwrap()
    };
    assert!(of(&["completions", "bash"])["script"].as_str().unwrap().contains("_connector()"));
    assert_eq!(of(&["man", "pages"])["folder"], "pages");
}

#[test]
fn a_folder_that_cannot_be_made_is_a_wrong_argument() {
    let output = Command::new(PROGRAM).args(["man", "/dev/null/man1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
