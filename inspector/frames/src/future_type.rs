//! Finds the debug info of a type: a function of its own for each type. Depends on nothing, so that test programs can
//! include it without the rest.

/// What the loop knows about the type of a future.
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
    /// Describes the type `F`.
    ///
    /// Costs nothing but one instance of a small function per type.
    pub fn of<F>() -> FutureType {
        FutureMark::of::<F>().read()
    }
}

/// A [`FutureType`] as constant data, stored beside the functions of the type: a reader of the program's memory from
/// outside finds it there, and cannot call functions.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FutureMark {
    function: fn(),
    /// Null if there is none.
    drop: *const (),
    size: usize,
    align: usize,
    name: fn() -> &'static str,
}

impl FutureMark {
    /// Bytes of it that are meaningful outside of the program, as words: function, drop glue, size, alignment.
    pub const OUTSIDE: usize = 4 * size_of::<usize>();

    /// Describes the type `F`.
    pub const fn of<F>() -> FutureMark {
        FutureMark {
            function: mark::<F>,
            drop: if std::mem::needs_drop::<F>() {
                std::ptr::drop_in_place::<F> as *const ()
            } else {
                std::ptr::null()
            },
            size: size_of::<F>(),
            align: align_of::<F>(),
            name: std::any::type_name::<F>,
        }
    }

    /// Size of the type in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the description of the type as values.
    pub fn read(&self) -> FutureType {
        FutureType {
            function: self.function as usize,
            drop: self.drop.addr(),
            size: self.size,
            align: self.align,
            name: (self.name)(),
        }
    }
}

/// Differs for every type, so that its address identifies the type. It is never called.
///
/// Optimised builds merge functions with equal code, and keep the debug info of one of them. The `TypeId` keeps these
/// functions apart: this code refers to a vtable, the vtable to a function, and the function holds the number. (`F` may
/// borrow, and has no `TypeId` that could be used directly.)
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
