//! How parts end: a flag that is raised however a scope is left, and a panic told as an error.

use super::super::LogError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Raises a flag when it is dropped: others end when this part ends, by a panic too.
pub struct RaiseAtEnd<'a>(pub &'a AtomicBool);

impl Drop for RaiseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does the work; a panic becomes an error that says where it stood. Nothing of the work is used after a panic: what it
/// held is dropped with it.
///
/// # Errors
/// [`LogError::Bug`] for a panic, else the work's own.
pub fn told<T>(place: impl Fn() -> String, work: impl FnOnce() -> Result<T, LogError>) -> Result<T, LogError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(LogError::Bug { place: place(), what: words(&*panic) }))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_place_and_words() {
        let stop = AtomicBool::new(false);
        let result = told(
            || "forewarn.log/3@17".to_owned(),
            || {
                let _end = RaiseAtEnd(&stop);
                let rows: Vec<u32> = Vec::new();
                assert!(!rows.is_empty(), "no {}", "rows");
                Ok(())
            },
        );
        let said = result.expect_err("it panicked").to_string();
        assert!(said.contains("forewarn.log/3@17") && said.contains("no rows"), "{said}");
        assert!(stop.load(Ordering::Relaxed), "others hear of it");
    }
}
