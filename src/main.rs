//! The program: flags to a running control plane.

fn main() {}
