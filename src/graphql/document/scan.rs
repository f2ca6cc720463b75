//! A look at a document's bytes before anything recurses over them.
//!
//! The parser recurses with the nesting of brackets and would overflow its stack, which no error
//! handling survives, on 2.5 KB of `[[[[…`. It also keeps the last of two equal fields of an
//! input object, which the specification refuses; that can only be seen here.

use foldhash::{HashSet, HashSetExt as _};

use super::super::error::{GraphqlError, RequestError};
use super::steps;
use crate::config::Limits;
use crate::domain::Code;

/// Deeper nesting of brackets of any kind is refused. Sensible documents stay below twenty.
const MAX_NESTING: usize = 64;

/// The longest name, in bytes. Errors repeat names, once for each wrong position.
const MAX_NAME_BYTES: usize = 255;

/// What a bracket has opened.
enum Frame<'a> {
    /// `(`, `[`, or a `{` of a selection set.
    Plain,
    /// A `{` of an input object, with its fields so far.
    Object(HashSet<&'a str>),
}

/// Refuses documents with too many bytes or tokens, too long names, too deep nesting or repeated
/// input fields.
pub(super) fn scan(text: &str, limits: &Limits) -> Result<(), RequestError> {
    let bytes = text.as_bytes();
    if bytes.len() > limits.document_bytes {
        let message = format!(
            "the document has {} bytes, more than the {} allowed; pass values as variables",
            bytes.len(),
            limits.document_bytes
        );
        return Err(refuse(Code::DocumentTooLarge, message));
    }
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut parentheses = 0_usize;
    let mut tokens = 0_usize;
    let mut name: Option<&str> = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => continue,
            b'#' => {
                at += bytes[at..]
                    .iter()
                    .take_while(|b| !matches!(b, b'\n' | b'\r'))
                    .count();
                continue;
            }
            b'"' => at = end_of_string(bytes, start),
            b'(' | b'[' | b'{' => {
                parentheses += usize::from(byte == b'(');
                let is_object = byte == b'{' && parentheses > 0;
                frames.push(if is_object {
                    Frame::Object(HashSet::new())
                } else {
                    Frame::Plain
                });
                if frames.len() > MAX_NESTING {
                    return Err(refuse(
                        Code::DepthLimitExceeded,
                        format!("the document nests deeper than {MAX_NESTING} brackets; nest less"),
                    ));
                }
            }
            b')' | b']' | b'}' => {
                parentheses = parentheses.saturating_sub(usize::from(byte == b')'));
                frames.pop();
            }
            b':' => {
                if let (Some(Frame::Object(fields)), Some(field)) = (frames.last_mut(), name)
                    && !fields.insert(field)
                {
                    return Err(refuse(
                        Code::GraphqlValidationFailed,
                        format!("the input field `{field}` is given more than once"),
                    ));
                }
            }
            b'.' => {
                at += bytes[at..]
                    .iter()
                    .take(2)
                    .take_while(|b| **b == b'.')
                    .count();
            }
            b if is_name(b) => {
                at += bytes[at..].iter().take_while(|b| is_name(**b)).count();
                if at - start > MAX_NAME_BYTES && !b.is_ascii_digit() {
                    let message = format!(
                        "the document has a name of more than {MAX_NAME_BYTES} bytes; shorten it"
                    );
                    return Err(refuse(Code::DocumentTooLarge, message));
                }
            }
            _ => {}
        }
        name = is_name(byte).then(|| text.get(start..at)).flatten();
        tokens += 1;
        steps::count(1);
        if tokens > limits.tokens {
            return Err(refuse(
                Code::DocumentTooLarge,
                format!(
                    "the document has more than {} tokens; ask for less, or pass values as variables",
                    limits.tokens
                ),
            ));
        }
    }
    Ok(())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The place after the string that begins at `start`. A string that does not end is left to the
/// parser, which says so.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    if bytes[start..].starts_with(b"\"\"\"") {
        let mut at = start + 3;
        while at < bytes.len() {
            if bytes[at..].starts_with(b"\\\"\"\"") {
                at += 4;
            } else if bytes[at..].starts_with(b"\"\"\"") {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return at;
    }
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' | b'\n' | b'\r' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn refuse(code: Code, message: String) -> RequestError {
    GraphqlError::new(code, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Code> {
        scan(text, &Limits::default())
            .err()
            .map(|error| error.errors[0].code)
    }

    #[test]
    fn nesting_is_bounded_whatever_opens_it() {
        for open in ["[", "{a:", "(", "{a{"] {
            assert_eq!(
                code(&format!("{{f(x:{}", open.repeat(1_300))),
                Some(Code::DepthLimitExceeded)
            );
        }
        assert_eq!(
            code(&format!("{{f(x:{}{})}}", "[".repeat(60), "]".repeat(60))),
            None
        );
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let many = "[".repeat(100);
        assert_eq!(code(&format!("{{f(x:\"{many}\")}}")), None);
        assert_eq!(code(&format!("{{f(x:\"\\\"{many}\")}}")), None);
        assert_eq!(
            code(&format!("{{f(x:\"\"\"{many}\\\"\"\"{many}\"\"\")}}")),
            None
        );
        assert_eq!(code(&format!("# {many}\n{{f}}")), None);
    }

    #[test]
    fn tokens_are_bounded() {
        assert_eq!(
            code(&format!("{{{}}}", "a ".repeat(10_001))),
            Some(Code::DocumentTooLarge)
        );
        assert_eq!(code(&format!("{{{}}}", "a,,, ".repeat(9_000))), None);
    }

    #[test]
    fn bytes_are_bounded_whatever_they_are() {
        for (before, filler, after) in [
            ("{f} ", " ", ""),
            ("{f} #", "x", ""),
            ("{f(x:\"", "x", "\")}"),
            ("{f(x:\"\"\"", "x", "\"\"\")}"),
        ] {
            let rest = 128 * 1024 - before.len() - after.len();
            let text = |filled: usize| format!("{before}{}{after}", filler.repeat(filled));
            assert_eq!(code(&text(rest)), None, "{before}");
            assert_eq!(
                code(&text(rest + 1)),
                Some(Code::DocumentTooLarge),
                "{before}"
            );
        }
    }

    #[test]
    fn names_are_bounded() {
        let named = |bytes: usize| code(&format!("{{f {}}}", "a".repeat(bytes)));
        assert_eq!(named(255), None);
        assert_eq!(named(256), Some(Code::DocumentTooLarge));
        // A number is not a name.
        assert_eq!(code(&format!("{{f(x:{})}}", "9".repeat(1_000))), None);
    }

    #[test]
    fn a_repeated_input_field_is_refused() {
        assert_eq!(
            code("{f(x:{id:1,id:2})}"),
            Some(Code::GraphqlValidationFailed)
        );
        assert_eq!(
            code("query($v:I={a:1,a:2}){f}"),
            Some(Code::GraphqlValidationFailed)
        );
        assert_eq!(code("{f(x:{a:{id:1},b:{id:2},c:[{id:3},{id:4}]})}"), None);
        assert_eq!(code("{id:a id:b f(x:{a:id,b:id})}"), None);
    }

    #[test]
    fn a_text_that_ends_anywhere_is_looked_at_without_a_panic() {
        let text = "{f(x:\"\\u0041\", y:\"\"\"a\\\"\"\"b\"\"\") @d # c\n ...F é}";
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = scan(&text[..end], &Limits::default());
        }
        let _ = scan("\"\\", &Limits::default());
    }
}
