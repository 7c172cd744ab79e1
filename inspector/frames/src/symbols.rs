//! The symbols of closures and async bodies, by the name of the function they are in: the way from the type of a
//! coroutine to the function that runs it, for which debug info has no index.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::sync::{Arc, OnceLock};

use object::read::elf::{ElfFile64, ProgramHeader};
use object::{LittleEndian, Object, ObjectSymbol, ReadRef, SymbolKind};
use tinyio_events::threads;

use super::contents::Bytes;
use super::names;

/// The symbol table of a file, 64-bit little-endian ELF. It is searched when something is asked for.
#[derive(Default)]
pub(super) struct Symbols {
    table: Bytes,
    /// The section with the names.
    names: Bytes,
    /// The bodies of closures and async functions, by the name of the function they are in.
    bodies: OnceLock<HashMap<Box<str>, Vec<Body>>>,
    glue: OnceLock<Glue>,
    /// The addresses (of the file) of the drop glue of coroutines and closures, by [`closure_path`].
    glue_of: OnceLock<HashMap<Box<str>, Vec<u64>>>,
}

/// The drop glue that has a symbol.
#[derive(Default)]
struct Glue {
    /// Types without parameters that it is for.
    plain: HashSet<Box<str>>,
    /// Types with parameters that it is for, as symbols write them, by their length: those of one length follow on each
    /// other. Few are ever looked for, so nothing is made of each of these thousands.
    generic: HashMap<usize, String>,
    /// That of coroutines and closures: few are ever looked for.
    closures: Vec<Body>,
}

/// The body of a closure or an async function, or its drop glue.
struct Body {
    /// The address in the file.
    address: u64,
    /// The linker name.
    symbol: Box<str>,
}

impl Symbols {
    /// Of a symbol table, and the section with its names.
    pub fn of(table: Bytes, names: Bytes) -> Symbols {
        Symbols { table, names, ..Symbols::default() }
    }

    /// Reads the names of functions in a thread beside, if they are so many that it takes a while where nothing is
    /// optimised: 30 ms for 100,000 symbols. What is asked for before is read there, or waited for.
    pub fn read_ahead(self: &Arc<Symbols>) {
        const MANY: usize = 20_000 * SYMBOL;
        // As much as a main thread has: names of the v0 kind nest.
        const STACK: usize = 8 << 20;
        // A filter may end the process at a new thread.
        if self.table.len() < MANY || tinyio_events::sandbox::is_filtered() {
            return;
        }
        let symbols = self.clone();
        let read = move || {
            symbols.bodies("");
            symbols.glue();
        };
        // Without a thread it is done later.
        let _ = threads::spawn("tinyio symbols", STACK, read);
    }

    /// Whether there are none, as in a file that was stripped of them.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The bodies inside functions of a name.
    fn bodies(&self, function: &str) -> &[Body] {
        let bodies = self.bodies.get_or_init(|| {
            let mut bodies: HashMap<Box<str>, Vec<Body>> = HashMap::new();
            for (symbol, address) in self.named(may_begin_body, may_be_body) {
                if let Some(function) = function_of(symbol) {
                    let body = Body { address, symbol: symbol.into() };
                    bodies.entry(function.as_ref().into()).or_default().push(body);
                }
            }
            bodies
        });
        bodies.get(function).map(Vec::as_slice).unwrap_or_default()
    }

    fn glue(&self) -> &Glue {
        self.glue.get_or_init(|| {
            let mut glue = Glue::default();
            for (symbol, address) in self.named(may_begin_glue, |_| true) {
                if names_closure(symbol) {
                    glue.closures.push(Body { address, symbol: symbol.into() });
                } else if let Some(ty) = dropped(symbol) {
                    glue.plain.insert(ty.into());
                } else if let Some(ty) = glue_type(symbol) {
                    glue.generic.entry(ty.len()).or_default().push_str(ty);
                }
            }
            glue
        })
    }

