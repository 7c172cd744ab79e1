//! `export FILE --to FORMAT`.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tinyio_inspector::export::{self, By, Format, Options};
use tinyio_inspector::time_point::At;

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: super::Input,
    /// chrome, perfetto, folded, dot, mermaid, html or jsonl
    #[arg(long, value_name = "FORMAT")]
    to: Format,
    /// The file to write; without it, standard output
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// The moment, or up to when: 12.3s, 00:12.4, or right after an event, #1234
    #[arg(long, value_name = "T")]
    at: Option<At>,
    /// What folded stacks count: busy or blocked
    #[arg(long, default_value = "busy")]
    by: By,
}

/// Writes a recording in the format of another tool.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let file = &args.input.file;
    let mut source = args.input.open()?;
    let options = Options { at: args.at, by: args.by, file: Some(file.display().to_string()) };
    match &args.out {
        Some(path) => {
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: cannot write: {error}", path.display()));
            if is_same(path, file) {
                let what = format!("{}: is what is being read; give -o another name", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            let mut out = Named { out: BufWriter::new(File::create(path).map_err(named)?), path };
            export::export(&mut *source, args.to, &options, &mut out)?;
            out.flush()?;
        }
        None if args.to.is_binary() && io::stdout().is_terminal() => {
            let what = "this format is not text, and would upset the terminal: write it to a file with -o OUT";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        None => {
            let mut out = super::stdout::open()?;
            export::export(&mut *source, args.to, &options, &mut out)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn is_same(left: &Path, right: &Path) -> bool {
    matches!((left.canonicalize(), right.canonicalize()), (Ok(left), Ok(right)) if left == right)
}

/// A file that adds its path to its errors.
struct Named<'a> {
    out: BufWriter<File>,
    path: &'a Path,
}

impl Named<'_> {
    fn named(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: cannot write: {error}", self.path.display()))
    }
}

impl Write for Named<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).map_err(|error| self.named(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(|error| self.named(error))
    }
}
