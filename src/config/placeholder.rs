//! Weak secrets: too short, a template's placeholder, or public.

/// The shortest secret that is accepted, in characters.
const SHORTEST: usize = 32;

/// QStash's development server signs with these keys, which are public:
/// <https://upstash.com/docs/qstash/howto/local-development>.
const PUBLIC_SIGNING_KEYS: [&str; 2] = [
    "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
];

/// What is wrong with a secret that a person chose, if anything.
pub(super) fn fault_of_secret(secret: &str) -> Option<&'static str> {
    if is_placeholder(secret) {
        Some("is a placeholder; make one with: openssl rand -hex 32")
    } else if secret.chars().count() < SHORTEST {
        Some("is shorter than 32 characters; make one with: openssl rand -hex 32")
    } else {
        None
    }
}

/// What is wrong with a signing key that QStash made, if anything.
pub(super) fn fault_of_signing_key(key: &str) -> Option<&'static str> {
    if PUBLIC_SIGNING_KEYS.contains(&key) {
        Some("is the public key of QStash's development server; copy yours from the QStash console")
    } else if is_placeholder(key) {
        Some("is a placeholder; copy the key from the QStash console")
    } else {
        None
    }
}

fn is_placeholder(secret: &str) -> bool {
    let secret = secret.to_ascii_lowercase();
    let mut characters = secret.chars();
    let first = characters.next();
    characters.all(|character| Some(character) == first)
        || secret.starts_with("your_")
        || secret.starts_with("your-")
        || secret.ends_with("_here")
        || ["changeme", "change_me", "example", "placeholder"]
            .iter()
            .any(|word| secret.contains(word))
        || ["undefined", "null", "none", "secret", "password"].contains(&secret.as_str())
}
