//! Await stacks and local variables of suspended futures, from debug info and the memory of the process. The program
//! that is read needs no extra code for it.
//!
//! The loop knows the address of a future and which function was instantiated for its type ([`mark`]). Everything else
//! follows from there: the function's debug info names the exact type, and the type's layout says at which `.await` the
//! future stands, what is alive there, and what it awaits in turn.
//!
//! A value that is not certain is marked, see [`event::Local::mark`](tinyio_events::event::Local::mark), but for the
//! cases under "Limits of local variables" in the guide of `tinyio-rt`.
//! [`Stack::missing`] says what is missing and how to get it. Memory is read through the system, so that a wild pointer
//! is an error and never a fault.
//!
//! The crate depends on `tinyio-events` for the types of stacks, the names of secrets and the environment, on `gimli`
//! and `object` for debug info, and on `iced-x86` for the code that drops a future. It must not know rings, traces, the
//! model of a program, or a terminal.

#![deny(unsafe_code)]

mod backtrace;
mod bindings;
mod code;
#[expect(unsafe_code)]
mod contents;
mod copied;
mod coroutine;
mod debug_file;
mod drop_glue;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_drop_trace.rs")]
mod drop_trace;
mod entries;
mod functions;
mod future_type;
mod hash;
mod image;
mod index;
mod kept;
mod limits;
mod liveness;
mod loaded_file;
mod locals;
mod memory;
mod names;
mod native;
mod owned;
mod parser;
mod program;
mod remote;
mod scopes;
mod search;
mod secret_names;
mod sections;
mod shape;
#[cfg(target_arch = "x86_64")]
mod x86_interpreter;
// What the processor holds is read with an instruction.
mod merge_native;
#[expect(unsafe_code)]
mod registers;
mod source;
mod split;
mod symbolize;
mod symbols;
mod thread_stack;
mod types;
mod unit;
mod units;
mod unwind;
mod values;
mod work;

pub use backtrace::{backtrace_in, native_stack};
pub use copied::{Copied, Region};
pub use coroutine::Parts;
use coroutine::Walk;
pub use functions::Signature;
pub use future_type::{FutureMark, FutureType, mark};
pub use kept::Kept;
pub use limits::Limits;
use liveness::Alive;
pub use loaded_file::MappedFile;
use locals::BoundNames;
use memory::Memory;
use native::Running;
pub use owned::OwnedParts;
pub use registers::Registers;
pub use search::{Leaf, Within};
pub use shape::TypeRef;
use source::Sources;
pub use thread_stack::{Function, ThreadStack};
use tinyio_events::event::{Frame, Stack, TraceSite};
use tinyio_events::place::same_file;
use types::Types;
#[doc(hidden)]
pub use units::Touched;
pub use values::CoroAt;
use values::ValueReader;
pub use work::worked;

/// Why the system does not let one process read another, and what to do.
pub const NOT_ALLOWED: &str = "the system does not allow it: it belongs to another user or to a container, or a sandbox forbids it; `sudo` may \
    help, or the inspector in that container";

/// The note of a function that was called and not awaited.
const CALLED: &str = "called, not awaited";
const UNCERTAIN: &str =
    "locals that are not held across an await are left out: not every function on the native stack is certain";
/// As [`UNCERTAIN`], where some functions are known to be optimised.
const OPTIMISED: &str = "locals that are not held across an await are left out: not every function on the native stack is certain, as some \
    are optimised. `opt-level = 0` in the profile of Cargo.toml brings most of them";

/// Reads the await stacks of one process. Keeps what it has read of images and types.
pub struct Frames {
    types: Types,
    sources: Sources,
    names: BoundNames,
    limits: Limits,
    is_leaf: fn(&str) -> bool,
}

impl Frames {
    /// Reads the process this code runs in.
    pub fn of_this_process() -> Frames {
        Frames::of_process(std::process::id())
    }

    /// Reads a running process, as far as the system allows it.
    pub fn of_process(pid: u32) -> Frames {
        Frames::with(Types::of(Memory::of(pid)))
    }

