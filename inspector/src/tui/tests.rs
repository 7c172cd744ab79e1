//! The screens, as a whole.
