//! Spin's `variables`, for guests.

use crate::link::spin::fermyon::spin::variables::{Error, Host};
use crate::state::Guest;

/// Longest name that is repeated in an error, in bytes.
const NAME_BYTES_TOLD: usize = 100;

impl Host for Guest {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        if let Some(value) = self.permits.variables.get(&name) {
            return Ok(Ok(value.clone()));
        }
        let shown: String = name.chars().take(NAME_BYTES_TOLD).collect();
        Ok(Err(if is_name(&name) {
            Error::Undefined(format!("the component declares no variable `{shown}`"))
        } else {
            Error::InvalidName(format!(
                "`{shown}` is no name of a variable: lower-case letters, digits and single \
                 underscores, beginning with a letter"
            ))
        }))
    }
}

/// Spin's rule for names of variables.
fn is_name(name: &str) -> bool {
    name.split('_').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    }) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_are_told_from_others_as_spin_does() {
        for good in ["a", "nucleus_url", "body_max_2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "1a", "_a", "a_", "a__b", "a-b", "é"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
