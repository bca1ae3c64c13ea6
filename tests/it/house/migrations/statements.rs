//! Takes the text of a migration apart.

/// The statements, in lower case and on a line each, without comments.
pub(super) fn statements(text: &str) -> Vec<String> {
    let without_comments = text
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let text = without_comments
        .collect::<Vec<_>>()
        .join("\n")
        .to_lowercase();
    let mut statements = Vec::new();
    // Every second piece is the body of a function.
    for (n, piece) in text.split("$$").enumerate() {
        for (m, part) in piece.split(';').enumerate() {
            if n % 2 == 1 || m == 0 && n > 0 {
                continue;
            }
            statements.push(part.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements
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
