//! Interprets instructions of x86-64 without side effects: registers and writes of its own, over the memory of a
//! process.

use std::ops::Range;

use iced_x86::{ConditionCode, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::memory::Memory;

/// The initial stack pointer, which no process has: the upper half of addresses is the kernel's.
const STACK: u64 = 0xffff_f000_0010_0000;

const RAX: usize = 0;
const RSP: usize = 4;
const RDI: usize = 7;

/// What the interpreted code touched.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Memory it read.
    pub reads: Vec<Range<u64>>,
    /// Functions it would call.
    pub calls: Vec<Call>,
}

/// A call that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The function, if it is known.
    pub target: Option<u64>,
    /// Its first argument, if it is known.
    pub argument: Option<u64>,
}

/// Where execution continues.
pub(super) enum Next {
    Go(u64),
    /// It depends on something unknown.
    Either([u64; 2]),
    Return,
}

#[derive(Clone, Copy)]
struct Flags {
    zero: bool,
    sign: bool,
    carry: Option<bool>,
    overflow: Option<bool>,
}

/// An interpreter with no effect outside itself. Unknown values are `None`.
#[derive(Clone)]
pub(super) struct Machine<'m> {
    memory: &'m Memory,
    registers: [Option<u64>; 16],
    vectors: [Option<u128>; 16],
    /// What was written, in order: address, size, value. Drop glue writes little.
    shadow: Vec<(u64, usize, Option<u128>)>,
    flags: Option<Flags>,
}

