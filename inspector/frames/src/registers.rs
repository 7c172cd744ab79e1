//! Reads the registers of the running thread.

/// Registers of one frame by their numbers in debug info; those that are not known are `None`.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// Where the frame continues when the call in it returns.
    pub(super) pc: u64,
    values: [Option<u64>; 16],
    /// The frame is in a call, and not the innermost of a thread that was stopped.
    is_call: bool,
}

impl Registers {
    /// Numbers of the stack pointer, and of the registers that a function preserves for its caller: rbx, rbp, r12 to
    /// r15.
    pub(super) const STACK: u16 = 7;
    pub(super) const PRESERVED: [u16; 6] = [3, 6, 12, 13, 14, 15];

    /// Those of a thread that was stopped: where its code is, the stack pointer, and rbx, rbp, r12 to r15.
    pub fn of_thread(pc: u64, stack: u64, preserved: [u64; 6]) -> Registers {
        let mut registers = Registers { is_call: false, ..Registers::new(pc) };
        registers.set(Registers::STACK, Some(stack));
        for (number, value) in Registers::PRESERVED.into_iter().zip(preserved) {
            registers.set(number, Some(value));
        }
        registers
    }

    /// The stack pointer, if it is known.
    pub fn stack(&self) -> Option<u64> {
        self.get(Registers::STACK)
    }

    pub(super) fn new(pc: u64) -> Registers {
        Registers { pc, values: [None; 16], is_call: true }
    }

    /// An address in the code that the frame is in. A call may be the last instruction of a function, and then it
    /// returns behind it.
    pub(super) fn code(&self) -> u64 {
        self.pc.wrapping_sub(u64::from(self.is_call))
    }

    pub(super) fn get(&self, number: u16) -> Option<u64> {
        *self.values.get(usize::from(number))?
    }

    pub(super) fn set(&mut self, number: u16, value: Option<u64>) {
        if let Some(register) = self.values.get_mut(usize::from(number)) {
            *register = value;
        }
    }
}

/// Calls `read` with the registers of this function. Its frame exists until `read` returns. `None` on other processors
/// and systems.
#[inline(never)]
pub(super) fn here<R>(read: impl FnOnce(Option<Registers>) -> R) -> R {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        // The address of the code, the stack pointer, and the preserved registers in their order above.
        let mut stored = [0_u64; 8];
        // SAFETY: the instructions write the 64 bytes of `stored` and the scratch register, nothing else; they do not
        // touch the stack.
        unsafe {
            core::arch::asm!(
                "lea {pc}, [rip]",
                "mov [{to}], {pc}",
                "mov [{to} + 8], rsp",
                "mov [{to} + 16], rbx",
                "mov [{to} + 24], rbp",
                "mov [{to} + 32], r12",
                "mov [{to} + 40], r13",
                "mov [{to} + 48], r14",
                "mov [{to} + 56], r15",
                to = in(reg) stored.as_mut_ptr(),
                pc = out(reg) _,
                options(nostack, preserves_flags)
            );
        }
        let [pc, stack, preserved @ ..] = stored;
        let result = read(Some(Registers::of_thread(pc, stack, preserved)));
        // The call above is not the last thing done here, so it cannot take the place of this frame.
        std::hint::black_box(&mut stored);
        result
    }
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    read(None)
}
