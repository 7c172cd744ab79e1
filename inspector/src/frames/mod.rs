//! Where every coroutine stands, and with which values: await stacks and local variables of suspended futures, from debug
//! info and the memory of the process. Nothing has to be written for it in the program that is looked at.
//!
//! The loop knows of a future where it is and which function was instantiated for its type ([`mark`]); everything else is
//! found from there: the function's debug info names the exact type, the type's layout says at which `.await` the future
//! stands, what is alive there, and what it awaits in turn.
//!
//! What is shown is true or says that it may not be: see [`event::Local::mark`](crate::event::Local::mark). What is
//! missing is said in [`Stack::missing`], with what brings it. Memory is read through the system, so that a wild pointer is an
//! error and never a fault, and nothing in here is `unsafe`.

mod alive;
mod backtrace;
mod bindings;
mod code;
mod coroutine;
mod functions;
mod glue;
mod hash;
mod image;
mod kept;
mod limits;
mod locals;
#[cfg(target_arch = "x86_64")]
mod machine;
mod mark;
mod memory;
mod names;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_oracle.rs")]
mod oracle;
mod outside;
mod parser;
mod place;
mod settle;
mod source;
mod symbols;
mod types;
mod units;
mod unwind;
mod values;
mod work;

pub use backtrace::{backtrace, backtrace_in};
pub use kept::Kept;
pub use limits::Limits;
pub use mark::{FutureMark, FutureType, mark};
pub use outside::Blocks;
pub(crate) use place::BEGAN;
pub use values::CoroAt;
pub use work::worked;

use crate::event::Stack;
use alive::Alive;
use coroutine::Walk;
use memory::Memory;
use source::Sources;
use types::Types;
use values::Look;

/// Reads the await stacks of one process. What was learnt of images and types is kept.
pub struct Frames {
    types: Types,
    sources: Sources,
    limits: Limits,
}

impl Frames {
    /// Of the process this code runs in.
    pub fn of_this_process() -> Frames {
        Frames::of_process(std::process::id())
    }

    /// Of a process that runs, as far as the system allows reading it.
    pub fn of_process(pid: u32) -> Frames {
        Frames { types: Types::of(Memory::of(pid)), sources: Sources::default(), limits: Limits::from_env() }
    }

    /// With these bounds.
    pub fn with_limits(mut self, limits: Limits) -> Frames {
        self.limits = limits;
        self
    }

    /// Reads with these bounds, this once.
    pub fn within<R>(&mut self, limits: Limits, read: impl FnOnce(&mut Frames) -> R) -> R {
        let usual = std::mem::replace(&mut self.limits, limits);
        let result = read(self);
        self.limits = usual;
        result
    }

    /// The bounds it reads within.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// With the debug info of this file in place of the one that runs, whatever is in it: how the reader is tried on damaged files.
    #[doc(hidden)]
    pub fn with_debug_info_of(mut self, file: std::path::PathBuf) -> Frames {
        self.types.images.instead = Some(file);
        self
    }

    /// The await stack of a suspended future.
    ///
    /// The future must not run meanwhile, or what is read is a mixture: stop the loop, or call this from its thread between
    /// two steps.
    pub fn stack(&mut self, ty: &FutureType, address: usize) -> Stack {
        self.read(ty, address, false, None)
    }

    /// The await stack of a future that is in the middle of a step: as of its last suspension, and marked so.
    pub fn stack_mid_step(&mut self, ty: &FutureType, address: usize) -> Stack {
        self.read(ty, address, true, None)
    }

    /// Like [`stack`](Frames::stack) and [`stack_mid_step`](Frames::stack_mid_step); handles of coroutines among the values
    /// are linked: `coro_at` gets the address a handle holds and returns the coroutine's number.
    pub fn stack_with_links(&mut self, ty: &FutureType, address: usize, mid_step: bool, coro_at: &CoroAt<'_>) -> Stack {
        self.read(ty, address, mid_step, Some(coro_at))
    }

    /// The await stack of a future as it was when its memory was kept, before a step that is over by now. It is marked like one in the middle
    /// of a step; handles of coroutines are linked as by [`stack_with_links`](Frames::stack_with_links).
    pub fn stack_before_step(&mut self, kept: &Kept, ty: &FutureType, coro_at: &CoroAt<'_>) -> Stack {
        self.types.memory.go_back(kept.pages());
        let mut stack = self.walk(ty, kept.address() as usize, false, Some(coro_at));
        self.types.memory.forget();
        place::mark_as_past(&mut stack);
        stack
    }

    fn read(&mut self, ty: &FutureType, address: usize, mid_step: bool, coro_at: Option<&CoroAt<'_>>) -> Stack {
        self.types.memory.forget();
        self.walk(ty, address, mid_step, coro_at)
    }

    fn walk(&mut self, ty: &FutureType, address: usize, mid_step: bool, coro_at: Option<&CoroAt<'_>>) -> Stack {
        self.types.renew();
        let root = match self.types.of_function(ty.function as u64) {
            Ok(root) => root,
            Err(why) => return Stack { missing: Some(why), mid_step, ..Stack::default() },
        };
        let known = self.types.get(root);
        if self.types.size(root) != Some(ty.size as u64) || known.align.is_some_and(|align| align != ty.align as u64) {
            let why = format!(
                "debug info says {}, which is not what runs ({}); optimisation has merged functions of different types",
                known.shown, ty.name
            );
            return Stack { missing: Some(why), mid_step, ..Stack::default() };
        }
        let mut look = Look::new(&mut self.types, &self.limits, coro_at);
        let frames = self.limits.frames;
        let mut alive = Alive::default();
        alive.dropped_by(root, address as u64, ty.drop as u64);
        let mut walk = Walk { look: &mut look, sources: &mut self.sources, frames, alive, mid_step };
        let frames = walk.walk(root, address as u64);
        Stack { frames, missing: None, mid_step }
    }
}