    fn with(types: Types) -> Frames {
        Frames {
            types,
            sources: Sources::default(),
            names: BoundNames::default(),
            limits: Limits::from_env(),
            is_leaf: |_| false,
        }
    }

    /// Sets the bounds.
    pub fn with_limits(mut self, limits: Limits) -> Frames {
        self.limits = limits;
        self
    }

    /// Looks for debug info that a program has in a file of its own in these folders too: by build id, by the name that
    /// the program says, or beside its own name. Call it before anything is read.
    pub fn with_debug_folders(mut self, folders: Vec<std::path::PathBuf>) -> Frames {
        self.types.images.debug_folders = folders;
        self
    }

    /// Lists futures of a type with a path for which `is_leaf` is true among the innermost ones wherever they are
    /// found: in a combinator, too, which otherwise is one as a whole if there is no coroutine in it.
    pub fn with_leaves(mut self, is_leaf: fn(&str) -> bool) -> Frames {
        self.is_leaf = is_leaf;
        self
    }

    /// Reads at most so many values of each further stack, if the limits allow more.
    pub fn read_fewer_values(&mut self, total: usize) {
        self.limits.total = self.limits.total.min(total);
    }

    /// Calls `read` with these bounds, which apply to this call only.
    pub fn within<R>(&mut self, limits: Limits, read: impl FnOnce(&mut Frames) -> R) -> R {
        let usual = std::mem::replace(&mut self.limits, limits);
        let result = read(self);
        self.limits = usual;
        result
    }

    /// Calls `read`, which reads several stacks as of one moment: what one of them has read of the memory of the
    /// process is not read again for the next. No code may run meanwhile that changes what the stacks consist of.
    pub fn at_one_moment<R>(&mut self, read: impl FnOnce(&mut Frames) -> R) -> R {
        self.types.renew();
        let _still = self.types.keep_still();
        read(self)
    }

    /// The bounds it reads within.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads the debug info of this file in place of the running program's, whatever it contains: for tests with
    /// damaged files.
    #[doc(hidden)]
    pub fn with_debug_info_of(mut self, file: std::path::PathBuf) -> Frames {
        self.types.images.instead = Some(file);
        self
    }

    /// How much debug info was read so far: for tests.
    #[doc(hidden)]
    pub fn touched(&self) -> Touched {
        let mut touched = Touched::default();
        self.types.units.values().for_each(|units| units.add_to(&mut touched));
        touched
    }

    /// The await stack of a suspended future.
    ///
    /// The future must not run meanwhile, or what is read is a mixture: stop the loop, or call this from its thread
    /// between two steps.
    pub fn stack(&mut self, ty: &FutureType, address: usize) -> Stack {
        self.read(ty, address, false, None)
    }

    /// The await stack of a future that is in the middle of a step: as of its last suspension, and marked so.
    pub fn stack_mid_step(&mut self, ty: &FutureType, address: usize) -> Stack {
        self.read(ty, address, true, None)
    }

    /// Like [`stack`](Frames::stack) and [`stack_mid_step`](Frames::stack_mid_step); handles of coroutines among the
    /// values are linked: see [`CoroAt`].
    pub fn stack_with_links(&mut self, ty: &FutureType, address: usize, mid_step: bool, coro_at: &CoroAt<'_>) -> Stack {
        self.read(ty, address, mid_step, Some(coro_at))
    }

    /// The await stack of a future as it was when its memory was kept, before a step that is over by now. It is marked
    /// like one in the middle of a step; handles of coroutines are linked as by
    /// [`stack_with_links`](Frames::stack_with_links).
    pub fn stack_before_step(&mut self, kept: &Kept, ty: &FutureType, coro_at: &CoroAt<'_>) -> Stack {
        self.types.renew();
        self.types.memory.go_back(kept.pages());
        let mut stack = self.walk(ty, kept.address() as usize, false, Some(coro_at), &[]);
        self.types.memory.forget();
        kept::mark_as_past(&mut stack);
        stack
    }

    fn read(&mut self, ty: &FutureType, address: usize, mid_step: bool, coro_at: Option<&CoroAt<'_>>) -> Stack {
        self.types.renew();
        self.walk(ty, address, mid_step, coro_at, &[])
    }

