//! One value of every kind, random.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroU32, Wrapping};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime};

use crate::{Cases, Never, holds};

#[derive(Debug, Clone)]
#[allow(dead_code, reason = "the fields are read by the debugger")]
struct Person {
    name: String,
    age: u8,
    tags: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(dead_code, reason = "all variants must be described")]
enum Colour {
    Red = 3,
    Green = -7,
    Blue = 100,
}

#[derive(Debug)]
#[allow(dead_code, reason = "all variants must be described")]
enum Shape {
    Nothing,
    Circle(f32),
    Rect { w: u16, h: u16 },
    Named(String, Option<Box<Shape>>),
}

#[derive(Debug)]
#[allow(dead_code, reason = "the field is read by the debugger")]
struct Unit;

#[derive(Debug)]
#[allow(dead_code, reason = "the field is read by the debugger")]
struct Wide(i128, u128, Option<u128>);

trait Talk: std::fmt::Debug {
    fn talk(&self) -> String;
}
impl Talk for Person {
    fn talk(&self) -> String {
        self.name.clone()
    }
}

fn word(cases: &mut Cases) -> String {
    let n = cases.random() % 12;
    (0..n).map(|_| char::from_u32((cases.random() % 0x2ff) as u32).unwrap_or('ß')).collect()
}

pub fn run(cases: &mut Cases) {
    for _ in 0..3 {
        numbers(cases);
        texts(cases);
        collections(cases);
        own(cases);
        shared(cases);
        system(cases);
        held(cases);
        octets(cases);
    }
    counts(cases);
}

fn numbers(cases: &mut Cases) {
    let n = cases.random();
    let m = cases.random();
    cases.case("numbers", async move {
        let (a, b, c, d, e) = (n as u8, n as u16, n as u32, n, u128::from(n) << 64 | u128::from(m));
        let (f, g, h, i, j) = (n as i8, n as i16, n as i32, n as i64, (i128::from(n as i64) << 64) | i128::from(m));
        let (k, l) = (f32::from_bits(n as u32), f64::from_bits(n));
        let (o, p) = (n as usize, m as isize);
        let flag = n % 2 == 0;
        let letter = char::from_u32((n % 0xd7ff) as u32).unwrap_or('x');
        let unit = ();
        let pair = (a, letter);
        let single = (d,);
        let none_zero = NonZeroU32::new(c | 1);
        let no_zero = NonZeroU32::new(0);
        let wrapping = Wrapping(h);
        let range = a..200;
        let inclusive = ..=b;
        let array = [a, f as u8, 7];
        let empty: [u64; 0] = [];
        let nested = [[1u8, 2], [3, a]];
        let small = 0.1f32;
        let large = 1e300f64;
        holds!(
            a, b, c, d, e, f, g, h, i, j, k, l, o, p, flag, letter, unit, pair, single, none_zero, no_zero, wrapping
        );
        holds!(range, inclusive, array, empty, nested, small, large);
        Never.await;
        black_box((&a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k, &l));
        black_box((&o, &p, &flag, &letter, &unit, &pair, &single, &none_zero, &no_zero, &wrapping));
        black_box((&range, &inclusive, &array, &empty, &nested, &small, &large));
    });
}

fn texts(cases: &mut Cases) {
    let (a, b) = (word(cases), word(cases));
    cases.case("texts", async move {
        let owned = a.clone();
        let slice: &str = &b;
        let literal = "a \"quoted\" \n line";
        let boxed: Box<str> = a.clone().into();
        let rc: Rc<str> = b.clone().into();
        let arc: Arc<str> = b.clone().into();
        let path = PathBuf::from("/tmp").join(&a);
        let borrowed: &Path = &path;
        let os = OsString::from(&b);
        let empty = String::new();
        let list = vec![a.clone(), b.clone()];
        let maybe = Some(a.clone());
        let nothing: Option<String> = None;
        holds!(owned, slice, literal, boxed, rc, arc, path, borrowed, os, empty, list, maybe, nothing);
        Never.await;
        black_box((&owned, &slice, &literal, &boxed, &rc, &arc, &path, &borrowed, &os, &empty, &list, &maybe));
        black_box(&nothing);
    });
}