    /// The addresses (of the file) of the bodies inside functions of this name, the likeliest first: many modules may
    /// have a function of one name.
    ///
    /// `module` is the path of the module that the function is in. Symbols do not tell it for certain: those of a
    /// method name the type and the trait instead.
    pub fn inside(&self, function: &str, module: &[&str]) -> Vec<u64> {
        let bodies = self.bodies(function);
        if let [only] = bodies {
            return vec![only.address];
        }
        let module = module.join("::");
        let rank = |body: &Body| {
            let path = format!("{:#}", rustc_demangle::demangle(&body.symbol));
            let Some(start) = path.find(&*module) else { return 2 };
            let rest = path[start + module.len()..].strip_prefix("::").and_then(|rest| rest.strip_prefix(function));
            u8::from(start > 0 || rest.is_none_or(|rest| !rest.starts_with("::")))
        };
        let mut ranked: Vec<(u8, u64)> = bodies.iter().map(|body| (rank(body), body.address)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, address)| address).collect()
    }

    /// What may be the drop glue of a coroutine of this name, which others may share: the symbols of some have the same
    /// path.
    pub fn glue_of(&self, coroutine: &str) -> &[u64] {
        let glue_of = self.glue_of.get_or_init(|| {
            let mut glue_of: HashMap<Box<str>, Vec<u64>> = HashMap::new();
            for Body { address, symbol } in &self.glue().closures {
                if let Some(ty) = dropped(symbol) {
                    glue_of.entry(closure_path(&ty).into()).or_default().push(*address);
                }
            }
            glue_of
        });
        glue_of.get(closure_path(coroutine).as_str()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether there is drop glue for a type of this name, if symbols tell: it may be inlined everywhere, and types of
    /// closures have other names there.
    pub fn is_dropped(&self, ty: &str) -> bool {
        let Glue { plain, generic, .. } = self.glue();
        let is_generic = || {
            let ty = as_in_symbols(ty);
            let alike = generic.get(&ty.len());
            alike.is_some_and(|alike| alike.as_bytes().chunks_exact(ty.len()).any(|one| one == ty.as_bytes()))
        };
        plain.contains(ty) || ty.contains('<') && is_generic()
    }

    /// Whether the names of drop glue are known here.
    pub fn knows_glue(&self) -> bool {
        let Glue { plain, generic, closures } = self.glue();
        !(plain.is_empty() && generic.is_empty() && closures.is_empty())
    }

    /// The linker name of the function around an address (of the file).
    pub fn around(&self, address: u64) -> Option<&str> {
        const NUMBER: usize = 8;
        for symbol in self.table.as_chunks::<SYMBOL>().0 {
            let number = |at: usize| symbol.get(at..at + NUMBER)?.try_into().ok().map(u64::from_le_bytes);
            if symbol[4] & 0xf == FUNCTION
                && let Some(offset) = address.checked_sub(number(NUMBER)?)
                && offset < number(2 * NUMBER)?
            {
                let &[a, b, c, d, ..] = symbol;
                return self.name(u32::from_le_bytes([a, b, c, d]));
            }
        }
        None
    }

    /// Addresses (of the file) of functions with a linker name that contains a text, each once.
    pub fn functions(&self, part: &str) -> Vec<u64> {
        let found = self.named(|_| true, |name| std::str::from_utf8(name).is_ok_and(|name| name.contains(part)));
        let mut addresses: Vec<u64> = found.into_iter().map(|(_, address)| address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Whether exactly one function begins at an address (of the file).
    pub fn has_one(&self, address: u64) -> bool {
        let (wanted, mut count) = (address.to_le_bytes(), 0);
        for &[_, _, _, _, kind, _, _, _, a, b, c, d, e, f, g, h, ..] in self.table.as_chunks::<SYMBOL>().0 {
            if a == wanted[0] && kind & 0xf == FUNCTION && [a, b, c, d, e, f, g, h] == wanted {
                count += 1;
            }
        }
        count == 1
    }

    fn name(&self, offset: u32) -> Option<&str> {
        CStr::from_bytes_until_nul(self.names.get(offset as usize..)?).ok()?.to_str().ok()
    }

    /// The functions with a name that is wanted, and that begins so: linker name, and address in the file. What begins
    /// with a name may go on behind it.
    fn named(&self, begins: impl Fn(&[u8]) -> bool, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<(&str, u64)> {
        let (table, names): (&[u8], &[u8]) = (&self.table, &self.names);
        let mut found = Vec::new();
        // Slices and no adapters: a hundred thousand symbols are looked at, also where this is not optimised. Of these
        // some thousand are wanted, and where a name ends takes longer to find than how it begins.
        for &[a, b, c, d, kind, _, _, _, ref address @ ..] in table.as_chunks::<SYMBOL>().0 {
            if kind & 0xf != FUNCTION {
                continue;
            }
            let Some(name) = names.get(u32::from_le_bytes([a, b, c, d]) as usize..) else { continue };
            if !begins(name) {
                continue;
            }
            let Ok(name) = CStr::from_bytes_until_nul(name) else { continue };
            if is_wanted(name.to_bytes()) {
                let &[a, b, c, d, e, f, g, h, ..] = address;
                let address = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                if let (Ok(name), 1..) = (name.to_str(), address) {
                    found.push((name, address));
                }
            }
        }
        found
    }
}

/// Bytes of a symbol, and what its kind is for a function.
const SYMBOL: usize = 24;
const FUNCTION: u8 = 2;

/// Variables of threads of a program on x86-64, with a linker name that contains a text: how far before the address in
/// the thread register each is. There the part of the program ends.
pub(super) fn thread_locals<'a>(file: impl ReadRef<'a>, part: &str) -> Option<Vec<u64>> {
    let elf = ElfFile64::<LittleEndian, _>::parse(file).ok()?;
    let segments = elf.elf_program_headers();
    let segment = segments.iter().find(|segment| segment.p_type(LittleEndian) == object::elf::PT_TLS)?;
    let size = segment.p_memsz(LittleEndian).checked_next_multiple_of(segment.p_align(LittleEndian).max(1))?;
    let symbols = elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Tls);
    let wanted = symbols.filter(|symbol| symbol.name().is_ok_and(|name| name.contains(part)));
    Some(wanted.filter_map(|symbol| size.checked_sub(symbol.address())).collect())
}

/// The length of what ends a symbol: the hash.
const HASH: usize = "17h0123456789abcdefE".len();

/// Whether a symbol that begins so may be one that [`function_of`] knows.
fn may_begin_body(symbol: &[u8]) -> bool {
    matches!(symbol, [b'_', b'Z', b'N', ..] | [b'_', b'R', b'N', b'C', ..])
}

/// Whether a symbol that [`may_begin_body`] may be one that [`function_of`] knows: a path that ends with a closure,
/// before the hash.
fn may_be_body(symbol: &[u8]) -> bool {
    match symbol {
        [b'_', b'Z', b'N', ..] => match symbol.len().checked_sub(HASH) {
            // The last byte rules out most.
            Some(end) => symbol[..end].last() == Some(&b'$') && symbol[..end].ends_with(b"$u7b$$u7b$closure$u7d$$u7d$"),
            None => false,
        },
        _ => true,
    }
}

/// Whether a symbol that begins so may be one that [`dropped`] or [`glue_type`] knows.
fn may_begin_glue(symbol: &[u8]) -> bool {
    matches!(symbol, [b'_', b'Z', b'N', b'4', b'c', ..]) && symbol.starts_with(b"_ZN4core3ptr")
        || symbol.starts_with(b"_RINvN")
}

/// The function a body is in, by its last name: `f` for `_ZN1a1f28_$u7b$$u7b$closure$u7d$$u7d$17h…E`, which is
/// `a::f::{{closure}}`.
fn function_of(symbol: &str) -> Option<Cow<'_, str>> {
    match symbol.strip_prefix("_ZN") {
        Some(rest) => legacy(rest).map(Cow::Borrowed),
        None if symbol.starts_with("_RNC") => v0(symbol).map(Cow::Owned),
        None => None,
    }
}

/// Whether a symbol that [`may_begin_glue`] may be that of a closure or a coroutine. Of v0 the name alone tells.
fn names_closure(symbol: &str) -> bool {
    match symbol.as_bytes() {
        [b'_', b'R', ..] => dropped(symbol).is_some_and(|ty| ty.ends_with('}')),
        bytes => bytes.len().checked_sub(HASH).is_some_and(|end| bytes[..end].ends_with(b"$u7d$$GT$")),
    }
}

/// The type that drop glue is for as a symbol writes it: `a..S$LT$u8$GT$` for
/// `_ZN4core3ptr…drop_in_place$LT$a..S$LT$u8$GT$$GT$17h…E`.
fn glue_type(symbol: &str) -> Option<&str> {
    let (rest, _) = digits(symbol.strip_prefix("_ZN4core3ptr")?);
    let named = rest.strip_prefix("drop_in_place$LT$")?;
    named.get(..named.len().checked_sub(HASH)?)?.strip_suffix("$GT$")
}

/// The name of a type in debug info as a symbol writes it, where parameters that are the default are left out.
///
/// Source: `SymbolPrinter` and `sanitize` in rustc's `rustc_symbol_mangling::legacy`.
fn as_in_symbols(ty: &str) -> String {
    let ty = ty.replace(", alloc::alloc::Global", "").replace(", std::hash::random::RandomState", "");
    let mut written = String::with_capacity(ty.len() * 2);
    for char in ty.replace(", ", ",").chars() {
        match char {
            '@' => written.push_str("$SP$"),
            '*' => written.push_str("$BP$"),
            '&' => written.push_str("$RF$"),
            '<' => written.push_str("$LT$"),
            '>' => written.push_str("$GT$"),
            '(' => written.push_str("$LP$"),
            ')' => written.push_str("$RP$"),
            ',' => written.push_str("$C$"),
            '-' | ':' => written.push('.'),
            _ if char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '$') => written.push(char),
            _ => written.push_str(&format!("$u{:x}$", u32::from(char))),
        }
    }
    written
}