    /// The await stack of a future that this thread is running, with what its native stack adds: the line that runs,
    /// locals that are not held across an `.await`, and the functions that the innermost coroutine has called, as
    /// frames of their own. `native` is what [`native_stack`](Frames::native_stack) gives for this thread. Also whether
    /// its innermost line is certainly where the program is: optimised code may have left frames out.
    pub fn stack_of_running(
        &mut self,
        ty: &FutureType,
        address: usize,
        coro_at: &CoroAt<'_>,
        native: &[TraceSite],
    ) -> (Stack, bool) {
        registers::here(|registers| {
            self.types.renew();
            let root = self.types.of_function(ty.function as u64).ok();
            let running = registers
                .zip(root)
                .map_or_else(Vec::new, |(registers, root)| self.types.running(registers, root, address as u64));
            let mut stack = self.walk(ty, address, true, Some(coro_at), &running);
            self.settle(&mut stack, native);
            let is_complete = self.add_calls(&mut stack, coro_at, &running);
            if !is_complete && registers.is_some() {
                let is_optimised = running.iter().any(|one| one.is_optimised);
                stack.missing.get_or_insert_with(|| if is_optimised { OPTIMISED } else { UNCERTAIN }.into());
            }
            // What the stack held is over with this function.
            self.types.memory.forget();
            let same_place =
                |frame: &Frame, site: &TraceSite| frame.line == site.line && same_file(&frame.file, &site.file);
            let is_certain =
                stack.frames.last().zip(native.first()).is_some_and(|(frame, site)| same_place(frame, site));
            (stack, is_complete && is_certain)
        })
    }

    /// Adds the functions that the innermost coroutine of a stack has called. False if there may be others.
    fn add_calls(&mut self, stack: &mut Stack, coro_at: &CoroAt<'_>, running: &[Running]) -> bool {
        let Some(innermost) = running.iter().position(|one| one.coroutine.is_some()) else { return false };
        let is_last = stack.frames.last().is_some_and(|frame| frame.function == running[innermost].name);
        if !is_last || !running[innermost].is_met.get() {
            return false;
        }
        let is_optimised = running[..=innermost].iter().any(|one| one.is_optimised);
        let mut reader = ValueReader::new(&mut self.types, &self.limits, Some(coro_at));
        for one in running[..innermost].iter().rev().filter(|one| !one.is_optimised) {
            let mut frame =
                Frame { function: one.name.clone(), line: one.line, note: CALLED.into(), ..Frame::default() };
            if let Some(file) = &one.file {
                frame.file = self.sources.shown(file);
                frame.source = self.sources.around(file, one.line, reader.limits.source);
            }
            if reader.limits.values {
                one.add_locals(&mut reader, &mut self.sources, native::Suspended::Never, &mut frame.locals);
            }
            stack.frames.push(frame);
        }
        !is_optimised
    }

    fn walk(
        &mut self,
        ty: &FutureType,
        address: usize,
        mid_step: bool,
        coro_at: Option<&CoroAt<'_>>,
        running: &[Running],
    ) -> Stack {
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
        self.walk_type(root, address as u64, ty.drop as u64, mid_step, coro_at, running).0
    }

    /// The await stack of a future of a type, which the function `drop` drops, if that is not 0.
    fn walk_type(
        &mut self,
        ty: TypeRef,
        address: u64,
        drop: u64,
        mid_step: bool,
        coro_at: Option<&CoroAt<'_>>,
        running: &[Running],
    ) -> (Stack, Parts) {
        let mut reader = ValueReader::new(&mut self.types, &self.limits, coro_at);
        let frames = self.limits.frames;
        let mut alive = Alive::default();
        alive.dropped_by(ty, address, drop);
        let parts = Parts::default();
        let (sources, names) = (&mut self.sources, &mut self.names);
        let is_leaf = self.is_leaf;
        let within = Within::Awaited;
        let reader = &mut reader;
        let mut walk = Walk { reader, sources, names, frames, alive, mid_step, running, is_leaf, within, parts };
        let frames = walk.walk(ty, address);
        (Stack { frames, missing: None, mid_step }, walk.parts)
    }
}
