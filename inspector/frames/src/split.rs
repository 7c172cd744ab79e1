//! Debug info that was split off the program it is of (`split-debuginfo`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use gimli::{DwarfPackageSections, DwarfSections, RunTimeEndian, SectionId};
use object::Object;

use super::contents::{Bytes, Contents};
use super::sections::{Dwarf, Sections, Slice, endian, read_section};

/// Debug info that was split off: all but a skeleton of a unit is in a file of its own, or with others in a package.
pub(super) struct Split {
    /// The image with the skeleton.
    pub parent: usize,
    pub skeleton: Skeleton,
    /// None if the sections are those of this image.
    pub package: Option<Rc<Package>>,
}

/// All split off debug info of a program.
pub(super) struct Package {
    pub data: DwarfPackageSections<Bytes>,
    pub endian: RunTimeEndian,
}

/// What is left in the program of a unit that was split off.
#[derive(Clone)]
pub(super) struct Skeleton {
    /// Where it is in its section.
    pub offset: usize,
    pub id: gimli::DwoId,
    /// The file with the rest.
    pub file: PathBuf,
    low_pc: u64,
    addresses: gimli::DebugAddrBase<usize>,
    ranges: gimli::DebugRngListsBase<usize>,
}

impl Skeleton {
    pub fn of(dwarf: &Dwarf<'_>, unit: &gimli::Unit<Slice<'_>>) -> Option<Skeleton> {
        let (id, name) = (unit.dwo_id?, dwarf.attr_string(unit, unit.dwo_name().ok()??).ok()?);
        let directory = unit.comp_dir.map(|directory| directory.to_string_lossy().into_owned()).unwrap_or_default();
        Some(Skeleton {
            offset: unit.header.debug_info_offset()?.0,
            id,
            file: Path::new(&directory).join(name.to_string_lossy().as_ref()),
            low_pc: unit.low_pc,
            addresses: unit.addr_base,
            ranges: unit.rnglists_base,
        })
    }

    /// Gives a unit what stayed behind of it.
    pub fn complete(&self, unit: &mut gimli::Unit<Slice<'_>>) {
        unit.low_pc = self.low_pc;
        unit.addr_base = self.addresses;
        if unit.header.version() < 5 {
            unit.rnglists_base = self.ranges;
        }
    }
}

/// The sections of a file with the debug info of one unit.
pub(super) fn sections_of_unit(path: &Path) -> Result<Sections, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let file = Contents::read(file);
    let cache = file.reader();
    let object = object::File::parse(&cache).map_err(|error| format!("is no object file that can be read: {error}"))?;
    let data = DwarfSections::load(|id| split_section(&object, &file, id))?;
    Ok(Sections { data, endian: endian(&object) })
}

pub(super) fn package(path: &Path) -> Option<Package> {
    let file = Contents::read(File::open(path).ok()?);
    let cache = file.reader();
    let object = object::File::parse(&cache).ok()?;
    let data = DwarfPackageSections::load(|id| split_section(&object, &file, id).map_err(|_| gimli::Error::Io)).ok()?;
    Some(Package { data, endian: endian(&object) })
}

fn split_section<'a>(object: &impl Object<'a>, file: &Contents, id: SectionId) -> Result<Bytes, String> {
    let section = id.dwo_name().and_then(|name| object.section_by_name(name));
    section.map_or(Ok(Bytes::default()), |section| read_section(&section, file))
}
