//! The requests of a load, as many as are wanted, the same in every run.

use super::Load;
use crate::directory::Directory;
use crate::random::{below, distinct};

/// The users of a request of W2.
const W2_USERS: u64 = 100;
/// The users of a request of W3.
const W3_USERS: u64 = 50;
/// The usernames of a request of W4.
const W4_NAMES: u64 = 100;
/// So many letters stand at the beginning of many usernames.
const COMMON_LETTERS: usize = 4;

/// Which of the endless requests of a load is meant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Requests of one stream read the same whoever is asked.
    pub(crate) stream: u64,
    /// What must not come twice, such as a new address, is made from this.
    pub(crate) unique: u64,
    /// The number of the request in its stream.
    pub(crate) number: u64,
}

/// Writes requests.
#[derive(Debug, Clone)]
pub(crate) struct Asker<'a> {
    directory: &'a Directory,
    load: Load,
    /// The body as far as the document or its name goes.
    start: String,
    /// The rest of the document.
    rest: String,
}

impl<'a> Asker<'a> {
    /// An asker of one load.
    pub(crate) fn new(directory: &'a Directory, load: Load) -> Self {
        let (start, rest) = match load {
            Load::W1N => (
                "{\"query\":\"query User".to_owned(),
                load.document().to_owned(),
            ),
            _ => (format!("{{\"query\":\"{}", load.document()), String::new()),
        };
        Self {
            directory,
            load,
            start,
            rest,
        }
    }

    /// The load.
    pub(crate) const fn load(&self) -> Load {
        self.load
    }

    /// Appends the body of a request.
    pub(crate) fn write(&self, out: &mut Vec<u8>, place: Place) {
        let Place { stream, number, .. } = place;
        let users = self.directory.users();
        let draw = |bound| below(bound, stream, number);
        out.extend_from_slice(self.start.as_bytes());
        if self.load == Load::W1N {
            serial(out, place);
            out.extend_from_slice(self.rest.as_bytes());
        }
        out.extend_from_slice(b"\",\"variables\":{");
        match self.load {
            Load::W1 | Load::W1N => {
                out.extend_from_slice(b"\"id\":");
                user(out, draw(users) + 1);
            }
            Load::W2 | Load::W3 => {
                let count = if self.load == Load::W2 {
                    W2_USERS
                } else {
                    W3_USERS
                };
                out.extend_from_slice(b"\"ids\":");
                let ids = distinct(count, users, stream, number);
                list(out, ids, |out, id| user(out, id + 1));
            }
            Load::W4 => {
                out.extend_from_slice(b"\"names\":");
                let ids = distinct(W4_NAMES / 2, users, stream, number);
                let names = ids.into_iter().flat_map(|id| [(true, id), (false, id)]);
                list(out, names, |out, (exists, id)| {
                    if exists {
                        out.extend_from_slice(self.directory.username(id).as_bytes());
                    } else {
                        out.extend_from_slice(b"\"nobody.at.all.");
                        integer(out, id);
                        out.push(b'"');
                    }
                });
            }
            Load::W5 => {
                out.extend_from_slice(b"\"input\":{\"userId\":");
                user(out, draw(users) + 1);
                out.extend_from_slice(b",\"key\":\"theme\",\"value\":\"");
                serial(out, place);
                out.extend_from_slice(b"\"}");
            }
            Load::W6 => {
                out.extend_from_slice(b"\"input\":{\"email\":");
                if number.is_multiple_of(2) {
                    out.extend_from_slice(self.directory.address(draw(u64::MAX)).as_bytes());
                } else {
                    out.extend_from_slice(b"\"new.");
                    serial(out, place);
                    out.extend_from_slice(b"@example.com\"");
                }
                out.push(b'}');
            }
            Load::FirstPage => out.extend_from_slice(b"\"after\":null"),
            Load::DeepPage => {
                out.extend_from_slice(b"\"after\":");
                out.extend_from_slice(self.directory.cursor(draw(u64::MAX)).as_bytes());
            }
            Load::Search => {
                out.extend_from_slice(b"\"query\":");
                out.extend_from_slice(self.directory.username(draw(users)).as_bytes());
            }
            Load::CommonSearch => {
                let username = self.directory.username(draw(users)).trim_matches('"');
                let beginning: String = username.chars().take(COMMON_LETTERS).collect();
                out.extend_from_slice(b"\"query\":\"");
                out.extend_from_slice(beginning.as_bytes());
                out.push(b'"');
            }
        }
        out.extend_from_slice(b"}}");
    }
}

fn integer(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A word that comes once.
fn serial(out: &mut Vec<u8>, place: Place) {
    out.push(b'x');
    integer(out, place.unique);
    out.push(b'x');
    integer(out, place.number);
}

fn user(out: &mut Vec<u8>, id: u64) {
    out.extend_from_slice(b"\"User:");
    integer(out, id);
    out.push(b'"');
}

fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn directory() -> Directory {
        let texts = |end| (1..=300).map(|id| format!("\"user{id}{end}\"")).collect();
        Directory::new(texts(""), texts("@example.org"))
    }

    fn body(load: Load, number: u64) -> Value {
        let mut out = Vec::new();
        let place = Place {
            stream: 1,
            unique: 9,
            number,
        };
        Asker::new(&directory(), load).write(&mut out, place);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_request_is_json_with_a_document_and_variables() {
        for load in Load::ALL {
            for number in 0..3 {
                let body = body(load, number);
                assert!(body["query"].as_str().unwrap().contains('{'), "{body}");
                assert!(!body["variables"].as_object().unwrap().is_empty(), "{body}");
            }
        }
    }

    #[test]
    fn a_new_document_differs_from_the_one_before_and_no_other_does() {
        for load in Load::ALL {
            let same = body(load, 1)["query"] == body(load, 2)["query"];
            assert_eq!(same, load != Load::W1N, "{load:?}");
        }
    }

    #[test]
    fn searches_are_for_a_username_or_for_its_beginning() {
        for (load, is_whole) in [(Load::Search, true), (Load::CommonSearch, false)] {
            for number in 0..10 {
                let body = body(load, number);
                let text = body["variables"]["query"].as_str().unwrap();
                assert_eq!(text != "user", is_whole, "{text}");
                assert!(text.starts_with("user"), "{text}");
            }
        }
    }

    #[test]
    fn half_of_the_usernames_and_half_of_the_addresses_exist() {
        let names = body(Load::W4, 0);
        let names = names["variables"]["names"].as_array().unwrap();
        let exists = |name: &&Value| name.as_str().unwrap().starts_with("user");
        assert_eq!(
            (names.len(), names.iter().filter(exists).count()),
            (100, 50)
        );
        for number in 0..10 {
            let body = body(Load::W6, number);
            let email = body["variables"]["input"]["email"].as_str().unwrap();
            assert_eq!(email.starts_with("new."), number % 2 == 1, "{email}");
        }
    }
}
