//! Types behind wide pointers, enums with variants that cannot be, types that share a vtable, macros with bindings of
//! their own.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ffi::{CStr, OsStr};
use std::fmt::Debug;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, RwLock};
use std::task::Poll;

use crate::{Cases, Never, holds};

/// A local of its own, kept over what is awaited in it.
macro_rules! kept {
    ($e:expr) => {{
        let n = 7_u64;
        $e;
        black_box(n);
    }};
}

pub trait Account: Debug {
    fn total(&self) -> u64;
}

#[derive(Debug, Clone)]
pub struct Saver {
    total: u64,
    #[allow(dead_code, reason = "the field is read by the debugger")]
    name: String,
}

#[derive(Debug, Clone)]
#[repr(align(64))]
pub struct Aligned(u64);

impl Account for Saver {
    fn total(&self) -> u64 {
        self.total
    }
}

impl Account for Aligned {
    fn total(&self) -> u64 {
        self.0
    }
}

impl Account for u8 {
    fn total(&self) -> u64 {
        (*self).into()
    }
}

#[derive(Debug)]
#[allow(dead_code, reason = "the fields are read by the debugger")]
struct Tagged<T: ?Sized> {
    tag: u8,
    body: T,
}

#[derive(Debug)]
#[repr(transparent)]
struct Name(str);

#[derive(Debug)]
#[allow(dead_code, reason = "the fields are read by the debugger")]
struct Both(u8, Infallible);

#[derive(Debug)]
#[allow(dead_code, reason = "all variants must be described")]
enum One {
    Nested(Option<Both>, Infallible),
    Array([Infallible; 2]),
    Only { value: u32 },
}

pub fn run(cases: &mut Cases) {
    let n = cases.random();
    let saver = Saver { total: n, name: "saver".into() };
    cases.case("wide objects", async move {
        let (small, aligned) = (n as u8, Aligned(n));
        let rc: Rc<RefCell<dyn Account>> = Rc::new(RefCell::new(saver.clone()));
        let arc: Arc<Mutex<dyn Account>> = Arc::new(Mutex::new(aligned.clone()));
        let boxed: Box<Tagged<dyn Account>> = Box::new(Tagged { tag: 1, body: saver.clone() });
        let far: Box<Tagged<dyn Account>> = Box::new(Tagged { tag: 2, body: aligned.clone() });
        let near: &Tagged<dyn Account> = &Tagged { tag: 3, body: small };
        let deep: Rc<Tagged<Tagged<RefCell<dyn Account>>>> =
            Rc::new(Tagged { tag: 4, body: Tagged { tag: 5, body: RefCell::new(aligned.clone()) } });
        let lock: Arc<RwLock<Tagged<dyn Account>>> = Arc::new(RwLock::new(Tagged { tag: 6, body: saver.clone() }));
        let plain: Arc<dyn Account> = Arc::new(aligned);
        black_box((rc.borrow().total(), arc.lock().unwrap().total(), boxed.body.total(), far.body.total()));
        holds!(rc, arc, boxed, far, near, deep, lock, plain);
        Never.await;
        black_box((&rc, &arc, &boxed, &far, &near, &deep, &lock, &plain));
    });
    let bytes = [n as u8, 2, 3];
    cases.case("wide slices", async move {
        let arc: Arc<Mutex<[u8]>> = Arc::new(Mutex::new(bytes));
        let cell: Rc<RefCell<[u64]>> = Rc::new(RefCell::new([n, 1]));
        let tagged: &Tagged<[u16]> = &Tagged { tag: 1, body: [1u16, n as u16] };
        let words: Box<Tagged<[&str]>> = Box::new(Tagged { tag: 2, body: ["a", "b"] });
        let deep: Arc<Tagged<Tagged<[u32]>>> =
            Arc::new(Tagged { tag: 3, body: Tagged { tag: 4, body: [n as u32; 3] } });
        let empty: Rc<Tagged<[u64]>> = Rc::new(Tagged { tag: 5, body: [] });
        let units: Rc<RefCell<[()]>> = Rc::new(RefCell::new([(); 3]));
        let c: &CStr = c"text";
        let boxed_c: Box<CStr> = c"boxed".into();
        let path: Rc<Path> = Path::new("a/b").into();
        let os: Arc<OsStr> = OsStr::new("os").into();
        let text: Rc<str> = "text".into();
        // SAFETY: it is a `str` and nothing else.
        let name: &Name = unsafe { &*(std::ptr::from_ref::<str>("name") as *const Name) };
        holds!(arc, cell, tagged, words, deep, empty, units, c, boxed_c, path, os, text, name);
        Never.await;
        black_box((&arc, &cell, &tagged, &words, &deep, &empty, &units, &c, &boxed_c, &path, &os, &text));
        black_box(&name);
    });
    cases.case("uninhabited variants", async move {
        let failed: Result<Infallible, String> = Err("disk full".into());
        let number: Result<Infallible, u32> = Err(n as u32);
        let fine: Result<u64, Infallible> = Ok(n);
        let left: ControlFlow<u8, Infallible> = ControlFlow::Break(n as u8);
        let pending: Poll<Infallible> = Poll::Pending;
        let none: Option<Both> = None;
        let nested: Option<Result<Infallible, u8>> = Some(Err(n as u8));
        let within: Result<Result<Infallible, Both>, u16> = Err(n as u16);
        let one = One::Only { value: n as u32 };
        holds!(failed, number, fine, left, pending, none, nested, within, one);
        Never.await;
        black_box((&failed, &number, &fine, &left, &pending, &none, &nested, &within, &one));
    });
    cases.case("shared vtables", async move {
        let celsius: Box<dyn Mark> = Box::new(Celsius(1.5));
        let negative: Box<dyn Mark> = Box::new(-1i64);
        let positive: Box<dyn Mark> = Box::new(7u64);
        let within: Rc<RefCell<dyn Mark>> = Rc::new(RefCell::new(8u64));
        let other: Box<dyn Other> = Box::new(9u64);
        let (three, four): (Box<dyn Third>, Box<dyn Fourth>) = (Box::new(3u8), Box::new(Only(4)));
        let (left_out, used) = (Celsius(2.5), Box::new(7u64) as Box<dyn Measured>);
        black_box((&left_out as &dyn Measured).measure());
        Never.await;
        black_box((&celsius, &negative, &positive, &within, &other, &three, &four, used.measure()));
    });
    cases.case("hygiene of an argument", used_after(42));
    cases.case("hygiene of an argument that is not kept", used_before(42));
    cases.case("hygiene of a local", local(42));
    cases.case("hygiene of a capture", {
        let n = black_box(42_u64);
        async move {
            kept!(Never.await);
            black_box(n);
        }
    });
    cases.case("hygiene of a local that is not kept", local_before(42));
    cases.case("hygiene of a reference", {
        let n = Box::leak(Box::new(black_box(42_u64)));
        let n = &*n;
        async move {
            kept!(Never.await);
            black_box(n);
        }
    });
    cases.case("no macro", plain(42));
    cases.case("tables", tables());
}

