//! A value of every kind, random where it can be, held as it is and inside others.

use std::alloc::Layout;
use std::borrow::Cow;
use std::cell::{Cell, LazyCell, OnceCell, Ref, RefCell, RefMut};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::hint::black_box;
use std::io;
use std::marker::{PhantomData, PhantomPinned};
use std::mem::ManuallyDrop;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZero, Saturating, Wrapping};
use std::ops::{Bound, ControlFlow};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize,
};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use crate::{Cases, Never, holds};

/// A case for each kind: its value, and the value behind a reference in a collection.
macro_rules! kinds {
    ($cases:ident: $($name:literal => $value:expr),+ $(,)?) => {$(
        $cases.case(concat!("kind ", $name), {
            let value = $value;
            async move {
                let value = value;
                let nested = vec![Some(&value)];
                holds!(value, nested);
                Never.await;
                black_box((&value, &nested));
            }
        });
    )+};
}

/// The same for values that `{:?}` does not print, or prints by what only the program has: the text that is read
/// instead.
macro_rules! not_compared {
    ($cases:ident: $($name:literal => $value:expr, $text:expr),+ $(,)?) => {$(
        $cases.case(concat!("kind ", $name), {
            let value = $value;
            async move {
                let value = value;
                $crate::expect("value", $text.into(), "not compared");
                Never.await;
                black_box(&value);
            }
        });
    )+};
}

#[derive(Debug, Clone)]
#[allow(dead_code, reason = "the field is read by the debugger")]
struct Meters(u64);

impl Meters {
    fn inner(n: u64) -> impl std::fmt::Debug {
        #[derive(Debug)]
        #[allow(dead_code, reason = "the field is read by the debugger")]
        struct Inner(u64);
        Inner(n)
    }
}

fn text(n: u64) -> String {
    (0..n % 7).map(|i| char::from_u32((n >> i) as u32 % 0x2ff).unwrap_or('ß')).collect()
}

pub fn run(cases: &mut Cases) {
    let (n, m) = (cases.random(), cases.random());
    numbers(cases, n, m);
    texts(cases, n);
    collections(cases, n, m);
    enums(cases, n);
    ranges(cases, n);
    shared(cases, n);
    system(cases, n);
    errors(cases);
    guards(cases, n);
    more_numbers(cases, n, m);
    iterators(cases, n);
    handles(cases, n);
}

fn double(n: u64) -> u64 {
    n * 2
}

fn more_numbers(cases: &mut Cases, n: u64, m: u64) {
    kinds!(cases:
        "tuple of 12" => (n as u8, n as u16, n as u32, n, 'x', true, (), "s", n as i8, m, 1.5_f32, [m]),
        "array of arrays" => [[n, m], [m, n]],
        "empty array of arrays" => [[n; 0]; 3],
        "u128 at its end" => u128::MAX,
        "i128 at its end" => i128::MIN,
        "NonZero<u128>" => NonZero::new(u128::from(n) << 64 | 1),
        "NonZero<i8>" => NonZero::new(n as i8 | 1),
        "floats" => [f64::NAN, f64::INFINITY, -0.0, f64::MIN_POSITIVE, 1e300, 1e-7, 1e16],
        "chars" => [
            '\0', '\'', '"', '\\', '\u{301}', '\u{200b}', '\u{ad}', '\u{e000}', '\u{d7ff}', '\u{10ffff}', 'ß', '\u{7f}',
        ],
        "Wrapping<i128>" => Wrapping(i128::from(m)),
        "AtomicPtr" => std::sync::atomic::AtomicPtr::new(n as *mut u8),
        "fn" => double as fn(u64) -> u64,
        "*const" => n as *const u8,
        "Cow<[T]>" => Cow::<[u64]>::Owned(vec![n, m]),
        "Cow<Path>" => Cow::Borrowed(Path::new("a")),
        "PathBuf that is no text" => PathBuf::from(OsString::from_vec(vec![b'a', 0xff, n as u8 | 1])),
        "OsString that is no text" => OsString::from_vec(vec![0xc3, b'b', n as u8 | 1]),
        "IpAddr of version 6" => IpAddr::from(Ipv6Addr::LOCALHOST),
        "SocketAddr of version 4" => SocketAddr::from((Ipv4Addr::LOCALHOST, n as u16)),
        "Less" => std::cmp::Ordering::Less,
    );
    not_compared!(cases:
        "MaybeUninit" => std::mem::MaybeUninit::new(n), "<uninit?>",
    );
}

