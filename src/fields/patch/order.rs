//! The order of lists that a strategic merge has put together: items of the patch in the patch's order, the object's
//! own between them as they stood.

use std::collections::{HashMap, HashSet};

use crate::model::value::Value;

/// Longer lists lose their copies without stock's swaps, whose time is the square of the length.
const MAX_SWAPPED: usize = 2_000;

/// The items in order. `patched` are those that stand in `patch_order`, `own` the others; `live` is the list before.
pub fn arrange(
    mut patched: Vec<Value>,
    mut own: Vec<Value>,
    patch_order: &[Value],
    live: &[Value],
    key: &str,
) -> Vec<Value> {
    let live = places(live, key);
    sort(&mut patched, &places(patch_order, key), key);
    sort(&mut own, &live, key);
    let mut out = Vec::with_capacity(patched.len() + own.len());
    let (mut patched, mut own) = (patched.into_iter().peekable(), own.into_iter().peekable());
    while let (Some(left), Some(right)) = (own.peek(), patched.peek()) {
        let before = match (live.get(&name(left, key)), live.get(&name(right, key))) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        out.extend(if before { own.next() } else { patched.next() });
    }
    out.extend(own);
    out.extend(patched);
    out
}

/// Where items, or those with their key, stand: the first of each.
type Places<'v> = HashMap<Option<&'v Value>, usize>;

fn places<'v>(list: &'v [Value], key: &str) -> Places<'v> {
    let mut places = HashMap::with_capacity(list.len());
    for (at, item) in list.iter().enumerate() {
        places.entry(name(item, key)).or_insert(at);
    }
    places
}

/// Sorts by the place in the order; those without one go last.
fn sort(items: &mut [Value], order: &Places<'_>, key: &str) {
    items.sort_by_cached_key(|item| order.get(&name(item, key)).copied().unwrap_or(usize::MAX));
}

/// The value of the item's key; without a key, the item.
fn name<'v>(item: &'v Value, key: &str) -> Option<&'v Value> {
    match item {
        Value::Object(map) if !key.is_empty() => map.get(key),
        item => Some(item),
    }
}

/// The list without later copies of an item. The last item takes the place of each copy: stock's way.
pub fn deduplicate(mut items: Vec<Value>) -> Vec<Value> {
    let distinct = items.iter().collect::<HashSet<_>>().len();
    if distinct == items.len() {
        return items;
    }
    if items.len() > MAX_SWAPPED {
        let mut seen = HashSet::new();
        items.retain(|item| seen.insert(item.clone()));
        return items;
    }
    let mut at = 0;
    while at < items.len() {
        let mut other = at + 1;
        while other < items.len() {
            if items[at] == items[other] {
                items.swap_remove(other);
            } else {
                other += 1;
            }
        }
        at += 1;
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(text: &str) -> Vec<Value> {
        text.chars().map(|c| Value::from(c.to_string())).collect()
    }

    #[test]
    fn own_items_stay_between_their_neighbours() {
        for (patched, own, order, live, result) in
            [("ca", "bd", "ca", "abcd", "bcad"), ("x", "ab", "x", "ab", "xab"), ("bx", "ac", "xb", "abc", "xabc")]
        {
            let out = arrange(letters(patched), letters(own), &letters(order), &letters(live), "");
            assert_eq!(out, letters(result), "{patched} {own}");
        }
    }

    #[test]
    fn copies_give_their_place_to_the_last() {
        assert_eq!(deduplicate(letters("abacd")), letters("abdc"));
        assert_eq!(deduplicate(letters("aaaa")), letters("a"));
    }
}
