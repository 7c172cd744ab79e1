//! A progress bar on stderr.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The interval at which the bar is updated. Also how long a finished job may wait for it, hence short.
const TICK: Duration = Duration::from_millis(20);
/// A job that takes no longer than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(200);

/// A bar, if stderr is a terminal and no live view is on.
pub struct Progress {
    bar: ProgressBar,
    finished: Cell<bool>,
}

impl Progress {
    pub fn new() -> Rc<Progress> {
        Rc::new(Progress { bar: ProgressBar::hidden(), finished: Cell::new(false) })
    }

    /// Starts from zero, with another `template` of indicatif's. It should be narrow: where stdout goes elsewhere,
    /// indicatif takes every terminal to be 80 columns wide.
    pub fn stage(&self, template: &str, total: u64) {
        self.bar
            .set_style(ProgressStyle::with_template(template).expect("written in this program").progress_chars("━╸ "));
        self.bar.reset();
        self.bar.set_length(total);
    }

    /// The bar, which threads may advance, too.
    pub fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Keeps the bar moving until the job is finished.
    pub async fn tick(self: Rc<Self>) -> tinyio::Result<()> {
        tinyio::sleep(TICK).await?;
        let mut waited = TICK;
        while !self.finished.get() {
            if waited == PATIENCE && std::env::var_os("TINYIO_INSPECT").is_none_or(|view| view != "1") {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            self.bar.tick();
            tinyio::sleep(TICK).await?;
            waited += TICK;
        }
        Ok(())
    }

    /// Marks the job as finished: [`tick`](Progress::tick) ends.
    pub fn finish(&self) {
        self.finished.set(true);
    }

    /// Removes the bar from the screen.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
