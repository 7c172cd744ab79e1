//! Names and values in the form in which they are shown.

use std::any::Any;
use std::fmt::Debug;

/// The path of a function from the type name of its future or closure: `a::b::{{closure}}` is `a::b`.
pub(crate) fn path(type_name: &'static str) -> &'static str {
    type_name.trim_end_matches("::{{closure}}")
}

/// Whether this is the name of a coroutine that only stands for a handle given to `run`: its future is a `Coro`.
pub(crate) fn is_stand_in(name: &str) -> bool {
    name.starts_with("tinyio::coroutine::coro::Coro<")
}

/// A value as `{:?}` prints it, if it is of a simple type; otherwise the name of its type.
pub(crate) fn value<T: 'static>(value: &T) -> String {
    fn try_as<A: Debug + 'static>(value: &dyn Any) -> Option<String> {
        value.downcast_ref::<A>().map(|value| format!("{value:?}"))
    }
    let known: [fn(&dyn Any) -> Option<String>; 19] = [
        try_as::<()>,
        try_as::<bool>,
        try_as::<char>,
        try_as::<i8>,
        try_as::<i16>,
        try_as::<i32>,
        try_as::<i64>,
        try_as::<i128>,
        try_as::<isize>,
        try_as::<u8>,
        try_as::<u16>,
        try_as::<u32>,
        try_as::<u64>,
        try_as::<u128>,
        try_as::<usize>,
        try_as::<f32>,
        try_as::<f64>,
        try_as::<&'static str>,
        try_as::<String>,
    ];
    known.iter().find_map(|show| show(value)).unwrap_or_else(|| format!("_: {}", std::any::type_name::<T>()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn closures_are_named_after_their_function() {
        assert_eq!(super::path("a::b::{{closure}}::{{closure}}"), "a::b");
        assert_eq!(super::path("a::b<u8>"), "a::b<u8>");
    }

    #[test]
    fn simple_values_are_shown() {
        assert_eq!(super::value(&5), "5");
        assert_eq!(super::value(&String::from("x")), "\"x\"");
        assert_eq!(super::value(&vec![1]), "_: alloc::vec::Vec<i32>");
    }
}
