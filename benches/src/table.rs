//! Runs the lines and prints them.

use crate::counts;
use crate::measure::{self, median};

/// The number of runs of each.
const RUNS: usize = 5;

/// The lines to be run, and how large.
pub struct Table {
    filters: Vec<String>,
    quick: bool,
    /// For a profiler: no other executor runs.
    ours: bool,
    /// Instructions and stores are counted, not time.
    counts: bool,
    /// The number of lines so far.
    lines: usize,
    missed: Vec<String>,
    met: usize,
}

/// One line: the same work by several executors.
pub struct Line {
    id: &'static str,
    title: String,
    unit: &'static str,
    runs: usize,
    entries: Vec<Entry>,
    /// A factor, and the peer that it refers to; `None` is the best one.
    goals: Vec<(f64, Option<&'static str>)>,
    /// It is the work of one thread that never waits.
    countable: bool,
    /// Executors that cannot run here.
    missing: Vec<&'static str>,
}

struct Entry {
    name: &'static str,
    run: Box<dyn FnMut() -> f64>,
}

/// tinyio, in every line.
pub const OURS: &str = "tinyio";
/// tinyio with a tenth of the work.
pub const TENTH: &str = "tinyio at a tenth";
/// No scheduler, or none that is to be beaten.
const FLOORS: [&str; 3] = ["limit", TENTH, OURS];

impl Table {
    /// From the command line: filters (`W3`, or a part of a title), `--quick`, `--ours` and `--counts`.
    pub fn from_args() -> Table {
        let mut table = Table {
            filters: Vec::new(),
            quick: false,
            ours: false,
            counts: false,
            lines: 0,
            missed: Vec::new(),
            met: 0,
        };
        for arg in std::env::args().skip(1) {
            match arg.as_str() {
                "--quick" => table.quick = true,
                "--ours" => table.ours = true,
                "--counts" => table.counts = true,
                "--bench" => {} // From cargo.
                arg if arg.starts_with('-') => {
                    eprintln!(
                        "tinyio-benches: unknown option {arg}; there are --quick, --ours, --counts, and filters like W3 or gather"
                    );
                    std::process::exit(2);
                }
                arg => table.filters.push(arg.to_lowercase()),
            }
        }
        table
    }

    /// Prints what is compared.
    pub fn heading(&self) {
        let built = if tinyio::RECORDS {
            "recording is built in, but off; `cargo bench -p tinyio-benches` builds without it"
        } else {
            "recording is not built in"
        };
        let what = if self.counts { "instructions and stores" } else { "medians" };
        println!("tinyio beside its peers, {what} per operation ({built})");
        println!("{}, profile `{}`\n", measure::processor(), measure::profile());
    }

    /// This number, a tenth of it with `--quick`, or a hundredth where instructions are counted.
    pub fn scale(&self, n: u64) -> u64 {
        match self {
            _ if self.counts || counts::asked().is_some() => n / 100,
            Table { quick: true, .. } => n / 10,
            _ => n,
        }
    }

    /// Runs a line, unless it is filtered out, and prints it.
    pub fn run(&mut self, mut line: Line) {
        self.lines += 1;
        if let Some((number, entry)) = counts::asked() {
            if number == self.lines {
                let entry =
                    line.entries.iter_mut().find(|one| one.name == entry).expect("the parent has the same lines");
                counts::print((entry.run)());
            }
            return;
        }
        let title = format!("{} {}", line.id, line.title);
        let lower = title.to_lowercase();
        if !self.filters.is_empty() && !self.filters.iter().any(|filter| lower.contains(filter)) {
            return;
        }
        if self.ours {
            line.entries.retain(|entry| entry.name == OURS);
        }
        if self.counts {
            return self.count(&title, line);
        }
        let runs = if self.quick { 1 } else { line.runs };
        let mut figures = vec![Vec::new(); line.entries.len()];
        for _ in 0..runs {
            for (entry, figures) in line.entries.iter_mut().zip(&mut figures) {
                figures.push((entry.run)());
            }
        }
        let medians: Vec<_> =
            line.entries.iter().map(|entry| entry.name).zip(figures.into_iter().map(median)).collect();
        let of = |name| medians.iter().find(|(other, _)| *other == name).map(|(_, figure)| *figure);

        println!("{title} ({})", line.unit);
        let cells = medians.iter().map(|(name, figure)| format!("{name} {}", number(*figure)));
        println!("    {}", cells.collect::<Vec<_>>().join("   "));
        for name in line.missing {
            println!("    {name} does not run here");
        }
        let ours = of(OURS).expect("we are in every line");
        let peers = || medians.iter().filter(|(name, _)| !FLOORS.contains(name));
        let best = peers().min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(name, _)| *name);
        for (factor, peer) in line.goals {
            let Some(peer) = peer.or(best) else { continue };
            let Some(theirs) = of(peer) else { continue };
            let ratio = ours / theirs;
            let met = ratio <= factor;
            println!("    {} {ratio:.3} × {peer}, goal ≤ {factor}", if met { '✔' } else { '✘' });
            if met {
                self.met += 1;
            } else {
                self.missed.push(format!("{title}: {ratio:.3} × {peer}, goal ≤ {factor}"));
            }
        }
    }