fn iterators(cases: &mut Cases, n: u64) {
    let numbers = [n, 1, 2];
    let leaked: &'static [u64] = Box::leak(Box::new(numbers));
    let (mut left, mut chars) = (leaked.iter(), "aß\n'c".chars());
    (left.next(), chars.next());
    kinds!(cases:
        "slice::Iter" => left,
        "slice::Iter of ()" => [(), ()].iter(),
        "slice::IterMut" => Box::leak(Box::new(numbers)).iter_mut(),
        "Chars" => chars,
        "CharIndices" => "aß".char_indices(),
        "Rev" => (0..n).rev(),
        "Take" => (0..n).take(3),
        "Skip" => (0..n).skip(3),
        "StepBy" => (0..n).step_by(3),
        "Enumerate" => leaked.iter().enumerate(),
        "Map" => (0..n).map(double),
        "Filter" => (0..n).filter(|n| n % 2 == 0),
        "TakeWhile" => (0..n).take_while(|n| *n < 5),
        "Chain" => (0..n).chain(1..3),
        "Peekable" => { let mut peekable = (n..).peekable(); peekable.peek(); peekable },
        "Cycle" => (0..n).cycle(),
        "Copied" => leaked.iter().copied(),
        "Cloned" => leaked.iter().cloned(),
        "Fuse" => (0..n).fuse(),
    );
    // Its text leaves out what it has left where that can be counted.
    let zipped = format!("Zip {{ a: 0..{n}, b: Iter([{n}, 1, 2]), index: 0, len: 3 }}");
    not_compared!(cases:
        "Zip" => (0..n).zip(leaked), zipped,
    );
}

fn handles(cases: &mut Cases, n: u64) {
    let alive = Rc::new(n);
    let weak = Rc::downgrade(&alive);
    std::mem::forget(alive);
    let thread = std::thread::spawn(|| {});
    let file = std::fs::File::open("/dev/null").expect("it is there");
    let opened = format!("File {{ fd: {}, .. }}", file.as_raw_fd());
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let stream = std::net::TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let connected = format!("TcpStream {{ fd: {}, .. }}", stream.as_raw_fd());
    let bound = format!("TcpListener {{ fd: {}, .. }}", listener.as_raw_fd());
    kinds!(cases:
        "Weak that is alive" => weak,
        "Weak that is dead" => Rc::downgrade(&Rc::new(n)),
        "Waker" => std::task::Waker::noop().clone(),
        "TypeId" => std::any::TypeId::of::<Meters>(),
        "Location" => *std::panic::Location::caller(),
        "JoinHandle" => thread,
        "OwnedFd" => OwnedFd::from(std::fs::File::open("/dev/null").expect("it is there")),
    );
    not_compared!(cases:
        "File" => file, opened,
        "TcpStream" => stream, connected,
        "TcpListener" => listener, bound,
    );
}

