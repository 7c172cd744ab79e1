//! The tree as text.

use std::io;

use super::rows::{DEEPEST, rows};
use crate::describe;
use crate::format::{counted, one_line, width};
use crate::model::Model;

pub(super) fn write(model: &Model, out: &mut dyn io::Write) -> io::Result<()> {
    let header = model.header();
    let live = counted(model.live_count() as u64, "coroutine");
    writeln!(out, "{} · pid {} · {} · {live}", one_line(&header.program), header.pid, describe::moment(model))?;
    if model.live_count() == 0 {
        let hint = if model.events() > 0 { "; --at shows an earlier moment" } else { "" };
        return writeln!(out, "no coroutine is alive{hint}");
    }
    let rows = rows(model);
    // The first column stays in bounds, however deep the tree is.
    let first = |depth: usize, label: &str| depth * 4 + 2 + width(label);
    let column = |text: fn(&super::Row) -> &str, most: usize| {
        rows.iter().map(|row| width(text(row))).max().unwrap_or(0).min(most)
    };
    let names = rows.iter().map(|row| first(row.depth, &row.label)).max().unwrap_or(0).min(48);
    let doings = column(|row| &row.doing, 40);
    let places = column(|row| &row.place, 40);
    let mut open = [false; DEEPEST + 2];
    for row in &rows {
        let mut line = String::new();
        for is_open in open.iter().take(row.depth).skip(1) {
            line.push_str(if *is_open { "│   " } else { "    " });
        }
        if row.depth > 0 {
            line.push_str(match (row.is_last, row.is_loose) {
                (true, false) => "└── ",
                (false, false) => "├── ",
                (true, true) => "└┄┄ ",
                (false, true) => "├┄┄ ",
            });
        }
        open[row.depth] = !row.is_last;
        line.push_str(&format!("{} {}", row.what.glyph(), one_line(&row.label)));
        let fill = names.saturating_sub(width(&line));
        let (doing, place) = (one_line(&row.doing), one_line(&row.place));
        line.push_str(&format!("{:fill$}  {doing:<doings$}  {place:<places$}  {}", "", row.long));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
