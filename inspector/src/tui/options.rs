//! How the screens look and behave, as a program passes it to them.

use super::keys::Keys;
use super::theme::Theme;

/// How the screens look and behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// Colours and signs.
    pub theme: Theme,
    /// The keys.
    pub keys: Keys,
    /// The mouse selects rows and screens; else the terminal selects text with it.
    pub mouse: bool,
    /// Bytes of events kept in memory, to go back to; beyond, the oldest go.
    pub tape: usize,
    /// The recording, if it is a file: the report that leaving prints says how to open it again.
    pub file: Option<String>,
    /// A process is shown, not a file: leaving says that it goes on, if it does.
    pub is_process: bool,
    /// One sentence for the footer, until the first key: what is wrong with the settings.
    pub notice: Option<String>,
}
