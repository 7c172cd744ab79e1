//! Programs that were stripped, with their debug info in a file of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use object::Object;
use tempfile::TempDir;

use super::program::{self, Program};

/// A program that was stripped, and its debug info, which nothing leads to so far.
struct Stripped {
    folder: TempDir,
    program: PathBuf,
    debug: PathBuf,
}

fn objcopy(arguments: &[&str], from: &Path, to: &Path) {
    let done = Command::new("objcopy").args(arguments).args([from, to]).status();
    assert!(done.expect("objcopy comes with the linker").success());
}

impl Stripped {
    /// With or without a build id.
    fn new(has_id: bool) -> Stripped {
        let folder = super::folder();
        let id: &[&str] = if has_id { &[] } else { &["--remove-section=.note.gnu.build-id"] };
        let (program, debug) = (folder.path().join("shop"), folder.path().join("apart"));
        objcopy(&[&["--strip-all"], id].concat(), &program::build("dev"), &program);
        objcopy(&[&["--only-keep-debug"], id].concat(), &program::build("dev"), &debug);
        Stripped { folder, program, debug }
    }

    /// Puts the debug info here.
    fn with(self, to: &str) -> Stripped {
        let to = self.folder.path().join(to);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder can be made");
        std::fs::copy(&self.debug, to).expect("it can be copied");
        self
    }

    /// Writes the name of a file with the debug info, and its checksum, into the program.
    fn linked(self, name: &str) -> Stripped {
        let named = self.folder.path().join(name);
        std::fs::rename(&self.debug, &named).expect("it can be renamed");
        let linked = self.folder.path().join("linked");
        objcopy(&[&format!("--add-gnu-debuglink={}", named.display())], &self.program, &linked);
        std::fs::rename(linked, &self.program).expect("it can be renamed");
        std::fs::rename(named, &self.debug).expect("it can be renamed");
        self
    }

    fn id(&self) -> Vec<u8> {
        let bytes = std::fs::read(&self.debug).expect("it can be read");
        object::File::parse(&*bytes).expect("an object file").build_id().expect("notes").expect("an id").to_vec()
    }

    /// The stacks, or what is missing. `folder`: where debug info is looked for, too.
    fn read(&self, folder: Option<&str>) -> Result<String, String> {
        let program = Program::start_binary(&self.program, &[]);
        let folders = folder.map(|folder| self.folder.path().join(folder)).into_iter().collect();
        let mut frames = program.frames().with_debug_folders(folders);
        let mut all = String::new();
        for case in &program.cases {
            let stack = frames.stack(&case.ty, case.address);
            match stack.missing {
                Some(missing) if all.is_empty() => return Err(missing),
                _ => all += &program::shape(&stack.frames),
            }
        }
        Ok(all)
    }
}

#[test]
fn debug_info_in_a_file_of_its_own_reads_like_any() {
    let program = Program::start("dev", &[]);
    let mut frames = program.frames();
    let stacks = program.cases.iter().map(|case| program::shape(&frames.stack(&case.ty, case.address).frames));
    let whole = Ok(stacks.collect::<String>());
    drop(program);

    let stripped = Stripped::new(true);
    let (first, rest) =
        (stripped.id()[0], stripped.id()[1..].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let missing = stripped.read(None).expect_err("nothing leads to it");
    assert!(missing.contains("has no debug info") && missing.contains("`--debug-dir`"), "{missing}");
    assert_eq!(stripped.with(&format!("d/.build-id/{first:02x}/{rest}.debug")).read(Some("d")), whole);
    for (name, folder) in [("named.debug", None), (".debug/named.debug", None), ("d/named.debug", Some("d"))] {
        assert_eq!(Stripped::new(true).linked("named.debug").with(name).read(folder), whole, "{name}");
        assert_eq!(Stripped::new(false).linked("named.debug").with(name).read(folder), whole, "{name}");
    }
    for name in ["d/shop.debug", "d/shop", "d/other.debug"] {
        assert_eq!(Stripped::new(true).with(name).read(Some("d")), whole, "{name}");
        let missing =
            Stripped::new(false).with(name).read(Some("d")).expect_err("nothing says that it is of this program");
        assert!(missing.contains("has no debug info"), "{missing}");
    }
}

/// The files are on a file system that only the program sees.
#[test]
fn debug_info_in_a_container_is_found_there() {
    let container = ["--user", "--map-root-user", "--mount"];
    let probe = Command::new("unshare").args(container).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: the system makes no namespaces for this user");
        return;
    }
    let stripped = Stripped::new(true).linked("named.debug");
    let inside = stripped.folder.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder can be made");
    let script =
        "mount -t tmpfs none \"$1\" && cp \"$2\" \"$1/shop\" && cp \"$3\" \"$1/named.debug\" && exec \"$1/shop\"";
    let paths = [&inside, &stripped.program, &stripped.debug].map(|path| path.to_str().expect("text"));
    let arguments = [&container[..], &["sh", "-c", script, "sh"], &paths].concat();
    let program = Program::start_binary(Path::new("unshare"), &arguments);
    assert!(!inside.join("shop").exists());
    let mut frames = program.frames();
    for case in &program.cases {
        assert_eq!(frames.stack(&case.ty, case.address).missing, None, "{}", case.name);
    }
    assert!(!program.cases.is_empty());
}

/// To open a pipe would wait for its writer.
#[test]
fn a_pipe_among_the_files_is_not_opened() {
    let stripped = Stripped::new(true).with("d/other.debug");
    for name in ["shop.debug", "shop"] {
        let made = Command::new("mkfifo").arg(stripped.folder.path().join("d").join(name)).status();
        assert!(made.expect("mkfifo is of coreutils").success());
    }
    assert!(stripped.read(Some("d")).is_ok());
}

#[test]
fn debug_info_of_another_build_in_a_file_of_its_own_is_not_believed() {
    for has_id in [true, false] {
        let stripped = Stripped::new(has_id).linked("named.debug");
        let mut bytes = std::fs::read(&stripped.debug).expect("it can be read");
        // A byte of the id, or any.
        let at = if has_id { find(&bytes, &stripped.id()) } else { bytes.len() / 2 };
        bytes[at] ^= 1;
        std::fs::write(&stripped.debug, bytes).expect("it can be written");
        let missing = stripped.with("named.debug").read(None).expect_err("it is another one");
        assert!(missing.contains("has no debug info"), "{missing}");
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|part| part == wanted).expect("it is there")
}
