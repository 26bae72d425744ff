//! SQL scalar expressions: the one language of rules and mappings.
//!
//! In: a text, the columns it may read, and what its place asks for. Out: one value a row of a batch.
//! Promised: what compiles never fails a batch. An operation that cannot be done (division by zero, overflow, a bad
//! cast, a result that is no finite number) gives null for that row and is counted; a row's result does not depend on
//! the rows beside it, and the same row gives the same result on every machine of an architecture (transcendental
//! functions come from `libm`, local time is +08:00, there is no clock and no randomness to call).
//! What differs from a database on purpose: `/` always gives a fraction (`1 / 2` is 0.5), a number is never compared
//! with text, names are case-sensitive.
//! Where: `parse` (limits, text to tree), `lower` (tree to checked, typed operations), `class` (types and casts),
//! `call` (an operation over columns), `functions` (the allow-list), `compiled` (what others hold), `never` (comparisons
//! that no row can fulfil).
//! Not here: aggregates and windows (the engine's measures), which column belongs to which source.

mod call;
mod class;
mod compiled;
mod error;
mod functions;
mod lower;
mod never;
mod parse;

#[cfg(test)]
mod tests;

pub use class::Want;
pub use compiled::{Evaluated, Expression};
pub use error::ExpressionError;
pub use functions::{FunctionDoc, functions};
pub(crate) use never::{WORDS, never, no_word, pinned, results};
