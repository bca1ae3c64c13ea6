//! Signed links to one report. One link opens the page, the JSON and the CSV,
//! in either language.
//!
//! Owns what a link is signed for: the week and the gym's slug, which comes
//! last because it alone may hold any character. How it is signed is
//! [`SignedLinks`]'s business.

use chrono::{DateTime, Utc};
use url::Url;

use super::week::IsoWeek;
use crate::signed_links::SignedLinks;

/// What the key is for: a signature for anything else will not match.
pub const PURPOSE: &[u8] = b"jarvis-cron: links to weekly reports, version 1";

/// The address of a report's page, good until `expires`; `None` when it is
/// not known what callers see in front of our paths.
#[must_use]
pub fn to_report(
    links: &SignedLinks,
    slug: &str,
    week: IsoWeek,
    expires: DateTime<Utc>,
) -> Option<Url> {
    let path = ["reports", slug, &week.to_string()];
    links.to(&path, &subject(slug, week), expires)
}

/// Whether these parameters of a query open this report at `now`.
#[must_use]
pub fn open_report(
    links: &SignedLinks,
    slug: &str,
    week: IsoWeek,
    query: (&str, &str),
    now: DateTime<Utc>,
) -> bool {
    links.open(&subject(slug, week), query, now)
}

fn subject(slug: &str, week: IsoWeek) -> String {
    format!("{week}\n{slug}")
}
