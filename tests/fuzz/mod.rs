//! A moment of every fuzz target: the seeds as they are, then changed at random.

mod targets;

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Each target's share of the time of all tests.
const MOMENT: Duration = Duration::from_secs(1);
const LONGEST: usize = 4096;

/// Bytes that mean something to one of the grammars.
const TOKENS: &[&[u8]] = &[
    b"{", b"}", b"[", b"]", b"\"", b":", b",", b"null", b"1e999", b"\\u0000", b"&a", b"*a", b"- ", b"\n", b"\xff",
    b"~1", b"$patch",
];

#[test]
fn nothing_breaks_what_reads_input() {
    for (name, _) in targets::TARGETS {
        let target = targets::of(name);
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "fuzz/corpus/{name} has seeds");
        seeds.iter().for_each(|seed| target(seed));
        let (mut random, begun) = (StdRng::seed_from_u64(7), Instant::now());
        while begun.elapsed() < MOMENT {
            let mut input = seeds[random.random_range(0..seeds.len())].clone();
            for _ in 0..random.random_range(1..6) {
                change(&mut input, &mut random);
            }
            target(&input);
        }
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

fn change(input: &mut Vec<u8>, random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    match random.random_range(0..5) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => drop(input.remove(at)),
        2 => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            input.splice(at..at, token.iter().copied());
        }
        3 => {
            let end = (at + random.random_range(0..64)).min(input.len());
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        _ => input.truncate(at),
    }
    input.truncate(LONGEST);
}
