//! What a container would do, told from its command alone.
//!
//! The rule: `sleep N`, `true`, `false` and `exit N` do what they say, also in a row within `sh -c` (with `;`, `&&` and new
//! lines; `echo` takes no time). Whatever else runs is a service where the pod always restarts it, and runs for ever; in
//! a pod that comes to an end it is a job, and succeeds after [`JOB`].

use std::time::Duration;

use crate::model::value::Value;

/// How long a job runs whose command says nothing else.
pub const JOB: Duration = Duration::from_secs(1);
/// Letters of a command that are looked at.
const LOOKED_AT: usize = 4096;

/// How a container's run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    Forever,
    For(Duration, i32),
}

/// What the container of this spec does; `ends` says whether its pod comes to an end.
pub fn run(container: &Value, ends: bool) -> Run {
    let parts = ["command", "args"].iter().flat_map(|field| container[field].as_array().into_iter().flatten());
    let words: Vec<&str> = parts.filter_map(Value::as_str).collect();
    let shell = |word: &str| ["sh", "bash", "ash"].contains(&word.rsplit('/').next().unwrap_or(word));
    let known = match words.as_slice() {
        [first, "-c", script, ..] if shell(first) => whole(script),
        words => simple(words).map(|(time, code)| (time, code.unwrap_or(0))),
    };
    match known {
        Some((time, code)) => Run::For(time, code),
        None if ends => Run::For(JOB, 0),
        None => Run::Forever,
    }
}

/// A script of known commands: how long it takes and how it ends.
fn whole(script: &str) -> Option<(Duration, i32)> {
    if script.len() > LOOKED_AT {
        return None;
    }
    let (mut time, mut last, mut any) = (Duration::ZERO, 0, false);
    for line in script.split([';', '\n']) {
        for command in line.split("&&") {
            let words: Vec<&str> = command.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let (longer, code) = simple(&words)?;
            time = time.saturating_add(longer);
            any = true;
            last = code.unwrap_or(0);
            if words[0] == "exit" {
                return Some((time, last));
            }
            if last != 0 {
                break;
            }
        }
    }
    any.then_some((time, last))
}

/// One command: how long it takes, and its code.
fn simple(words: &[&str]) -> Option<(Duration, Option<i32>)> {
    let none = Duration::ZERO;
    match words {
        ["sleep", time] => Some((span(time)?, None)),
        ["true" | "/bin/true"] | ["echo", ..] => Some((none, None)),
        ["false" | "/bin/false"] => Some((none, Some(1))),
        ["exit"] => Some((none, None)),
        ["exit", code] => Some((none, Some(code.parse::<u8>().ok()?.into()))),
        _ => None,
    }
}

/// As `sleep` takes it: seconds, or with a unit.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (
            number,
            match text.as_bytes().last() {
                Some(b'm') => 60.0,
                Some(b'h') => 3600.0,
                Some(b'd') => 86_400.0,
                _ => 1.0,
            },
        ),
        None => (text, 1.0),
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn job(command: Value) -> Run {
        run(&json!({"command": command}), true)
    }

    #[test]
    fn known_commands_do_what_they_say() {
        let ends = |seconds: f64, code| Run::For(Duration::from_secs_f64(seconds), code);
        assert_eq!(job(json!(["sleep", "2.5"])), ends(2.5, 0));
        assert_eq!(job(json!(["/bin/sh", "-c", "echo hello && sleep 1m; exit 3; sleep 5"])), ends(60.0, 3));
        assert_eq!(job(json!(["sh", "-c", "false && sleep 9"])), ends(0.0, 1));
        assert_eq!(job(json!(["sh", "-c", "false; true"])), ends(0.0, 0));
        assert_eq!(run(&json!({"command": ["sleep"], "args": ["3600"]}), false), ends(3600.0, 0));
    }

    #[test]
    fn others_are_services_or_jobs() {
        for command in
            [json!(["nginx"]), json!(["sh", "-c", "sleep 1 | cat"]), json!(["sleep", "infinity"]), json!(null)]
        {
            assert_eq!(job(command.clone()), Run::For(JOB, 0), "{command}");
            assert_eq!(run(&json!({"command": command}), false), Run::Forever);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_command_is_understood_or_not(words in proptest::collection::vec(".*", 0..4), ends: bool) {
            let _ = run(&json!({"command": words}), ends);
        }
    }
}