/// The type that drop glue is for: `a::S` for `_ZN4core3ptr…drop_in_place$LT$a..S$GT$17h…E`. `None` for a type with
/// parameters, unless it is a closure or a coroutine: `a::f::{{closure}}`.
fn dropped(symbol: &str) -> Option<String> {
    let ty = match symbol.starts_with("_RINvN") && symbol.contains("core3ptr") {
        false => {
            let ty = glue_type(symbol)?;
            // Most have parameters, or are no path: a `$` is in each of these. To replace texts takes 5 µs.
            if !ty.as_bytes().contains(&b'$') {
                return is_plain(ty).then(|| ty.replace("..", "::"));
            }
            if !ty.ends_with("$u7d$") {
                return None;
            }
            let decoded = [("$u7b$", "{"), ("$u7d$", "}"), ("$LT$", "<"), ("$GT$", ">"), ("..", "::")];
            decoded.iter().fold(ty.to_owned(), |name, (coded, text)| name.replace(coded, text))
        }
        true => {
            let demangled = format!("{:#}", rustc_demangle::try_demangle(symbol).ok()?);
            let start = ["core::ptr::drop_glue::<", "core::ptr::drop_in_place::<"];
            let rest = start.iter().find_map(|start| demangled.strip_prefix(start))?;
            // These symbols have parameters as debug info has them.
            return rest.strip_suffix('>').map(str::to_owned);
        }
    };
    (is_plain(&ty) || ty.ends_with('}')).then_some(ty)
}

