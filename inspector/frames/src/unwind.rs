//! Finds where functions begin and end, and what called them: the unwind tables cover all functions, also those without
//! debug info.

use std::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, FrameDescriptionEntry, RegisterRule, RunTimeEndian, UnwindContext, UnwindSection,
};
use object::{Object, ObjectSection};

use super::contents::{Bytes, Contents};
use super::memory::Memory;
use super::registers::Registers;
use super::sections::{Slice, endian, read_section};

/// The descriptions of functions, and an index of them.
#[derive(Default)]
pub(super) struct Unwind {
    frames: Bytes,
    index: Bytes,
    bases: BaseAddresses,
    /// The addresses of the two sections.
    frames_at: u64,
    index_at: u64,
    endian: RunTimeEndian,
}

/// What precedes the rows of the index as every linker writes it: version, how the numbers are encoded, two numbers.
const HEADER: usize = 12;
/// A row: where a function begins, and where its description is, both from the begin of the index.
const ROW: usize = 8;

impl Unwind {
    pub fn of<'a>(object: &impl Object<'a>, file: &Contents) -> Unwind {
        let section = |name: &str| {
            let section = object.section_by_name(name)?;
            Some((read_section(&section, file).ok()?, section.address()))
        };
        let (Some((frames, frames_at)), Some((index, index_at))) = (section(".eh_frame"), section(".eh_frame_hdr"))
        else {
            return Unwind::default();
        };
        let bases = BaseAddresses::default().set_eh_frame(frames_at).set_eh_frame_hdr(index_at);
        Unwind { frames, index, bases, frames_at, index_at, endian: endian(object) }
    }

    /// The function around an address of the file.
    pub fn function(&self, address: u64) -> Option<Range<u64>> {
        let entry = self.entry(address)?;
        Some(entry.initial_address()..entry.end_address())
    }

    /// The registers of the frame that called the one with these. `bias`: address in memory minus address in the file.
    pub fn caller(&self, registers: &Registers, bias: u64, memory: &Memory) -> Option<Registers> {
        let address = registers.code().wrapping_sub(bias);
        let entry = self.entry(address)?;
        let frames = EhFrame::new(&self.frames, self.endian);
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&frames, &self.bases, &mut context, address).ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return None };
        let base = registers.get(register.0)?.wrapping_add_signed(*offset);
        let value = |number: u16| match row.register(gimli::Register(number)) {
            None | Some(RegisterRule::SameValue) => registers.get(number),
            Some(RegisterRule::Offset(offset)) => memory.word(base.wrapping_add_signed(offset)),
            Some(RegisterRule::ValOffset(offset)) => Some(base.wrapping_add_signed(offset)),
            Some(_) => None,
        };
        let Some(RegisterRule::Offset(offset)) = row.register(entry.cie().return_address_register()) else {
            return None;
        };
        let mut caller = Registers::new(memory.word(base.wrapping_add_signed(offset))?);
        for number in Registers::PRESERVED {
            caller.set(number, value(number));
        }
        caller.set(Registers::STACK, Some(base));
        Some(caller)
    }

    /// Whether nothing has called the function with these registers: the first of a thread says so.
    pub fn is_outermost(&self, registers: &Registers, bias: u64) -> bool {
        let address = registers.code().wrapping_sub(bias);
        let Some(entry) = self.entry(address) else { return false };
        let frames = EhFrame::new(&self.frames, self.endian);
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&frames, &self.bases, &mut context, address);
        row.is_ok_and(|row| {
            matches!(row.register(entry.cie().return_address_register()), Some(RegisterRule::Undefined))
        })
    }

    /// The description of the function around an address of the file.
    fn entry(&self, address: u64) -> Option<FrameDescriptionEntry<Slice<'_>>> {
        // The look-up of the parser requires a sound index.
        let offset = self.description(address)?.checked_sub(self.frames_at)?;
        let frames = EhFrame::new(&self.frames, self.endian);
        let offset = gimli::EhFrameOffset(usize::try_from(offset).ok()?);
        let entry = frames.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok()?;
        (entry.initial_address()..entry.end_address()).contains(&address).then_some(entry)
    }

    /// The address of the description of the function that begins last before an address.
    fn description(&self, address: u64) -> Option<u64> {
        if !self.index.starts_with(&[1, 0x1b, 0x03, 0x3b]) {
            return None;
        }
        let rows = self.index.get(HEADER..)?.as_chunks::<ROW>().0;
        let number = |bytes: [u8; 4]| match self.endian {
            RunTimeEndian::Little => i32::from_le_bytes(bytes),
            RunTimeEndian::Big => i32::from_be_bytes(bytes),
        };
        let absolute = |bytes: [u8; 4]| self.index_at.wrapping_add_signed(number(bytes).into());
        let after = rows.partition_point(|&[a, b, c, d, ..]| absolute([a, b, c, d]) <= address);
        let &[.., a, b, c, d] = rows.get(after.checked_sub(1)?)?;
        Some(absolute([a, b, c, d]))
    }
}
