//! The scopes of a function that runs a coroutine, and the variables that they declare.

use std::path::PathBuf;
use std::rc::Rc;

use super::shape::TypeRef;

/// What is awaited.
pub(super) const AWAITEE: &str = "__awaitee";

/// Where the value of a binding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// In the coroutine.
    Kept { offset: u64, ty: TypeRef },
    /// On the stack while the coroutine runs: it is not used after the `.await`.
    Gone,
}

/// The scopes of the function that runs a coroutine.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    /// The scope each scope is in; the first is the whole function.
    pub parents: Vec<usize>,
    pub variables: Vec<Variable>,
}

/// A variable that a scope declares.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub scope: usize,
    pub name: String,
    pub ty: TypeRef,
    /// None where it cannot be determined.
    pub binding: Option<Binding>,
    pub file: Option<Rc<PathBuf>>,
    pub line: u32,
}

impl Variable {
    pub fn is_at_place_of(&self, other: &Variable) -> bool {
        (self.line, &self.file) == (other.line, &other.file)
    }
}

impl Bindings {
    /// How many bindings of a name the function has, at whatever `.await`.
    pub fn declared(&self, name: &str) -> usize {
        let of_name = || self.variables.iter().filter(|variable| variable.name == name);
        // An argument is declared twice, as in `outwards`.
        let again = |one: &Variable| of_name().any(|other| other.scope != 0 && other.is_at_place_of(one));
        of_name().filter(|variable| variable.scope != 0 || !again(variable)).count()
    }

    /// Whether a variable is declared outside the text of the function that it is in, as one of a macro is.
    pub fn is_outside(&self, variable: &Variable) -> bool {
        // The function takes the context of the task where its body begins.
        let body = self.variables.iter().find(|one| one.scope == 0 && one.name == "_task_context");
        variable.scope != 0 && body.is_some_and(|body| body.file != variable.file || body.line > variable.line)
    }

    /// The bindings of a name in a scope and in those around it, innermost first.
    pub fn outwards(&self, mut scope: usize, name: &str) -> Vec<Variable> {
        let mut chain: Vec<Variable> = Vec::new();
        loop {
            for variable in self.variables.iter().filter(|variable| variable.scope == scope && variable.name == name) {
                // An argument is declared twice: as what the coroutine was given, and by its function.
                let again = |known: &Variable| scope == 0 && known.is_at_place_of(variable);
                if !chain.iter().any(again) {
                    chain.push(variable.clone());
                }
            }
            if scope == 0 {
                return chain;
            }
            scope = self.parents[scope];
        }
    }

    /// The binding of a name in the innermost of the scopes around one.
    pub fn around(&self, mut scope: usize, name: &str) -> Option<Binding> {
        loop {
            let mut here = self.variables.iter().filter(|variable| variable.scope == scope && variable.name == name);
            if let Some(variable) = here.next() {
                return variable.binding.filter(|_| here.next().is_none());
            }
            if scope == 0 {
                return None;
            }
            scope = self.parents[scope];
        }
    }
}
