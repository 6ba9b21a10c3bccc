//! Authorizers whose decisions are counted, each under its type and name.

use std::sync::Arc;

use async_trait::async_trait;

use super::authorizer::{Attributes, Authorizer, Link, Remote, Rules, Verdict};
use super::identity::User;
use super::metrics::Decisions;

struct Counted<A: ?Sized> {
    decisions: Decisions,
    inner: Arc<A>,
}

impl Link {
    /// The same, with its decisions counted. Having no opinion is none.
    #[must_use]
    pub fn counted(self, decisions: Decisions) -> Self {
        match self {
            Self::Here(inner) => Self::Here(Arc::new(Counted { decisions, inner })),
            Self::Elsewhere(inner) => Self::Elsewhere(Arc::new(Counted { decisions, inner })),
        }
    }
}

impl Authorizer for Counted<dyn Authorizer> {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let verdict = self.inner.authorize(attributes);
        self.decisions.count(verdict.decision);
        verdict
    }

    fn rules(&self, user: &User, namespace: &str) -> Rules {
        self.inner.rules(user, namespace)
    }
}

#[async_trait]
impl Remote for Counted<dyn Remote> {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let verdict = self.inner.authorize(attributes).await;
        self.decisions.count(verdict.decision);
        verdict
    }

    fn rules(&self, user: &User, namespace: &str) -> Rules {
        self.inner.rules(user, namespace)
    }
}