/// Whether the name of a type is a path without parameters, as linker names write it or as the program does.
fn is_plain(ty: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b':' | b'.');
    let bytes = ty.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            return false;
        }
        at += 1;
    }
    true
}

/// The path of a coroutine as linker names and debug info have it in common: without parameters, and with one word for
/// `{async_fn_env#0}`, `{async_block#1}`, `{{closure}}` and `{closure#0}`.
fn closure_path(path: &str) -> String {
    let level = |level: &&str| match level.starts_with('{') {
        true => "{closure}".to_owned(),
        false => names::without_generics(level).to_owned(),
    };
    names::segments(path).iter().map(level).collect::<Vec<_>>().join("::")
}

fn legacy(mut rest: &str) -> Option<&str> {
    let mut last = None;
    loop {
        let (part, after) = counted(rest)?;
        if part.starts_with("_$u7b$$u7b$closure") {
            return last;
        }
        (last, rest) = (Some(part), after);
    }
}

/// `a::f::{closure#0}::{closure#0}`, `<a::S<u8>>::f::{closure#0}`, `a::f::<u8>::{closure#0}`, once demangled.
fn v0(symbol: &str) -> Option<String> {
    let demangled = format!("{:#}", rustc_demangle::try_demangle(symbol).ok()?);
    let levels = names::segments(&demangled);
    let above = levels.iter().take_while(|level| !level.starts_with("{closure"));
    above.filter(|level| !level.starts_with('<')).last().map(|name| (*name).to_owned())
}

