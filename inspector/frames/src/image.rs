//! The object files of a process: what is loaded where, and the debug info that belongs to it.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use gimli::{EndianSlice, SectionId};
use object::Object;

use super::contents::{Bytes, Contents};
use super::debug_file;
use super::loaded_file::{Layout, MappedFile, Mapping, mappings, running_file};
use super::memory::Memory;
use super::sections::{Dwarf, Sections, read_section, sections};
use super::split::{self, Package, Skeleton, Split};
use super::symbols::{self, Symbols};
use super::unwind::Unwind;

/// One object file that is loaded in a process.
pub(super) struct Image {
    /// Its place on disk, as the system says.
    pub path: PathBuf,
    /// Address in memory minus address in the file.
    pub bias: u64,
    /// Its debug info; empty sections where it has none.
    pub sections: Sections,
    /// Where each function ends.
    pub unwind: Unwind,
    pub symbols: Arc<Symbols>,
    /// It is no file of its own but the part of one unit that was split off.
    pub split: Option<Split>,
    /// Why there is less than full debug info, and what brings it.
    pub missing: Option<String>,
    /// The file that was opened, if it is what is loaded.
    contents: Option<Contents>,
    /// The file with its debug info and symbols, where that is another one.
    debug_file: Option<Contents>,
    /// [`Images::read_locations`] was called.
    has_locations: bool,
}

/// The loaded files of a process, each opened when an address inside it is asked for.
pub(super) struct Images {
    /// What is mapped, as of the last reading.
    mapped: Vec<Mapping>,
    /// The mappings were read since [`Images::renew`].
    is_current: bool,
    /// The opened files that are loaded, and those that were unloaded.
    loaded: Vec<Loaded>,
    unloaded: Vec<Loaded>,
    images: Vec<Image>,
    /// Images of what was split off, by that of the skeleton and the offset in it.
    splits: HashMap<(usize, usize), Option<usize>>,
    packages: HashMap<usize, Option<Rc<Package>>>,
    /// Where files with debug info are looked for besides the usual places.
    pub debug_folders: Vec<PathBuf>,
    /// A file to read in place of those that are loaded.
    pub instead: Option<PathBuf>,
    /// The process is gone: which of its mappings were code is not known of all.
    is_gone: bool,
}

/// A file that was opened, as it is loaded.
struct Loaded {
    image: usize,
    parts: Vec<Mapping>,
    /// Its build id, and where that is in memory.
    id: Option<(u64, Vec<u8>)>,
    /// The file at its path, when it was opened.
    stamp: Stamp,
}

/// Tells a file from one that was put in its place, which may get its inode.
type Stamp = Option<(u64, i64, i64)>;

fn stamp(path: &Path) -> Stamp {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
    }
    #[cfg(not(unix))]
    std::fs::metadata(path).ok().map(|metadata| (metadata.len(), 0, 0))
}

impl Loaded {
    /// Whether it is still what is loaded there. Without a build id, the mappings have to be the same.
    fn is_valid(&self, memory: &Memory, mapped: &[Mapping]) -> bool {
        match &self.id {
            Some((address, id)) => memory.bytes(*address, id.len()).is_some_and(|there| there == *id),
            None => self.parts.iter().all(|part| {
                let same = |now: &&Mapping| (&now.range, now.inode, &now.path) == (&part.range, part.inode, &part.path);
                mapped.iter().any(|now| same(&now)) && stamp(&part.path) == self.stamp
            }),
        }
    }
}

impl Image {
    /// The file with its symbols and its debug info.
    fn described_by(&self) -> Option<&Contents> {
        self.debug_file.as_ref().or(self.contents.as_ref())
    }

    /// The name of the function around an address of the file, by the symbols of the file.
    pub fn symbol(&self, address: u64) -> Option<String> {
        Some(format!("{:#}", rustc_demangle::demangle(self.symbols.around(address)?)))
    }
}

impl Images {
    pub fn of(memory: &Memory) -> Images {
        Images {
            mapped: mappings(memory.pid()).unwrap_or_default(),
            is_current: true,
            loaded: Vec::new(),
            unloaded: Vec::new(),
            images: Vec::new(),
            splits: HashMap::new(),
            packages: HashMap::new(),
            debug_folders: Vec::new(),
            instead: None,
            is_gone: false,
        }
    }

    /// Those of a process that is gone.
    pub fn of_files(files: Vec<MappedFile>) -> Images {
        let mapping = |MappedFile { range, offset, path, is_code }| Mapping { range, offset, is_code, path, inode: 0 };
        let mapped = files.into_iter().map(mapping).collect();
        Images { mapped, is_gone: true, ..Images::of(&Memory::of(0)) }
    }

