//! Secrets do not get into a recording, whatever shape they have and whichever way values and texts take. The programs
//! are this test binary itself, with the secret in its environment, so that it is in no source line.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tinyio::{Loop, Result, coro, gather, sleep, spawn, yield_now};
use tinyio_inspector::export::{Format, Options, export};
use tinyio_inspector::trace::TraceReader;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

const CHILD: &str = "TINYIO_TEST_CHILD";
const SECRET: &str = "TINYIO_TEST_HIDDEN";
const ANSWERS: &str = "TINYIO_TEST_ANSWERS";
/// A value that is not masked.
const SHOWN: &str = "plainly-visible";

fn secret() -> String {
    std::env::var(SECRET).unwrap()
}

#[allow(dead_code, reason = "read by the debugger")]
mod shapes {
    use super::*;

    pub struct Password(pub String);
    pub struct ApiToken(pub String);
    pub struct Jwt {
        pub raw: String,
    }
    pub struct SecretAnswer {
        pub question: u8,
        pub answer: String,
    }
    pub enum DbPassword {
        None,
        Plain(String),
    }
    pub enum Login {
        Guest,
        Bearer(String),
        Secret { question: u8, answer: String },
    }
    pub struct Header {
        pub name: &'static str,
        pub value: String,
    }
    /// As caches of maps keep them.
    pub struct Bucket {
        pub hash: u64,
        pub key: String,
        pub value: String,
    }
    pub struct Marked {
        pub text: String,
        pub is_sensitive: bool,
    }
    pub struct Fields {
        pub user: &'static str,
        pub pass: String,
        pub pw: String,
        pub jwt: String,
        pub bearer: String,
        pub session_id: String,
        pub signature: String,
        pub card: String,
        pub cookies: Vec<String>,
        pub seed_phrase: String,
        pub private: String,
        pub dsn: String,
        pub credential: String,
        pub hmac: String,
        pub iban: String,
    }
    pub trait Anything {}
    impl Anything for Password {}

    pub fn fields() -> Fields {
        let s = secret;
        Fields {
            user: SHOWN,
            pass: s(),
            pw: s(),
            jwt: s(),
            bearer: s(),
            session_id: s(),
            signature: s(),
            card: s(),
            cookies: vec![s()],
            seed_phrase: s(),
            private: s(),
            dsn: s(),
            credential: s(),
            hmac: s(),
            iban: s(),
        }
    }
}
use shapes::*;

/// Values whose type or name marks them as secrets.
async fn named() -> Result<()> {
    let s = secret;
    let newtypes = (Password(s()), ApiToken(s()), Jwt { raw: s() });
    let hiding = (SecretAnswer { question: 1, answer: s() }, DbPassword::Plain(s()), Some(Password(s())));
    let logins = [Login::Guest, Login::Bearer(s()), Login::Secret { question: 1, answer: s() }];
    let behind: (Box<Password>, std::rc::Rc<Password>, Vec<Password>, Box<dyn Anything>) =
        (Box::new(Password(s())), Password(s()).into(), vec![Password(s())], Box::new(Password(s())));
    let fields = fields();
    let (password, api_key, sessions) = (s(), Some(s()), HashMap::from([(s(), 1)]));
    let marked = Marked { text: s(), is_sensitive: true };
    sleep(Duration::from_secs(60)).await?;
    black_box((newtypes, hiding, logins, behind, fields, password, api_key, sessions, marked));
    Ok(())
}

/// Values of the crates that are made for secrets.
async fn of_crates() -> Result<()> {
    let s = secret;
    let text = secrecy::SecretString::from(s());
    let boxed = secrecy::SecretBox::new(Box::new(s()));
    let zeroizing = zeroize::Zeroizing::new(s());
    let redacted = redact::Secret::new(s());
    let mut value = http::HeaderValue::from_str(&s())?;
    value.set_sensitive(true);
    let mut map = http::HeaderMap::new();
    map.insert(http::header::AUTHORIZATION, http::HeaderValue::from_str(&s())?);
    map.insert(http::header::COOKIE, value.clone());
    for name in [http::header::SET_COOKIE, "x-api-key".parse()?] {
        for _ in 0..2 {
            map.append(&name, http::HeaderValue::from_str(&s())?);
        }
    }
    sleep(Duration::from_secs(60)).await?;
    black_box((text, boxed, zeroizing, redacted, value, map));
    Ok(())
}

/// Values next to a name.
async fn keyed() -> Result<()> {
    let s = secret;
    let one = ("Authorization", s());
    let list = vec![("X-Api-Key".to_owned(), s()), ("Accept".to_owned(), SHOWN.to_owned())];
    let maps = (HashMap::from([("password".to_owned(), s())]), BTreeMap::from([("set-cookie", s())]));
    let array = [("user", SHOWN.to_owned()), ("client_secret", s())];
    let header = Header { name: "proxy-authorization", value: s() };
    let bucket = Bucket { hash: 1, key: "accessToken".into(), value: s() };
    sleep(Duration::from_secs(60)).await?;
    black_box((one, list, maps, array, header, bucket));
    Ok(())
}

/// URLs as values.
async fn urls() -> Result<()> {
    let url = format!("postgres://me:{}@db/{SHOWN}", secret());
    let cut = format!("{:>200}://me:{}{}@db", "a", secret(), secret());
    let path = std::path::PathBuf::from(&url);
    sleep(Duration::from_secs(60)).await?;
    black_box((url, cut, path));
    Ok(())
}

async fn says(url: String) -> Result<()> {
    let span = info_span!("fetch", url, jwt = secret(), seen = SHOWN);
    span.in_scope(|| info!(bearer = secret(), url, "fetching {url}"));
    let lock = tinyio::Lock::new().named(url.clone());
    let held = lock.acquire().await?;
    let cleanup = sleep(Duration::from_secs(60)).await;
    drop(held);
    cleanup.map_err(|_| tinyio::Error::msg(format!("no answer of {url}")))
}

