//! Runs the lines and prints them.

use crate::measure::median;

/// The number of runs of each.
const RUNS: usize = 5;

/// The lines to be run, and how large.
pub struct Table {
    filters: Vec<String>,
    quick: bool,
    /// For a profiler: no other executor runs.
    ours: bool,
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
    goals: Vec<(f64, &'static str)>,
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
    /// From the command line: filters (`W3`, or a part of a title), `--quick` and `--ours`.
    pub fn from_args() -> Table {
        let mut table = Table { filters: Vec::new(), quick: false, ours: false, missed: Vec::new(), met: 0 };
        for arg in std::env::args().skip(1) {
            match arg.as_str() {
                "--quick" => table.quick = true,
                "--ours" => table.ours = true,
                "--bench" => {} // From cargo.
                arg if arg.starts_with('-') => {
                    eprintln!(
                        "tinyio-benches: unknown option {arg}; there are --quick, --ours, and filters like W3 or gather"
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
        println!("tinyio beside its peers, medians per operation ({built})\n");
    }

    /// This number, or a tenth of it with `--quick`.
    pub fn scale(&self, n: u64) -> u64 {
        if self.quick { n / 10 } else { n }
    }

    /// Runs a line, unless it is filtered out, and prints it.
    pub fn run(&mut self, mut line: Line) {
        let title = format!("{} {}", line.id, line.title);
        let lower = title.to_lowercase();
        if !self.filters.is_empty() && !self.filters.iter().any(|filter| lower.contains(filter)) {
            return;
        }
        if self.ours {
            line.entries.retain(|entry| entry.name == OURS);
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
        for (factor, peer) in line.goals {
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

    /// Prints which goals were missed.
    pub fn end(self) {
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
        Line { id, title, unit: "ns", runs: RUNS, entries: Vec::new(), goals: Vec::new(), missing: Vec::new() }
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

    /// tinyio with a tenth of the work: per operation it should cost nearly the same.
    pub fn tenth(self, run: impl FnMut() -> f64 + 'static) -> Line {
        self.by(TENTH, run)
    }

    /// tinyio must not cost more than this many times what `peer` costs.
    pub fn goal(mut self, factor: f64, peer: &'static str) -> Line {
        self.goals.push((factor, peer));
        self
    }

    /// tinyio must cost less than every other scheduler of the line.
    pub fn below_all(mut self) -> Line {
        let others = self.entries.iter().map(|entry| entry.name).filter(|name| !FLOORS.contains(name));
        self.goals.extend(others.map(|name| (1.0, name)));
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