    /// The parts of files that are mapped: of each file that is the one that was loaded, and of no other.
    pub fn parts(&mut self, memory: &Memory) -> Vec<(Range<u64>, std::sync::Arc<File>, u64)> {
        let mut found = Vec::new();
        for address in self.files(memory).unwrap_or_default() {
            let Ok(index) = self.find(memory, address) else { continue };
            let Some(contents) = &self.images[index].contents else { continue };
            let file = &contents.file;
            let parts = self.loaded.iter().filter(|loaded| loaded.image == index).flat_map(|loaded| &loaded.parts);
            found.extend(parts.map(|part| (part.range.clone(), file.clone(), part.offset)));
        }
        found
    }

    /// Call this when the process may have run: libraries may have been loaded and unloaded since. True if a file that
    /// was opened is not loaded any more: then nothing that is known by address is certain.
    pub fn renew(&mut self, memory: &Memory) -> bool {
        self.is_current = false;
        if self.loaded.iter().any(|loaded| loaded.id.is_none()) {
            // An error here occurs again, and is reported, when an address is looked up.
            let _ = self.refresh(memory);
        }
        let gone = |loaded: &mut Loaded| !loaded.is_valid(memory, &self.mapped);
        let before = self.unloaded.len();
        self.unloaded.extend(self.loaded.extract_if(.., gone));
        self.unloaded.len() > before
    }

    pub fn get(&self, index: usize) -> &Image {
        &self.images[index]
    }

    /// The image of the program itself, of one that was split off.
    pub fn program(&self, index: usize) -> usize {
        self.images[index].split.as_ref().map_or(index, |split| split.parent)
    }

