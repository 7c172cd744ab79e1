//! A program to look at: docs/TOUR.md walks through it with the inspector.
//!
//! It reads the pages of a site that it makes up, and counts their words. `tour` does so until it is stopped; `tour
//! crash` comes upon a page that is no text, `tour stuck` makes a blocking call that never returns.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tinyio::{Crash, Lock, Loop, Result, gather, run_in_thread, sleep};

const SECTIONS: [&str; 8] = ["news", "sport", "weather", "letters", "archive", "images", "people", "contact"];
/// How long the slow coroutine keeps all others from the index.
const SLOW: Duration = Duration::from_secs(4);

/// A page of the site.
#[derive(Clone, Debug)]
struct Page {
    section: &'static str,
    number: u32,
    text: Vec<u8>,
}

/// A page is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{section}/{number} is no text: byte {at} is {byte:#04x}")]
struct NotText {
    section: &'static str,
    number: u32,
    at: usize,
    byte: u8,
}

/// State that all readers share.
struct Site {
    /// A coroutine that holds it may change the counts.
    index: Lock,
    pages: Cell<usize>,
    words: Cell<usize>,
    goes: Goes,
}

/// What happens to the third page of a section.
#[derive(Clone, Copy, PartialEq)]
enum Goes {
    Slowly,
    Wrong,
    Nowhere,
}

fn main() -> std::result::Result<(), Crash> {
    let goes = match std::env::args().nth(1).as_deref() {
        Some("crash") => Goes::Wrong,
        Some("stuck") => Goes::Nowhere,
        _ => Goes::Slowly,
    };
    let site = Site { index: Lock::new().named("index"), pages: Cell::new(0), words: Cell::new(0), goes };
    Loop::new().run(crawl(Rc::new(site)))
}

async fn crawl(site: Rc<Site>) -> Result<()> {
    let readers: Vec<_> = SECTIONS.into_iter().map(|section| read(section, site.clone())).collect();
    gather((report(site), async { Ok::<_, tinyio::Error>(gather(readers).await?) })).await?;
    Ok(())
}

/// Reads a section, page by page.
async fn read(section: &'static str, site: Rc<Site>) -> Result<()> {
    let mut number = 1;
    loop {
        let page = fetch(section, number, site.goes).await?;
        let words = words(&page).await?;
        store(&site, &page, words).await?;
        number += 1;
    }
}

/// Simulates a request over the network.
async fn fetch(section: &'static str, number: u32, goes: Goes) -> Result<Page> {
    let distance = 50 + 10 * section.len() as u64;
    sleep(Duration::from_millis(distance)).await?;
    let mut text = format!("This is page {number} of the {section}.").into_bytes();
    match (goes, section, number) {
        (Goes::Wrong, "images", 3) => text[9] = 0xff,
        (Goes::Nowhere, "people", 3) => wait_for_word(),
        _ => {}
    }
    Ok(Page { section, number, text })
}

/// Blocks the thread, and so all coroutines: a mistake on purpose. Besides, the message is never sent.
fn wait_for_word() {
    let (_word, words) = std::sync::mpsc::channel::<String>();
    let _ = words.recv();
}

/// Counts the words on a thread, as is right for work that takes long.
async fn words(page: &Page) -> Result<usize> {
    let text = page.text.clone();
    let count = move || tinyio::Ok(String::from_utf8(text).map(|text| text.split_whitespace().count()));
    let found = run_in_thread(count).await?;
    found.map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        NotText { section: page.section, number: page.number, at, byte: page.text[at] }.into()
    })
}

/// Adds a page to the index. The archive is slow, and keeps the lock meanwhile: a mistake on purpose.
async fn store(site: &Site, page: &Page, words: usize) -> Result<()> {
    let _mine = site.index.acquire().await?;
    if page.section == "archive" && site.goes == Goes::Slowly {
        sleep(SLOW).await?;
    }
    site.pages.set(site.pages.get() + 1);
    site.words.set(site.words.get() + words);
    Ok(())
}

/// Reports the progress regularly.
async fn report(site: Rc<Site>) -> Result<()> {
    loop {
        sleep(Duration::from_millis(500)).await?;
        println!("{} pages, {} words", site.pages.get(), site.words.get());
    }
}