fn numbers(cases: &mut Cases, n: u64, m: u64) {
    kinds!(cases:
        "u8" => n as u8,
        "u16" => n as u16,
        "u32" => n as u32,
        "u64" => n,
        "u128" => u128::from(n) << 64 | u128::from(m),
        "usize" => n as usize,
        "i8" => n as i8,
        "i16" => n as i16,
        "i32" => n as i32,
        "i64" => n as i64,
        "i128" => i128::from(n as i64) << 64 | i128::from(m),
        "isize" => n as isize,
        "f32" => f32::from_bits(n as u32),
        "f64" => f64::from_bits(n),
        "bool" => n % 2 == 0,
        "char" => char::from_u32((n % 0xd7ff) as u32).unwrap_or('x'),
        "()" => (),
        "tuple" => (n as u8, 'x', (m,)),
        "array" => [n as u8, m as u8],
        "empty array" => [0_u8; 0],
        "NonZero<u8>" => NonZero::new(n as u8 | 1),
        "NonZero<u64>" => NonZero::new(n | 1),
        "NonZero<i32>" => NonZero::new(n as i32 | 1),
        "Wrapping" => Wrapping(n as i16),
        "Saturating" => Saturating(n as u16),
        "Reverse" => Reverse(n),
        "AtomicBool" => AtomicBool::new(n % 2 == 0),
        "AtomicU8" => AtomicU8::new(n as u8),
        "AtomicU16" => AtomicU16::new(n as u16),
        "AtomicU32" => AtomicU32::new(n as u32),
        "AtomicU64" => AtomicU64::new(n),
        "AtomicUsize" => AtomicUsize::new(n as usize),
        "AtomicI8" => AtomicI8::new(n as i8),
        "AtomicI16" => AtomicI16::new(n as i16),
        "AtomicI32" => AtomicI32::new(n as i32),
        "AtomicI64" => AtomicI64::new(n as i64),
        "AtomicIsize" => AtomicIsize::new(n as isize),
    );
}

fn texts(cases: &mut Cases, n: u64) {
    let bytes: Vec<u8> = (1..n % 9).map(|i| (n >> i) as u8 | 1).collect();
    kinds!(cases:
        "&str" => "a \"quoted\" \n line",
        "String" => text(n),
        "Box<str>" => Box::<str>::from(text(n)),
        "Rc<str>" => Rc::<str>::from(text(n)),
        "Arc<str>" => Arc::<str>::from(text(n)),
        "Cow<str> borrowed" => Cow::Borrowed("borrowed"),
        "Cow<str> owned" => Cow::<str>::Owned(text(n)),
        "PathBuf" => PathBuf::from("/tmp").join(text(n)),
        "&Path" => Path::new("a/b"),
        "Box<Path>" => Box::<Path>::from(Path::new("a/b")),
        "OsString" => OsString::from(text(n)),
        "&OsStr" => OsStr::new("os"),
        "CString" => CString::new(bytes.clone()).expect("no zero"),
        "&CStr" => c"a \"c\" string",
        "Box<CStr>" => Box::<CStr>::from(c"boxed"),
        "Arc<CStr>" => Arc::<CStr>::from(c"shared"),
    );
}

fn collections(cases: &mut Cases, n: u64, m: u64) {
    let numbers: Vec<u64> = (0..n % 30).map(|i| m.rotate_left(i as u32)).collect();
    let many = numbers.clone();
    kinds!(cases:
        "Vec" => many.clone(),
        "Vec<()>" => vec![(); (n % 4) as usize],
        "&[T]" => &[1_u8, 2, 3][..],
        "Box<[T]>" => Box::<[u64]>::from(many.clone()),
        "Rc<[T]>" => Rc::<[u64]>::from(many.clone()),
        "Arc<[T]>" => Arc::<[u64]>::from(many.clone()),
        "array::IntoIter" => { let mut left = [7_u32, 8, 9].into_iter(); left.next(); left },
        "vec::IntoIter" => { let mut left = many.clone().into_iter(); left.next(); left },
        "VecDeque" => many.iter().copied().collect::<VecDeque<u64>>(),
        "LinkedList" => many.iter().copied().collect::<LinkedList<u64>>(),
        "LinkedList of text" => [text(n), text(m)].into_iter().collect::<LinkedList<String>>(),
        "empty LinkedList" => LinkedList::<u8>::new(),
        "BinaryHeap" => many.iter().copied().collect::<BinaryHeap<u64>>(),
        "BinaryHeap of Reverse" => many.iter().copied().map(Reverse).collect::<BinaryHeap<_>>(),
        "HashMap" => many.iter().map(|n| (*n, text(*n))).collect::<HashMap<u64, String>>(),
        "HashSet" => many.iter().copied().collect::<HashSet<u64>>(),
        "BTreeMap" => many.iter().map(|n| (*n, text(*n))).collect::<BTreeMap<u64, String>>(),
        "BTreeSet" => many.iter().copied().collect::<BTreeSet<u64>>(),
    );
}

