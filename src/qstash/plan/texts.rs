//! What others wrote, made fit to be shown and compared.

/// The longest text that is shown whole, in characters.
const LONGEST: usize = 120;

/// A text without control characters, which a terminal would obey, and not
/// longer than a few lines.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| {
            if c.is_control() {
                c.escape_unicode().collect()
            } else {
                vec![c]
            }
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// An expression with single spaces: QStash trims, and so may others.
pub(super) fn spaced(cron: &str) -> String {
    cron.split_whitespace().collect::<Vec<_>>().join(" ")
}