    /// The debug info of an image.
    pub fn dwarf(&self, index: usize) -> Dwarf<'_> {
        let image = &self.images[index];
        let Some(split) = &image.split else { return image.sections.dwarf() };
        let parent = self.images[split.parent].sections.dwarf();
        let mut own = image.sections.dwarf();
        let Some(package) = &split.package else {
            own.make_dwo(&parent);
            return own;
        };
        let slice = |bytes| EndianSlice::new(bytes, package.endian);
        let found = package.data.borrow(|bytes: &Bytes| slice(bytes), slice(&[]));
        found.and_then(|found| found.find_cu(split.skeleton.id, &parent)).ok().flatten().unwrap_or(own)
    }

    /// Reads where optimised code has its variables, which is large and seldom needed.
    pub fn read_locations(&mut self, index: usize) {
        let image = &mut self.images[index];
        let is_read = std::mem::replace(&mut image.has_locations, true);
        let Some(contents) = image.debug_file.as_ref().or(image.contents.as_ref()).filter(|_| !is_read) else { return };
        let reader = contents.reader();
        let Ok(object) = object::File::parse(&reader) else { return };
        let section = object.section_by_name(SectionId::DebugLoc.name());
        if let Some(bytes) = section.and_then(|section| read_section(&section, contents).ok()) {
            image.sections.data.debug_loc = gimli::DebugLoc::from(bytes);
        }
    }

    /// The image with what was split off a unit, if that can be found.
    pub fn split(&mut self, parent: usize, skeleton: Skeleton) -> Option<usize> {
        let key = (parent, skeleton.offset);
        if let Some(known) = self.splits.get(&key) {
            return *known;
        }
        let package = self.package(parent);
        let (sections, missing) = match &package {
            Some(_) => (Sections::empty(), None),
            None => match split::sections_of_unit(&skeleton.file) {
                Ok(sections) => (sections, None),
                Err(why) => (Sections::empty(), Some(format!("{} {why}", skeleton.file.display()))),
            },
        };
        let split = Split { parent, skeleton, package };
        let unwind = Unwind::default();
        let (path, bias) = (split.skeleton.file.clone(), self.images[parent].bias);
        let id = split.skeleton.id;
        self.images.push(Image {
            path,
            bias,
            sections,
            unwind,
            symbols: Arc::default(),
            split: Some(split),
            missing,
            contents: None,
            debug_file: None,
            has_locations: true,
        });
        let index = self.images.len() - 1;
        // One of the same name may come from another build.
        let dwarf = self.dwarf(index);
        let header = dwarf.units().next().ok().flatten();
        let found = header.and_then(|header| dwarf.unit(header).ok()).is_some_and(|unit| unit.dwo_id == Some(id));
        if !found {
            let lost = format!(
                "{}: its debug info was split off into {}, which is not there or of another build; build again, or set \
                 `split-debuginfo = \"off\"` in the profile of Cargo.toml",
                self.images[parent].path.display(),
                self.images[index].path.display()
            );
            self.images[parent].missing.get_or_insert(lost);
        }
        self.splits.insert(key, found.then_some(index));
        found.then_some(index)
    }

    /// The package beside a program.
    fn package(&mut self, parent: usize) -> Option<Rc<Package>> {
        if let Some(known) = self.packages.get(&parent) {
            return known.clone();
        }
        let mut path = self.images[parent].path.clone().into_os_string();
        path.push(".dwp");
        let found = split::package(Path::new(&path)).map(Rc::new);
        self.packages.insert(parent, found.clone());
        found
    }

    /// An address in each file that is loaded, the program itself first.
    pub fn files(&mut self, memory: &Memory) -> Result<Vec<u64>, String> {
        if !self.is_current || self.mapped.is_empty() {
            self.refresh(memory)?;
        }
        let mut seen = std::collections::HashSet::new();
        let code = self.mapped.iter().filter(|mapping| mapping.is_code || self.is_gone);
        Ok(code.filter(|mapping| seen.insert((mapping.inode, &mapping.path))).map(|one| one.range.start).collect())
    }

    /// The parts of an image in memory that are not code.
    pub fn data(&self, index: usize) -> Vec<Range<u64>> {
        let parts = self.loaded.iter().filter(|loaded| loaded.image == index).flat_map(|loaded| &loaded.parts);
        parts.filter(|part| !part.is_code || self.is_gone).map(|part| part.range.clone()).collect()
    }

    /// Addresses in memory of the functions of an image with a linker name that contains a text; `None` if it has no
    /// symbols.
    pub fn functions(&self, index: usize, part: &str) -> Option<Vec<u64>> {
        let image = self.get(index);
        let found = (!image.symbols.is_empty()).then(|| image.symbols.functions(part))?;
        Some(found.into_iter().map(|address| address.wrapping_add(image.bias)).collect())
    }

    /// Variables of threads of an image, which is the program, with a linker name that contains a text: how far each is
    /// before the end of what the program has for a thread.
    pub fn thread_locals(&self, index: usize, part: &str) -> Vec<u64> {
        let Some(contents) = self.get(index).described_by() else { return Vec::new() };
        symbols::thread_locals(&contents.reader(), part).unwrap_or_default()
    }

    /// The image around an address.
    pub fn find(&mut self, memory: &Memory, address: u64) -> Result<usize, String> {
        let around = |loaded: &&Loaded| loaded.parts.iter().any(|part| part.range.contains(&address));
        if let Some(loaded) = self.loaded.iter().find(around) {
            return Ok(loaded.image);
        }
        // What was mapped here when the mappings were read may have been replaced since.
        if !self.is_current {
            self.refresh(memory)?;
        }
        let mapping = self.mapped.iter().find(|mapping| mapping.range.contains(&address)).cloned();
        let mapping =
            mapping.ok_or_else(|| format!("no file of process {} is loaded at {address:#x}", memory.pid()))?;
        let of_file = self.mapped.iter().filter(|other| other.path == mapping.path);
        let lowest = of_file.map(|other| other.range.start).min().unwrap_or(mapping.range.start);
        let (image, layout) = open(memory, &mapping, lowest, self.instead.as_deref(), &self.debug_folders);
        let belongs = |other: &&Mapping| {
            other.inode == mapping.inode && other.path == mapping.path && layout.holds(other, image.bias)
        };
        let mut parts: Vec<Mapping> = self.mapped.iter().filter(belongs).cloned().collect();
        if parts.is_empty() {
            parts.push(mapping);
        }
        let id = layout.id.map(|(address, id)| (address.wrapping_add(image.bias), id));
        // What is known of a library that was unloaded and loaded again stays true.
        let same = |old: &Loaded| {
            let (Some((_, old_id)), Some((_, id))) = (&old.id, &id) else { return false };
            old_id == id && self.images[old.image].path == image.path
        };
        let index = match self.unloaded.iter().position(same) {
            Some(at) => {
                let index = self.unloaded.swap_remove(at).image;
                self.images[index].bias = image.bias;
                index
            }
            None => {
                self.images.push(image);
                self.images.len() - 1
            }
        };
        let stamp = parts.first().and_then(|part| stamp(&part.path));
        self.loaded.push(Loaded { image: index, parts, id, stamp });
        Ok(index)
    }

    fn refresh(&mut self, memory: &Memory) -> Result<(), String> {
        if !cfg!(target_os = "linux") {
            return Err(NOT_HERE.into());
        }
        self.mapped = mappings(memory.pid()).map_err(|error| {
            format!("/proc/{}/maps cannot be read: {error}; is the process alive and yours?", memory.pid())
        })?;
        self.is_current = true;
        Ok(())
    }
}

