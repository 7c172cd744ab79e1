//! `linkcheck URL` checks the links of a site: all pages on the same host are read, and each link is requested once.
//!
//! Without a URL it checks a small site that it serves itself. With `--bug` it has one of five bugs, to be found with
//! the inspector: docs/FIND-THE-BUG.md.

mod check;
mod fetch;
mod page;
mod site;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use http::Uri;
use tinyio::{Crash, Interrupted, Loop};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Checks the links of a site.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to begin, as http://localhost:8000/; without it, a small site of this program's own
    url: Option<Uri>,
    /// Pages that are read at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    workers: u8,
    /// Connections that are open at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..))]
    connections: u8,
    /// Seconds until a request is given up
    #[arg(long, default_value_t = 5.0)]
    timeout: f64,
    /// How often a request that failed is repeated
    #[arg(long, default_value_t = 2)]
    retries: u32,
    /// Have a bug, to be found with the inspector
    #[arg(long, value_name = "BUG")]
    bug: Option<Bug>,
}

/// A mistake on purpose.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Bug {
    /// Two coroutines acquire two locks in different orders
    Deadlock,
    /// A header is expected to be a number
    Panic,
    /// A page is not UTF-8, and nothing is prepared for it
    Malformed,
    /// A server accepts a connection and never answers, and there is no timeout
    Hang,
    /// A server closes the connection in the middle of a page, and nothing is prepared for it
    Truncated,
}

fn main() -> Result<ExitCode, Crash> {
    tracing_subscriber::registry().with(tinyio::trace_layer()).init();
    let arguments = Arguments::parse();
    let start = match arguments.url {
        Some(url) => url,
        None => match site::serve(arguments.bug) {
            Ok(url) => url,
            Err(error) => {
                eprintln!("linkcheck: cannot serve a site on 127.0.0.1: {error}; name a URL instead");
                return Ok(ExitCode::from(2));
            }
        },
    };
    let limits = fetch::Limits {
        // With this bug a request waits for ever.
        timeout: (arguments.bug != Some(Bug::Hang)).then(|| Duration::from_secs_f64(arguments.timeout)),
        retries: arguments.retries,
        strict: matches!(arguments.bug, Some(Bug::Malformed | Bug::Truncated)),
    };
    let client = Rc::new(fetch::Client::new(arguments.connections.into(), limits));
    let check = check::check(start, client, arguments.workers.into(), arguments.bug);
    match Loop::new().named("linkcheck").cancel_on_ctrl_c().run(check) {
        Ok(report) => {
            print!("{report}");
            Ok(if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(crash) if crash.downcast_ref::<Interrupted>().is_some() => {
            eprintln!("linkcheck: interrupted");
            Ok(ExitCode::from(130))
        }
        Err(crash) => Err(crash),
    }
}
