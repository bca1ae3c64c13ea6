//! Words of others: what Stripe, QStash, Resend, Postgres and callers say.
//!
//! Promises that a [`ForeignText`] has at most [`LONGEST`] characters, none of
//! them invisible, and no secret that this process knows: whatever of such words
//! is stored, logged or sent on is one, and there is no other way to make one.
//! Which secrets there are is said by [`hide`], once for the process: words are
//! made where they are read, also by serde, and no caller can forget to hand the
//! secrets down. How much of an answer is read at all is [`crate::outbound`]'s
//! business.

use std::fmt;

use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};

/// So many characters are kept.
pub const LONGEST: usize = 300;

/// Replaces a secret.
const HIDDEN: &str = "[secret]";

/// A shorter secret may be a common word, which would be hidden everywhere; a
/// shorter piece of one says too little.
const SHORTEST: usize = 8;

/// The secrets of this process, the longest first: one may hold another.
static SECRETS: RwLock<Vec<SecretString>> = RwLock::new(Vec::new());

/// From now on no [`ForeignText`] shows these.
pub fn hide<'s>(secrets: impl IntoIterator<Item = &'s str>) {
    let mut known = SECRETS.write();
    for form in secrets.into_iter().flat_map(as_quoted) {
        let is_new = known.iter().all(|it| it.expose_secret() != form);
        if is_new && form.len() >= SHORTEST {
            known.push(form.into());
        }
    }
    known.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
}

/// The same for a secret that replaces one, which is forgotten: however often
/// it is replaced, as many are known as before.
pub fn hide_instead_of(former: &str, secret: &str) {
    let former = as_quoted(former);
    let is_former = |it: &SecretString| former.iter().any(|form| form == it.expose_secret());
    SECRETS.write().retain(|it| !is_former(it));
    hide([secret]);
}

/// A secret as it is, and as JSON and an address hold it.
fn as_quoted(secret: &str) -> [String; 3] {
    let in_json = serde_json::Value::from(secret).to_string();
    let in_address = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [
        secret.to_owned(),
        in_json[1..in_json.len() - 1].to_owned(),
        in_address,
    ]
}

/// Words of others, as they may be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ForeignText(String);

impl ForeignText {
    /// What may be kept of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        // First the characters: one between the letters of a secret would hide it from us.
        let text = redacted(&visible(text));
        let text = text.trim();
        if text.chars().count() <= LONGEST {
            return Self(text.to_owned());
        }
        Self(text.chars().take(LONGEST - 1).chain(['…']).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Words of our own, which stand in the program.
impl From<&'static str> for ForeignText {
    fn from(ours: &'static str) -> Self {
        Self(ours.to_owned())
    }
}

impl From<ForeignText> for String {
    fn from(text: ForeignText) -> Self {
        text.0
    }
}

impl std::ops::Deref for ForeignText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ForeignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ForeignText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self::new(&text))
    }
}

/// What a terminal may be shown of `text`, line by line.
#[must_use]
pub fn printable(text: &str) -> String {
    let lines = text.lines().map(|line| redacted(&visible(line)));
    lines.collect::<Vec<_>>().join("\n")
}

/// `text` without any secret that is known, or the beginning of one at its
/// end, and without anything after the word `Bearer`: a text that was cut off
/// may hold half a secret.
fn redacted(text: &str) -> String {
    let mut shown = text.to_owned();
    for secret in SECRETS.read().iter().map(SecretString::expose_secret) {
        shown = shown.replace(secret, HIDDEN);
        let pieces = (SHORTEST..secret.len()).rev();
        let mut pieces = pieces.filter_map(|length| secret.get(..length));
        if let Some(piece) = pieces.find(|piece| shown.ends_with(piece)) {
            shown.truncate(shown.len() - piece.len());
            shown.push_str(HIDDEN);
        }
    }
    without_bearers(&shown)
}

fn without_bearers(text: &str) -> String {
    const SCHEME: &str = "bearer ";
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(at) = lower[from..].find(SCHEME) {
        let begin = from + at + SCHEME.len();
        let ends = |c: char| c.is_whitespace() || "\"'\\,;<>{}()".contains(c);
        let length = text[begin..].find(ends).unwrap_or(text.len() - begin);
        shown.push_str(&text[from..begin]);
        shown.push_str(if length == 0 { "" } else { HIDDEN });
        from = begin + length;
    }
    shown.push_str(&text[from..]);
    shown
}

/// `text` on one line, and without what a reader does not see.
fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() || is_invisible(c) => None,
        c => Some(c),
    };
    text.chars().filter_map(shown).collect()
}

/// Characters without a shape of their own: they turn the direction of what
/// follows, join, or are nothing at all (Unicode's category Cf and its tags).
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0xAD | 0x61C
            | 0x180E
            | 0x200B..=0x200F
            | 0x202A..=0x202E
            | 0x2060..=0x206F
            | 0xFEFF
            | 0xFFF9..=0xFFFB
            | 0xE0000..=0xE007F
    )
}