trait Mark {}
#[allow(dead_code, reason = "the field is read by the debugger")]
struct Celsius(f64);
impl Mark for Celsius {}
impl Mark for i64 {}
impl Mark for u64 {}

trait Other {}
impl Other for u64 {}

/// Two traits with one type each; the two vtables are equal.
trait Third {}
impl Third for u8 {}
trait Fourth {}
#[allow(dead_code, reason = "the field is read by the debugger")]
struct Only(u8);
impl Fourth for Only {}

trait Measured {
    fn measure(&self) -> u64;
}
impl Measured for Celsius {
    fn measure(&self) -> u64 {
        self.0 as u64
    }
}
impl Measured for u64 {
    fn measure(&self) -> u64 {
        *self * 2
    }
}

async fn used_after(n: u64) {
    kept!(Never.await);
    black_box(n);
}

async fn used_before(n: u64) {
    black_box(n);
    kept!(Never.await);
}

async fn local(start: u64) {
    let n = start * 1000;
    kept!(Never.await);
    black_box(n);
}

async fn local_before(start: u64) {
    let n = start * 1000;
    black_box(n);
    kept!(Never.await);
}

async fn plain(n: u64) {
    let n = n + 1;
    let list = vec![n];
    let list = list.len();
    Never.await;
    black_box((n, list));
}

async fn tables() {
    let table: Vec<Vec<u64>> = (0..32).map(|_| (0..32).collect()).collect();
    let (copy, third) = (table.clone(), table.clone());
    let last = 5_u8;
    inner(&last).await;
    black_box((&table, &copy, &third, &last));
}

async fn inner(outer: &u8) {
    let why = format!("where it hangs: {outer}");
    Never.await;
    black_box(&why);
}
