//! The switch in the environment: `TRICACHE=off` turns every cache of a process into its loaders.

use crate::error::Error;
use std::{env, ffi::OsStr};

/// What the environment says; `None` if it says nothing.
///
/// # Errors
/// If it says something else than on or off: a switch that is mistyped must not look as if it had worked.
pub(super) fn in_environment() -> Result<Option<bool>, Error> {
    env::var_os(VARIABLE).map(|value| read(&value)).transpose()
}

fn read(value: &OsStr) -> Result<bool, Error> {
    match value.to_str() {
        Some("on" | "1" | "true") => Ok(true),
        Some("off" | "0" | "false") => Ok(false),
        _ => Err(Error::config(format!(
            "the environment variable {VARIABLE} is {value:?}: it must be on, 1 or true, or off, 0 or false"
        ))),
    }
}

const VARIABLE: &str = "TRICACHE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_on_or_off_and_nothing_between() {
        for (text, expected) in [
            ("on", true),
            ("1", true),
            ("true", true),
            ("off", false),
            ("0", false),
            ("false", false),
        ] {
            assert_eq!(read(OsStr::new(text)).unwrap(), expected, "{text}");
        }
        for text in ["", "OFF", "no", " off", "maybe"] {
            let error = read(OsStr::new(text)).unwrap_err();
            assert!(error.is_config(), "{text:?}: {error}");
            assert!(error.to_string().contains("off, 0 or false"), "{error}");
        }
    }
}