const NOT_HERE: &str =
    "locals are read on Linux only so far; here the places from `#[track_caller]` and recorded fields remain";

const NO_DEBUG: &str = "has no debug info: no locals, and no frames but where coroutines await; `debug = true` and `strip = false` in the profile of Cargo.toml bring them";

/// Opens the file behind a mapping, if it is still the one that is loaded. `lowest`: where the first mapping of that
/// file begins.
fn open(
    memory: &Memory,
    mapping: &Mapping,
    lowest: u64,
    instead: Option<&Path>,
    folders: &[PathBuf],
) -> (Image, Layout) {
    let shown = mapping.path.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
    let mut image = Image {
        path: PathBuf::from(&shown),
        bias: 0,
        sections: Sections::empty(),
        unwind: Unwind::default(),
        symbols: Arc::default(),
        split: None,
        missing: None,
        contents: None,
        debug_file: None,
        has_locations: false,
    };
    let opened = match instead {
        Some(path) => File::open(path).map_err(|error| error.to_string()).map(|file| {
            let file = Contents::read(file);
            let layout = Layout::of(&file).unwrap_or_default();
            let bias = layout.biases(mapping).first().copied().unwrap_or(mapping.range.start);
            (file, layout, bias)
        }),
        None => running_file(memory, mapping, &image.path, (lowest, folders)),
    };
    let (contents, layout, bias) = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            image.missing = Some(format!("{shown} {problem}"));
            return (image, Layout::default());
        }
    };
    image.bias = bias;
    if let Err(problem) = load(&contents, &mut image) {
        // A damaged file is named, not passed over.
        image.debug_file =
            debug_file::find(&contents, &image.path, &memory.root(), folders).filter(|_| problem == NO_DEBUG);
        let found = image.debug_file.take().map(|file| (load_debug_info(&file, &mut image), file));
        image.missing = match found {
            Some((Ok(()), file)) => {
                image.debug_file = Some(file);
                None
            }
            Some((Err(problem), _)) => Some(format!("the file with the debug info of {shown} {problem}")),
            // In a program that reads itself nothing says where else to look.
            None if problem == NO_DEBUG && memory.pid() != std::process::id() => {
                Some(format!("{shown} {problem}, or `--debug-dir` with the folder of the file that has it"))
            }
            None => Some(format!("{shown} {problem}")),
        };
    }
    // What has debug info only is not what is loaded.
    match layout.is_debug_info {
        true => image.debug_file = Some(contents),
        false => image.contents = Some(contents),
    }
    (image, layout)
}

fn load(file: &Contents, image: &mut Image) -> Result<(), String> {
    let cache = file.reader();
    let object = object::File::parse(&cache).map_err(|error| format!("is no object file that can be read: {error}"))?;
    image.unwind = Unwind::of(&object, file);
    read_debug_info(&object, file, image)
}

fn load_debug_info(file: &Contents, image: &mut Image) -> Result<(), String> {
    let cache = file.reader();
    let object = object::File::parse(&cache).map_err(|error| format!("is no object file that can be read: {error}"))?;
    read_debug_info(&object, file, image)
}

fn read_debug_info<'a>(object: &impl Object<'a>, file: &Contents, image: &mut Image) -> Result<(), String> {
    // There may be symbols where debug info is damaged.
    if let Some(symbols) = symbols_of(object, file) {
        image.symbols = Arc::new(symbols);
    }
    image.sections = sections(object, file)?;
    if !matches!(image.sections.dwarf().units().next(), Ok(Some(_))) {
        return Err(NO_DEBUG.into());
    }
    if file.is_of_this_program() {
        image.symbols.read_ahead();
    }
    Ok(())
}

/// The symbols of a file; none where it was stripped of them.
fn symbols_of<'a>(object: &impl Object<'a>, file: &Contents) -> Option<Symbols> {
    if !object.is_64() || !object.is_little_endian() {
        return None;
    }
    let read = |name| object.section_by_name(name).and_then(|section| read_section(&section, file).ok());
    Some(Symbols::of(read(".symtab")?, read(".strtab")?))
}
