//! Await stacks and locals of programs without any code for the inspector, built in several profiles; with another
//! compiler too: `FRAMES_RUSTC=$(rustup which --toolchain nightly rustc) cargo test -p tinyio-frames --test frames`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "frames/damage.rs"]
mod damage;
#[path = "frames/debug_file.rs"]
mod debug_file;
#[path = "frames/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::time::Duration;

use object::{Object, ObjectSection, ObjectSegment};
use program::Program;
use tinyio_frames::{Frames, FutureType, Limits};

/// Compares every local a program speaks of with what is read from outside.
#[track_caller]
fn check(profile: &str, seeds: &[u64]) {
    let mut wrong = Vec::new();
    let (mut all, mut unsure) = (0, 0);
    for &seed in seeds {
        let program = Program::start(profile, &[&seed.to_string()]);
        let mut frames = program.frames();
        for case in &program.cases {
            let stack = frames.stack(&case.ty, case.address);
            if let Some(missing) = &stack.missing {
                wrong.push(format!("{}: {missing}", case.name));
            }
            let locals = program::locals(&stack.frames);
            for (name, text, mark) in &case.expected {
                all += 1;
                let read = locals.iter().filter(|local| &local.name == name);
                let true_ones = read.clone().filter(|local| text.is_empty() || &local.value.text == text);
                if true_ones.clone().any(|local| mark.split('|').any(|mark| mark == local.mark)) {
                    continue;
                }
                // To be unsure is no mistake, but has to be rare: an empty text in an enum of which nothing is read but
                // the tag, drop glue that is reached through a queue.
                if profile != "dev" && true_ones.clone().any(|local| local.mark == "may be moved") {
                    unsure += 1;
                    continue;
                }
                let read: Vec<_> = read.map(|local| (&local.value.text, &local.mark)).collect();
                wrong.push(format!("{} (seed {seed}): {name} is {text} {mark:?}, read as {read:?}", case.name));
            }
        }
    }
    assert!(unsure * 25 <= all, "{profile}: unsure of {unsure} in {all}");
    assert!(wrong.is_empty(), "{profile}: {} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn locals_read_as_they_print_in_debug_builds() {
    check("dev", &[1, 2, 3]);
}

#[test]
fn locals_read_as_they_print_in_release_builds() {
    check("release", &[1, 2, 3]);
}

#[test]
fn locals_read_as_they_print_with_fat_lto() {
    check("fat", &[1, 2, 3]);
}

#[test]
fn locals_read_as_they_print_when_panics_abort() {
    check("abort", &[1, 2, 3]);
}

#[test]
fn locals_read_as_they_print_from_split_debug_info() {
    check("packed", &[1]);
    check("unpacked", &[1]);
}

/// Compares every value of a kind, as it is read, with what `{:?}` prints, or with another text where that cannot be
/// had: how many kinds there are of the one and of the other, and the differences.
fn differences(profile: &str, of: impl Fn(&str) -> bool) -> (usize, usize, Vec<String>) {
    let (mut kinds, mut others) = <(std::collections::BTreeSet<_>, std::collections::BTreeSet<_>)>::default();
    let mut wrong = Vec::new();
    for seed in ["1", "2", "3"] {
        let program = Program::start_binary(&program::build_package("frames-kinds", profile), &[seed]);
        let mut frames = program.frames();
        for case in program.cases.iter().filter(|case| of(&case.name)) {
            let stack = frames.stack(&case.ty, case.address);
            let locals = program::locals(&stack.frames);
            for (name, text, mark) in &case.expected {
                let kinds = if mark == "not compared" { &mut others } else { &mut kinds };
                kinds.insert(format!("{} {name}", case.name));
                let read: Vec<_> = locals.iter().filter(|local| local.name == *name).collect();
                // Where it depends on the profile, several texts are true.
                let is_true = |read: &str| match &**mark {
                    "not compared" => text.split('|').any(|text| text == read),
                    _ => text == read,
                };
                if !read.iter().any(|local| is_true(&local.value.text)) {
                    let read: Vec<_> = read.iter().map(|local| (&local.value.text, &local.mark)).collect();
                    let missing = stack.missing.as_deref().unwrap_or_default();
                    wrong.push(format!("{} (seed {seed}): {name} is {text}, read as {read:?} {missing}", case.name));
                }
            }
        }
    }
    (kinds.len(), others.len(), wrong)
}

/// The profiles differ in how values are laid out and which code is left.
const PROFILES: [&str; 6] = ["dev", "release", "thin", "one", "small", "abort"];

#[track_caller]
fn reads_as_it_prints(of: impl Fn(&str) -> bool + Copy) {
    for profile in PROFILES {
        let (kinds, others, wrong) = differences(profile, of);
        println!("{profile}: {kinds} kinds, {} differences, {others} not compared with {{:?}}", wrong.len());
        assert!(kinds > 0 && wrong.is_empty(), "{profile}: {} differences\n{}", wrong.len(), wrong.join("\n"));
    }
}

#[test]
fn every_kind_of_the_standard_library_reads_as_it_prints_in_every_profile() {
    reads_as_it_prints(|case| case.starts_with("kind "));
}

#[test]
fn what_is_behind_a_wide_pointer_is_laid_out_by_its_last_field() {
    reads_as_it_prints(|case| case.starts_with("wide "));
}

#[test]
fn an_enum_with_variants_that_cannot_be_is_in_the_one_that_can() {
    reads_as_it_prints(|case| case == "uninhabited variants");
}

/// The locals of one case of `frames-kinds` within bounds: name, text and mark.
fn locals_of(profile: &str, case: &str, limits: Option<Limits>) -> Vec<(String, String, String)> {
    let program = Program::start_binary(&program::build_package("frames-kinds", profile), &[]);
    let case = program.cases.iter().find(|one| one.name == case).unwrap();
    let mut frames = match limits {
        Some(limits) => Frames::of_process(program.pid()).with_limits(limits),
        None => program.frames(),
    };
    let stack = frames.stack(&case.ty, case.address);
    let locals = program::locals(&stack.frames);
    let shown = locals.iter().map(|local| (local.name.clone(), local.value.text.clone(), local.mark.clone()));
    shown.collect()
}

#[test]
fn types_that_share_a_vtable_are_all_named() {
    for profile in PROFILES {
        let locals = locals_of(profile, "shared vtables", None);
        for (name, value) in [("celsius", "Celsius(1.5)"), ("negative", "-1"), ("positive", "7"), ("within", "8")] {
            let (_, text, _) = locals.iter().find(|local| local.0 == name).unwrap();
            let all = ["Celsius", "i64", "u64"].iter().all(|ty| text.contains(ty)) && text.contains("one of");
            assert!(all || text.contains(value), "{profile}: {name} = {text}");
        }
        let text = |name: &str| locals.iter().find(|local| local.0 == name).unwrap().1.clone();
        for (name, ty) in [("other", "u64"), ("three", "u8"), ("four", "Only")] {
            let text = text(name);
            assert!(text.contains("one of") && text.contains(ty), "{profile}: {name} = {text}");
        }
        // A vtable that was left out and has a method is of no type but its own.
        assert_eq!(text("used"), "7", "{profile}");
    }
}

#[test]
fn a_local_of_a_macro_is_never_the_function_s_without_a_mark() {
    for profile in PROFILES {
        for (case, true_value) in [
            ("hygiene of an argument", "42"),
            ("hygiene of an argument that is not kept", "42"),
            ("hygiene of a local", "42000"),
            ("hygiene of a capture", "42"),
            ("hygiene of a local that is not kept", "42000"),
            ("hygiene of a reference", "42"),
        ] {
            let locals = locals_of(profile, case, None);
            let named: Vec<_> = locals.iter().filter(|local| local.0 == "n").collect();
            assert!(!named.is_empty(), "{profile}, {case}: {locals:?}");
            for (_, text, mark) in &named {
                assert!(text == true_value || !mark.is_empty(), "{profile}, {case}: {named:?}");
            }
            if profile == "dev" && !case.ends_with("not kept") && !case.ends_with("reference") {
                let both = [("7", "may be of a macro"), (true_value, "outer binding")];
                let read: Vec<_> = named.iter().map(|local| (&*local.1, &*local.2)).collect();
                assert_eq!(read, both, "{case}");
            }
        }
        // What the function shadows itself has no mark in builds that tell.
        if profile == "dev" {
            let locals = locals_of(profile, "no macro", None);
            let expected = [("n", "43", ""), ("list", "1", "")].map(|(n, t, m)| (n.into(), t.into(), m.into()));
            assert_eq!(locals, expected);
        }
        // What is certain has no mark in any build.
        for case in ["shared vtables", "tables"] {
            let locals = locals_of(profile, case, None);
            assert!(!locals.is_empty() && locals.iter().all(|local| local.2.is_empty()), "{profile}: {locals:?}");
        }
    }
}

#[test]
fn tables_in_an_outer_frame_leave_the_inner_frames_their_share() {
    for profile in ["dev", "release"] {
        let locals = locals_of(profile, "tables", Some(Limits { time: Duration::from_secs(60), ..Limits::default() }));
        let text = |name: &str| locals.iter().find(|local| local.0 == name).unwrap().1.clone();
        assert_eq!(text("why"), "\"where it hangs: 5\"", "{profile}");
        assert_eq!(text("last"), "5", "{profile}");
        for table in ["table", "copy", "third"] {
            assert!(
                text(table).starts_with("[[0, 1, 2, 3,") && text(table).contains('…'),
                "{profile}: {}",
                text(table)
            );
        }
    }
}

/// Builds a library with a future that holds its argument times two and times three, under these names.
fn plugin(folder: &Path, twice: &str, thrice: &str, flags: &[&str]) -> PathBuf {
    let source = folder.join("plugin.rs");
    let code = format!(
        "use std::{{future::Future, hint::black_box, pin::Pin, task::{{Context, Poll}}}};
        struct Never;
        impl Future for Never {{
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {{ Poll::Pending }}
        }}
        async fn held(n: u64) -> u64 {{
            let {twice} = n * 2;
            let {thrice} = n * 3;
            Never.await;
            black_box((&{twice}, &{thrice}));
            n
        }}
        #[unsafe(no_mangle)]
        pub fn make(n: u64) -> Pin<Box<dyn Future<Output = u64>>> {{ Box::pin(held(n)) }}"
    );
    std::fs::write(&source, code).unwrap();
    let library = folder.join(format!("{twice}-{}.so", flags.len()));
    let compiler = std::env::var_os("FRAMES_RUSTC").or_else(|| std::env::var_os("RUSTC")).unwrap_or("rustc".into());
    let mut build = std::process::Command::new(compiler);
    build.args(["--edition", "2024", "-g", "--crate-name", "plugin", "--crate-type", "cdylib"]).args(flags);
    assert!(build.arg("-o").arg(&library).arg(&source).status().unwrap().success());
    library
}

#[test]
fn a_library_loaded_again_at_its_path_is_read_by_its_own_debug_info() {
    for flags in [&["-Clink-arg=-Wl,--build-id"][..], &["-Clink-arg=-Wl,--build-id=none", "-Cdebuginfo=2"]] {
        let folder = folder();
        let first = plugin(folder.path(), "a", "b", flags);
        let second = plugin(folder.path(), "b", "a", flags);
        let path = folder.path().join("loaded.so");
        let arguments = [&first, &second, &path].map(|path| path.to_str().unwrap());
        let binary = program::build_package("frames-kinds", "dev");
        let mut program = Program::start_binary(&binary, &arguments);
        let mut frames = program.frames();
        let before = &program.cases[0];
        assert!(!frames.stack(&before.ty, before.address).frames.is_empty());
        for expected in [[("n", "21"), ("a", "42"), ("b", "63")], [("n", "21"), ("b", "42"), ("a", "63")]] {
            program.go_on();
            let case = program.cases.iter().find(|case| case.name == "plugin").unwrap();
            let stack = frames.stack(&case.ty, case.address);
            let held = stack.frames.iter().find(|frame| frame.function == "plugin::held");
            let held = held.unwrap_or_else(|| panic!("{flags:?}: {stack:?}"));
            let read: Vec<_> = held.locals.iter().map(|local| (&*local.name, &*local.value.text)).collect();
            assert_eq!(read, expected, "{flags:?}");
        }
    }
}

#[test]
fn a_future_of_a_library_without_debug_info_is_missing_with_a_note() {
    let folder = folder();
    let library = plugin(folder.path(), "a", "b", &["-Cstrip=symbols"]);
    let path = folder.path().join("loaded.so");
    let arguments = [&library, &library, &path].map(|path| path.to_str().unwrap());
    let mut program = Program::start_binary(&program::build_package("frames-kinds", "dev"), &arguments);
    program.go_on();
    let case = program.cases.iter().find(|case| case.name == "plugin").unwrap();
    let stack = program.frames().stack(&case.ty, case.address);
    let note = &stack.frames.last().unwrap().note;
    assert!(note.contains("loaded.so has no debug info"), "{stack:?}");
}

/// What the reader goes by: names of members and parameters, those left out that are names of modules too.
const NAMES: &[&str] = &[
    "ptr",
    "cap",
    "len",
    "buf",
    "inner",
    "head",
    "table",
    "base",
    "bucket_mask",
    "ctrl",
    "items",
    "root",
    "height",
    "node",
    "length",
    "keys",
    "vals",
    "edges",
    "parent",
    "strong",
    "weak",
    "value",
    "data",
    "failed",
    "futex",
    "secs",
    "nanos",
    "tv_sec",
    "tv_nsec",
    "t",
    "ip",
    "port",
    "octets",
    "pointer",
    "vtable",
    "data_ptr",
    "start",
    "end",
    "v",
    "T",
    "__state",
    "__awaitee",
    "drop_in_place<",
];

#[test]
fn a_compiler_that_lays_out_otherwise_gives_unknown_and_never_nonsense() {
    let program = Program::start("dev", &[]);
    let bytes = std::fs::read(program::build("dev")).unwrap();
    let names = section(&bytes, ".debug_str");
    let (mut wrong, mut unknown) = (Vec::new(), 0);
    for &name in NAMES {
        let mut bytes = bytes.clone();
        let changed = rename(&mut bytes[names.clone()], name);
        let folder = folder();
        let path = folder.path().join("changed");
        std::fs::write(&path, bytes).unwrap();
        let mut frames = program.frames().with_debug_info_of(path);
        for case in &program.cases {
            let stack = frames.stack(&case.ty, case.address);
            let locals = program::locals(&stack.frames);
            for (local, text, mark) in &case.expected {
                let read: Vec<_> = locals
                    .iter()
                    .filter(|read| &read.name == local)
                    .map(|read| (&*read.value.text, &*read.mark))
                    .collect();
                let is_true = |&(read, marked): &(&str, &str)| {
                    (text.is_empty() || read == text) && mark.split('|').any(|mark| mark == marked)
                };
                let is_doubted = |&(read, marked): &(&str, &str)| {
                    ["unknown layout", "<uninit?>", " is not known", "not described", " cannot be read", "<future of "]
                        .iter()
                        .any(|doubt| read.contains(doubt))
                        || ["may be moved", "not described", "not kept"].iter().any(|doubt| marked.contains(doubt))
                };
                if !read.is_empty() && !read.iter().any(is_true) {
                    match read.iter().any(is_doubted) {
                        true => unknown += 1,
                        false => wrong.push(format!(
                            "{name} ({changed} times), {}: {local} is {text} {mark:?}, read as {read:?}",
                            case.name
                        )),
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(unknown > 200, "little was changed: {unknown}");
}

/// Calls everything of this name otherwise, in a section of names: how many there were.
fn rename(names: &mut [u8], name: &str) -> usize {
    let end: &[u8] = if name.ends_with('<') { b"" } else { b"\0" };
    let wanted = [b"\0", name.as_bytes(), end].concat();
    let found: Vec<usize> =
        names.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted).map(|(at, _)| at).collect();
    for at in &found {
        names[at + 1] = b'~';
    }
    found.len()
}

#[test]
fn stacks_show_functions_places_and_branches() {
    let program = Program::start("dev", &[]);
    let mut frames = program.frames();
    let mut shapes = String::new();
    for case in program.cases.iter().skip_while(|case| case.name != "three deep") {
        let stack = frames.stack(&case.ty, case.address);
        shapes.push_str(&format!("== {}\n{}\n", case.name, program::shape(&stack.frames)));
    }
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames/shapes.txt");
    // `FRAMES_SHAPES=new` accepts what is read now.
    if std::env::var_os("FRAMES_SHAPES").is_some() {
        std::fs::write(&expected, &shapes).unwrap();
    }
    // Some compilers name the types that an implementation is for, others its parameters.
    let compared = |shapes: &str| {
        let same = |line: &&str| !program::is_of_another_compiler() || !line.contains("Shop<");
        shapes.lines().filter(same).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(compared(&shapes), compared(&std::fs::read_to_string(expected).unwrap()), "now:\n{shapes}");
}

#[test]
fn optimised_builds_show_the_same_stacks() {
    let mut seen: Vec<Vec<String>> = Vec::new();
    for profile in ["dev", "release", "fat", "abort"] {
        let program = Program::start(profile, &[]);
        let mut frames = program.frames();
        let stacks = program.cases.iter().map(|case| frames.stack(&case.ty, case.address).frames);
        seen.push(stacks.map(|frames| program::shape(&frames)).collect());
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[0], seen[3]);
}

/// Reads everything there is in a program; whatever comes out, it has to come out.
fn survive(binary: &Path) {
    let program = Program::start_binary(binary, &[]);
    let mut frames = program.frames().with_limits(Limits { time: Duration::from_millis(50), ..Limits::default() });
    for case in &program.cases {
        frames.stack(&case.ty, case.address);
    }
}

/// What is reported as missing, which must be the same for all and come without frames.
fn missing(binary: &Path) -> String {
    let program = Program::start_binary(binary, &[]);
    let mut frames = program.frames();
    let case = &program.cases[0];
    let stack = frames.stack(&case.ty, case.address);
    assert!(stack.frames.is_empty(), "{stack:?}");
    stack.missing.expect("something is missing")
}

#[test]
fn without_debug_info_one_sentence_says_what_brings_it() {
    let folder = folder();
    let stripped = |how: &str| changed(&folder, &how[2..], how);
    for (binary, expected) in [
        (program::build("lines"), "has lines but no types"),
        (program::build("limited"), "has lines but no types"),
        (stripped("--strip-all"), "has no debug info"),
        (stripped("--strip-debug"), "has no debug info"),
    ] {
        let missing = missing(&binary);
        let brings = "`debug = true` and `strip = false` in the profile of Cargo.toml bring them";
        let brings =
            if expected.contains("types") { "`debug = true` in the profile of Cargo.toml brings them" } else { brings };
        assert!(missing.contains(expected) && missing.contains(brings), "{}: {missing}", binary.display());
    }
}

/// The debug build, as `objcopy` changes it.
fn changed(folder: &tempfile::TempDir, name: &str, how: &str) -> PathBuf {
    let path = folder.path().join(name);
    let done = std::process::Command::new("objcopy").arg(how).arg(program::build("dev")).arg(&path).status();
    assert!(done.expect("objcopy comes with the linker").success());
    path
}

#[test]
fn compressed_debug_info_reads_like_any() {
    let folder = folder();
    for how in ["zlib", "zstd"] {
        let binary = changed(&folder, how, &format!("--compress-debug-sections={how}"));
        let compressed = std::fs::metadata(&binary).unwrap().len();
        assert!(compressed < std::fs::metadata(program::build("dev")).unwrap().len());
        let program = Program::start_binary(&binary, &[]);
        let case = program.cases.iter().find(|case| case.name == "three deep").unwrap();
        let stack = program.frames().stack(&case.ty, case.address);
        assert_eq!(stack.frames.len(), 4, "{how}: {stack:?}");
    }
}

#[test]
fn a_program_without_a_build_id_is_known_by_its_file() {
    let folder = folder();
    let binary = changed(&folder, "nameless", "--remove-section=.note.gnu.build-id");
    let program = Program::start_binary(&binary, &[]);
    std::fs::remove_file(binary).unwrap();
    let case = program.cases.iter().find(|case| case.name == "three deep").unwrap();
    let stack = program.frames().stack(&case.ty, case.address);
    assert_eq!(stack.frames.len(), 4, "{stack:?}");
}

#[test]
fn split_debug_info_is_found_or_missed_in_a_sentence() {
    let read = |binary: &Path| {
        let program = Program::start_binary(binary, &[]);
        let mut frames = program.frames();
        let mut stacks = program.cases.iter().map(|case| frames.stack(&case.ty, case.address));
        let first = stacks.next().unwrap();
        let missing = first.missing.clone();
        let shapes = std::iter::once(first).chain(stacks).map(|stack| program::shape(&stack.frames));
        // The name of an implementation is found in the other units of a crate, which are files of their own here.
        let named = |line: &&str| !line.contains("{impl ") && !line.contains("Shop");
        (missing, shapes.collect::<String>().lines().filter(named).map(String::from).collect::<Vec<_>>())
    };
    let (_, whole) = read(&program::build("dev"));
    let (packed, unpacked) = (program::build("packed"), program::build("unpacked"));
    assert_eq!(read(&unpacked), (None, whole.clone()));
    assert_eq!(read(&packed), (None, whole));
    // A copy elsewhere has no package beside it.
    let folder = folder();
    let copy = folder.path().join("packed");
    program::write_executable(&copy, &std::fs::read(packed).unwrap());
    let missing = missing(&copy);
    assert!(missing.contains("split-debuginfo = \"off\""), "{missing}");
}

#[test]
fn split_debug_info_of_another_build_is_not_believed() {
    // In a folder of its own, since its files are spoilt.
    let folder = folder();
    let binary = program::build_in("frames-programs", "unpacked", folder.path());
    let mut files: Vec<_> =
        std::fs::read_dir(binary.parent().unwrap().join("deps")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "dwo"));
    files.sort();
    // Each gets the name of the next.
    let contents: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(files.len() > 1);
    for (at, file) in files.iter().enumerate() {
        std::fs::write(file, &contents[(at + 1) % contents.len()]).unwrap();
    }
    assert!(missing(&binary).contains("is not there or of another build"));
    // In a package the units are found by their ids.
    let binary = program::build_in("frames-programs", "packed", folder.path());
    let package = PathBuf::from(format!("{}.dwp", binary.display()));
    let mut bytes = std::fs::read(&package).unwrap();
    let index = section(&bytes, ".debug_cu_index");
    bytes[index][16..].fill(0x55);
    std::fs::write(&package, bytes).unwrap();
    assert!(missing(&binary).contains("is not there or of another build"));
}

/// Where a section is in a file.
fn section(bytes: &[u8], name: &str) -> std::ops::Range<usize> {
    let object = object::File::parse(bytes).unwrap();
    let (start, length) = object.section_by_name(name).unwrap().file_range().unwrap();
    start as usize..(start + length) as usize
}

#[test]
fn a_program_replaced_on_disk_is_read_as_it_runs() {
    let folder = folder();
    let binary = folder.path().join("replaced");
    program::write_executable(&binary, &std::fs::read(program::build("dev")).unwrap());
    let program = Program::start_binary(&binary, &[]);
    let case = program.cases.iter().find(|case| case.name == "three deep").unwrap();
    let before = program.frames().stack(&case.ty, case.address);
    assert_eq!(before.frames.len(), 4, "{before:?}");
    // Another program of the same name, as the next build makes it.
    std::fs::remove_file(&binary).unwrap();
    program::write_executable(&binary, &std::fs::read(program::build("release")).unwrap());
    assert_eq!(program.frames().stack(&case.ty, case.address), before);
    std::fs::remove_file(&binary).unwrap();
    assert_eq!(program.frames().stack(&case.ty, case.address), before);
}

#[test]
fn a_library_replaced_on_disk_is_refused_in_a_sentence() {
    let folder = folder();
    let source = folder.path().join("library.c");
    let library = folder.path().join("library.so");
    let build = |id: &str, output: &Path| {
        std::fs::write(&source, "int in_the_library(void) { return 1; }").unwrap();
        let id = format!("-Wl,--build-id=0x{id}");
        let compiler = std::process::Command::new("cc")
            .args(["-g", "-shared", "-fPIC", &id, "-o"])
            .arg(output)
            .arg(&source)
            .status();
        assert!(compiler.unwrap().success());
    };
    build("0123456789abcdef", &library);
    let mut child = std::process::Command::new("/bin/cat")
        .env("LD_PRELOAD", &library)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It has started when it answers.
    use std::io::{Read, Write};
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    let line = maps.lines().find(|line| line.contains("library.so")).unwrap();
    let function = usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    let asked = || {
        let ty = FutureType { function, drop: 0, size: 8, align: 8, name: "future" };
        Frames::of_process(child.id()).stack(&ty, 0x1000).missing.unwrap()
    };
    const REPLACED: &str = "was replaced on disk since the program started";
    assert!(!asked().contains(REPLACED), "{}", asked());
    // Of the same build, but another file.
    let copy = std::fs::read(&library).unwrap();
    std::fs::remove_file(&library).unwrap();
    std::fs::write(&library, copy).unwrap();
    assert!(!asked().contains(REPLACED), "{}", asked());
    std::fs::remove_file(&library).unwrap();
    build("fedcba9876543210", &library);
    assert!(asked().contains(REPLACED), "{}", asked());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn values_are_left_out_when_asked_to_and_secrets_always() {
    let program = Program::start("dev", &[]);
    let case = program.cases.iter().find(|case| case.name == "secrets").unwrap();
    let texts = |limits: Limits| {
        let stack = Frames::of_process(program.pid()).with_limits(limits).stack(&case.ty, case.address);
        assert!(!stack.frames.is_empty());
        serde_json::to_string(&stack).unwrap()
    };
    let shown = texts(Limits { source: 0, ..Limits::default() });
    assert!(shown.contains("visible") && shown.contains("<masked>"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let hidden = texts(Limits { values: false, source: 0, ..Limits::default() });
    assert!(!hidden.contains("visible"), "{hidden}");
}

#[test]
fn long_deep_and_circular_values_are_cut_and_say_so() {
    let program = Program::start("dev", &[]);
    let case = program.cases.iter().find(|case| case.name == "endless").unwrap();
    let limits = Limits { elements: 5, text: 100, depth: 6, ..Limits::default() };
    let stack = Frames::of_process(program.pid()).with_limits(limits).stack(&case.ty, case.address);
    let text = |name: &str| {
        let locals = program::locals(&stack.frames);
        locals.iter().find(|local| local.name == name).unwrap().value.text.clone()
    };
    assert_eq!(text("long"), "[0, 1, 2, 3, 4, …]");
    assert!(text("words").starts_with("\"aaaa") && text("words").ends_with("…\"") && text("words").len() < 110);
    assert!(text("deep").contains('…'), "{}", text("deep"));
    assert!(text("ring").contains("<cycle to 0x"), "{}", text("ring"));
}

#[test]
fn what_is_shared_says_by_how_many() {
    for profile in ["dev", "release"] {
        let program = Program::start(profile, &[]);
        let case = program.cases.iter().find(|case| case.name == "counts").unwrap();
        let stack = program.frames().stack(&case.ty, case.address);
        for name in ["rc", "arc"] {
            let local = stack.frames[0].locals.iter().find(|local| local.name == name).unwrap();
            let count = |which: &str| &*local.value.children.iter().find(|(name, _)| name == which).unwrap().1.text;
            assert_eq!((count("strong"), count("weak")), ("2", "1"), "{local:?}");
        }
    }
}

#[test]
fn a_future_that_was_not_started_shows_its_arguments() {
    let program = Program::start("dev", &[]);
    let case = program.cases.iter().find(|case| case.name == "not started").unwrap();
    let stack = program.frames().stack(&case.ty, case.address);
    let inner = stack.frames[0].locals.iter().find(|local| local.name == "later").unwrap();
    assert_eq!(inner.value.text, "<future of frames_programs::stacks::middle, not started>");
}

/// Of a large program it takes a tenth of a second to look at more.
#[test]
fn of_debug_info_only_units_that_a_stack_leads_to_are_read() {
    let program = Program::start("dev", &["1"]);
    let mut frames = program.frames();
    assert_eq!(frames.touched().units, 0, "nothing is read before the first stack");
    let case = &program.cases[0];
    assert!(frames.stack(&case.ty, case.address).missing.is_none());
    let first = frames.touched();
    assert!(first.scanned > 0 && first.scanned_bytes * 4 < first.bytes, "{first:?}");
    for case in &program.cases {
        frames.stack(&case.ty, case.address);
    }
    // The first entry of a unit says of which crate it is: no more is read of those of libraries.
    let all = frames.touched();
    assert!(all.opened * 2 < all.units && all.scanned <= all.opened, "{all:?}");
}

/// What was moved by the last suspension is not shown. The step may have set what is.
#[test]
fn a_stack_in_the_middle_of_a_step_is_that_of_the_last_suspension_and_is_marked() {
    for profile in ["dev", "release"] {
        let program = Program::start(profile, &[]);
        let mut moved = 0;
        for case in &program.cases {
            let mut frames = program.frames();
            let (still, mid) = (frames.stack(&case.ty, case.address), frames.stack_mid_step(&case.ty, case.address));
            assert!(mid.mid_step && !still.mid_step);
            let expected = program::locals(&still.frames).into_iter().map(|local| {
                moved += usize::from(local.value.text == "<moved>");
                let marks = local.mark.split(", ").filter(|mark| !mark.is_empty());
                // What has no value is of no time.
                let is_shown = local.mark != "shadowed, not described";
                let marks = marks.chain(is_shown.then_some("mid-step"));
                (local.name.as_str(), &local.value, marks.collect::<Vec<_>>().join(", "))
            });
            let locals = program::locals(&mid.frames);
            let locals = locals.into_iter().map(|local| (local.name.as_str(), &local.value, local.mark.clone()));
            assert_eq!(locals.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{profile}, {}", case.name);
        }
        assert!(moved > 0, "{profile}");
    }
}

#[test]
fn a_wrong_function_is_refused() {
    let program = Program::start("dev", &[]);
    let case = &program.cases[0];
    let mut frames = program.frames();
    let wrong = [
        FutureType { size: case.ty.size + 8, ..case.ty },
        FutureType { function: case.ty.function + 1, ..case.ty },
        FutureType { function: 8, ..case.ty },
    ];
    for ty in wrong {
        let stack = frames.stack(&ty, case.address);
        assert!(stack.frames.is_empty() && stack.missing.is_some(), "{stack:?}");
    }
    // A wild address is no fault either.
    let stack = frames.stack(&case.ty, 0x1000);
    assert!(stack.frames[0].note.contains("cannot be read"), "{stack:?}");
}

/// `FRAMES_DAMAGES=10000 FRAMES_SEED=2` for more of them, and others.
#[test]
fn damaged_debug_info_does_no_harm() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |number| number.parse().unwrap());
    let (rounds, mut random) = (number("FRAMES_DAMAGES", 60), number("FRAMES_SEED", 1));
    let mut next = || {
        random = u64::wrapping_add(random.wrapping_mul(6364136223846793005), 1442695040888963407);
        (random >> 33) as u32
    };
    let mut whole = 0;
    for round in 0..rounds {
        let binary = if round % 4 == 0 { &damage::DEBUG } else { &damage::RELEASE };
        let damages: Vec<u8> = (0..3 << (next() % 8)).flat_map(|_| next().to_le_bytes()).collect();
        // Shown if the test fails.
        println!("round {round}: {} damages", damages.len() / 12);
        whole += binary.survive(&damages);
    }
    // If all were lost, little was tried.
    assert!(whole > rounds as usize, "{whole} stacks in {rounds} rounds");
    println!("{whole} stacks in {rounds} rounds");
}

/// The corpus of the fuzz target `binary`.
#[test]
fn known_damages_do_no_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/binary");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        // Shown if it fails.
        println!("{}", file.display());
        damage::of_input(&std::fs::read(file).unwrap());
    }
}

#[test]
fn files_of_every_kind_do_no_harm() {
    let mut files: Vec<PathBuf> =
        ["/dev/null", "/", "/proc/self/maps", "/etc/passwd", env!("CARGO_MANIFEST_DIR")].map(PathBuf::from).into();
    files.push(std::env::current_exe().unwrap());
    // Libraries of Rust and its object files, what the system has of programs, libraries and scripts.
    let built = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    for (folder, count) in
        [(built, 60), ("/usr/bin".into(), 120), ("/usr/lib/x86_64-linux-gnu".into(), 60), ("/usr/lib/debug".into(), 20)]
    {
        let mut found: Vec<_> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
        // Larger ones, as the programs of other tests are, take a second each.
        found.retain(|path| path.metadata().is_ok_and(|file| file.is_file() && file.len() < 32 << 20));
        found.sort();
        files.extend(found.into_iter().take(count));
    }
    for file in files {
        // Shown if the test fails.
        println!("{}", file.display());
        damage::RELEASE.survive_file(file);
    }
}

#[test]
fn truncated_binaries_do_no_harm() {
    let binary = std::fs::read(program::build("release")).unwrap();
    let folder = folder();
    let object = object::File::parse(&*binary).unwrap();
    // What is loaded has to be there, or the program would not start.
    let loaded = object.segments().map(|segment| segment.file_range().0 + segment.file_range().1).max().unwrap();
    for part in 0..10 {
        let length = loaded + (binary.len() as u64 - loaded) * part / 10;
        let path = folder.path().join(format!("truncated-{part}"));
        program::write_executable(&path, &binary[..length as usize]);
        survive(&path);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn programs_of_other_kinds_are_refused_in_a_sentence() {
    for program in ["/usr/bin/cat", "/bin/sh", "/usr/bin/tail", "/usr/bin/python3", "/usr/bin/perl", "/usr/bin/env"] {
        if !Path::new(program).exists() {
            continue;
        }
        let arguments: &[&str] = if program.ends_with("env") { &["cat"] } else { &[] };
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
        for line in maps.lines().take(12) {
            let start = usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
            let ty = FutureType { function: start + 0x1040, drop: start + 0x1040, size: 8, align: 8, name: "future" };
            let stack = Frames::of_process(child.id()).stack(&ty, start);
            assert!(stack.missing.is_some() && stack.frames.is_empty(), "{program}: {stack:?}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A folder that goes with its test.
fn folder() -> tempfile::TempDir {
    tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}
