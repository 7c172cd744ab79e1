//! Reads the pages of a site with a few workers, and collects the links that lead nowhere.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use http::Uri;
use tinyio::{Error, Lock, Result, coro, gather, sleep};

use crate::Bug;
use crate::fetch::{Client, Response};
use crate::page;

/// A link to be checked.
#[derive(Clone, Debug)]
struct Link {
    target: Uri,
    /// The page it stands on.
    from: Uri,
}

/// A link that leads nowhere.
#[derive(Clone, Debug)]
pub struct Broken {
    target: Uri,
    from: Uri,
    why: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    checked: usize,
    pages: usize,
    pub broken: Vec<Broken>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut broken = self.broken.clone();
        broken.sort_by_key(|link| (link.from.to_string(), link.target.to_string()));
        for Broken { target, from, why } in &broken {
            writeln!(f, "{from}: {target}: {why}")?;
        }
        writeln!(f, "{} links on {} pages, {} broken", self.checked, self.pages, broken.len())
    }
}

/// State that the workers share. The order of the locks: `seen`, then `report`.
struct Shared {
    client: Rc<Client>,
    host: String,
    queue: (Sender<Link>, Receiver<Link>),
    /// Links that are queued or being checked. When there is none, the queue is closed.
    pending: Cell<usize>,
    /// Held while links are added, so that each is checked once.
    seen: Lock,
    urls: RefCell<HashSet<Uri>>,
    /// Held while the report is changed.
    report: Lock,
    results: RefCell<Report>,
    bug: Option<Bug>,
}

/// Checks the site that begins at `start`.
///
/// # Errors
///
/// If `start` itself cannot be read.
pub async fn check(start: Uri, client: Rc<Client>, workers: usize, bug: Option<Bug>) -> Result<Report> {
    let shared = Rc::new(Shared {
        client,
        host: start.authority().map(ToString::to_string).unwrap_or_default(),
        queue: async_channel::unbounded(),
        pending: Cell::new(0),
        seen: Lock::new().named("seen"),
        urls: RefCell::default(),
        report: Lock::new().named("report"),
        results: RefCell::default(),
        bug,
    });
    shared.add(vec![Link { target: start.clone(), from: start }]).await?;
    let workers = (1..=workers).map(|number| coro(worker(shared.clone())).named(format!("worker {number}")));
    gather(workers.collect::<Vec<_>>()).await?;
    Ok(shared.results.take())
}

/// Checks links until there are no more.
async fn worker(shared: Rc<Shared>) -> Result<()> {
    while let Ok(link) = shared.queue.1.recv().await {
        tracing::debug!(target = %link.target, "checking");
        shared.check(link).await?;
        shared.pending.set(shared.pending.get() - 1);
        if shared.pending.get() == 0 {
            shared.queue.1.close();
        }
    }
    Ok(())
}

impl Shared {
    /// Queues those of these links that are new.
    async fn add(&self, links: Vec<Link>) -> Result<()> {
        let _seen = self.seen.acquire().await?;
        for link in links {
            if self.urls.borrow_mut().insert(link.target.clone()) {
                self.pending.set(self.pending.get() + 1);
                self.queue.0.try_send(link).expect("the queue is open while a link is pending");
            }
        }
        if self.bug == Some(Bug::Deadlock) {
            // The mistake: `seen` is still held. `record` acquires the two locks in the other order.
            sleep(Duration::from_millis(20)).await?;
            let _report = self.report.acquire().await?;
        }
        Ok(())
    }

    /// Checks a link, and queues the links of the page that it leads to.
    async fn check(&self, link: Link) -> Result<()> {
        let response = match self.client.fetch(&link.target).await? {
            Ok(response) => response,
            Err(failure) if self.client.limits.strict => return Err(Error::from(failure)),
            Err(failure) => return self.record(&link, Some(failure.to_string())).await,
        };
        if response.status != 200 {
            let mut why = format!("status {}", response.status);
            if let Some(seconds) = &response.retry_after {
                why = format!("{why}, try again in {} s", self.seconds(seconds));
            }
            return self.record(&link, Some(why)).await;
        }
        if response.is_html && link.target.authority().is_some_and(|host| host.as_str() == self.host) {
            let links = self.links(&link, &response)?;
            self.results.borrow_mut().pages += 1;
            self.add(links).await?;
        }
        self.record(&link, None).await
    }

    /// What `Retry-After` says, which may be a date.
    fn seconds(&self, text: &str) -> u64 {
        if self.bug == Some(Bug::Panic) {
            // The mistake.
            return text.parse().unwrap();
        }
        text.parse().unwrap_or(60)
    }

    fn links(&self, link: &Link, response: &Response) -> Result<Vec<Link>> {
        let html = match std::str::from_utf8(&response.body) {
            Err(error) if self.client.limits.strict => return Err(Error::from(error)),
            html => html.map_or_else(|_| String::from_utf8_lossy(&response.body).into_owned(), str::to_owned),
        };
        let targets = page::links(&html).into_iter().filter_map(|target| page::resolve(&link.target, &target));
        Ok(targets.map(|target| Link { target, from: link.target.clone() }).collect())
    }

    /// Adds a link to the report, with what is wrong with it.
    async fn record(&self, link: &Link, wrong: Option<String>) -> Result<()> {
        let _report = self.report.acquire().await?;
        if self.bug == Some(Bug::Deadlock) {
            // The mistake: the order of the locks is `seen`, then `report`.
            sleep(Duration::from_millis(20)).await?;
            let _seen = self.seen.acquire().await?;
        }
        let mut results = self.results.borrow_mut();
        results.checked += 1;
        if let Some(why) = wrong {
            results.broken.push(Broken { target: link.target.clone(), from: link.from.clone(), why });
        }
        Ok(())
    }
}
