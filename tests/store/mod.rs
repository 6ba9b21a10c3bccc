//! The stores against their contract, and against what happens to disks, processes and networks.
//!
//! `suite` is the contract; `subjects` makes the stores that it runs against. The rest is particular: `disk` (the embedded
//! store's data directory), `storm` (it is killed while it writes), `cluster` (etcd restarts, fails over, speaks TLS),
//! `snapshot` (from one store into another), `model` (embedded against memory).

mod child;
mod cluster;
mod disk;
mod model;
mod snapshot;
mod storm;
mod subjects;
mod suite;

/// Every function of the suite against every store.
macro_rules! contract {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::subjects::memory()).await;
            })*
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::suite::$name(&super::subjects::embedded().await).await;
            })*
        }
        mod etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(subject) = super::subjects::shared_etcd(stringify!($name)).await {
                    super::suite::$name(&subject).await;
                }
            })*
        }
    };
}

contract! {
    commits_have_one_order
    a_commit_meets_the_state_it_expects
    keys_and_values_are_any_text_and_bytes
    what_is_too_large_is_refused_and_the_largest_is_not
    a_load_is_everything_under_a_prefix_in_order
    a_load_is_one_state_while_others_write
    a_watch_delivers_everything_after_its_revision
    a_watch_from_the_future_waits
    a_slow_watch_misses_nothing
    every_watch_reaches_the_current_revision
    keys_expire_as_deletes
    a_later_put_ends_or_renews_a_ttl
    one_of_many_writers_wins_each_revision
    advancing_never_goes_back
    size_is_known
}
