//! The lock on a file that is being written (`flock`): by it readers know that the writer lives.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

/// Whether another open file of the same name holds the writer's lock.
pub fn is_locked(file: &File) -> bool {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            let _ = flock(file, FlockOperation::Unlock);
            false
        }
        Err(error) => error == rustix::io::Errno::WOULDBLOCK,
    }
}
