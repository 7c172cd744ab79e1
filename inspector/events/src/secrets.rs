//! What is masked in a recording: values with the name or the type of a secret, and passwords in URLs.
//!
//! `TRACE.md` says what this covers and what it does not.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use crate::event::Kind;
use crate::settings_file;
use crate::walk::each_text;

/// Stands for a masked value.
pub const MASKED: &str = "<masked>";

/// Stands for a value when no values are recorded: `TINYIO_LOCALS=0`.
pub const NOT_RECORDED: &str = "<not recorded>";

/// The variable with further names of secrets.
const VARIABLE: &str = "TINYIO_SECRETS";
/// The setting with further names of secrets.
const SETTING: &str = "secrets";

/// Words of identifiers that name a secret, in the singular.
const WORDS: [&str; 29] = [
    "auth",
    "authentication",
    "authorisation",
    "bearer",
    "card",
    "csrf",
    "cvc",
    "cvv",
    "dsn",
    "hmac",
    "jwt",
    "key",
    "keypair",
    "mnemonic",
    "oauth",
    "otp",
    "pass",
    "passcode",
    "passkey",
    "pin",
    "private",
    "pw",
    "pwd",
    "seed",
    "session",
    "sid",
    "signature",
    "ssn",
    "totp",
];

/// Also at the end of a word that is written together: `accesstoken`.
const ENDINGS: [&str; 3] = ["cookie", "secret", "token"];

/// Also anywhere in a word: `dbpassword`, `passwordhash`.
const PASSWORDS: [&str; 3] = ["password", "passwd", "passphrase"];
const PARTS: [&str; 6] = ["credential", "authorization", "apikey", "privatekey", "secretkey", "accesskey"];

/// First words of the names of types that exist to hide their content.
const HIDING: [&str; 5] = ["secret", "secrets", "sensitive", "redacted", "zeroizing"];

/// Names of secrets: those that are built in, and further ones.
///
/// A name is a secret's if one of its words is: `api_token`, `apiToken` and `API-TOKENS`, but not `tokenizer`.
///
/// # Examples
///
/// ```
/// use tinyio_events::secrets::Secrets;
///
/// assert!(Secrets::default().has("user_pass") && !Secrets::default().has("passenger"));
/// assert!(Secrets::of("iban, account number").has("customerIban"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Further ones: each is a sequence of words.
    more: Vec<Vec<String>>,
}

impl Secrets {
    /// With the names in a text, with commas between them. Of a name of several words all have to follow each other.
    pub fn of(text: &str) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.extend(text);
        secrets
    }

    /// With the names in `TINYIO_SECRETS` and in the setting `secrets` of the file and of `TINYIO_SETTINGS`.
    pub fn from_env() -> Secrets {
        Secrets::from(crate::environment::var_os)
    }

    fn from(get: impl Fn(&str) -> Option<OsString>) -> Secrets {
        let get = |name: &str| get(name).map(|value| value.to_string_lossy().into_owned());
        let mut secrets = Secrets::of(&get(VARIABLE).unwrap_or_default());
        let text = settings_file::path(get).and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        // What is wrong in the file is reported by the program that shows it.
        let entries = settings_file::entries(get, "", &text, &mut Vec::new());
        entries.iter().filter(|entry| entry.name == SETTING).for_each(|entry| secrets.extend(&entry.value));
        secrets
    }

    /// Adds the names in a text, with commas between them.
    pub fn extend(&mut self, text: &str) {
        for name in text.split([',', ';']) {
            let name: Vec<String> = words(name).map(str::to_lowercase).collect();
            if !name.is_empty() && !self.more.contains(&name) {
                self.more.push(name);
            }
        }
    }

    /// The further names, as [`Secrets::of`] reads them.
    pub fn further(&self) -> String {
        self.more.iter().map(|name| name.join("_")).collect::<Vec<_>>().join(",")
    }

    /// Whether a variable, field or key of this name is masked.
    pub fn has(&self, name: &str) -> bool {
        words(name).any(|word| is_secret(&word.to_lowercase())) || self.has_further(name)
    }

    fn has_further(&self, name: &str) -> bool {
        if self.more.is_empty() {
            return false;
        }
        let words: Vec<String> = words(name).map(str::to_lowercase).collect();
        let is = |(word, wanted): (&String, &String)| word == wanted || singular(word) == wanted;
        self.more.iter().any(|more| words.windows(more.len()).any(|words| words.iter().zip(more).all(is)))
    }

    /// Whether values of a type with this name, without its path, are masked. A type that wraps nothing but one value
    /// is by the words that mask a variable, any other by those that say nothing else than that it hides its content.
    pub fn has_type(&self, name: &str, wraps_one: bool) -> bool {
        let mut words_of = words(name).map(str::to_lowercase).peekable();
        words_of.peek().is_some_and(|first| HIDING.contains(&first.as_str()))
            || words_of.any(|word| PASSWORDS.iter().any(|part| word.contains(part)))
            || wraps_one && self.has(name)
    }
}