    /// Counts the instructions and stores of each executor of a line, and prints them.
    fn count(&self, title: &str, line: Line) {
        if !line.countable {
            return;
        }
        println!("{title} (instructions, of which stores)");
        for Entry { name, .. } in line.entries.iter().filter(|entry| entry.name != TENTH) {
            match counts::in_callgrind(self.lines, name) {
                Ok([instructions, stores]) => println!("    {name} {instructions:.0}, {stores:.0}"),
                Err(error) => println!("    {name}: {error}"),
            }
        }
    }

    /// Prints which goals were missed.
    pub fn end(self) {
        if self.counts || counts::asked().is_some() {
            return;
        }
        println!("\n{} goals met, {} missed", self.met, self.missed.len());
        for line in self.missed {
            println!("    ✘ {line}");
        }
    }
}

impl Line {
    /// In nanoseconds per operation, of which there are `n`.
    pub fn new(id: &'static str, title: &str, n: u64) -> Line {
        let title = format!("{title}, {}", count(n));
        Line {
            id,
            title,
            unit: "ns",
            runs: RUNS,
            entries: Vec::new(),
            goals: Vec::new(),
            countable: false,
            missing: Vec::new(),
        }
    }

    /// Sets a unit other than nanoseconds.
    pub fn unit(mut self, unit: &'static str) -> Line {
        self.unit = unit;
        self
    }

    /// Sets the number of runs.
    pub fn runs(mut self, runs: usize) -> Line {
        self.runs = runs;
        self
    }

    /// Adds an executor, and how it runs the work.
    pub fn by(mut self, name: &'static str, run: impl FnMut() -> f64 + 'static) -> Line {
        self.entries.push(Entry { name, run: Box::new(run) });
        self
    }

    /// Marks an executor that cannot run here: goals that name it are left out.
    pub fn without(mut self, name: &'static str) -> Line {
        self.missing.push(name);
        self
    }

    /// The line is the work of one thread that never waits: its instructions can be counted.
    pub fn countable(mut self) -> Line {
        self.countable = true;
        self
    }

    /// tinyio with a tenth of the work: per operation it should cost nearly the same.
    pub fn tenth(self, run: impl FnMut() -> f64 + 'static) -> Line {
        self.by(TENTH, run)
    }

    /// tinyio must not cost more than this many times what `peer` costs.
    pub fn goal(mut self, factor: f64, peer: &'static str) -> Line {
        self.goals.push((factor, Some(peer)));
        self
    }

    /// tinyio must not cost more than this many times what the best other scheduler of the line costs.
    pub fn best(mut self, factor: f64) -> Line {
        self.goals.push((factor, None));
        self
    }
}

fn count(n: u64) -> String {
    match n {
        n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => format!("{}M", n / 1_000_000),
        n if n >= 1_000 && n.is_multiple_of(1_000) => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

/// With three digits at least.
fn number(figure: f64) -> String {
    match figure {
        figure if figure < 9.95 => format!("{figure:.2}"),
        figure if figure < 99.5 => format!("{figure:.1}"),
        figure => format!("{figure:.0}"),
    }
}
