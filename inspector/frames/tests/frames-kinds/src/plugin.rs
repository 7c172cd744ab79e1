//! Futures made in a library that is replaced while the program runs.

use std::ffi::{CString, c_char, c_int, c_void};
use std::pin::Pin;

use crate::{Cases, wait};

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlclose(library: *mut c_void) -> c_int;
}

type Make = fn(u64) -> Pin<Box<dyn Future<Output = u64>>>;

const NOW: c_int = 2;

/// Loads one library after the other at one path, and suspends a future of each.
pub fn run(first: &str, second: &str, path: &str) {
    for (round, library) in [first, second].into_iter().enumerate() {
        let mut cases = Cases { seed: 1 };
        // A case before, so that the reader has looked at what is loaded.
        cases.case("before", async {
            crate::Never.await;
        });
        if round == 0 {
            wait();
        }
        std::fs::copy(library, path).expect("the library can be copied");
        let name = CString::new(path).expect("a path");
        // SAFETY: the library has the function that it is built with.
        let (library, make) = unsafe {
            let library = dlopen(name.as_ptr(), NOW);
            assert!(!library.is_null(), "{path} can be loaded");
            (library, std::mem::transmute::<*mut c_void, Make>(dlsym(library, c"make".as_ptr())))
        };
        cases.case("plugin", async move {
            make(21).await;
        });
        wait();
        // SAFETY: nothing of it runs; its future is leaked.
        assert_eq!(unsafe { dlclose(library) }, 0);
        std::fs::remove_file(path).expect("it is there");
    }
}
