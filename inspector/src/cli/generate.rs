//! `completions SHELL`, `man [FOLDER]`, `settings`: made from the same tables as everything else.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use tinyio_inspector::{environment, tui};

use super::Cli;

/// See [`completions`].
#[derive(clap::Args)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

/// Prints what a shell needs to complete our commands.
pub fn completions(args: &Completions) -> io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tinyio-inspector", &mut text);
    super::stdout::print(&text)
}

/// See [`man`].
#[derive(clap::Args)]
pub struct Man {
    /// Write a page for every command into this folder
    folder: Option<PathBuf>,
}

/// Prints the man page, or writes all of them into a folder.
pub fn man(args: &Man) -> io::Result<()> {
    let command = Cli::command().disable_help_subcommand(true);
    match &args.folder {
        Some(folder) => clap_mangen::generate_to(command, folder)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: cannot write: {error}", folder.display()))),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            super::stdout::print(&page)
        }
    }
}

/// Prints a file of settings to begin with.
pub fn settings() -> io::Result<()> {
    if let Some(path) = tui::settings_path(environment::var) {
        eprintln!("tinyio-inspector: settings are read from {}", path.display());
    }
    super::stdout::print(tui::sample_settings().as_bytes())
}
