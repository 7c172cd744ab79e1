//! `y` and `Y` send what is selected to the clipboard, and the footer states what that was.

use super::*;

/// What keys send to the clipboard, the last of them being `y` or `Y`; and the footer after that.
fn sent(mut app: App, keys: &str) -> (String, String) {
    draw(&mut app, 100, 30);
    let effect = press(&mut app, keys);
    let footer = text(&mut app, 100, 30).lines().last().unwrap_or_default().trim().to_owned();
    match effect {
        Effect::Copy(text) => (text, footer),
        other => panic!("{keys:?}: {other:?}, {footer}"),
    }
}

#[test]
fn y_copies_the_selected_row_of_each_screen() {
    let graph = "j j j l j j j j j j j j";
    for (keys, expected) in [
        (format!("{graph} y"), "fetch #17  "),
        (format!("{graph} Y"), "fetch #17"),
        (format!("{graph} g y"), "fetch #17  "),
        ("j j j y".to_owned(), "fetch ×"),
        (format!("{graph} 2 y"), "17  fetch  "),
        (format!("{graph} 5 y"), "fetch #17  "),
        ("3 y".to_owned(), "3  read_to_string  "),
        ("4 y".to_owned(), "lock #1  held by parse #9"),
        ("4 Y".to_owned(), "lock #1"),
    ] {
        let (text, footer) = sent(live(&crawl()), &keys);
        assert!(text.starts_with(expected), "{keys:?}: {text:?}");
        assert!(!text.contains('\n') && !text.contains('…'), "{keys:?}: {text:?}");
        if keys.ends_with('Y') {
            assert_eq!(text, expected, "{keys:?}");
        }
        assert!(footer.starts_with("sent to the clipboard: "), "{footer}");
        assert!(footer.ends_with(&format!(", {} bytes", text.len())), "{footer}");
    }
}

#[test]
fn y_copies_a_line_of_the_log_and_a_page_as_a_whole() {
    let mut app = live(&crawl());
    let colourful = Line::now("a \u{1b}[31mred\u{1b}[0m line");
    app.session.output.level = Some(Level::Stdout);
    app.session.output.push(2_000_000_000, vec![colourful]);
    app.session.playback.clock = 3_000_000_000;
    let (line, footer) = sent(app, "6 y");
    assert_eq!(line, "a red line");
    assert!(footer.starts_with("sent to the clipboard: line of 00:0") && footer.ends_with(", 10 bytes"), "{footer}");

    let (why, footer) = sent(live(&crawl()), "/ w r i t e r enter w y");
    assert!(why.starts_with("Why is writer #5 still waiting?\n"), "{why}");
    let padded = why.lines().find(|line| line.trim_start().contains("   "));
    assert!(why.contains("writer #5  ") && padded.is_none(), "the padding is left out: {why}");
    assert!(footer.contains("page Why"), "{footer}");
    assert_eq!(sent(live(&crawl()), "/ w r i t e r enter w Y").0, "writer #5");
    assert!(sent(live(&crawl()), "/ w r i t e r enter enter y").0.contains("Await stack"));
    assert!(sent(live(&crawl()), "? y").0.contains("ctrl-l"));
}

#[test]
fn y_copies_a_stack_a_value_and_their_names_are_place_and_path() {
    let (stack, footer) = sent(ended(&verify()), "y");
    assert!(stack.starts_with("check #") && stack.contains("verify.rs:"), "{stack}");
    assert!(stack.contains("\n    entry = Entry {"), "with values: {stack}");
    assert!(footer.contains("stack of check #"), "{footer}");
    assert!(sent(ended(&verify()), "Y").0.contains("verify.rs:"));
    assert_eq!(sent(ended(&verify()), "t y").0, stack);
    assert!(sent(ended(&verify()), "s Y").0.contains("verify.rs:"));
    assert_eq!(sent(ended(&verify()), "p e n t r y . l i n e enter Y").0, "entry.line");
    let (value, footer) = sent(ended(&verify()), "p e n t r y . l i n e enter y");
    assert!(!value.is_empty() && !value.contains('\n'), "{value}");
    assert!(footer.contains("value of entry.line"), "{footer}");
    assert!(sent(ended(&verify()), "p e n t r y enter y").0.contains("line = "));
    assert!(sent(ended(&verify()), "[ 1 / c h e c k enter P y").0.starts_with("check #"));
}

#[test]
fn nothing_is_sent_where_nothing_is_selected() {
    let mut app = live(&Script::new("nothing"));
    draw(&mut app, 100, 30);
    for keys in ["y", "2 y", "3 y", "4 Y", "6 y", "! Y"] {
        assert_eq!(press(&mut app, keys), Effect::None, "{keys}");
        assert!(text(&mut app, 100, 30).contains("nothing is selected that could be copied"), "{keys}");
        press(&mut app, "esc");
    }
}