fn collections(cases: &mut Cases) {
    let n = (cases.random() % 40) as usize;
    let numbers: Vec<u64> = (0..n).map(|_| cases.random()).collect();
    let words: Vec<String> = (0..n % 7).map(|_| word(cases)).collect();
    cases.case("collections", async move {
        let vec = numbers.clone();
        let slice: &[u64] = &numbers[numbers.len() / 2..];
        let boxed: Box<[u64]> = numbers.clone().into();
        let arc: Arc<[u64]> = numbers.clone().into();
        let units = vec![(); n];
        let mut deque: VecDeque<u64> = numbers.iter().copied().collect();
        for _ in 0..n / 2 {
            if let Some(first) = deque.pop_front() {
                deque.push_back(first.wrapping_add(1));
            }
        }
        let map: HashMap<u64, String> =
            numbers.iter().zip(words.iter().cycle()).map(|(n, w)| (*n, w.clone())).collect();
        let set: HashSet<u64> = numbers.iter().copied().collect();
        let tree: BTreeMap<u64, String> = map.clone().into_iter().collect();
        let many: BTreeMap<u64, u8> = (0..300).map(|i| (i * 7, i as u8)).collect();
        let ordered: BTreeSet<String> = words.iter().cloned().collect();
        let pairs: Vec<(u8, &str)> = words.iter().map(|w| (w.len() as u8, w.as_str())).collect();
        let nothing: HashMap<String, Vec<u8>> = HashMap::new();
        let no_tree: BTreeMap<u8, u8> = BTreeMap::new();
        holds!(vec, slice, boxed, arc, units, deque, map, set, tree, many, ordered, pairs, nothing, no_tree);
        Never.await;
        black_box((&vec, &slice, &boxed, &arc, &units, &deque, &map, &set, &tree, &many, &ordered, &pairs));
        black_box((&nothing, &no_tree));
    });
}

fn own(cases: &mut Cases) {
    let n = cases.random();
    let name = word(cases);
    cases.case("own", async move {
        let person = Person { name: name.clone(), age: n as u8, tags: vec!["a", "b"] };
        let reference = &person;
        let colour = [Colour::Red, Colour::Green, Colour::Blue][(n % 3) as usize];
        let shape = match n % 4 {
            0 => Shape::Nothing,
            1 => Shape::Circle(n as f32),
            2 => Shape::Rect { w: n as u16, h: 3 },
            _ => Shape::Named(name.clone(), Some(Box::new(Shape::Circle(1.5)))),
        };
        let inside = Some(&shape);
        let niche: Option<Colour> = if n % 2 == 0 { None } else { Some(Colour::Blue) };
        let deep: Option<Option<bool>> = [None, Some(None), Some(Some(true))][(n % 3) as usize];
        let fine: Result<u8, String> = if n % 2 == 0 { Ok(n as u8) } else { Err(name.clone()) };
        let unit = Unit;
        let wide = Wide(-(n as i128), u128::MAX - u128::from(n), if n % 2 == 0 { Some(5) } else { None });
        let boxed = Box::new(person.clone());
        let letters: Option<char> = if n % 2 == 0 { None } else { Some('ß') };
        let ordering = n.cmp(&(1 << 63));
        holds!(person, reference, colour, shape, inside, niche, deep, fine, unit, wide, boxed, letters, ordering);
        Never.await;
        black_box((&person, &reference, &colour, &shape, &inside, &niche, &deep, &fine, &unit, &wide, &boxed));
        black_box((&letters, &ordering));
    });
}

fn shared(cases: &mut Cases) {
    let n = cases.random();
    cases.case("shared", async move {
        let rc = Rc::new(n);
        let other = rc.clone();
        let arc = Arc::new(Mutex::new(vec![n]));
        let cell = Cell::new(n as u8);
        let refcell = RefCell::new(Some(n));
        let mutex = Mutex::new(n as i16);
        let atomic = AtomicU64::new(n);
        let on = AtomicBool::new(n % 2 == 0);
        let person = Person { name: "dyn".into(), age: 1, tags: vec![] };
        let talker: Box<dyn Talk> = Box::new(person.clone());
        let talking: &dyn Talk = &person;
        let borrowed = RefCell::new(5u8);
        let _guard = borrowed.borrow_mut();
        let held = std::pin::pin!(n);
        let raw: *const u64 = &*rc;
        black_box(talker.talk());
        holds!(rc, other, arc, cell, refcell, mutex, atomic, on, talker, talking, borrowed, held, raw);
        Never.await;
        black_box((&rc, &other, &arc, &cell, &refcell, &mutex, &atomic, &on, &talker, &talking, &held, &raw));
    });
}

