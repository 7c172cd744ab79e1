//! The screens in a real terminal: a pseudo-terminal, with a shell in it as a user has one.

mod session;

use std::path::PathBuf;
use std::process::Command;

use portable_pty::PtySize;
use session::{Session, example};

/// Says COOKED once the terminal edits lines again; a guard that puts it right may be a moment behind.
const COOKED: &str = "; status=$?; until stty -a | grep -q ' icanon'; do :; done; echo status $status COOKED; sleep 60";

fn kill(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

#[test]
fn a_program_is_watched_to_its_end_and_its_output_given_back() {
    let mut session = Session::start(&format!("$PRETEND print work{COOKED}"), (100, 30));
    session.wait_for("fetch ×34");
    session.press("6");
    session.wait_for("a red line on stderr");
    assert!(!session.text().contains("half a line"), "not a whole line yet");
    session.wait_for("it has ended");
    session.press("q");
    session.wait_for("done");
    session.wait_for_restored();
    let text = session.text();
    for part in ["a line on stdout", "a red line on stderr", "half a line", "left: Ok(Some(Quit))", "status 0"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    session.end();
}

#[test]
fn a_crash_opens_its_screen_and_leaving_prints_the_report() {
    let mut session = Session::start(&format!("$PRETEND work crash{COOKED}"), (100, 30));
    session.wait_for("CRASHED");
    session.wait_for("no more luck");
    session.press("t");
    session.wait_for("fetch ×4");
    session.press("q");
    session.press("q");
    session.wait_for("pretend crashed after");
    session.wait_for_restored();
    session.end();
}

#[test]
fn a_trace_is_replayed_back_to_before_the_crash() {
    let mut session = Session::start(&format!("$INSPECTOR replay $TRACES/verify.jsonl{COOKED}"), (100, 30));
    session.wait_for("sha256 mismatch: file 777.txt");
    session.press("[1");
    session.wait_for("check ×");
    session.press("0");
    session.wait_for("no coroutine is alive");
    session.press("q");
    session.wait_for("verify crashed after");
    session.wait_for_restored();
    session.end();
}

#[test]
fn after_kill_9_the_guard_restores_the_terminal_and_prints_what_was_captured() {
    let mut session = Session::start(&format!("$PRETEND print wait{COOKED}"), (100, 30));
    session.wait_for("fetch ×34");
    let pid = session.pid();
    kill("-KILL", &pid);
    session.wait_for_restored();
    session.wait_for("half a line");
    assert!(session.text().contains("status 137"), "{}", session.text());
    session.end();
}

#[test]
fn whatever_ends_the_program_the_terminal_comes_back() {
    for (words, status) in [("work exit", "status 7"), ("work abort", "status 134"), ("work panic", "status 101")] {
        let mut session = Session::start(&format!("$PRETEND print {words}{COOKED}"), (100, 30));
        session.wait_for("fetch ×34");
        session.wait_for_restored();
        assert!(session.text().contains(status), "after {words}: {}", session.text());
        session.wait_for("a line on stdout");
        session.end();
    }
}

#[test]
fn signals_that_end_the_inspector_leave_the_terminal_as_it_was() {
    for signal in ["-TERM", "-HUP", "-INT", "-QUIT", "-KILL"] {
        let script = format!("$INSPECTOR replay $TRACES/crawl.jsonl & echo $! > $TMPDIR/pid; wait $!{COOKED}");
        let mut session = Session::start(&script, (100, 30));
        session.wait_for("fetch ×8");
        let pid = std::fs::read_to_string(session.folder.path().join("pid")).unwrap();
        kill(signal, pid.trim());
        session.wait_for_restored();
        session.end();
    }
}

#[test]
fn the_ring_of_a_killed_program_is_shown_by_last() {
    let cooked = "until stty -a | grep -q ' icanon'; do :; done";
    let script = format!("$PRETEND work wait; {cooked}; $INSPECTOR last{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("LIVE");
    session.wait_for("fetch ×34");
    let pid = session.pid();
    kill("-KILL", &pid);
    session.wait_for("DIED");
    session.wait_for("fetch ×34");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn a_command_is_started_under_the_view_which_stays_when_it_is_killed() {
    let script = format!("$INSPECTOR run -- $PRETEND print work wait{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("fetch ×34");
    session.press("6");
    session.wait_for("a red line on stderr");
    session.press("1");
    let pid = session.pid();
    kill("-KILL", &pid);
    session.wait_for("DIED");
    session.wait_for("fetch ×34");
    session.press("q");
    session.wait_for_restored();
    assert!(session.text().contains("status 137"), "{}", session.text());
    session.end();
}

#[test]
fn the_output_of_a_command_is_printed_once_and_its_exit_code_is_kept() {
    let script = format!("$INSPECTOR run sh -c 'echo before; exec $PRETEND print work exit'{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("DIED");
    session.press("q");
    session.wait_for_restored();
    let text = session.text();
    assert!(text.contains("status 7"), "{text}");
    for part in ["before", "a line on stdout", "half a line"] {
        assert_eq!(text.matches(part).count(), 1, "{part:?} in {text}");
    }
    session.end();
}

#[test]
fn the_smallest_terminals_are_survived_and_grow_again() {
    let mut session = Session::start(&format!("$INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (20, 5));
    session.wait_for("CUT");
    session.press("jjjg?qg");
    for (cols, rows) in [(1, 1), (3, 2), (100, 30)] {
        session.screen.screen_mut().set_size(rows, cols);
        session.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }
    session.wait_for("1 on threads");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn the_editor_is_opened_at_the_line_and_left_for_an_intact_screen() {
    let editor = "printf '#!/bin/sh\\necho EDITOR $1 $2\\nread line\\n' > $TMPDIR/edit; chmod +x $TMPDIR/edit";
    let script = format!("{editor}; export TINYIO_EDITOR=$TMPDIR/edit; $PRETEND crash{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("CRASHED");
    session.wait_for("Stacks");
    session.press("e");
    session.wait_for("EDITOR");
    session.wait_for("pretend.rs 60");
    session.press("\r");
    session.wait_for("Stacks");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn without_a_terminal_it_prints_that_and_the_program_runs_all_the_same() {
    let without = |program: PathBuf, args: &[&str]| {
        // In a session of its own there is no terminal.
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(program).args(args).env("XDG_RUNTIME_DIR", folder.path());
        command.output().unwrap()
    };
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/crawl.jsonl");
    let output = without(env!("CARGO_BIN_EXE_tinyio-inspector").into(), &["replay", trace]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no terminal"));
    let output = without(example("pretend"), &["print"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no live view"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("a line on stdout"));
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() {
    let stop = "set -m; $INSPECTOR replay $TRACES/crawl.jsonl; echo IN THE BACKGROUND; read line; fg > /dev/null";
    let mut session = Session::start(&format!("{stop}{COOKED}"), (100, 30));
    session.wait_for("fetch ×8");
    session.press("\u{1a}");
    session.wait("shell", |screen| !screen.alternate_screen() && screen.contents().contains("IN THE BACKGROUND"));
    session.press("\r");
    session.wait("screens again", |screen| screen.alternate_screen() && screen.contents().contains("fetch ×8"));
    session.press("2");
    session.wait_for("what it is at");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn ctrl_z_of_a_program_with_a_view_in_it_leaves_a_terminal_that_edits_lines() {
    // This shell leaves the terminal as the program left it.
    let stop = "set -m; $PRETEND work; stty -a | grep -q ' icanon' && echo IN ORDER; read line; fg > /dev/null";
    let mut session = Session::start(&format!("{stop}{COOKED}"), (100, 30));
    session.wait("screens", |screen| screen.alternate_screen() && screen.contents().contains("fetch ×"));
    session.press("\u{1a}");
    session.wait("shell", |screen| !screen.alternate_screen() && screen.contents().contains("IN ORDER"));
    session.press("\r");
    session.wait("screens again", |screen| screen.alternate_screen() && screen.contents().contains("fetch ×"));
    session.end();
}

#[test]
fn a_stop_from_outside_is_survived_and_the_screens_are_drawn_anew() {
    for (program, seen) in [("$PRETEND wait", "fetch ×"), ("$INSPECTOR replay $TRACES/crawl.jsonl", "fetch ×8")] {
        for signal in ["-STOP", "-TSTP"] {
            let start = format!("sh -c 'echo $$ > $TMPDIR/pid; exec {program}'");
            let stop = format!(
                "set -m; trap : INT; {start}; for n in 1 2; do printf '\\r\\nNOW STOPPED\\r\\n'; done; read line; fg > /dev/null{COOKED}"
            );
            let mut session = Session::start(&stop, (100, 30));
            session.wait_for(seen);
            let pid = std::fs::read_to_string(session.folder.path().join("pid")).unwrap();
            kill(signal, pid.trim());
            // What cannot be caught leaves the screen as it is, be it in the middle of a sequence.
            session.wait("shell", |screen| {
                screen.contents().contains("NOW STOPPED") && screen.alternate_screen() == (signal == "-STOP")
            });
            // The terminal may be raw, and Enter no end of a line.
            session.press("\n");
            session.wait("screens again", |screen| {
                let text = screen.contents();
                screen.alternate_screen() && text.contains(seen) && !text.contains("NOW STOPPED")
            });
            // A key is seen without Enter: the terminal is raw again.
            session.press("2");
            session.wait_for("what it is at");
            session.press("\u{3}");
            session.wait_for_restored();
            session.end();
        }
    }
}

#[test]
fn what_goes_on_in_the_background_leaves_the_terminal_to_the_shell_until_fg() {
    // It checks repeatedly whether the terminal is available, and is not stopped for accessing it.
    let script = "pid() { cat $TMPDIR/pid; }; \
        turns() { sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' /proc/$(pid)/status; }; \
        set -m; sh -c 'echo $$ > $TMPDIR/pid; exec $INSPECTOR replay $TRACES/crawl.jsonl'; \
        bg > /dev/null; from=$(turns); until [ $(turns) -gt $((from + 5)) ]; do :; done; \
        echo IT GOES ON; read line; echo \"THE SHELL READ [$line]\"; \
        until [ $(turns) -gt $((from + 10)) ]; do :; done; echo STILL; read line; fg > /dev/null";
    let mut session = Session::start(&format!("{script}{COOKED}"), (100, 30));
    session.wait_for("fetch ×8");
    session.press("\u{1a}");
    session.wait("shell", |screen| !screen.alternate_screen() && screen.contents().contains("IT GOES ON"));
    session.press("2q\r");
    session.wait("keys", |screen| !screen.alternate_screen() && screen.contents().contains("THE SHELL READ [2q]"));
    session.wait("shell", |screen| !screen.alternate_screen() && screen.contents().contains("STILL"));
    session.press("\r");
    session.wait("screens again", |screen| screen.alternate_screen() && screen.contents().contains("fetch ×8"));
    session.press("2");
    session.wait_for("what it is at");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn a_file_name_of_a_recording_reaches_the_editor_as_a_whole_path() {
    let script = "cd $TMPDIR; printf 'fn main() {}\n' > '-c:!touch hacked'; \
        sed 's#examples/verify.rs#-c:!touch hacked#g' $TRACES/verify.jsonl > t.jsonl; \
        printf '#!/bin/sh\\nfor word; do echo \"WORD [$word]\"; done\\nread line\\n' > edit; chmod +x edit; \
        export EDITOR=\"'$TMPDIR/edit' --cmd 'set a'\"; $INSPECTOR replay t.jsonl";
    let mut session = Session::start(&format!("{script}{COOKED}"), (200, 30));
    session.wait_for("sha256 mismatch");
    session.press("e");
    let file = session.folder.path().canonicalize().unwrap().join("-c:!touch hacked");
    session.wait_for(&format!("WORD [{}]", file.display()));
    assert!(session.text().contains("WORD [--cmd]"), "{}", session.text());
    assert!(session.text().contains("WORD [set a]"), "{}", session.text());
    session.press("\r");
    session.wait_for("sha256 mismatch");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn a_paste_is_never_taken_for_keys_and_goes_into_the_line_being_typed() {
    let mut session = Session::start(&format!("$INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (100, 30));
    session.wait_for("fetch ×8");
    session.press("\u{1b}[200~2q\u{1b}[201~");
    session.wait_for("what was pasted is left out");
    assert!(session.text().contains("fetch ×8"), "{}", session.text());
    session.press("/\u{1b}[200~fet\nch q\u{1b}[201~");
    session.wait_for("/fet ch q");
    session.press("\u{3}");
    session.wait_for("? help");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn where_nothing_can_be_drawn_a_command_runs_all_the_same_and_a_replay_is_refused() {
    let run = format!("TERM=dumb $INSPECTOR run -- $PRETEND print work{COOKED}");
    let mut session = Session::start(&run, (100, 30));
    session.wait_for("COOKED");
    let text = session.text().replace('\n', "");
    for part in ["TERM=dumb nothing can be drawn", "`tinyio-inspector last` shows it", "half a line", "status 0"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    session.end();
    let mut session = Session::start(&format!("TERM=dumb $INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (100, 30));
    session.wait_for("status 2");
    session.wait_for("`report` and `tree` only print");
    session.end();
}

#[test]
fn in_the_background_of_its_terminal_a_program_runs_without_a_view() {
    let mut session = Session::start(&format!("set -m; $PRETEND print work & wait $!{COOKED}"), (100, 30));
    session.wait_for("in the background of its terminal");
    session.wait_for("half a line");
    session.wait_for("status 0");
    session.end();
}

#[test]
fn the_mouse_turns_screens_selects_and_scrolls() {
    let mut session = Session::start(&format!("$INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (120, 30));
    session.wait_for("fetch ×8");
    // Columns and rows count from one.
    let click = |session: &mut Session, text: &str| {
        let rows: Vec<_> = session.screen.screen().rows(0, 120).collect();
        let (row, line) = rows.iter().enumerate().find(|(_, line)| line.contains(text)).unwrap();
        let column = line.chars().count() - line.split_once(text).unwrap().1.chars().count();
        session.press(&format!("\u{1b}[<0;{column};{0}M\u{1b}[<0;{column};{0}m", row + 1));
    };
    click(&mut session, "writer #5");
    session.wait_for("waiting 1.1 s on lock #1");
    click(&mut session, "2 Coroutines");
    session.wait_for("what it is at");
    let selected = |screen: &vt100::Screen| {
        (0..30).find(|row| screen.cell(*row, 40).is_some_and(vt100::Cell::inverse)).unwrap_or(0)
    };
    let before = selected(session.screen.screen());
    session.press("\u{1b}[<65;50;10M");
    session.wait("selection further down", |screen| selected(screen) > before);
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn m_leaves_the_mouse_to_the_terminal_and_so_does_the_setting() {
    use vt100::MouseProtocolMode;
    let is_taken = |screen: &vt100::Screen| screen.mouse_protocol_mode() != MouseProtocolMode::None;
    let mut session = Session::start(&format!("$INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (120, 30));
    session.wait_for("fetch ×8");
    session.wait("the mouse", is_taken);
    session.press("m");
    session.wait("no mouse", |screen| !is_taken(screen) && screen.contents().contains("mouse off"));
    session.press("m");
    session.wait("the mouse again", |screen| is_taken(screen) && !screen.contents().contains("mouse off"));
    session.press("q");
    session.wait_for_restored();
    session.end();
    let set = "export TINYIO_SETTINGS='mouse = no'";
    let mut session = Session::start(&format!("{set}; $INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (120, 30));
    session.wait_for("mouse off");
    assert!(!is_taken(session.screen.screen()));
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn y_puts_a_text_on_the_clipboard_of_the_terminal() {
    // As a terminal outside of any multiplexer, wherever the tests run.
    let start = format!("unset TMUX STY; $INSPECTOR replay $TRACES/verify.jsonl{COOKED}");
    let mut session = Session::start(&start, (100, 30));
    session.wait_for("sha256 mismatch: file 777.txt");
    session.press("Y");
    session.wait_for("sent to the clipboard: place, ");
    let copied = session.screen.callbacks().copied.concat();
    assert!(copied.contains("verify.rs:"), "{copied}");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn settings_apply_and_errors_in_them_are_shown_with_their_lines() {
    let set = "printf 'theme = blue\\nkey.pause = x\\nkey.live = .\\n' > $TMPDIR/conf; export TINYIO_SETTINGS_FILE=$TMPDIR/conf";
    let mut session = Session::start(&format!("{set}; $INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (120, 30));
    session.wait_for("/conf:1: there is no theme \"blue\": expected dark, light, mono (and 1 more)");
    session.press("x");
    session.wait_for("‖");
    session.press("q");
    session.wait_for_restored();
    session.wait_for("/conf:3: key.live: \".\" is the key of step-on there");
    session.end();
}

#[test]
fn without_colour_the_selection_is_still_seen() {
    let mut session = Session::start(&format!("NO_COLOR=1 $INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (100, 30));
    session.wait_for("fetch ×8");
    session.press("j");
    session.wait("selection", |screen| screen.cell(4, 10).is_some_and(vt100::Cell::inverse));
    for (row, column) in (0..30).flat_map(|row| (0..100).map(move |column| (row, column))) {
        let cell = session.screen.screen().cell(row, column).unwrap();
        assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
    }
    session.end();
}

#[test]
fn a_program_that_replaces_ours_and_its_children_print_to_the_terminal() {
    // The one waits until a file is there, the other goes on after the first has ended.
    let wait = "until test -e $TMPDIR/go; do :; done; echo from the other program; exit 5";
    let child = "until test -e $TMPDIR/last; do :; done; echo from its child";
    let script = format!("export PRETEND_EXEC='({child})& {wait}'; $PRETEND print work exec{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("fetch ×34");
    session.wait_for("half a line");
    std::fs::write(session.folder.path().join("go"), "").unwrap();
    session.wait_for("from the other program");
    session.wait_for("status 5");
    std::fs::write(session.folder.path().join("last"), "").unwrap();
    session.wait_for("from its child");
    session.end();
}
