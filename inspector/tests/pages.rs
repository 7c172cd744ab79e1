//! The pages that `export --to html` makes, in a real browser without a network: headless Chromium, the one that
//! `TINYIO_BROWSER` names, or else the one that is installed. Where there is none this says so and checks nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TINYIO_BROWSER") {
        return Some(named.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("not checked: there is no Chromium; install one, or name it in TINYIO_BROWSER");
    }
    found
}

/// A page as the browser has it, and what it asked the network for.
struct Opened {
    dom: String,
    requests: Vec<String>,
}

fn open(browser: &Path, folder: &Path, page: &str) -> Opened {
    let (file, log) = (folder.join("page.html"), folder.join("log.json"));
    fs::write(&file, page).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        // No server listens there.
        .arg("--proxy-server=127.0.0.1:9")
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", browser.display()));
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && dom.contains("</html>"), "{}", String::from_utf8_lossy(&output.stderr));
    let log: Value = serde_json::from_slice(&fs::read(log).unwrap()).unwrap();
    let kind = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    assert!(kind.is_number(), "the format of the browser's log has changed");
    let requests = log["events"].as_array().unwrap().iter().filter(|event| event["type"] == *kind);
    // What the browser wants for itself comes from no page.
    let requests =
        requests.filter(|event| event["params"]["initiator"].as_str().is_some_and(|from| from != "not an origin"));
    Opened { dom, requests: requests.map(|event| event["params"]["url"].to_string()).collect() }
}

fn page(trace: &str) -> String {
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(trace);
    let export = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"))
        .arg("export")
        .arg(trace)
        .args(["--to", "html"])
        .output()
        .unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    String::from_utf8(export.stdout).unwrap()
}

#[test]
fn pages_open_in_a_browser_and_ask_the_network_for_nothing() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let crash = page("crash.jsonl");
    let opened = open(&browser, folder.path(), &crash);
    for part in [
        "tour crashed after",
        "images/3 is no text",
        "tour::words",
        "examples/tour.rs:104:89",
        "Page { section:",
        "What waits for what",
    ] {
        assert!(opened.dom.contains(part), "{part} is not in {}", opened.dom);
    }
    assert_eq!(opened.requests, [""; 0]);
    let opened = open(&browser, folder.path(), &page("live.jsonl"));
    assert!(opened.dom.contains("What waits for what"), "{}", opened.dom);
    assert_eq!(opened.requests, [""; 0]);

    // A request would be seen; and the page forbids scripts and requests that a value may contain.
    let image = "<img src=\"http://127.0.0.1:9/image.png\"><script>document.title = 'changed'</script>";
    let bare = open(&browser, folder.path(), &format!("<!doctype html><title>bare</title>{image}"));
    assert_eq!(bare.requests, ["\"http://127.0.0.1:9/image.png\""]);
    assert!(bare.dom.contains("<title>changed</title>"), "{}", bare.dom);
    let opened = open(&browser, folder.path(), &crash.replace("</body>", &format!("{image}</body>")));
    assert_eq!(opened.requests, [""; 0]);
    assert!(opened.dom.contains("<title>tour · tinyio</title>"), "{}", opened.dom);
}
