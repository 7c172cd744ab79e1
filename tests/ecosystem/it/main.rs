//! tinyio with other crates: futures, executors, sockets and servers of the ecosystem, one test per row of the table of
//! behaviours.

mod common;
mod errors_cross;
mod hyper;
mod inside;
mod secrets;
mod side_by_side;
mod std_wakers;
mod tokio_inside;
mod tracing;
mod unprepared;
