//! tinyio among others.
