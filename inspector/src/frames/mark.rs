//! From a type in a program to its debug info: a function of its own for each type. Depends on nothing, so that test programs
//! can have it without the rest.

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