/// The next name of a linkage name, which its length precedes.
fn counted(rest: &str) -> Option<(&str, &str)> {
    let (rest, length) = digits(rest);
    rest.split_at_checked(length?)
}

/// What follows the digits that a text begins with, and the number they are.
fn digits(text: &str) -> (&str, Option<usize>) {
    let bytes = text.as_bytes();
    let (mut at, mut number) = (0, Some(0_usize));
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        number = match number {
            Some(number) if number < 1 << 32 => Some(number * 10 + usize::from(bytes[at] - b'0')),
            _ => None,
        };
        at += 1;
    }
    (&text[at..], number.filter(|_| at > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A symbol table of functions (of objects without a size): names, addresses and sizes.
    fn table(functions: &[(&str, u64, u64)]) -> Symbols {
        let (mut table, mut names) = (vec![0; SYMBOL], vec![0]);
        for (name, address, size) in functions {
            let kind = if *size > 0 { FUNCTION } else { 1 };
            table.extend((names.len() as u32).to_le_bytes());
            table.extend([kind, 0, 1, 0]);
            table.extend(address.to_le_bytes());
            table.extend(size.to_le_bytes());
            names.extend(name.bytes());
            names.push(0);
        }
        Symbols::of(table.into(), names.into())
    }

    #[test]
    fn symbols_are_read_from_the_table() {
        let glue = "_ZN4core3ptr46drop_in_place$LT$a..m..Loud$GT$17h9b5d978c9bcceff6E";
        let body = "_ZN1a1f28_$u7b$$u7b$closure$u7d$$u7d$17h9b5d978c9bcceff6E";
        let symbols = table(&[("x", 8, 8), (body, 16, 16), ("data", 8, 0), (glue, 32, 16), ("y", 64, 8), ("z", 64, 8)]);
        assert_eq!(
            [7, 8, 15, 31, 32].map(|at| symbols.around(at)),
            [None, Some("x"), Some("x"), Some(body), Some(glue)]
        );
        assert_eq!([8, 16, 17, 64].map(|at| symbols.has_one(at)), [true, true, false, false]);
        assert_eq!((symbols.functions("a"), symbols.functions("y")), (vec![16, 32], vec![64]));
        assert_eq!((symbols.inside("f", &["a"]), symbols.inside("g", &["a"])), (vec![16], vec![]));
        assert!(symbols.is_dropped("a::m::Loud") && !symbols.is_dropped("a::m::Mute") && symbols.knows_glue());
        let other = table(&[("x", 8, 8)]);
        assert!(!other.is_empty() && !other.knows_glue() && !other.is_dropped("a::m::Loud"));
    }

    #[test]
    fn of_bodies_in_functions_of_one_name_those_of_the_module_come_first() {
        let body = |(address, symbol): (u64, &str)| Body { address, symbol: symbol.into() };
        let table = [
            (1, "_ZN1a2m14leaf28_$u7b$$u7b$closure$u7d$$u7d$17h9b5d978c9bcceff6E"),
            (2, "_ZN33_$LT$a..m2..S$u20$as$u20$a..T$GT$4leaf28_$u7b$$u7b$closure$u7d$$u7d$17h9b5d978c9bcceff6E"),
            (3, "_ZN1a2m24leaf28_$u7b$$u7b$closure$u7d$$u7d$17h9b5d978c9bcceff6E"),
            (4, "_ZN1a2m31S4leaf28_$u7b$$u7b$closure$u7d$$u7d$17h9b5d978c9bcceff6E"),
        ];
        let all = table.map(body).into_iter().collect();
        let symbols = Symbols { bodies: HashMap::from([("leaf".into(), all)]).into(), ..Symbols::default() };
        assert_eq!(symbols.inside("leaf", &["a", "m2"]), [3, 2, 1, 4]);
        assert_eq!(symbols.inside("leaf", &["a", "m3"]), [4, 1, 2, 3]);
        assert!(symbols.inside("root", &["a", "m3"]).is_empty());
    }

    #[test]
    fn the_drop_glue_of_a_type_with_parameters_is_found_by_the_name_of_the_type() {
        let ty = "a..S$LT$$RF$str$C$$LP$$u5b$u8$u3b$$u20$4$u5d$$C$u8$RP$$GT$";
        assert_eq!(glue_type(&format!("_ZN4core3ptr79drop_in_place$LT${ty}$GT$17h9b5d978c9bcceff6E")), Some(ty));
        assert_eq!(as_in_symbols("a::S<&str, ([u8; 4], u8), alloc::alloc::Global>"), ty);
        let generic = HashMap::from([(ty.len(), format!("{}{ty}", ty.replace("S", "T")))]);
        let glue = Glue { generic, ..Glue::default() };
        let symbols = Symbols { glue: glue.into(), ..Symbols::default() };
        assert!(symbols.is_dropped("a::S<&str, ([u8; 4], u8)>") && symbols.is_dropped("a::T<&str, ([u8; 4], u8)>"));
        assert!(!symbols.is_dropped("a::U<&str, ([u8; 4], u8)>") && !symbols.is_dropped("a::S<u8>"));
        assert!(symbols.knows_glue() && !Symbols::default().knows_glue());
    }

    #[test]
    fn a_body_is_found_by_the_function_it_is_in() {
        let method = "_ZN2v010S$LT$T$GT$1m28_$u7b$$u7b$closure$u7d$$u7d$17h9b5d978c9bcceff6E";
        let nested = "_ZN2v01a1r28_$u7b$$u7b$closure$u7d$$u7d$28_$u7b$$u7b$closure$u7d$$u7d$17hafaaa105b2e0d6deE";
        assert_eq!(function_of(method).as_deref(), Some("m"));
        assert_eq!(function_of(nested).as_deref(), Some("r"));
        assert_eq!(function_of("_RNCNCNvNtCsfq2Zq5gqAK1_2v01a1r00B7_").as_deref(), Some("r"));
        assert_eq!(function_of("_RNCNvMCsfq2Zq5gqAK1_2v0INtB4_1SReE1m0B4_").as_deref(), Some("m"));
        let generic = "_RNCINvCsfq2Zq5gqAK1_2v01gINtNtCslNYArtu3iFV_5alloc3vec3VechEE0B4_";
        assert_eq!(function_of(generic).as_deref(), Some("g"));
        let glue = "_ZN4core3ptr46drop_in_place$LT$frames_programs..moves..Loud$GT$17h9b5d978c9bcceff6E";
        assert_eq!(dropped(glue).as_deref(), Some("frames_programs::moves::Loud"));
        assert_eq!(dropped("_ZN4core3ptr9drop_in_place$LT$alloc..vec..Vec$LT$u8$GT$$GT$17h9b5d978c9bcceff6E"), None);
        let coroutine = "_ZN4core3ptr51drop_in_place$LT$a..f..$u7b$$u7b$closure$u7d$$u7d$$GT$17h9b5d978c9bcceff6E";
        assert_eq!(dropped(coroutine).as_deref(), Some("a::f::{{closure}}"));
        assert_eq!(closure_path("a::f::{{closure}}"), closure_path("a::f::{async_fn_env#0}<u8>"));
        assert!(
            names_closure(coroutine) && !names_closure(glue) && !names_closure("_ZN4core3ptr") && !names_closure("_R")
        );
        for known in [method, nested, "_RNCNCNvNtCsfq2Zq5gqAK1_2v01a1r00B7_", generic] {
            assert!(may_begin_body(known.as_bytes()) && may_be_body(known.as_bytes()), "{known}");
        }
        assert!(may_begin_glue(glue.as_bytes()) && !may_begin_glue(method.as_bytes()) && !may_be_body(glue.as_bytes()));
        // As long as the hash of a name of Rust alone.
        assert!(!may_be_body(b"_ZNSt7collateIcED0Ev"));
        for other in ["main", "_ZN2v04main17h9b5d978c9bcceff6E", "_ZN", "_ZN99x", "_RNC", "_ZN2v0"] {
            assert_eq!(function_of(other), None, "{other}");
        }
    }
}
