//! `linkcheck` as a program, on the site that it serves itself.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkcheck"));
    command.args(arguments).env_remove("TINYIO_INSPECT").env_remove("RUST_BACKTRACE").output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_broken_links_of_the_site_are_found() {
    let output = run(&[]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{err}");
    for part in ["/busy: status 503, try again in 60 s", "/missing.html: status 404", "42 links on 40 pages, 2 broken"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn each_bug_ends_the_program_with_its_error() {
    for (bug, error) in [
        ("deadlock", "deadlock: 2 coroutines wait for each other"),
        ("panic", "called `Result::unwrap()` on an `Err` value: ParseIntError"),
        ("malformed", "invalid utf-8 sequence of 1 bytes from index 20"),
        ("truncated", "the connection was closed after 76 of 152 bytes"),
    ] {
        let output = run(&["--bug", bug]);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{bug}: {err}");
        assert!(err.contains(error) && err.contains("linkcheck::check::worker"), "{bug}: {err}");
    }
}

#[test]
fn a_server_that_hangs_is_a_broken_link() {
    // With the bug there is no timeout. A listener that never accepts is a server that hangs.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    let output = run(&["--timeout", "0.05", "--retries", "0", &url]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(out.contains("no answer within 50ms") && out.contains("1 links on 0 pages, 1 broken"), "{out}");
}
