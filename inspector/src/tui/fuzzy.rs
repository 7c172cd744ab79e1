//! Fuzzy search: of the letters that were typed each is in the text, in this order; the closer together, the better.

use frizbee::{CaseMatching, Config, Matcher, Matching, Scoring};
use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::text::width;

/// What a match has to score for each letter, of the 12 that one is worth without a gap before it: letters scattered
/// over a long line are no match.
const LEAST: usize = 9;

/// A text that is searched for in others.
pub struct Fuzzy {
    matcher: Matcher,
    least: u16,
    /// The number that it is.
    number: Option<String>,
}

impl Fuzzy {
    /// Searches for this text, whatever its case.
    pub fn new(text: &str) -> Fuzzy {
        let number = text.trim_start_matches('#');
        let is_number = number.starts_with("0x") || number.bytes().all(|byte| byte.is_ascii_digit());
        let number = (is_number && !number.is_empty()).then(|| number.to_owned());
        // The digits of a number stand beside each other.
        let matching = if number.is_some() { Matching::Substring } else { Matching::Fuzzy };
        let scoring = Scoring { matching_case_bonus: 0, ..Scoring::default() };
        let config = Config::default().casing(CaseMatching::Ignore).matching(matching).scoring(scoring);
        let least = u16::try_from(text.chars().count().saturating_mul(LEAST)).unwrap_or(u16::MAX);
        Fuzzy { matcher: Matcher::new(text, &config), least, number }
    }

    /// The number that is searched for: `5` or `#5`.
    pub fn number(&self) -> Option<&str> {
        self.number.as_deref()
    }

    /// How good a match this is, if it is one.
    pub fn score(&mut self, text: &str) -> Option<u16> {
        let score = self.matcher.match_one(text, 0)?.score;
        (score >= self.least).then_some(score)
    }

    /// Marks the letters that match in a text that was drawn there.
    pub fn mark(&mut self, buf: &mut Buffer, (x, y): (u16, u16), text: &str, style: Style) {
        let Some(found) = self.matcher.match_one_indices(text, 0).filter(|found| found.score >= self.least) else {
            return;
        };
        for byte in found.indices {
            let at = byte as usize;
            let Some((before, on)) = text.split_at_checked(at) else { continue };
            let column = usize::from(x) + width(before);
            let wide = on.chars().next().map_or(0, |one| width(one.encode_utf8(&mut [0; 4])));
            for column in column..column + wide {
                if let Some(cell) = u16::try_from(column).ok().and_then(|column| buf.cell_mut((column, y))) {
                    cell.set_style(style);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    fn order<'a>(text: &str, among: &[&'a str]) -> Vec<&'a str> {
        let mut fuzzy = Fuzzy::new(text);
        let mut found: Vec<_> = among.iter().filter_map(|one| Some((fuzzy.score(one)?, *one))).collect();
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, one)| one).collect()
    }

    #[test]
    fn letters_beside_each_other_are_a_better_match_than_letters_apart() {
        assert_eq!(order("FETCH", &["f_etch", "prefetch", "fetch", "crawl"]), ["fetch", "f_etch", "prefetch"]);
        assert_eq!(order("wrtr", &["writer #5", "ticker #4"]), ["writer #5"]);
        assert_eq!(order("écl", &["éclair", "eclair"]), ["éclair"]);
    }

    #[test]
    fn letters_scattered_over_a_line_are_no_match() {
        let line = "the first line, recorded once more";
        assert_eq!(order("error", &[line, "an error"]), ["an error"]);
    }

    #[test]
    fn the_digits_of_a_number_stand_beside_each_other() {
        assert_eq!(order("12", &["fetch #12", "fetch #102", "fetch #312"]).len(), 2);
        assert_eq!(order("#12", &["fetch #12", "fetch #102", "fetch #312", "fetch #125"]).len(), 2);
        assert_eq!((Fuzzy::new("#12").number(), Fuzzy::new("12").number()), (Some("12"), Some("12")));
        assert_eq!((Fuzzy::new("#").number(), Fuzzy::new("a12").number()), (None, None));
    }

    #[test]
    fn the_letters_that_match_are_marked_where_they_were_drawn() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 12, 1));
        let style = Style::new().bg(ratatui::style::Color::Yellow);
        let marked = |buf: &Buffer| (0..12).filter(|x| buf[(*x, 0)].bg == style.bg.unwrap()).collect::<Vec<u16>>();
        Fuzzy::new("wr").mark(&mut buf, (2, 0), "日writer", style);
        assert_eq!(marked(&buf), [4, 5]);
        buf.reset();
        Fuzzy::new("日").mark(&mut buf, (2, 0), "a日b", style);
        assert_eq!(marked(&buf), [3, 4]);
        buf.reset();
        Fuzzy::new("xyz").mark(&mut buf, (2, 0), "writer", style);
        Fuzzy::new("writer").mark(&mut buf, (10, 0), "writer", style);
        assert_eq!(marked(&buf), [10, 11], "at the edge of the screen");
    }
}
