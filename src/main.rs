//! The command line: prints errors, decides nothing.

fn main() {}
