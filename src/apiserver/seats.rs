//! A request at the gate of fairness: what is told of it there, and how long its seat is held.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::RETRY_AFTER;
use tokio::time::Instant;

use super::exchange::text;
use super::narrowed::Narrowed;
use super::query::{Query, is_true};
use super::respond::Body;
use super::route::{Route, Target};
use crate::fairness::estimate::Listing;
use crate::fairness::gate::{Refused, Seat};
use crate::fairness::level::{Details, Told};
use crate::fairness::watches::Watching;

/// What a request holds while it is served.
#[derive(Default)]
pub struct Held {
    pub seat: Seat,
    /// Of a watch.
    pub watching: Option<Watching>,
}

/// A request as it came, for whoever looks into the queues.
pub struct Located {
    pub uri: http::Uri,
    pub route: Route,
    pub narrowed: Narrowed,
    pub arrived: Instant,
    /// How long it may take; `None` when it goes on for as long as its client likes.
    pub limit: Option<Duration>,
}

/// The chunks of a long answer, and the seat that writing them takes.
struct Seated {
    chunks: Box<dyn Iterator<Item = Bytes> + Send>,
    _seat: Seat,
}

/// Whether a request needs a seat. One that streams does not, but for the beginning of a watch.
pub fn needs_seat(route: &Route) -> bool {
    match route {
        Route::Resource(target) => target.verb == "watch" || !streams(target),
        Route::Other { .. } => true,
    }
}

/// Whether a request goes on for as long as its client likes.
pub fn is_long(route: &Route) -> bool {
    match route {
        Route::Resource(target) => target.verb == "watch" || streams(target),
        Route::Other { .. } => false,
    }
}

fn streams(target: &Target) -> bool {
    target.verb == "proxy" || matches!(target.subresource.as_str(), "exec" | "attach" | "portforward" | "log" | "proxy")
}

/// What makes a list or watch dear.
pub fn listing<'q>(route: &Route, query: &'q Query<'_>) -> Listing<'q> {
    let Route::Resource(Target { verb: "list" | "watch", .. }) = route else { return Listing::default() };
    let given = |key: &str| query.first(key).is_some_and(|text| !text.is_empty());
    Listing {
        limit: query.first("limit").and_then(|limit| limit.parse().ok()).unwrap_or(0),
        resource_version: query.first("resourceVersion").unwrap_or(""),
        version_match: query.first("resourceVersionMatch").unwrap_or(""),
        continues: given("continue"),
        selects: given("fieldSelector") || given("labelSelector"),
        initial_events: query.first("sendInitialEvents").is_some_and(is_true),
    }
}

/// Come again.
pub fn refuse(refused: Refused) -> Response<Body> {
    let mut response = text(429, "Too many requests, please try again later.\n");
    response.headers_mut().insert(RETRY_AFTER, refused.retry_after.into());
    response
}

/// An answer that is made while it is sent keeps its seat until then; any other has given it back.
pub fn hold(response: Response<Body>, held: Held) -> Response<Body> {
    response.map(|body| match body {
        Body::Chunks(chunks) => Body::Chunks(Box::new(Seated { chunks, _seat: held.seat })),
        other => other,
    })
}

impl Iterator for Seated {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.chunks.next()
    }
}

impl Told for Located {
    fn details(&self) -> Details {
        let path = self.uri.path().to_owned();
        match &self.route {
            Route::Resource(target) => Details {
                verb: target.verb.into(),
                path,
                namespace: target.namespace.to_string(),
                name: target.name.to_string(),
                version: match target.group.as_str() {
                    "" => target.version.to_string(),
                    group => format!("{group}/{}", target.version),
                },
                resource: target.resource.to_string(),
                subresource: target.subresource.to_string(),
            },
            Route::Other { verb, .. } => Details { verb: (*verb).into(), path, ..Details::default() },
        }
    }
}

impl Located {
    pub fn told(self: &Arc<Self>) -> Arc<dyn Told> {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::route::route;
    use super::*;

    fn of(path: &str, query: &str) -> Route {
        route(&Method::GET, path, Some(query)).expect("decodes")
    }

    #[test]
    fn streams_take_no_seat_but_watches_begin_with_one() {
        let cases = [
            ("/api/v1/pods", "", true, false),
            ("/api/v1/pods", "watch=1", true, true),
            ("/api/v1/namespaces/a/pods/b/log", "", false, true),
            ("/api/v1/nodes/a/proxy/x", "", false, true),
            ("/api/v1/namespaces/a/pods/b/status", "", true, false),
            ("/healthz", "", true, false),
        ];
        for (path, query, seat, long) in cases {
            let route = of(path, query);
            assert_eq!((needs_seat(&route), is_long(&route)), (seat, long), "{path}");
        }
    }

    #[test]
    fn details_are_told_as_the_path_has_them() {
        let path = "/apis/apps/v1/namespaces/a/deployments/b/scale";
        let located = Located {
            uri: format!("{path}?pretty").parse().expect("a URI"),
            route: of(path, "pretty"),
            narrowed: Narrowed::default(),
            arrived: Instant::now(),
            limit: None,
        };
        let details = located.details();
        assert_eq!((details.path.as_str(), details.version.as_str()), (path, "apps/v1"));
        assert_eq!((details.name.as_str(), details.subresource.as_str(), details.verb.as_str()), ("b", "scale", "get"));
    }

    #[test]
    fn a_refused_client_is_told_when_to_come_again() {
        let response = refuse(Refused { retry_after: 2 });
        assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (429, &"2".parse().expect("text")));
        let Body::Whole(Some(text)) = response.body() else { panic!("whole") };
        assert_eq!(text.as_ref(), b"Too many requests, please try again later.\n");
    }
}
