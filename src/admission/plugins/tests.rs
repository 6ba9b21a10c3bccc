//! The flags that turn plugins on and off.

use std::sync::Arc;

use super::chain;
use crate::admission::charges::Charges;
use crate::admission::configuration::Configurations;
use crate::admission::reads::Reads;
use crate::auth::authorizer;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::tasks::Tasks;
use crate::cache::handle::{Cache, Options};
use crate::cache::limits::Limits;
use crate::model::names::GroupVersionKind;
use crate::model::value::Value;
use crate::schema::catalog::{Catalog, Live};
use crate::store::memory::Memory;

async fn reads() -> Reads {
    let clock = Clock::machine();
    let store = Arc::new(Memory::new(clock.clone()));
    let catalog = Live::new(Catalog::builtin());
    let convert = |_: Value, _: &GroupVersionKind, _: &GroupVersionKind| Err("not here".to_owned());
    let options = Options {
        prefix: "/registry/".into(),
        storages: catalog.load().storages(),
        convert: Arc::new(convert),
        limits: Limits::default(),
        clock: clock.clone(),
    };
    let cache = Cache::open(store.clone(), options, &Tasks::default()).await.expect("a cache");
    let authorizer = authorizer::Chain::new(Vec::new());
    Reads {
        cache,
        store,
        catalog,
        authorizer,
        clock,
        entropy: Entropy::seeded(1),
        charges: Charges::default(),
        configurations: Configurations::default(),
    }
}

#[tokio::test]
async fn flags_name_stocks_plugins() {
    let reads = reads().await;
    let on = |enable: &[&str], disable: &[&str]| {
        chain(&reads, enable, disable).map(|chain| chain.names().collect::<Vec<_>>())
    };
    let all = on(&[], &[]).expect("the default");
    assert_eq!(all[..3], ["NamespaceLifecycle", "LimitRanger", "ServiceAccount"]);
    let fewer = on(&[], &["ServiceAccount", "AlwaysPullImages"]).expect("known names");
    assert_eq!(fewer.len(), all.len() - 1);
    assert_eq!(on(&["Nonsense"], &[]), Err("enable-admission-plugins plugin \"Nonsense\" is unknown".into()));
    assert_eq!(on(&[], &["Nonsense"]), Err("disable-admission-plugins plugin \"Nonsense\" is unknown".into()));
    assert_eq!(on(&["Priority"], &["Priority"]).map_err(|why| why.contains("overlapped")), Err(true));
    let later = on(&["ValidatingAdmissionWebhook"], &[]);
    let why = "enable-admission-plugins plugin \"ValidatingAdmissionWebhook\" is not supported yet";
    assert_eq!(later, Err(why.into()));
    let unconfigured = on(&["ImagePolicyWebhook"], &[]);
    let why = "couldn't init admission plugin \"ImagePolicyWebhook\": no config specified";
    assert_eq!(unconfigured, Err(why.into()));
}