fn system(cases: &mut Cases) {
    let n = cases.random();
    cases.case("system", async move {
        let short = Duration::from_nanos(n % 5_000_000_000);
        let long = Duration::from_secs(n % 1_000_000);
        let now = Instant::now();
        let wall = SystemTime::now();
        let v4 = Ipv4Addr::from(n as u32);
        let v6 = Ipv6Addr::from(u128::from(n) << 60);
        let ip: IpAddr = v4.into();
        let socket = SocketAddrV4::new(v4, n as u16);
        let socket6 = SocketAddrV6::new(v6, n as u16, 0, 0);
        let any: SocketAddr = socket.into();
        let any6: SocketAddr = socket6.into();
        let error: Result<(), std::num::ParseIntError> = "x".parse::<u8>().map(drop);
        let function: fn(u64) -> Duration = Duration::from_secs;
        holds!(short, long, now, wall, v4, v6, ip, socket, socket6, any, any6, error, function);
        Never.await;
        black_box((&short, &long, &now, &wall, &v4, &v6, &ip, &socket, &socket6, &any, &any6, &error));
        black_box(&function);
    });
}

/// The same kinds inside each other, behind pointers of every kind, and in their other states.
fn held(cases: &mut Cases) {
    let n = cases.random();
    let name = word(cases);
    cases.case("held", async move {
        let person = Person { name: name.clone(), age: n as u8, tags: vec!["x"] };
        let rc_dyn: Rc<dyn Talk> = Rc::new(person.clone());
        let arc_dyn: Arc<dyn Talk> = Arc::new(person.clone());
        let arc_words: Arc<[String]> = vec![name.clone(), "b".into()].into();
        let weak = Rc::downgrade(&rc_dyn);
        let maybe_rc = if n % 2 == 0 { Some(Rc::new(name.clone())) } else { None };
        let maybe_box: Option<Box<u64>> = if n % 2 == 0 { None } else { Some(Box::new(n)) };
        let maybe_reference: Option<&Person> = Some(&person);
        let failed: Result<u8, Box<dyn std::error::Error>> = "x".parse::<u8>().map_err(Into::into);
        let fine: Result<(), Box<dyn std::error::Error>> = Ok(());
        let mut number = n as u32;
        let changed = &mut number;
        *changed = changed.wrapping_add(1);
        let bytes: &[u8] = b"bytes";
        let os: &OsStr = OsStr::new("os");
        let boxed_path: Box<Path> = Path::new("a/b").into();
        let borrowed: Cow<'_, str> = Cow::Borrowed(&name);
        let owned: Cow<'_, str> = Cow::Owned(name.clone());
        let lock = RwLock::new(n as u8);
        let locked = Mutex::new(n);
        let guard = locked.lock().unwrap();
        let written = RwLock::new(name.clone());
        let writing = written.write().unwrap();
        let cells = [Cell::new(Some(n)), Cell::new(None)];
        let shared: RefCell<Vec<u8>> = RefCell::new(vec![1, 2]);
        let reading = shared.borrow();
        let maps: HashMap<String, BTreeMap<u8, Option<&str>>> =
            [(name.clone(), [(1, None), (2, Some("z"))].into())].into();
        let sets: VecDeque<HashSet<u8>> = [[n as u8].into(), HashSet::new()].into();
        let deep = vec![Some((n as i8, [Colour::Green; 2])), None];
        let nested: Option<Result<Option<bool>, ()>> =
            [None, Some(Err(())), Some(Ok(None)), Some(Ok(Some(false)))][(n % 4) as usize];
        let mutable: *mut u8 = std::ptr::dangling_mut();
        let function: fn(Duration, Duration) -> Duration = std::ops::Add::add;
        let epoch = SystemTime::UNIX_EPOCH;
        let long = Duration::MAX;
        let unspecified = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        holds!(rc_dyn, arc_dyn, arc_words, weak, maybe_rc, maybe_box, maybe_reference, failed, fine, changed, os);
        holds!(boxed_path, borrowed, owned, lock, cells, shared, maps, sets, deep, nested, mutable, function);
        holds!(epoch, long, unspecified);
        // The standard library puts it in quotes, as if it were the value.
        crate::expect("bytes", "b\"bytes\"".into(), "");
        crate::expect("locked", "Mutex { data: <locked>, poisoned: false, .. }".into(), "");
        crate::expect("written", "RwLock { data: <locked>, poisoned: false, .. }".into(), "");
        Never.await;
        black_box((&rc_dyn, &arc_dyn, &arc_words, &weak, &maybe_rc, &maybe_box, &maybe_reference, &failed, &fine));
        black_box((&changed, &bytes, &os, &boxed_path, &borrowed, &owned, &lock, &guard, &writing, &cells, &reading));
        black_box((&maps, &sets, &deep, &nested, &mutable, &function, &epoch, &long, &unspecified));
    });
}