/// Whether values of local variables are recorded: not if `TINYIO_LOCALS` is set to anything but 1. A word that is not
/// known turns them off: they may be secrets.
pub fn locals_are_recorded() -> bool {
    records_locals(crate::environment::var_os("TINYIO_LOCALS").as_deref())
}

fn records_locals(variable: Option<&OsStr>) -> bool {
    variable.is_none_or(|value| value.is_empty() || value == "1")
}

fn is_secret(word: &str) -> bool {
    let one = singular(word);
    [word, one].iter().any(|word| WORDS.contains(word) || ENDINGS.iter().any(|end| word.ends_with(end)))
        || PASSWORDS.iter().chain(&PARTS).any(|part| word.contains(part))
}

fn singular(word: &str) -> &str {
    word.strip_suffix("es").filter(|one| one.ends_with("ss")).or_else(|| word.strip_suffix('s')).unwrap_or(word)
}

/// The words of an identifier: `HTTPAuth_key2` is `HTTP`, `Auth`, `key`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphabetic()).flat_map(camel)
}

/// The words of a part without signs and digits: a word ends before an upper-case letter that follows or precedes a
/// lower-case one.
fn camel(part: &str) -> impl Iterator<Item = &str> {
    let mut rest = part;
    std::iter::from_fn(move || {
        let mut letters = rest.char_indices().peekable();
        let mut before = letters.next()?.1;
        let mut end = rest.len();
        while let Some((at, c)) = letters.next() {
            let next_is_lower = letters.peek().is_some_and(|(_, next)| next.is_lowercase());
            if c.is_uppercase() && (before.is_lowercase() || next_is_lower) {
                end = at;
                break;
            }
            before = c;
        }
        let word;
        (word, rest) = rest.split_at(end);
        Some(word)
    })
}

/// Masks what is not to be in a recording in the texts of an event: passwords in URLs.
pub fn mask(kind: &mut Kind) {
    each_text(kind, &mut |text| {
        if let Cow::Owned(masked) = mask_urls(text) {
            *text = masked;
        }
    });
}

/// The text with `<masked>` for the passwords in its URLs: `scheme://user:<masked>@host`.
///
/// # Examples
///
/// ```
/// use tinyio_events::secrets::mask_urls;
///
/// assert_eq!(mask_urls("no route to postgres://me:hunter2@db/x"), "no route to postgres://me:<masked>@db/x");
/// assert_eq!(mask_urls("http://localhost:80/@me"), "http://localhost:80/@me");
/// ```
pub fn mask_urls(text: &str) -> Cow<'_, str> {
    const START: &str = "://";
    let mut masked = String::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(at) = text[from..].find(START) {
        let start = from + at + START.len();
        let url = &text[start..];
        let url = &url[..url.find(|c: char| c.is_whitespace() || "\"<>`".contains(c)).unwrap_or(url.len())];
        from = start;
        if let Some((first, end)) = password(url) {
            masked += &text[done..start + first];
            masked += MASKED;
            done = start + end;
            from = done;
        }
    }
    if done == 0 {
        return text.into();
    }
    masked += &text[done..];
    masked.into()
}

