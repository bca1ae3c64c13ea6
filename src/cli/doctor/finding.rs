//! A finding: what was looked at, how it stands, and the mend.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be, or left out on purpose.
    Ok,
    /// It works, and will not always.
    Warning,
    /// It does not work.
    Failure,
}

/// What one check found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// What was looked at, in one word.
    pub(super) check: &'static str,
    /// How it stands.
    pub(super) level: Level,
    /// In a sentence.
    pub(super) what: String,
    /// What to do about it; there is none where nothing is wrong.
    pub(super) mend: Option<String>,
}

impl Level {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
        }
    }
}

/// All is well.
pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        check,
        level: Level::Ok,
        what: what.into(),
        mend: None,
    }
}

/// It works, and will not always.
pub(super) fn warning(
    check: &'static str,
    what: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    Finding {
        level: Level::Warning,
        mend: Some(mend.into()),
        ..ok(check, what)
    }
}

/// It does not work.
pub(super) fn failure(
    check: &'static str,
    what: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    Finding {
        level: Level::Failure,
        mend: Some(mend.into()),
        ..ok(check, what)
    }
}