fn enums(cases: &mut Cases, n: u64) {
    kinds!(cases:
        "Some" => Some(n),
        "None" => None::<String>,
        "Ok" => Ok::<u64, String>(n),
        "Err" => Err::<u64, String>(text(n)),
        "Result<Infallible, T>" => Err::<std::convert::Infallible, u64>(n),
        "Ordering" => n.cmp(&(1 << 63)),
        "Continue" => ControlFlow::<u8, u64>::Continue(n),
        "Break" => ControlFlow::<u64, u8>::Break(n),
        "Ready" => Poll::Ready(n),
        "Pending" => Poll::<u8>::Pending,
        "Included" => Bound::Included(n),
        "Unbounded" => Bound::<u8>::Unbounded,
        "PhantomData" => PhantomData::<u8>,
        "PhantomData of a path" => PhantomData::<Vec<String>>,
        "PhantomPinned" => PhantomPinned,
        "ManuallyDrop" => ManuallyDrop::new(n),
        "atomic::Ordering" => std::sync::atomic::Ordering::AcqRel,
        "FpCategory" => f64::from_bits(n).classify(),
        "ErrorKind" => io::ErrorKind::TimedOut,
        "type of a method" => Meters::inner(n),
    );
}

fn ranges(cases: &mut Cases, n: u64) {
    let ended = {
        let mut range = 1..=1_u8;
        range.next();
        range
    };
    kinds!(cases:
        "Range" => 1..n,
        "RangeFrom" => n..,
        "RangeTo" => ..n,
        "RangeFull" => ..,
        "RangeInclusive" => 1..=n,
        "RangeInclusive of text" => text(n)..=text(n + 1),
        "RangeInclusive at its end" => ended,
        "RangeToInclusive" => ..=n,
    );
}

fn shared(cases: &mut Cases, n: u64) {
    let filled = LazyCell::new(|| 7_u64);
    LazyCell::force(&filled);
    let locked = LazyLock::new(|| String::from("lazy"));
    LazyLock::force(&locked);
    let (sender, receiver) = mpsc::channel::<u8>();
    let (bounded, _) = mpsc::sync_channel::<u8>(3);
    kinds!(cases:
        "Box" => Box::new(n),
        "Rc" => Rc::new(n),
        "Arc" => Arc::new(n),
        "rc::Weak" => std::rc::Weak::<u8>::new(),
        "sync::Weak" => Arc::downgrade(&Arc::new(n)),
        "Pin<Box>" => Box::pin(n),
        "Pin<&mut>" => Pin::new(Box::leak(Box::new(n))),
        "Cell" => Cell::new(n),
        "RefCell" => RefCell::new(Meters(n)),
        "OnceCell" => OnceCell::from(n),
        "empty OnceCell" => OnceCell::<String>::new(),
        "LazyCell" => filled,
        "waiting LazyCell" => LazyCell::<u8>::new(|| 3),
        "Mutex" => Mutex::new(Meters(n)),
        "RwLock" => RwLock::new(Meters(n)),
        "Once" => Once::new(),
        "OnceLock" => OnceLock::from(text(n)),
        "empty OnceLock" => OnceLock::<u8>::new(),
        "LazyLock" => locked,
        "waiting LazyLock" => LazyLock::<u8>::new(|| 3),
        "Condvar" => Condvar::new(),
        "Barrier" => Barrier::new(2),
        "Sender" => sender,
        "Receiver" => receiver,
        "SyncSender" => bounded,
        "Box<dyn>" => Box::new(Meters(n)) as Box<dyn std::fmt::Debug + Send>,
        "Rc<RefCell<dyn>>" => Rc::new(RefCell::new(Meters(n))) as Rc<RefCell<dyn std::fmt::Debug>>,
        "Arc<Mutex<dyn>>" => Arc::new(Mutex::new(Meters(n))) as Arc<Mutex<dyn std::fmt::Debug + Send>>,
        "Arc<Mutex<[T]>>" => Arc::new(Mutex::new([n, 1])) as Arc<Mutex<[u64]>>,
    );
}

