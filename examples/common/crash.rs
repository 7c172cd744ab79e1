//! How the examples show errors.

use std::io::{IsTerminal, stderr};

use color_eyre::Section;
use color_eyre::SectionExt;
use color_eyre::config::{HookBuilder, Theme};
use color_eyre::eyre::{Report, Result, eyre};
use tinyio::Crash;

/// Has color-eyre print errors and panics, in colour where the terminal supports it.
pub fn install() -> Result<()> {
    let plain = !stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    let theme = if plain { Theme::new() } else { Theme::dark() };
    HookBuilder::default().theme(theme).display_env_section(false).install()
}

/// The error that crashed the loop, followed by what all coroutines were at.
pub fn explain(crash: Crash) -> Report {
    let report = format!("{crash:?}").header("What the loop was doing:");
    eyre!(crash.into_error()).section(report)
}
