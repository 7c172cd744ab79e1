//! A table: columns with a header, a row per key.

use std::ops::RangeInclusive;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::{Hits, List};
use crate::tui::fuzzy::Fuzzy;
use crate::tui::text::{fit, pad, pad_left};
use crate::tui::theme::Theme;

/// How wide a column is, in columns of the terminal.
#[derive(Clone, Debug)]
pub enum Width {
    /// That wide.
    Fixed(usize),
    /// A part of the table, within limits.
    Part(usize, RangeInclusive<usize>),
    /// What the others leave, within limits. One column of a table has it.
    Rest(RangeInclusive<usize>),
}

/// A column: its header, and how its cells are laid out.
#[derive(Clone, Debug)]
pub struct Column {
    title: &'static str,
    width: Width,
    /// Numbers and times: the cells end at one line.
    is_number: bool,
    /// The table is sorted by it; with true the greatest comes first.
    sorted: Option<bool>,
    is_shown: bool,
}

impl Column {
    /// A column of texts.
    pub fn text(title: &'static str, width: Width) -> Column {
        Column { title, width, is_number: false, sorted: None, is_shown: true }
    }

    /// A column of numbers.
    pub fn number(title: &'static str, width: usize) -> Column {
        Column { is_number: true, ..Column::text(title, Width::Fixed(width)) }
    }

    /// Marked as what the rows are sorted by; with `descending` the greatest comes first.
    pub fn sorted(self, descending: Option<bool>) -> Column {
        Column { sorted: descending, ..self }
    }

    /// Left out if there is no room for it.
    pub fn shown_if(self, is_shown: bool) -> Column {
        Column { is_shown, ..self }
    }
}

/// A cell.
#[derive(Clone, Debug)]
pub struct Cell(String, Option<Style>);

impl Cell {
    /// A cell in a style of its own.
    pub fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell(text.into(), Some(style))
    }

    /// Its text, in full.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell(text.into(), None)
    }
}

/// A table of `N` columns with one selected row.
pub struct Table<'a, const N: usize> {
    theme: &'a Theme,
    columns: [Column; N],
    /// What was searched for, in this column.
    marks: Option<(Fuzzy, usize)>,
}

impl<'a, const N: usize> Table<'a, N> {
    /// A table of these columns.
    pub fn new(theme: &'a Theme, columns: [Column; N]) -> Table<'a, N> {
        Table { theme, columns, marks: None }
    }

    /// Marks what was searched for in the cells of a column.
    pub fn marked(self, marks: Option<Fuzzy>, column: usize) -> Table<'a, N> {
        Table { marks: marks.map(|marks| (marks, column)), ..self }
    }

    /// Draws the header and the rows of those `keys` that there is room for, the selected one among them. `row` makes
    /// the cells of a key.
    pub fn draw<K: Copy + PartialEq>(
        &mut self,
        buf: &mut Buffer,
        area: Rect,
        list: &mut List<K>,
        keys: &[K],
        hits: &mut Hits<K>,
        row: impl Fn(K) -> Option<[Cell; N]>,
    ) {
        hits.clear();
        let theme = self.theme;
        let widths = self.widths(usize::from(area.width.saturating_sub(2)));
        let header = self.columns.each_ref().map(|column| match column.sorted {
            Some(descending) => Cell::styled(
                format!("{}{}", column.title, theme.glyphs.sorted[usize::from(descending)]),
                theme.title.add_modifier(Modifier::UNDERLINED),
            ),
            None => Cell::styled(column.title, theme.dim),
        });
        self.line(buf, Rect { height: area.height.min(1), ..area }, &widths, header);
        let rows = usize::from(area.height.saturating_sub(1));
        let shown = &keys[list.window(keys, rows)];
        for (y, key) in (area.y + 1..area.bottom()).zip(shown) {
            let Some(cells) = row(*key) else { continue };
            let line = Rect { y, height: 1, ..area };
            let marked = self.marks.as_ref().map(|(_, column)| {
                let before: usize = widths[..*column].iter().filter(|wide| **wide > 0).map(|wide| wide + 1).sum();
                (area.x.saturating_add(1 + before as u16), fit(cells[*column].text(), widths[*column]))
            });
            self.line(buf, line, &widths, cells);
            if list.selected == Some(*key) {
                buf.set_style(line, theme.selected);
            }
            if let (Some((marks, _)), Some((x, text))) = (&mut self.marks, marked) {
                marks.mark(buf, (x, y), &text, theme.found);
            }
            hits.add(line, *key);
        }
    }

