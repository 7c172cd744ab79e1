//! What the loop says about itself while it runs. Each function stands at one moment of the loop; without the feature `record`
//! all of them are empty.

mod off;
pub(crate) use off::*;