async fn panics(url: String) -> Result<()> {
    let _ = sleep(Duration::from_secs(60)).await;
    panic!("no answer of {url}")
}

/// It answers its cancellation with a value.
async fn answers() -> Result<String> {
    let _ = sleep(Duration::from_secs(60)).await;
    Ok(secret())
}

async fn fails() -> Result<()> {
    for _ in 0..3 {
        yield_now().await?;
    }
    let password = secret();
    let made = std::io::Error::other(format!("redis://:{}@cache is down", secret()));
    let result: std::io::Result<()> = Err(made);
    yield_now().await?;
    black_box(password);
    Ok(result?)
}

fn program() {
    tracing_subscriber::registry().with(tinyio::trace_layer()).init();
    let main = async {
        if std::env::var_os(ANSWERS).is_some() {
            spawn(answers());
        }
        let url = format!("https://me:{}@host/path", secret());
        let others = (coro(named()), coro(of_crates()), coro(keyed()), coro(urls()));
        gather((others.0, others.1, others.2, others.3, coro(says(url.clone())), coro(panics(url)), coro(fails())))
            .await?;
        tinyio::Ok(())
    };
    let crash = Loop::new().run(main).unwrap_err();
    eprintln!("{crash:?}");
}

/// The output of a recorded run of `program`: the ring, the trace, exports of it, the report.
fn recorded(test: &str, secret: &str, variables: &[(&str, &str)]) -> Option<BTreeMap<&'static str, Vec<u8>>> {
    if std::env::var_os(CHILD).is_some() {
        program();
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (trace, rings) = (folder.path().join("run.jsonl"), folder.path().join("rings"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("secrets::{test}"), "--exact", "--nocapture"]).env(CHILD, "1").env(SECRET, secret);
    command.env("TINYIO_TRACE", &trace).env("TINYIO_RING_DIR", &rings).env_remove("TINYIO_INSPECT");
    command.env("TINYIO_SETTINGS_FILE", "/dev/null").envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let ring = std::fs::read_dir(&rings).unwrap().next().unwrap().unwrap().path();
    let exported = |format: Format| {
        let mut out = Vec::new();
        export(&mut TraceReader::open(&trace).unwrap(), format, &Options::default(), &mut out).unwrap();
        out
    };
    let report: Vec<u8> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .skip_while(|line| !line.starts_with('✖'))
        .collect::<String>()
        .into();
    Some(BTreeMap::from([
        ("ring", read(&ring)),
        ("trace", read(&trace)),
        ("report", report),
        ("html", exported(Format::Html)),
        ("chrome", exported(Format::Chrome)),
    ]))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// Random letters and digits, different each time.
fn random() -> String {
    use std::hash::BuildHasher;
    format!("h{:016x}", RandomState::new().hash_one(0))
}

/// Where a secret is, with the text before it.
fn leaks(what: &str, bytes: &[u8], secret: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let before = |at: usize| text[text.floor_char_boundary(at.saturating_sub(60))..at].to_owned();
    // A ring has it in two parts where a record ends in it.
    let parts = [&secret[..8], &secret[secret.len() - 8..]].map(|part| text.match_indices(part));
    parts.into_iter().flatten().map(|(at, _)| format!("{what}: {}", before(at))).collect()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn secrets_of_all_shapes_are_in_no_part_of_a_recording() {
    for _ in 0..3 {
        let secret = random();
        let further = ("TINYIO_SECRETS", "nino, iban");
        let test = "secrets_of_all_shapes_are_in_no_part_of_a_recording";
        let Some(recorded) = recorded(test, &secret, &[further]) else { return };
        let leaks: Vec<String> = recorded.iter().flat_map(|(what, bytes)| leaks(what, bytes, &secret)).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
        for shown in [SHOWN, "<masked>", "of_crates", "me:<masked>@host", "redis://:<masked>@cache"] {
            assert!(has(&recorded["trace"], shown), "{shown}");
        }
        assert!(has(&recorded["report"], "redis://:<masked>@cache"));
    }
}

#[test]
fn further_names_of_secrets_come_from_the_environment_and_the_settings() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "theme = dark\nsecrets = iban # of customers\n").unwrap();
    let file = ("TINYIO_SETTINGS_FILE", file.path().to_str().unwrap());
    let inline = ("TINYIO_SETTINGS", "tape = 4M; secrets = IBAN");
    let variable = ("TINYIO_SECRETS", "Iban");
    for (variables, shown) in [(&[][..], true), (&[variable], false), (&[file], false), (&[inline], false)] {
        let secret = random();
        let test = "further_names_of_secrets_come_from_the_environment_and_the_settings";
        let Some(recorded) = recorded(test, &secret, variables) else { return };
        assert_eq!(has(&recorded["trace"], &secret), shown, "{variables:?}");
    }
}

#[test]
fn without_values_a_recording_has_stacks_and_messages_and_no_value() {
    let secret = random();
    let test = "without_values_a_recording_has_stacks_and_messages_and_no_value";
    let values = [("TINYIO_LOCALS", "0"), (ANSWERS, "1")];
    let Some(recorded) = recorded(test, &secret, &values) else { return };
    for (what, bytes) in &recorded {
        let leaks = leaks(what, bytes, &secret);
        assert!(leaks.is_empty() && !has(bytes, SHOWN), "{what}: {leaks:#?}");
    }
    for there in ["of_crates", "fetching https://me", "answered Ok(_)", "[\"seen\",\"<not recorded>\"]"] {
        assert!(has(&recorded["trace"], there), "{there}");
    }
}