    /// One row of cells, with a space left and right of it.
    fn line(&self, buf: &mut Buffer, area: Rect, widths: &[usize; N], cells: [Cell; N]) {
        if area.height == 0 {
            return;
        }
        let mut x = area.x + 1;
        for ((column, wide), Cell(text, style)) in self.columns.iter().zip(widths).zip(cells) {
            let room = usize::from(area.right().saturating_sub(x + 1)).min(*wide);
            if room == 0 {
                continue;
            }
            let text = if column.is_number { pad_left(&text, room) } else { pad(&text, room) };
            buf.set_stringn(x, area.y, &text, room, style.unwrap_or(self.theme.text));
            x = x.saturating_add(room as u16 + 1);
        }
    }

    /// The widths of the columns, 0 of those that are not shown. Between two there is a space.
    fn widths(&self, wide: usize) -> [usize; N] {
        let clamp = |wide: usize, limits: &RangeInclusive<usize>| wide.clamp(*limits.start(), *limits.end());
        let mut widths = self.columns.each_ref().map(|column| match &column.width {
            _ if !column.is_shown => 0,
            Width::Fixed(fixed) => *fixed,
            Width::Part(part, limits) => clamp(wide / part, limits),
            Width::Rest(_) => 0,
        });
        let shown = self.columns.iter().filter(|column| column.is_shown).count();
        let rest = wide.saturating_sub(widths.iter().sum::<usize>() + shown.saturating_sub(1));
        for (wide, column) in widths.iter_mut().zip(&self.columns).filter(|(_, column)| column.is_shown) {
            if let Width::Rest(limits) = &column.width {
                *wide = clamp(rest, limits);
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::DARK;

    /// A table of three rows, with the second one selected, in that many columns.
    fn drawn(wide: u16, columns: [Column; 3]) -> Buffer {
        let mut buf = Buffer::empty(Rect::new(0, 0, wide, 3));
        let area = buf.area;
        let mut list = List::default();
        list.selected = Some(30);
        let cells = |key: i32| Some([key.to_string().into(), "a long name".into(), Cell::styled("x", DARK.failed)]);
        Table::new(&DARK, columns).draw(&mut buf, area, &mut list, &[2, 30, 400], &mut Hits::default(), cells);
        buf
    }

    fn text(buf: &Buffer) -> Vec<String> {
        let row = |y| (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect::<String>();
        (0..buf.area.height).map(row).collect()
    }

    fn columns() -> [Column; 3] {
        [Column::number("id", 4), Column::text("name", Width::Rest(4..=20)), Column::text("what", Width::Fixed(4))]
    }

    #[test]
    fn numbers_end_at_one_line_and_texts_begin_at_one() {
        assert_eq!(
            text(&drawn(24, columns())),
            ["   id name         what ", "    2 a long name  x    ", "   30 a long name  x    "]
        );
    }

    #[test]
    fn a_cell_that_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(text(&drawn(16, columns()))[1], "    2 a l… x    ");
        assert_eq!(text(&drawn(9, columns()))[1], "    2 a… ", "at the edge of the terminal");
    }

    #[test]
    fn the_column_that_the_rows_are_sorted_by_is_marked() {
        let [id, name, what] = columns();
        let buf = drawn(24, [id, name.sorted(Some(true)), what]);
        assert!(text(&buf)[0].contains(&format!("name{}", DARK.glyphs.sorted[1])));
        assert!(buf[(6, 0)].modifier.contains(Modifier::UNDERLINED) && !buf[(3, 0)].modifier.contains(Modifier::BOLD));
    }

    #[test]
    fn a_column_without_room_is_left_out_and_the_others_get_it() {
        let [id, name, what] = columns();
        assert_eq!(text(&drawn(16, [id, name, what.shown_if(false)]))[1], "    2 a long n… ");
    }

    #[test]
    fn the_selected_row_is_marked_as_a_whole_and_cells_have_styles_of_their_own() {
        let buf = drawn(24, columns());
        assert!((0..24).all(|x| buf[(x, 2)].modifier.contains(Modifier::REVERSED)));
        assert_eq!(buf[(19, 1)].fg, DARK.failed.fg.unwrap());
    }
}
