//! Room for recursion: what nests deep runs on a stack of its own, so that no expression can exhaust a worker's.

use std::thread;

/// What nests no deeper runs where it is.
const SHALLOW: usize = 24;
/// In bytes; memory is only taken as far as it is used.
const STACK: usize = 256 << 20;

/// Runs what recurses as deep as told.
pub fn with_room<T: Send>(depth: usize, run: impl FnOnce() -> T + Send) -> T {
    if depth <= SHALLOW {
        return run();
    }
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("cel".to_owned()).stack_size(STACK).spawn_scoped(scope, run);
        let ended = spawned.map(thread::ScopedJoinHandle::join);
        match ended {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => panic!("no thread for an expression: {error}"),
        }
    })
}

/// How deep a text may nest, at most.
pub fn nesting(text: &str) -> usize {
    let (mut depth, mut most, mut choices) = (0_usize, 0, 0);
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '?' => choices += 1,
            _ => {}
        }
        most = most.max(depth);
    }
    most + choices
}
