//! The page of the keys, what pages have no room for, and the tabs of narrow screens.

use super::*;

#[test]
fn the_keys_of_what_is_in_front_come_first_on_the_help_page() {
    for (keys, first) in [("", "Graph"), ("2", "Coroutines"), ("5", "Timeline"), ("j enter", "Pages")] {
        let mut app = live(&crawl());
        press(&mut app, keys);
        press(&mut app, "?");
        let page = text(&mut app, 80, 24);
        let lines = page.lines().skip(3).filter(|line| !line.starts_with("  "));
        let headings: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(headings[..2], [first, "Everywhere"], "{page}");
        assert!(page.contains("j scroll"), "{page}");
    }
}

#[test]
fn a_name_on_a_tab_that_is_cut_ends_in_an_ellipsis() {
    let mut app = live(&crawl());
    let tabs = text(&mut app, 60, 24).lines().nth(1).unwrap().trim_end().to_owned();
    assert_eq!(tabs, " 1 Graph  2 Cor…  3 Thr…  4 Res…  5 Tim…  6 Log");
}

#[test]
fn how_many_more_lines_there_are_stands_in_cells_of_its_own_and_paging_leaves_no_line_out() {
    let mut app = live(&crawl());
    press(&mut app, "?");
    let mut seen = Vec::new();
    loop {
        let page = text(&mut app, 80, 24);
        let rows: Vec<&str> = page.lines().skip(3).take(19).collect();
        let hint = rows[18].trim().strip_suffix(" more").map(|left_out| left_out.parse::<usize>().unwrap());
        let lines = if hint.is_some() { &rows[..18] } else { &rows[..] };
        let fresh =
            lines.iter().rposition(|line| Some(*line) == seen.last().map(String::as_str)).map_or(0, |at| at + 1);
        let fresh = if hint.is_some() { 0 } else { fresh };
        seen.extend(lines[fresh..].iter().map(|line| (*line).to_owned()));
        if hint.is_none() {
            break;
        }
        app.key("pgdn");
    }
    let mut whole = live(&crawl());
    press(&mut whole, "?");
    let whole = text(&mut whole, 80, 200);
    let whole: Vec<&str> = whole.lines().skip(3).take(seen.len()).collect();
    assert_eq!(seen, whole);
    // Where there are few rows, it has the end of the last one.
    let mut buf = ratatui::buffer::Buffer::empty(ratatui::layout::Rect::new(0, 0, 20, 2));
    let lines = ["a line as wide as it", "another one as wide!", "a third one"].map(ratatui::text::Line::raw);
    let area = buf.area;
    crate::tui::widgets::put_lines(&mut buf, &DARK, area, &lines);
    let last: String = (0..20).map(|x| buf[(x, 1)].symbol()).collect();
    assert_eq!(last, "another one… 1 more ");
}
