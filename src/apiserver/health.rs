//! /healthz, /livez and /readyz: named checks.

use bytes::Bytes;
use http::Response;

use super::exchange::text;
use super::query::Query;
use super::respond::Body;

/// A check; the error is for the log, never for the client.
pub type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A named check.
pub struct Check {
    pub name: &'static str,
    /// Whether the process is of no use any more when it fails; otherwise it is only not ready.
    pub vital: bool,
    pub probe: Probe,
}

/// All checks of a server.
pub struct Health {
    checks: Vec<Check>,
}

impl Health {
    pub fn new(checks: Vec<Check>) -> Self {
        Self { checks }
    }

    /// Whether `/readyz` says ok.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| (check.probe)().is_ok())
    }

    pub fn paths(&self) -> impl Iterator<Item = String> {
        ["healthz", "livez", "readyz"]
            .into_iter()
            .flat_map(|root| self.of(root).map(move |check| format!("/{root}/{}", check.name)).collect::<Vec<_>>())
    }

    fn of(&self, root: &str) -> impl Iterator<Item = &Check> {
        let all = root == "readyz";
        self.checks.iter().filter(move |check| all || check.vital)
    }

    /// `path` is without its first slash: `readyz`, `livez/ping`.
    pub fn answer(&self, path: &str, query: &Query<'_>) -> Response<Body> {
        let (root, name) = path.split_once('/').map_or((path, None), |(root, name)| (root, Some(name)));
        if let Some(name) = name {
            let Some(check) = self.of(root).find(|check| check.name == name) else {
                return text(404, "404 page not found\n");
            };
            return match (check.probe)() {
                Ok(()) => text(200, "ok"),
                Err(why) => {
                    tracing::warn!(check = name, why, "unhealthy");
                    text(500, "internal server error: reason withheld\n")
                }
            };
        }
        let excluded: Vec<&str> = query.all("exclude").collect();
        let (mut lines, mut failed) = (String::new(), false);
        for check in self.of(root) {
            if excluded.contains(&check.name) {
                lines.push_str(&format!("[+]{} excluded: ok\n", check.name));
                continue;
            }
            match (check.probe)() {
                Ok(()) => lines.push_str(&format!("[+]{} ok\n", check.name)),
                Err(why) => {
                    failed = true;
                    tracing::warn!(check = check.name, why, "unhealthy");
                    lines.push_str(&format!("[-]{} failed: reason withheld\n", check.name));
                }
            }
        }
        if failed {
            return text(500, Bytes::from(format!("{lines}{root} check failed\n")));
        }
        match query.has("verbose") {
            true => text(200, Bytes::from(format!("{lines}{root} check passed\n"))),
            false => text(200, "ok"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_is_named_and_its_reason_kept() {
        let health = Health::new(vec![
            Check { name: "ping", vital: true, probe: Box::new(|| Ok(())) },
            Check { name: "sync", vital: false, probe: Box::new(|| Err("secret".into())) },
        ]);
        let answer = |path: &str, query: &str| {
            let response = health.answer(path, &Query::parse(query));
            let Body::Whole(body) = response.body() else { panic!("whole") };
            (response.status().as_u16(), String::from_utf8_lossy(body.as_ref().expect("text")).into_owned())
        };
        assert_eq!(answer("livez", ""), (200, "ok".into()));
        let failed = "[+]ping ok\n[-]sync failed: reason withheld\nreadyz check failed\n";
        assert_eq!(answer("readyz", ""), (500, failed.into()));
        assert_eq!(
            answer("readyz", "exclude=sync&verbose").1,
            "[+]ping ok\n[+]sync excluded: ok\nreadyz check passed\n"
        );
        assert_eq!(answer("livez/sync", "").0, 404);
        assert!(!health.is_ready());
    }
}
