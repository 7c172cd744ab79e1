//! Sections of object files: what the parser of debug info reads.

use gimli::{DwarfSections, EndianSlice, RunTimeEndian, SectionId};
use object::{Object, ObjectSection};

use super::contents::{Bytes, Contents};

/// Bytes of debug info, as the parser sees them.
pub(super) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;
/// Debug info, as the parser sees it.
pub(super) type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;

/// The debug sections of one file, decompressed.
pub(super) struct Sections {
    pub data: DwarfSections<Bytes>,
    pub endian: RunTimeEndian,
}

impl Sections {
    pub fn dwarf(&self) -> Dwarf<'_> {
        self.data.borrow(|bytes| EndianSlice::new(bytes, self.endian))
    }

    pub fn empty() -> Sections {
        let none = |_: SectionId| Ok::<_, std::convert::Infallible>(Bytes::default());
        let Ok(data) = DwarfSections::load(none);
        Sections { data, endian: RunTimeEndian::Little }
    }
}

/// The debug sections of a file, read and decompressed.
pub(super) fn sections<'a>(object: &impl Object<'a>, file: &Contents) -> Result<Sections, String> {
    let load = |id: SectionId| -> Result<Bytes, String> {
        // Large, and not needed for suspended coroutines.
        if matches!(id, SectionId::DebugLoc | SectionId::DebugMacinfo | SectionId::DebugMacro) {
            return Ok(Bytes::default());
        }
        let Some(section) = object.section_by_name(id.name()) else { return Ok(Bytes::default()) };
        read_section(&section, file)
            .map_err(|error| format!("has a section {} that cannot be read: {error}", id.name()))
    };
    Ok(Sections { data: DwarfSections::load(load)?, endian: endian(object) })
}

/// The byte order of a file.
pub(super) fn endian<'a>(object: &impl Object<'a>) -> RunTimeEndian {
    if object.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big }
}

/// The bytes of a section, decompressed.
pub(super) fn read_section<'a>(section: &impl ObjectSection<'a>, file: &Contents) -> Result<Bytes, String> {
    let range = section.compressed_file_range().map_err(|error| error.to_string())?;
    let length = file.len().map_err(|error| error.to_string())?;
    if range.offset.checked_add(range.compressed_size).is_none_or(|end| end > length) {
        return Err("it reaches beyond the end of the file".into());
    }
    // A damaged header may promise more than there is memory; debug info shrinks by far less than this when compressed.
    if range.uncompressed_size > range.compressed_size.saturating_mul(1024) {
        return Err("its size is not credible".into());
    }
    let data = file.bytes(range.offset, range.compressed_size as usize).map_err(|error| error.to_string())?;
    if range.format == object::CompressionFormat::None {
        return Ok(data);
    }
    let compressed =
        object::CompressedData { format: range.format, data: &data, uncompressed_size: range.uncompressed_size };
    Ok(compressed.decompress().map_err(|error| error.to_string())?.into_owned().into())
}
