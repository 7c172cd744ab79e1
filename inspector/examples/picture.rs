//! Draws the screens over a recording as SVG: `picture FILE SECONDS|end WIDTHxHEIGHT [KEY…]`. `docs/draw` makes the
//! README's pictures with it.

use std::process::ExitCode;

use tinyio_inspector::trace;
use tinyio_inspector::tui::Headless;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(at), Some(size)) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: picture FILE SECONDS|end WIDTHxHEIGHT [KEY…]");
        return ExitCode::from(2);
    };
    let at = at.parse::<f64>().ok().map(|seconds| (seconds * 1e9) as u64);
    let size = size.split_once('x').and_then(|(wide, high)| Some((wide.parse().ok()?, high.parse().ok()?)));
    let Some((wide, high)) = size else {
        eprintln!("the size is WIDTHxHEIGHT in characters, such as 110x30");
        return ExitCode::from(2);
    };
    let keys = args.collect::<Vec<_>>().join(" ");
    let drawn = trace::open(file.as_ref()).and_then(|mut source| {
        let mut screens = Headless::of(&mut *source, at, wide, high)?;
        screens.press(&keys);
        Ok(screens.svg())
    });
    match drawn {
        Ok(svg) => {
            print!("{svg}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
