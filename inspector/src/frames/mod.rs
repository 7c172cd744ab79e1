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
mod coroutine;
mod image;
mod limits;
mod memory;
mod names;
#[cfg(target_arch = "x86_64")]
mod oracle;
mod source;
mod types;
mod units;
mod values;

use std::collections::HashSet;
use std::time::Instant;

pub use limits::Limits;
pub use values::CoroAt;

use crate::event::Stack;
use alive::Alive;
use coroutine::Walk;
use memory::Memory;
use source::Sources;
use types::Types;
use values::Look;

/// What the loop knows of the type of a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutureType {
    /// Address of the instance of [`mark`] for the type: debug info names the type in its entry.
    pub function: usize,
    /// Address of the type's drop glue, 0 if it has none or it is not known. What it would drop is what is alive.
    pub drop: usize,
    /// Size in bytes; what debug info says has to agree.
    pub size: usize,
    /// Alignment; what debug info says has to agree.
    pub align: usize,
    /// [`std::any::type_name`]; empty if it is not known.
    pub name: &'static str,
}

impl FutureType {
    /// What there is to know of the type `F`.
    ///
    /// Costs nothing but the instance of a small function per type: call it when a stack is wanted, through a function
    /// pointer `fn() -> FutureType` beside the other functions of the type.
    pub fn of<F>() -> FutureType {
        FutureType {
            function: mark::<F> as fn() as usize,
            drop: if std::mem::needs_drop::<F>() { std::ptr::drop_in_place::<F> as *const () as usize } else { 0 },
            size: size_of::<F>(),
            align: align_of::<F>(),
            name: std::any::type_name::<F>(),
        }
    }
}

/// A function that differs for every type, so that its address tells the type. It is never called.
///
/// Optimised builds merge functions whose code is equal, and leave the debug info of one of them. What keeps these apart is
/// the type's `TypeId`: this code refers to a vtable, the vtable to a function, and the function holds the number. (`F` may
/// borrow, and has no `TypeId` to ask for directly.)
#[inline(never)]
pub fn mark<F>() {
    #[expect(dead_code, reason = "its address in a vtable is what counts")]
    trait Apart {
        fn type_id(&self) -> std::any::TypeId
        where
            Self: 'static;
    }
    struct Of<F>(std::marker::PhantomData<F>);
    impl<F> Apart for Of<F> {
        fn type_id(&self) -> std::any::TypeId
        where
            Self: 'static,
        {
            std::any::TypeId::of::<F>()
        }
    }
    let of = Of::<F>(std::marker::PhantomData);
    let apart: &dyn Apart = &of;
    std::hint::black_box(apart);
}

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

    fn read(&mut self, ty: &FutureType, address: usize, mid_step: bool, coro_at: Option<&CoroAt<'_>>) -> Stack {
        let root = match self.types.of_function(ty.function as u64) {
            Ok(root) => root,
            Err(why) => return Stack { missing: Some(why), mid_step, ..Stack::default() },
        };
        let known = self.types.get(root);
        if self.types.size(root) != Some(ty.size as u64) || known.align.is_some_and(|align| align != ty.align as u64) {
            let why = format!(
                "debug info says {}, which is not what runs ({}); optimisation has merged functions of different types",
                names::shorten(&known.name),
                ty.name
            );
            return Stack { missing: Some(why), mid_step, ..Stack::default() };
        }
        let deadline = Instant::now() + self.limits.time;
        let mut look = Look {
            types: &mut self.types,
            limits: &self.limits,
            deadline,
            left: self.limits.total,
            coro_at,
            trail: Vec::new(),
            moved: HashSet::new(),
        };
        let frames = self.limits.frames;
        let mut alive = Alive::default();
        alive.dropped_by(address as u64, ty.drop as u64);
        let mut walk = Walk { look: &mut look, sources: &mut self.sources, frames, alive, mid_step };
        let frames = walk.walk(root, address as u64);
        Stack { frames, missing: None, mid_step }
    }
}