fn system(cases: &mut Cases, n: u64) {
    let v4 = Ipv4Addr::from(n as u32);
    let v6 = Ipv6Addr::from(u128::from(n) << 60);
    kinds!(cases:
        "Duration" => Duration::from_nanos(n),
        "Instant" => Instant::now(),
        "SystemTime" => SystemTime::now(),
        "Ipv4Addr" => v4,
        "Ipv6Addr" => v6,
        "IpAddr" => IpAddr::from(v4),
        "SocketAddrV4" => SocketAddrV4::new(v4, n as u16),
        "SocketAddrV6" => SocketAddrV6::new(v6, n as u16, 0, n as u32 % 3),
        "SocketAddr" => SocketAddr::from((v6, n as u16)),
        "Layout" => Layout::from_size_align((n % 1000) as usize, 1 << (n % 9)).expect("a layout"),
        "ThreadId" => std::thread::current().id(),
    );
}

fn errors(cases: &mut Cases) {
    kinds!(cases:
        "ParseIntError" => "x".parse::<u8>().unwrap_err(),
        "ParseFloatError" => "x".parse::<f32>().unwrap_err(),
        "ParseBoolError" => "x".parse::<bool>().unwrap_err(),
        "ParseCharError" => "xy".parse::<char>().unwrap_err(),
        "TryFromIntError" => u8::try_from(300).unwrap_err(),
        "FromUtf8Error" => String::from_utf8(vec![b'a', 0xff]).unwrap_err(),
        "fmt::Error" => std::fmt::Error,
        "AddrParseError" => "x".parse::<IpAddr>().unwrap_err(),
        "NulError" => CString::new("a\0").unwrap_err(),
        "SystemTimeError" => SystemTime::UNIX_EPOCH.duration_since(SystemTime::now()).unwrap_err(),
        "RecvError" => mpsc::RecvError,
        "TryRecvError" => mpsc::TryRecvError::Empty,
        "VarError" => std::env::VarError::NotPresent,
        "io::Error of the system" => io::Error::from_raw_os_error(2),
        "io::Error of a kind" => io::Error::from(io::ErrorKind::TimedOut),
        "io::Error with a message of its own" => io::Read::read_exact(&mut io::empty(), &mut [0]).unwrap_err(),
        "io::Error of an error" => io::Error::new(io::ErrorKind::InvalidData, std::fmt::Error),
        "io::Error of text" => io::Error::other("disk \"full\""),
        "Box<dyn Error + Send + Sync>" => Box::<dyn std::error::Error + Send + Sync>::from(String::from("owned")),
    );
    // The standard library has no debug info of types: unless this is inlined, its vtable is not described.
    let described_or_not = r#""text"|<Box<dyn Error>: its concrete type is not described>"#;
    not_compared!(cases:
        "Box<dyn Error>" => Box::<dyn std::error::Error>::from("text"), described_or_not,
    );
}

/// What is held is held by something else that lives longer.
fn guards(cases: &mut Cases, n: u64) {
    cases.case("kind guards", async move {
        let (mutex, cell, lock) = (Mutex::new(text(n)), RefCell::new(Meters(n)), RwLock::new(Meters(n + 1)));
        let (written, changed) = (RwLock::new(text(n)), RefCell::new((n, text(n))));
        let wide: &RefCell<dyn std::fmt::Debug> = &RefCell::new(Meters(n));
        let mutex_guard = mutex.lock().unwrap();
        let reference = cell.borrow();
        let read_guard = lock.read().unwrap();
        let write_guard = written.write().unwrap();
        let mapped = Ref::map(Ref::clone(&reference), |meters| &meters.0);
        let changing = RefMut::map(changed.borrow_mut(), |pair| &mut pair.1);
        let unsized_reference = wide.borrow();
        holds!(mutex_guard, reference, read_guard, write_guard, mapped, changing, unsized_reference);
        Never.await;
        black_box((&mutex_guard, &reference, &read_guard, &write_guard, &mapped, &changing, &unsized_reference));
    });
}
