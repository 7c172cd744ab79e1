//! The line being typed, in the footer.

use super::*;

/// The last line of the screen, and the column of the cursor in it.
fn footer(app: &mut App, wide: u16) -> (String, Option<u16>) {
    let terminal = draw(app, wide, 24);
    let buf = terminal.backend().buffer();
    let line: String = (0..wide).map(|x| buf[(x, 23)].symbol()).collect();
    let cursor = (0..wide).find(|x| buf[(*x, 23)].modifier.contains(ratatui::style::Modifier::REVERSED));
    (line.trim_end().to_owned(), cursor)
}

#[test]
fn the_cursor_is_shown_where_it_is_and_moves() {
    let mut app = live(&crawl());
    press(&mut app, "/ f e t c h left left");
    assert_eq!(footer(&mut app, 80), (" /fetch".to_owned(), Some(5)));
    press(&mut app, "X ctrl-e");
    assert_eq!(footer(&mut app, 80), (" /fetXch".to_owned(), Some(8)));
    press(&mut app, "ctrl-w w r i t e r enter");
    assert_eq!(app.session.selected, Some(5));
    press(&mut app, "/ x up");
    assert_eq!(footer(&mut app, 80).0, " /writer");
    press(&mut app, "down");
    assert_eq!(footer(&mut app, 80).0, " /x");
}

#[test]
fn of_a_line_longer_than_the_screen_the_part_with_the_cursor_is_shown() {
    let mut app = live(&crawl());
    press(&mut app, "/");
    app.paste(&"0123456789".repeat(4));
    let (line, cursor) = footer(&mut app, 30);
    assert!(line.ends_with("6789") && cursor.is_some_and(|at| at < 30), "{line} {cursor:?}");
    press(&mut app, "home");
    let (line, cursor) = footer(&mut app, 30);
    assert!(line.starts_with(" /0123") && line.ends_with('…') && cursor == Some(2), "{line} {cursor:?}");
}

#[test]
fn what_is_pasted_is_inserted_at_the_cursor() {
    let mut app = live(&crawl());
    press(&mut app, "/ a d left");
    app.paste("b\nc");
    assert_eq!(footer(&mut app, 80).0, " /ab cd");
}
