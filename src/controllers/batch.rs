//! Many writes of one run, some at a time.

use std::future::Future;

use futures_util::future::join_all;

use crate::model::status::Result;

/// Writes of one run at most; what is left over is the next run's.
pub const BURST: usize = 500;

/// Runs `act` for `0..count`: one, then two, four, ... at a time for as long as all succeed. What fails once will likely
/// fail again (a quota), so that nothing further is tried after a batch with a failure. Returns its first failure.
pub async fn slow_start<F, Act>(count: usize, act: Act) -> Result<()>
where
    F: Future<Output = Result<()>>,
    Act: Fn(usize) -> F,
{
    let (mut begun, mut size) = (0, 1);
    while begun < count {
        let end = count.min(begun + size);
        join_all((begun..end).map(&act)).await.into_iter().collect::<Result<()>>()?;
        (begun, size) = (end, size * 2);
    }
    Ok(())
}

/// Runs all of them at a time, at most [`BURST`]; returns the first failure.
pub async fn all<F: Future<Output = Result<()>>>(acts: impl IntoIterator<Item = F>) -> Result<()> {
    join_all(acts.into_iter().take(BURST)).await.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::Status;
    use std::cell::RefCell;

    #[tokio::test(start_paused = true)]
    async fn a_failure_ends_a_slow_start_after_its_batch() {
        let tried = RefCell::new(Vec::new());
        let failed = slow_start(20, |at| {
            tried.borrow_mut().push(at);
            async move { if at == 4 { Err(Status::bad_request("no")) } else { Ok(()) } }
        });
        assert_eq!(failed.await.expect_err("one failed").message, "no");
        assert_eq!(*tried.borrow(), (0..7).collect::<Vec<_>>());
        tried.borrow_mut().clear();
        let count = async |at: usize| {
            tried.borrow_mut().push(at);
            Ok(())
        };
        slow_start(20, count).await.expect("all succeed");
        assert_eq!(tried.borrow().len(), 20);
    }
}
