//! Named tasks that end together, in reverse order of their start.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The tasks of one server. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    running: Arc<Mutex<Vec<Task>>>,
}

struct Task {
    name: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

impl Tasks {
    /// Starts a task. It gets the signal to end: it finishes what it has begun and returns.
    pub fn start<F>(&self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let handle = tokio::spawn(run(stop.clone()));
        self.lock().push(Task { name, stop, handle });
    }

    /// Ends the tasks one after another, the last started first; each may take `grace`, then it is aborted.
    pub async fn shutdown(&self, grace: Duration) {
        loop {
            let Some(mut task) = self.lock().pop() else { return };
            task.stop.cancel();
            match tokio::time::timeout(grace, &mut task.handle).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(task = task.name, %error, "task failed"),
                Err(_) => {
                    tracing::warn!(task = task.name, "task did not end in time");
                    task.handle.abort();
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Task>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_in_reverse_order() {
        let (tasks, order) = (Tasks::default(), Arc::new(Mutex::new(Vec::new())));
        for name in ["store", "cache", "listener"] {
            let order = order.clone();
            tasks.start(name, |stop| async move {
                stop.cancelled().await;
                order.lock().expect("not poisoned").push(name);
            });
        }
        tasks.shutdown(Duration::from_secs(1)).await;
        assert_eq!(*order.lock().expect("not poisoned"), ["listener", "cache", "store"]);
    }
}
