//! The description of a type, as debug info gives it.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::rc::Rc;

use super::names;

/// A type: the image it is described in, and where in its debug info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeRef {
    pub(super) image: usize,
    pub(super) offset: usize,
}

/// The description of a type.
#[derive(Debug)]
pub(super) struct Type {
    /// Its path with generics, such as `alloc::vec::Vec<u8, alloc::alloc::Global>`.
    pub name: String,
    /// The name as it is shown: see [`names::shorten`].
    pub shown: String,
    /// Size in bytes, where the type has one of its own.
    pub size: Option<u64>,
    /// Alignment, where it is given.
    pub align: Option<u64>,
    /// Its structure.
    pub shape: Shape,
    /// Type parameters by name.
    pub params: Vec<(String, TypeRef)>,
    /// See [`function`](Type::function).
    pub function: OnceCell<String>,
}

/// The structure of a type.
#[derive(Debug)]
pub(super) enum Shape {
    Base(Base),
    /// A thin pointer: reference, raw pointer or box; the name tells which.
    Pointer(Option<TypeRef>),
    /// A function, behind a pointer.
    Function,
    Array {
        element: TypeRef,
        count: Option<u64>,
    },
    Struct(Vec<Member>),
    /// An enum with values, or a coroutine.
    Enum {
        tag: Option<Member>,
        variants: Vec<Variant>,
    },
    /// An enum without values.
    CLike(Vec<(u128, String)>),
    Union,
    /// One of several types: nothing says which.
    OneOf(Vec<TypeRef>),
    /// Text behind a wide pointer: so many bytes of UTF-8.
    Text(u64),
    /// Bytes behind a wide pointer that are a `str` or a `[u8]`: debug info describes the two alike.
    TextOrBytes {
        element: TypeRef,
        count: u64,
    },
    /// A structure that this reader does not know.
    Unknown,
}

/// Numbers and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Unit,
    Bool,
    Char,
    Signed,
    Unsigned,
    Float,
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub name: String,
    pub ty: TypeRef,
    pub offset: u64,
    /// Where it was declared; of a coroutine's variant: the place of the await.
    pub file: Option<Rc<PathBuf>>,
    pub line: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// The value of the tag, as an unsigned number of the tag's size; `None` is the variant of all other values.
    pub tag: Option<u128>,
    pub member: Member,
}

impl Type {
    /// The function that a type is the coroutine of, as it is shown.
    pub fn function(&self) -> &str {
        self.function.get_or_init(|| names::function(&self.name))
    }

    /// The path without generics: `alloc::vec::Vec`.
    pub fn path(&self) -> &str {
        names::without_generics(&self.name)
    }

    pub fn members(&self) -> &[Member] {
        match &self.shape {
            Shape::Struct(members) => members,
            _ => &[],
        }
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members().iter().find(|member| member.name == name)
    }

    pub fn param(&self, name: &str) -> Option<TypeRef> {
        self.params.iter().find(|param| param.0 == name).map(|param| param.1)
    }

    /// It is named like an async function, block or closure, but laid out otherwise.
    pub fn is_unknown_coroutine(&self) -> bool {
        // To take a path apart takes longer, and this is asked of each value.
        let may_be = || self.name.as_bytes().contains(&b'{');
        let last = || names::segments(self.path()).last().is_some_and(|last| last.starts_with("{async_"));
        matches!(self.shape, Shape::Struct(_) | Shape::Enum { .. }) && may_be() && !self.is_coroutine() && last()
    }

    /// A suspended async function, block or closure: nothing else calls its tag `__state`.
    pub fn is_coroutine(&self) -> bool {
        matches!(&self.shape, Shape::Enum { tag: Some(tag), .. } if tag.name == "__state")
    }
}

/// Whether dropping a value of a type has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Glue {
    /// It has none, or none is known.
    No,
    /// A destructor of the program is called, which need not read the value.
    UserDrop,
    /// It has one and must read the value for it: a value that is not read was moved.
    Yes,
}