/// Bytes: those that are text are read as text, those that are as many as a hash has in hex, and others as numbers.
fn octets(cases: &mut Cases) {
    let n = cases.random() | 0x80;
    let hash: [u8; 32] = std::array::from_fn(|i| (n >> (i % 8)) as u8 | (i as u8 & 1) << 7);
    let digest: [u8; 16] = std::array::from_fn(|i| if i == 0 { 0xff } else { n as u8 });
    cases.case("octets", async move {
        let (id, raw) = ([0xffu8; 20], [0u8, 1, 2, 3, 4]);
        let (tag, short, named) = (*b"HTTP", *b"abc", *b"0123456789abcdef");
        let request: Vec<u8> = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        let image: Vec<u8> = b"\x89PNG\r\n".to_vec();
        let nothing: Vec<u8> = Vec::new();
        let long: Vec<u8> = b"0123456789".repeat(100);
        let boxed: Box<[u8]> = b"boxed".as_slice().into();
        let body = bytes::Bytes::from_static("größer".as_bytes());
        let part = bytes::Bytes::from(b"one two".to_vec()).slice(4..);
        let empty = bytes::Bytes::new();
        let binary = bytes::Bytes::from_static(b"\x00\x01");
        let buffer = bytes::BytesMut::from(&b"read so far"[..]);
        let uri: http::Uri = "https://example.org/a/b?c=d".parse().unwrap();
        let root: http::Uri = "http://example.org".parse().unwrap();
        let question: http::Uri = "http://example.org?x".parse().unwrap();
        let other: http::Uri = "ftp://host/file".parse().unwrap();
        let only_path: http::Uri = "/path?q".parse().unwrap();
        let host: http::Uri = "example.org:80".parse().unwrap();
        let login: http::Uri = "http://me:hunter2@example.org/".parse().unwrap();
        let scheme = other.scheme().cloned();
        let names = [http::header::SET_COOKIE, http::header::SEC_WEBSOCKET_KEY, "x-request-id".parse().unwrap()];
        let value = http::HeaderValue::from_static("text/html");
        let mut sensitive = value.clone();
        sensitive.set_sensitive(true);
        let hex = |bytes: &[u8]| format!("hex\"{}\"", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
        crate::expect("hash", hex(&hash), "");
        crate::expect("digest", hex(&digest), "");
        crate::expect("id", hex(&id), "");
        crate::expect("tag", "b\"HTTP\"".into(), "");
        crate::expect("named", "b\"0123456789abcdef\"".into(), "");
        crate::expect("request", r#"b"GET / HTTP/1.1\r\n\r\n""#.into(), "");
        crate::expect("long", format!("b\"{}\"", "0123456789".repeat(100)), "");
        crate::expect("boxed", "b\"boxed\"".into(), "");
        crate::expect("body", "b\"größer\"".into(), "");
        crate::expect("part", "b\"two\"".into(), "");
        crate::expect("binary", "[0, 1]".into(), "");
        crate::expect("login", "http://me:<masked>@example.org/".into(), "");
        crate::expect("value", "b\"text/html\"".into(), "");
        crate::expect("sensitive", "<masked>".into(), "");
        holds!(raw, short, image, nothing, empty, buffer, uri, root, question, other, only_path, host, scheme, names);
        Never.await;
        black_box((&hash, &digest, &id, &raw, &tag, &short, &named, &request, &image, &nothing, &long, &boxed));
        black_box((&body, &part, &empty, &binary, &buffer, &uri, &root, &question, &other, &only_path, &host));
        black_box((&login, &scheme, &names, &value, &sensitive));
    });
}

/// Two owners and one observer of each.
fn counts(cases: &mut Cases) {
    cases.case("counts", async {
        let (rc, arc) = (Rc::new(7u8), Arc::new("seven".to_owned()));
        let others = (rc.clone(), arc.clone());
        let observers = (Rc::downgrade(&rc), Arc::downgrade(&arc));
        holds!(rc, arc);
        Never.await;
        black_box((&rc, &arc, &others, &observers));
    });
}
