//! tinyio
