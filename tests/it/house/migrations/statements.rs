//! Takes the text of a migration apart.

/// The statements, in lower case and on a line each, without comments, the
/// words of literals and the bodies of functions.
pub(super) fn statements(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let (mut rest, mut bare) = (lower.as_str(), String::new());
    while let Some(c) = rest.chars().next() {
        let (shown, length) = piece(rest, &bare);
        bare.push_str(shown);
        rest = &rest[length.max(c.len_utf8())..];
    }
    let on_a_line = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut statements: Vec<String> = bare.split(';').map(on_a_line).collect();
    statements.retain(|statement| !statement.is_empty());
    statements
}

/// Stands for what this reader cannot take apart: no statement begins so.
const UNREAD: &str = "; unread ";

/// The next piece of `text`, which follows `before`: what of it counts, and how
/// long it is.
fn piece<'t>(text: &'t str, before: &str) -> (&'t str, usize) {
    let until = |end: &str, from: usize| text[from..].find(end).map(|at| from + at + end.len());
    let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let taken = |end: Option<usize>, shown| end.map_or((UNREAD, text.len()), |end| (shown, end));
    if text.starts_with("--") {
        return (" ", until("\n", 0).unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        let end = until("*/", 2).filter(|end| !text[2..*end].contains("/*"));
        return taken(end, " ");
    }
    if text.starts_with('\'') {
        // A backslash may or may not keep the quote behind it from ending the text.
        let end = until("'", 1).filter(|end| !text[..*end].contains('\\'));
        return taken(end, "''");
    }
    if text.starts_with('"') {
        let end = until("\"", 1).filter(|end| !text[..*end].contains(';'));
        return taken(end, end.map_or("", |end| &text[..end]));
    }
    if text.starts_with('$') && !in_word {
        let tag = text[1..].find('$').map(|at| &text[..at + 2]);
        let is_tag = |it: &&str| {
            it[1..it.len() - 1]
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_')
        };
        return taken(tag.filter(is_tag).and_then(|it| until(it, it.len())), " ");
    }
    let length = text.chars().next().map_or(0, char::len_utf8);
    (&text[..length], length)
}

/// What lies between commas outside of brackets.
pub(super) fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

pub(super) fn first_word(text: &str) -> &str {
    let end = text.find([' ', '(']).unwrap_or(text.len());
    &text[..end]
}
