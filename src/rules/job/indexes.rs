//! Texts that name indexes of a job: `0,2-4,7`.

use crate::model::gotext::{atoi, quote};

/// How many indexes the text names, all below `completions`. The error is stock's text.
pub fn count(text: &str, completions: i64) -> Result<i64, String> {
    let (mut last, mut total) = (None, 0);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that both texts name. Parts that cannot be read are passed over.
pub fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let read = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|part| interval(part, completions).ok()).collect()
    };
    let (completed, failed) = (read(completed), read(failed));
    let (mut completed, mut failed) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some(done), Some(lost)) = (completed.peek(), failed.peek()) {
        if done.0 <= lost.1 && lost.0 <= done.1 {
            return Some(done.0.max(lost.0));
        }
        if done.0 <= lost.0 {
            completed.next();
        } else {
            failed.next();
        }
    }
    None
}

fn interval(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let limits: Vec<_> = part.splitn(4, '-').collect();
    if limits.len() > 2 {
        return Err(format!(
            "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
            quote(part)
        ));
    }
    let index = |text: &str| match atoi(text) {
        Err(_) => Err(format!("cannot convert string to integer for index: {}", quote(text))),
        Ok(index) if index >= completions => Err(format!("too large index: {}", quote(text))),
        Ok(index) => Ok(index),
    };
    let first = index(limits[0])?;
    let Some(end) = limits.get(1) else { return Ok((first, first)) };
    let end = index(end)?;
    if first >= end {
        return Err(format!("non-increasing order, previous: {first}, current: {end}"));
    }
    Ok((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_counted_or_refused() {
        for (text, found) in [
            ("", Ok(0)),
            ("0,2-4,7", Ok(5)),
            ("1,1", Err("non-increasing order, previous: 1, current: 1")),
            ("3-3", Err("non-increasing order, previous: 3, current: 3")),
            ("8", Err("too large index: \"8\"")),
            ("1-8", Err("too large index: \"8\"")),
            ("a", Err("cannot convert string to integer for index: \"a\"")),
            ("-1", Err("cannot convert string to integer for index: \"\"")),
            (
                "1-2-3",
                Err(
                    "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts \
                     separated by '-'",
                ),
            ),
        ] {
            assert_eq!(count(text, 8), found.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn what_is_in_both_is_found() {
        assert_eq!(overlap("0-2,5", "3-4,5-7", 9), Some(5));
        assert_eq!(overlap("0-2,x,6", "3-4", 9), None);
        assert_eq!(overlap("", "3-4", 9), None);
    }
}
