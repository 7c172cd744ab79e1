//! Native stacks are named as the standard library names them, in debug builds and in optimised ones.
//!
//! This is a program without the harness of tests, which runs no test on the main thread: that begins in its own way.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};

use tinyio_events::event::TraceSite;
use tinyio_frames::{Frames, native_stack};

/// A stack as it is read by debug info, and as the standard library names it.
type Both = (Vec<TraceSite>, Vec<TraceSite>);

fn both() -> Both {
    let read = Frames::of_this_process().native_stack_by_debug_info();
    (read.expect("the whole stack is known"), native_stack())
}

struct Visitor<T>(T);

impl<T: Fn() -> Both> Visitor<T> {
    #[inline(always)]
    fn visit(&self) -> Both {
        black_box((self.0)())
    }
}

trait Visit {
    fn visit_dyn(&self) -> Both;
}

impl<T: Fn() -> Both> Visit for Visitor<T> {
    fn visit_dyn(&self) -> Both {
        black_box(self.visit())
    }
}

#[inline(always)]
fn inlined<R>(call: impl FnOnce() -> R) -> R {
    black_box(call())
}

fn recursive<R>(count: u32, call: &mut dyn FnMut() -> R) -> R {
    match count {
        0 => call(),
        _ => black_box(recursive(count - 1, call)),
    }
}

async fn asynchronous() -> Both {
    std::future::ready(()).await;
    black_box(async { both() }.await)
}

fn poll(future: impl Future<Output = Both>) -> Both {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(both) => both,
        Poll::Pending => unreachable!("it waits for nothing"),
    }
}

/// The standard library calls back.
fn sorted() -> Both {
    let mut found = None;
    [2, 1].sort_by_key(|number: &i32| {
        found.get_or_insert_with(both);
        *number
    });
    found.expect("a comparison")
}

/// A stack as it is read by debug info, if that describes all of it, and with the help of the standard library.
type Read = (Option<Vec<TraceSite>>, Vec<TraceSite>);

thread_local! {
    /// What [`called_back`] has read.
    static READ: Cell<Option<Read>> = const { Cell::new(None) };
}

extern "C" fn called_back() {
    let mut frames = Frames::of_this_process();
    READ.set(Some((frames.native_stack_by_debug_info(), frames.native_stack())));
}

extern "C" fn compare(_: *const c_void, _: *const c_void) -> c_int {
    called_back();
    0
}

unsafe extern "C" {
    fn qsort(
        base: *mut c_void,
        count: usize,
        size: usize,
        compare: extern "C" fn(*const c_void, *const c_void) -> c_int,
    );
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

fn texts(sites: &[TraceSite]) -> Vec<String> {
    sites.iter().map(|site| format!("{} {}:{}:{}", site.name, site.file, site.line, site.column)).collect()
}

fn names(sites: &[TraceSite]) -> Vec<&str> {
    sites.iter().map(|site| site.name.rsplit("::").next().unwrap_or_default()).collect()
}

fn main() {
    let tests: [(&str, fn()); 3] = [
        ("a_native_stack_is_named_as_the_standard_library_names_it", named_as_the_standard_library_names_it),
        ("the_c_library_is_left_out", the_c_library_is_left_out),
        ("code_that_nothing_describes_is_left_to_the_standard_library", code_that_nothing_describes_is_left_to_it),
    ];
    let filter = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, test) in tests.iter().filter(|(name, _)| name.contains(&filter)) {
        test();
        println!("test {name} ... ok");
    }
}

fn named_as_the_standard_library_names_it() {
    let visitor = Visitor(both);
    let all = [
        both(),
        inlined(|| Visitor(both).visit()),
        (&visitor as &dyn Visit).visit_dyn(),
        recursive(3, &mut || inlined(both)),
        poll(asynchronous()),
        sorted(),
        std::thread::spawn(|| recursive(1, &mut both)).join().expect("a stack"),
    ];
    for (read, standard) in &all {
        // Both were called by `both`, in different lines.
        assert_eq!(texts(read)[1..], texts(standard)[1..]);
        assert_eq!(read[0].name, "native_stack::both");
    }
    let visited = names(&all[1].0);
    assert_eq!(visited[..2], ["both", "visit"]);
    assert!(visited.contains(&"inlined"), "{visited:?}");
    assert_eq!(names(&all[3].0).iter().filter(|name| **name == "recursive").count(), 4);
}

fn the_c_library_is_left_out() {
    let mut numbers = [2_u8, 1];
    // SAFETY: two elements of one byte each, and a function that compares two of them.
    unsafe { qsort(numbers.as_mut_ptr().cast(), 2, 1, compare) };
    let (read, _) = READ.take().expect("a comparison");
    let read = read.expect("the whole stack is known");
    assert_eq!(names(&read)[..3], ["called_back", "compare", "the_c_library_is_left_out"]);
}

fn code_that_nothing_describes_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("c.c"), folder.path().join("libunknown.so"));
    std::fs::write(&source, "void unknown(void (*call)(void)) { call(); __asm__(\"\"); }").unwrap();
    let built = Command::new("cc").args(["-shared", "-s", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
    assert!(built.expect("cc").success());
    let library = CString::new(library.into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: the library has no constructors, and its function calls the one that it is given.
    unsafe {
        let library = dlopen(library.as_ptr(), 1);
        assert!(!library.is_null());
        let unknown = dlsym(library, c"unknown".as_ptr());
        assert!(!unknown.is_null());
        std::mem::transmute::<*mut c_void, extern "C" fn(extern "C" fn())>(unknown)(called_back);
    }
    let (read, whole) = READ.take().expect("a call");
    assert_eq!(read, None);
    // That names the function between too, if it was not asked for names before the library was loaded.
    let own = names(&whole).into_iter().filter(|name| *name != "unknown").take(2);
    assert!(own.eq(["called_back", "code_that_nothing_describes_is_left_to_it"]), "{whole:?}");
}