impl<'m> Machine<'m> {
    /// Sets the machine up as at the beginning of a function that is called with one argument.
    pub fn calling(memory: &'m Memory, argument: u64) -> Machine<'m> {
        let mut machine =
            Machine { memory, registers: [None; 16], vectors: [None; 16], shadow: Vec::new(), flags: None };
        machine.registers[RSP] = Some(STACK);
        machine.registers[RDI] = Some(argument);
        machine
    }

    /// Executes an instruction. None if it cannot be followed.
    pub fn step(&mut self, instruction: &Instruction, touched: &mut Touched) -> Option<Next> {
        let next = instruction.next_ip();
        match instruction.flow_control() {
            FlowControl::Next => {}
            FlowControl::UnconditionalBranch => return Some(Next::Go(instruction.near_branch_target())),
            FlowControl::ConditionalBranch => {
                let target = instruction.near_branch_target();
                return Some(match self.holds(instruction.condition_code()) {
                    Some(true) => Next::Go(target),
                    Some(false) => Next::Go(next),
                    None => Next::Either([target, next]),
                });
            }
            FlowControl::IndirectBranch => return Some(Next::Go(self.read(instruction, 0, touched)? as u64)),
            FlowControl::Call => self.call(Some(instruction.near_branch_target()), touched),
            FlowControl::IndirectCall => {
                let target = self.read(instruction, 0, touched).map(|target| target as u64);
                self.call(target, touched);
            }
            FlowControl::Return => return Some(Next::Return),
            _ => return None,
        }
        if instruction.flow_control() == FlowControl::Next {
            self.execute(instruction, touched)?;
        }
        Some(Next::Go(next))
    }

    /// Notes a call; what it may change is unknown afterwards.
    pub fn call(&mut self, target: Option<u64>, touched: &mut Touched) {
        touched.calls.push(Call { target, argument: self.registers[RDI] });
        for clobbered in [RAX, 1, 2, 6, RDI, 8, 9, 10, 11] {
            self.registers[clobbered] = None;
        }
        self.vectors = [None; 16];
        self.flags = None;
    }

    fn execute(&mut self, instruction: &Instruction, touched: &mut Touched) -> Option<()> {
        let size = self.size(instruction, 0);
        match instruction.mnemonic() {
            Mnemonic::Nop | Mnemonic::Endbr64 => {}
            Mnemonic::Mov
            | Mnemonic::Movzx
            | Mnemonic::Movups
            | Mnemonic::Movaps
            | Mnemonic::Movdqu
            | Mnemonic::Movdqa
            | Mnemonic::Movupd
            | Mnemonic::Movapd
            | Mnemonic::Movd
            | Mnemonic::Movq => {
                let value = self.read(instruction, 1, touched);
                self.write(instruction, 0, value)?;
            }
            Mnemonic::Movsx | Mnemonic::Movsxd => {
                let value = self.read(instruction, 1, touched).map(|value| extend(value, self.size(instruction, 1)));
                self.write(instruction, 0, value)?;
            }
            Mnemonic::Lea => {
                let address = self.address(instruction).map(u128::from);
                self.write(instruction, 0, address)?;
            }
            Mnemonic::Push => {
                let value = self.read(instruction, 0, touched);
                let top = self.registers[RSP]?.wrapping_sub(8);
                self.registers[RSP] = Some(top);
                self.store(Some(top), 8, value)?;
            }
            Mnemonic::Pop => {
                let top = self.registers[RSP]?;
                let value = self.load(Some(top), 8, touched);
                self.registers[RSP] = Some(top.wrapping_add(8));
                self.write(instruction, 0, value)?;
            }
            Mnemonic::Xorps | Mnemonic::Pxor | Mnemonic::Xorpd => {
                let same = instruction.op0_register() == instruction.op1_register();
                self.write(instruction, 0, same.then_some(0))?;
            }
            Mnemonic::Add
            | Mnemonic::Sub
            | Mnemonic::Cmp
            | Mnemonic::And
            | Mnemonic::Or
            | Mnemonic::Xor
            | Mnemonic::Test
            | Mnemonic::Inc
            | Mnemonic::Dec
            | Mnemonic::Neg
            | Mnemonic::Xadd => self.arithmetic(instruction, size, touched)?,
            Mnemonic::Pmovmskb => {
                let value = self.read(instruction, 1, touched);
                let mask =
                    value.map(|value| (0..16).fold(0, |mask, lane| mask | (value >> (lane * 8 + 7) & 1) << lane));
                self.write(instruction, 0, mask)?;
            }
            Mnemonic::Bsf | Mnemonic::Tzcnt => {
                let value = self.read(instruction, 1, touched).map(|value| truncate(value, size));
                let result = value.map(|value| u128::from(value.trailing_zeros().min(size as u32 * 8)));
                self.flags = None;
                self.write(instruction, 0, result)?;
            }
            Mnemonic::Not => {
                let value = self.read(instruction, 0, touched).map(|value| !value);
                self.write(instruction, 0, value)?;
            }
            Mnemonic::Shl | Mnemonic::Shr | Mnemonic::Sar => {
                let (value, by) = (self.read(instruction, 0, touched), self.read(instruction, 1, touched));
                let result = value.zip(by).map(|(value, by)| {
                    let by = (by as u32) & if size == 8 { 63 } else { 31 };
                    match instruction.mnemonic() {
                        Mnemonic::Shl => value << by,
                        Mnemonic::Shr => value >> by,
                        _ => ((extend(value, size) as i128) >> by) as u128,
                    }
                });
                self.flags = result.map(|result| logic(truncate(result, size), size)).map(|flags| Flags {
                    carry: None,
                    overflow: None,
                    ..flags
                });
                self.write(instruction, 0, result)?;
            }
            Mnemonic::Imul => {
                let (left, right) = match instruction.op_count() {
                    2 => (self.read(instruction, 0, touched), self.read(instruction, 1, touched)),
                    3 => (self.read(instruction, 1, touched), self.read(instruction, 2, touched)),
                    _ => return None,
                };
                self.flags = None;
                self.write(instruction, 0, left.zip(right).map(|(left, right)| left.wrapping_mul(right)))?;
            }
            Mnemonic::Bt => {
                let (value, bit) = (self.read(instruction, 0, touched), self.read(instruction, 1, touched));
                let carry = value.zip(bit).map(|(value, bit)| value >> (bit as u32 % (size as u32 * 8)) & 1 == 1);
                self.flags = carry.map(|carry| Flags { zero: false, sign: false, carry: Some(carry), overflow: None });
            }
            Mnemonic::Xchg => {
                let (left, right) = (self.read(instruction, 0, touched), self.read(instruction, 1, touched));
                self.write(instruction, 0, right)?;
                self.write(instruction, 1, left)?;
            }
            _ if is_set(instruction.mnemonic()) => {
                let value = self.holds(instruction.condition_code()).map(u128::from);
                self.write(instruction, 0, value)?;
            }
            _ if is_cmov(instruction.mnemonic()) => {
                let value = match self.holds(instruction.condition_code()) {
                    Some(true) => self.read(instruction, 1, touched),
                    Some(false) => self.read(instruction, 0, touched),
                    None => None,
                };
                self.write(instruction, 0, value)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn arithmetic(&mut self, instruction: &Instruction, size: usize, touched: &mut Touched) -> Option<()> {
        let mnemonic = instruction.mnemonic();
        let left = self.read(instruction, 0, touched);
        let right = match mnemonic {
            Mnemonic::Inc | Mnemonic::Dec => Some(1),
            Mnemonic::Neg => left,
            // A register with itself is zero, whatever is in it.
            Mnemonic::Xor | Mnemonic::Sub
                if instruction.op0_kind() == OpKind::Register
                    && instruction.op1_kind() == OpKind::Register
                    && instruction.op0_register() == instruction.op1_register() =>
            {
                self.flags = Some(Flags { zero: true, sign: false, carry: Some(false), overflow: Some(false) });
                return self.write(instruction, 0, Some(0));
            }
            _ => {
                self.read(instruction, 1, touched).map(|right| truncate(extend(right, self.size(instruction, 1)), size))
            }
        };
        let known = left.zip(right).map(|(left, right)| (truncate(left, size), right));
        let known = if mnemonic == Mnemonic::Neg { known.map(|(left, _)| (0, left)) } else { known };
        let outcome = known.map(|(left, right)| match mnemonic {
            Mnemonic::Add | Mnemonic::Inc | Mnemonic::Xadd => {
                let wide = left + right;
                let result = truncate(wide, size);
                let overflow = top(!(left ^ right) & (left ^ result), size);
                (result, Flags { carry: Some(wide != result), overflow: Some(overflow), ..logic(result, size) })
            }
            Mnemonic::Sub | Mnemonic::Cmp | Mnemonic::Dec | Mnemonic::Neg => {
                let result = truncate(left.wrapping_sub(right), size);
                let overflow = top((left ^ right) & (left ^ result), size);
                (result, Flags { carry: Some(left < right), overflow: Some(overflow), ..logic(result, size) })
            }
            Mnemonic::And | Mnemonic::Test => (left & right, logic(left & right, size)),
            Mnemonic::Or => (left | right, logic(left | right, size)),
            _ => (left ^ right, logic(left ^ right, size)),
        });
        // `inc` and `dec` leave the carry as it was; nothing here depends on it.
        self.flags = outcome.map(|(_, flags)| match mnemonic {
            Mnemonic::Inc | Mnemonic::Dec => Flags { carry: None, ..flags },
            _ => flags,
        });
        match mnemonic {
            Mnemonic::Cmp | Mnemonic::Test => {}
            Mnemonic::Xadd => {
                self.write(instruction, 1, left)?;
                self.write(instruction, 0, outcome.map(|outcome| outcome.0))?;
            }
            _ => self.write(instruction, 0, outcome.map(|outcome| outcome.0))?,
        }
        Some(())
    }

    fn holds(&self, condition: ConditionCode) -> Option<bool> {
        let Flags { zero, sign, carry, overflow } = self.flags?;
        Some(match condition {
            ConditionCode::e => zero,
            ConditionCode::ne => !zero,
            ConditionCode::s => sign,
            ConditionCode::ns => !sign,
            ConditionCode::b => carry?,
            ConditionCode::ae => !carry?,
            ConditionCode::be => zero || carry?,
            ConditionCode::a => !zero && !carry?,
            ConditionCode::l => sign != overflow?,
            ConditionCode::ge => sign == overflow?,
            ConditionCode::le => zero || sign != overflow?,
            ConditionCode::g => !zero && sign == overflow?,
            ConditionCode::o => overflow?,
            ConditionCode::no => !overflow?,
            _ => return None,
        })
    }

    /// Size of an operand in bytes.
    fn size(&self, instruction: &Instruction, operand: u32) -> usize {
        match instruction.op_kind(operand) {
            OpKind::Register => instruction.op_register(operand).size(),
            OpKind::Memory => instruction.memory_size().size(),
            // Immediates come sign-extended to 64 bits.
            _ => 8,
        }
    }

    /// The value of an operand.
    fn read(&self, instruction: &Instruction, operand: u32, touched: &mut Touched) -> Option<u128> {
        match instruction.op_kind(operand) {
            OpKind::Register => {
                let register = instruction.op_register(operand);
                if register.is_vector_register() {
                    return *self.vectors.get(register.number())?;
                }
                let whole = (*self.registers.get(index(register)?)?)?;
                let value = if is_high(register) { whole >> 8 } else { whole };
                Some(truncate(value.into(), register.size()))
            }
            OpKind::Memory => {
                let address = self.address(instruction);
                self.load(address, instruction.memory_size().size(), touched)
            }
            OpKind::NearBranch64 => Some(instruction.near_branch64().into()),
            _ => Some(instruction.try_immediate(operand).ok()?.into()),
        }
    }

    /// Sets an operand. None if that cannot be followed.
    fn write(&mut self, instruction: &Instruction, operand: u32, value: Option<u128>) -> Option<()> {
        match instruction.op_kind(operand) {
            OpKind::Register => {
                let register = instruction.op_register(operand);
                if register.is_vector_register() {
                    *self.vectors.get_mut(register.number())? = value;
                    return Some(());
                }
                let place = self.registers.get_mut(index(register)?)?;
                *place = match (register.size(), *place, value) {
                    // Writing half a register clears the other half.
                    (4 | 8, _, value) => value.map(|value| truncate(value, register.size()) as u64),
                    (1, Some(whole), Some(value)) if is_high(register) => {
                        Some(whole & !0xff00 | u64::from(value as u8) << 8)
                    }
                    (1, Some(whole), Some(value)) => Some(whole & !0xff | u64::from(value as u8)),
                    (2, Some(whole), Some(value)) => Some(whole & !0xffff | u64::from(value as u16)),
                    // The rest of the register is unknown, but only this part of it will be read.
                    (1, None, Some(value)) if !is_high(register) => Some(u64::from(value as u8)),
                    (2, None, Some(value)) => Some(u64::from(value as u16)),
                    _ => None,
                };
                Some(())
            }
            OpKind::Memory => {
                let address = self.address(instruction);
                self.store(address, instruction.memory_size().size(), value)
            }
            _ => None,
        }
    }

    fn address(&self, instruction: &Instruction) -> Option<u64> {
        if matches!(instruction.memory_segment(), Register::FS | Register::GS) {
            return None;
        }
        let mut address = instruction.memory_displacement64();
        // The displacement of an address relative to the instruction is the address itself.
        if instruction.is_ip_rel_memory_operand() {
            return Some(address);
        }
        if instruction.memory_base() != Register::None {
            address = address.wrapping_add(self.registers[index(instruction.memory_base())?]?);
        }
        if instruction.memory_index() != Register::None {
            let scaled = self.registers[index(instruction.memory_index())?]?;
            address = address.wrapping_add(scaled.wrapping_mul(instruction.memory_index_scale().into()));
        }
        Some(address)
    }

    fn load(&self, address: Option<u64>, size: usize, touched: &mut Touched) -> Option<u128> {
        let address = address?;
        if size == 0 || size > 16 || address > u64::MAX - 16 {
            return None;
        }
        let mut wide = [0; 16];
        let known = self.memory.read(address, &mut wide[..size]);
        if known {
            touched.reads.push(address..address.wrapping_add(size as u64));
        }
        let overlaps =
            |&&(at, length, _): &&(u64, usize, _)| at < address + size as u64 && address < at + length as u64;
        match self.shadow.iter().rev().find(overlaps) {
            None => return known.then_some(u128::from_le_bytes(wide)),
            Some(&(at, length, value)) if (at, length) == (address, size) => return value,
            Some(_) => {}
        }
        for (at, byte) in (address..).zip(&mut wide[..size]) {
            let written =
                self.shadow.iter().rev().find(|&&(from, length, _)| (from..from + length as u64).contains(&at));
            match written {
                Some(&(from, _, value)) => *byte = (value? >> ((at - from) * 8)) as u8,
                None if !known => return None,
                None => {}
            }
        }
        Some(u128::from_le_bytes(wide))
    }

    fn store(&mut self, address: Option<u64>, size: usize, value: Option<u128>) -> Option<()> {
        // An unknown address comes from a call; it is not in the frame.
        let Some(address) = address else { return Some(()) };
        if size == 0 || size > 16 || address > u64::MAX - 16 {
            return None;
        }
        self.shadow.push((address, size, value.map(|value| truncate(value, size))));
        Some(())
    }
}

fn index(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

fn is_high(register: Register) -> bool {
    matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
}

fn is_set(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Sete | Setne | Setb | Setae | Setbe | Seta | Setl | Setge | Setle | Setg | Sets | Setns | Seto | Setno
    )
}

fn is_cmov(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Cmove
            | Cmovne
            | Cmovb
            | Cmovae
            | Cmovbe
            | Cmova
            | Cmovl
            | Cmovge
            | Cmovle
            | Cmovg
            | Cmovs
            | Cmovns
            | Cmovo
            | Cmovno
    )
}

fn truncate(value: u128, size: usize) -> u128 {
    if size >= 16 { value } else { value & ((1 << (size * 8)) - 1) }
}

fn extend(value: u128, size: usize) -> u128 {
    if size == 0 || size >= 16 {
        return value;
    }
    let shift = 128 - size * 8;
    (((value << shift) as i128) >> shift) as u128
}

fn top(value: u128, size: usize) -> bool {
    size > 0 && size <= 16 && value >> (size * 8 - 1) & 1 == 1
}

fn logic(result: u128, size: usize) -> Flags {
    Flags { zero: result == 0, sign: top(result, size), carry: Some(false), overflow: Some(false) }
}
