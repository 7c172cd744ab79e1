//! Programs with several loops, and programs that read the terminal, under the live view. The programs are the ignored
//! tests of this file, so that what is started in the pseudo-terminal is a test harness.

mod session;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portable_pty::CommandBuilder;
use session::Session;

/// Where the programs find the files that tell them to end; they do nothing without it.
const FOLDER: &str = "LOOPS_FOLDER";

/// Runs until the file is there.
async fn until(file: &str) -> tinyio::Result<()> {
    let Some(folder) = std::env::var_os(FOLDER) else { return Ok(()) };
    while !Path::new(&folder).join(file).exists() {
        tinyio::sleep(Duration::from_millis(5)).await?;
    }
    Ok(())
}

async fn left() -> tinyio::Result<()> {
    until("left").await
}

async fn right() -> tinyio::Result<()> {
    until("right").await
}

#[test]
#[ignore = "a program that a test starts"]
fn side_left() {
    tinyio::Loop::new().run(left()).unwrap();
}

#[test]
#[ignore = "a program that a test starts"]
fn side_right() {
    tinyio::Loop::new().run(right()).unwrap();
}

#[test]
#[ignore = "a program that a test starts"]
fn two_threads() {
    let threads = [side_left, side_right].map(std::thread::spawn);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
#[ignore = "a program that a test starts"]
fn crash_beside_another() {
    async fn fails() -> tinyio::Result<()> {
        until("crash").await?;
        Err(tinyio::Error::msg("one of two"))
    }
    let other = std::thread::spawn(side_left);
    println!("crashed: {}", tinyio::Loop::new().run(fails()).is_err());
    other.join().unwrap();
}

#[test]
#[ignore = "a program that a test starts"]
fn reads_the_terminal() {
    if std::env::var_os(FOLDER).is_none() {
        return;
    }
    let read = || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        println!("the program read {line:?}");
        let child = Command::new("/bin/sh").args(["-c", "read line; echo the child read \"[$line]\""]).status()?;
        println!("and ended with {child}");
        tinyio::Ok(())
    };
    let main = async move {
        tinyio::run_in_thread(read).await?;
        left().await
    };
    tinyio::Loop::new().run(main).unwrap();
}

/// Runs programs of this file, with a live view, in a terminal.
fn start(programs: &str, environment: &str) -> Session {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "set -m; trap : INT; {environment} \"$LOOPS\" --ignored --nocapture {programs}; status=$?; \
         until stty -a | grep -q ' icanon'; do :; done; echo status $status COOKED; cat; sleep 60"
    );
    let mut command = CommandBuilder::new("/bin/sh");
    command.args(["-c", &script]);
    command.cwd(env!("CARGO_MANIFEST_DIR"));
    command.env("LOOPS", std::env::current_exe().unwrap());
    command.env(FOLDER, folder.path());
    Session::of(command, folder, (100, 30))
}

fn tell(session: &Session, file: &str) {
    std::fs::write(session.folder.path().join(file), "").unwrap();
}

#[track_caller]
fn wait_for_both(session: &mut Session) {
    session.wait("both roots", |screen| {
        let text = screen.contents();
        text.contains("LIVE") && text.contains("left") && text.contains("right")
    });
}

#[test]
fn loops_of_two_threads_are_roots_of_one_view_which_ends_with_the_last() {
    let mut session = start("--exact two_threads", "TINYIO_INSPECT=1");
    wait_for_both(&mut session);
    session.press("2");
    session.wait_for("what it is at");
    session.press("1");
    tell(&session, "right");
    session.wait_for(" 1 live");
    assert!(!session.text().contains("it has ended"), "{}", session.text());
    tell(&session, "left");
    session.wait_for("it has ended");
    session.press("q");
    session.wait_for_restored();
    assert!(session.text().contains("status 0"), "{}", session.text());
    session.end();
}

#[test]
fn tests_that_run_in_parallel_are_roots_of_one_view_and_the_rest_runs_without() {
    let mut session = start("--test-threads=2 --exact side_left side_right", "TINYIO_INSPECT=1");
    wait_for_both(&mut session);
    session.press("q");
    session.wait("normal screen", |screen| !screen.alternate_screen());
    tell(&session, "left");
    tell(&session, "right");
    session.wait_for("2 passed");
    session.wait_for_restored();
    session.end();
}

#[test]
fn a_crash_waits_for_the_user_though_another_loop_runs() {
    let mut session = start("--exact crash_beside_another", "TINYIO_INSPECT=1");
    session.wait("both roots", |screen| screen.contents().contains("left") && screen.contents().contains("fails"));
    tell(&session, "crash");
    for part in ["one of two", "7 Crash", "LIVE"] {
        session.wait_for(part);
    }
    // What the program prints after `run` is not there yet.
    session.press("6");
    session.wait_for("all keys go to the view");
    assert!(!session.text().contains("crashed: true"), "{}", session.text());
    session.press("q");
    tell(&session, "left");
    session.wait_for_restored();
    assert!(session.text().contains("crashed: true"), "{}", session.text());
    session.end();
}

#[test]
fn a_program_and_its_child_that_read_the_terminal_leave_every_key_to_the_view() {
    let mut session = start("--exact reads_the_terminal", "TINYIO_INSPECT=1");
    session.wait_for("LIVE");
    for (key, seen) in [
        ("6", "Log"),
        ("2", "what it is at"),
        ("5", "s across"),
        ("2", "what it is at"),
        ("6", "all keys go to the view"),
    ] {
        session.press(key);
        session.wait_for(seen);
    }
    session.wait_for("the program read \"\"");
    session.wait_for("the child read []");
    session.press("\u{3}");
    session.wait_for_restored();
    assert!(session.text().contains("status 130"), "{}", session.text());
    // The terminal is the shell's again: `cat` gives back what is typed.
    session.press("typed\r");
    session.wait("what was typed, twice", |screen| screen.contents().matches("typed").count() == 2);
    session.end();
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_gets_one_line_that_the_run_is_recorded() {
    let mut session = start("--exact two_threads", "TERM=dumb TINYIO_INSPECT=1");
    session.wait_for("no live view: on a terminal with TERM=dumb nothing can be drawn");
    session.wait_for("It is recorded: `tinyio-inspector attach ");
    tell(&session, "left");
    tell(&session, "right");
    session.wait_for("COOKED");
    let text = session.text();
    assert_eq!(text.matches("no live view").count(), 1, "{text}");
    assert!(text.contains("status 0") && text.contains("1 passed"), "{text}");
    session.end();
}