/// Where in a URL, from behind its scheme on, the password is.
fn password(url: &str) -> Option<(usize, usize)> {
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    let first = authority.find(':').filter(|_| !authority.starts_with('['))? + 1;
    let end = authority.rfind('@').or_else(|| {
        // Not a port: a password with a character that should have been escaped, or one that was cut at its end.
        let port = authority[first..].bytes().all(|byte| byte.is_ascii_digit());
        url.rfind('@').filter(|_| !port).or_else(|| url.ends_with('…').then_some(url.len()))
    })?;
    (first < end).then_some((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_masked_by_their_words() {
        let secrets = Secrets::default();
        let masked = [
            "pass",
            "pw",
            "pwd",
            "jwt",
            "bearer",
            "session",
            "signature",
            "card",
            "cookie",
            "seed",
            "private",
            "dsn",
            "credential",
            "password",
            "passwd",
            "passphrase",
            "secret",
            "token",
            "api_key",
            "apikey",
            "private_key",
            "secretKey",
            "accessKey",
            "authorization",
            "key",
            "auth",
            "otp",
            "user_pass",
            "userPass",
            "UserPW",
            "DB_PW2",
            "JWTBearer",
            "sessions",
            "passes",
            "self.session_id",
            "X-Api-Key",
            "Set-Cookie",
            "accesstoken",
            "clientsecret",
            "dbpassword",
            "passwordhash",
            "OAuth2",
            "cardNumber",
            "credentials",
            "Proxy-Authorization",
            "\"password\"",
        ];
        for name in masked {
            assert!(secrets.has(name), "{name}");
        }
        let shown = [
            "passenger",
            "compass",
            "passage",
            "bypassed",
            "keyboard",
            "monkey",
            "author",
            "cardinal",
            "discard",
            "seedling",
            "tokenizer",
            "secretary",
            "privateer",
            "designature",
            "obsession",
            "sessional",
            "spin",
            "pinned",
            "userspw",
            "",
        ];
        for name in shown {
            assert!(!secrets.has(name), "{name}");
        }
    }

    #[test]
    fn further_names_are_sequences_of_words() {
        let secrets = Secrets::of(" iban, account number;; taxId ,");
        for name in ["iban", "customerIBAN", "ibans", "account_number", "theAccountNumbers", "tax_id"] {
            assert!(secrets.has(name) && !Secrets::default().has(name), "{name}");
        }
        for name in ["account", "number_account", "taxi_d", "libanon"] {
            assert!(!secrets.has(name), "{name}");
        }
        assert_eq!(secrets.further(), "iban,account_number,tax_id");
        assert_eq!(Secrets::of(&secrets.further()), secrets);
    }

    #[test]
    fn types_are_masked_that_hide_their_content_or_wrap_a_secret() {
        let secrets = Secrets::default();
        for hiding in ["SecretString", "SecretBox", "Secret", "Zeroizing", "DbPassword", "PasswordKind", "Sensitive"] {
            assert!(secrets.has_type(hiding, false), "{hiding}");
        }
        for newtype in ["ApiToken", "Jwt", "SessionId"] {
            assert!(secrets.has_type(newtype, true) && !secrets.has_type(newtype, false), "{newtype}");
        }
        for shown in ["Secretary", "NonSecretValue", "Compass"] {
            assert!(!secrets.has_type(shown, false), "{shown}");
        }
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        let cases = [
            ("postgres://me:pw@db/x", "postgres://me:<masked>@db/x"),
            ("a redis://:pw@c, then amqp://u:p%40w@h:1/v", "a redis://:<masked>@c, then amqp://u:<masked>@h:1/v"),
            ("\"https://u:p@w@h/a@b\"", "\"https://u:<masked>@h/a@b\""),
            ("https://u:p/w?#@h/a", "https://u:<masked>@h/a"),
            ("https://u:12@[::1]:80", "https://u:<masked>@[::1]:80"),
            ("\"https://u:pas…\"", "\"https://u:<masked>\""),
            ("x://u:p://q@h x://u:p@h", "x://u:<masked>@h x://u:<masked>@h"),
            ("jdbc:mysql://u:p@h", "jdbc:mysql://u:<masked>@h"),
        ];
        for (text, masked) in cases {
            assert_eq!(mask_urls(text), masked);
            assert_eq!(mask_urls(masked), masked, "masked once");
        }
        let shown = [
            "http://h:80/a@b",
            "https://u@h",
            "http://[::1]:80/@x",
            "a :// b:c@d",
            "://",
            "http://h:80",
            "é://é:",
            "u:p@h",
        ];
        for text in shown {
            assert!(matches!(mask_urls(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn every_text_of_an_event_is_masked() {
        const URL: &str = "x://u:hunter2@h";
        let site = r#"{"coro":1,"name":"URL","file":"URL","line":1,"column":1}"#;
        let stack = r#"{"frames":[{"function":"URL","file":"URL","line":1,"column":1,"source":[[1,"URL"]],"note":"URL","locals":
            [{"name":"URL","value":{"text":"URL","type":"URL"},"mark":"URL"}]}],"missing":"URL"}"#;
        let failure = r#"{"kind":"error","coro":1,"thread":0,"name":"URL","message":"URL","error_type":"URL","sources":["URL"],
            "trace":[SITE],"backtrace":[SITE],"stack":STACK,"fields":[["URL","URL"]]}"#;
        let events = [
            r#"{"kind":"log","coro":1,"level":"URL","target":"URL","message":"URL","fields":[["URL","URL"]]}"#,
            r#"{"kind":"cancel_begin","loop":1,"origin":1,"reason":"URL"}"#,
            r#"{"kind":"output","stream":1,"text":"URL"}"#,
            r#"{"kind":"diag","coro":1,"text":"URL"}"#,
            r#"{"kind":"frames","coro":1,"stack":STACK}"#,
            r#"{"kind":"cancel_begin","loop":1,"origin":1,"reason":"no","failure":FAILURE}"#,
            r#"{"kind":"crash","loop":1,"failures":[FAILURE]}"#,
        ];
        for event in events {
            let event =
                event.replace("FAILURE", failure).replace("SITE", site).replace("STACK", stack).replace("URL", URL);
            let mut kind: Kind = serde_json::from_str(&event).unwrap();
            mask(&mut kind);
            let json = serde_json::to_string(&kind).unwrap();
            assert!(json.contains("x://u:<masked>@h") && !json.contains("hunter2"), "{json}");
        }
    }

    #[test]
    fn values_are_recorded_unless_the_variable_is_anything_but_1() {
        for (variable, records) in
            [(None, true), (Some(""), true), (Some("1"), true), (Some("0"), false), (Some("off"), false)]
        {
            assert_eq!(records_locals(variable.map(OsStr::new)), records, "{variable:?}");
        }
    }
}
