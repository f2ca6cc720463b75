//! What is asked: the loads W1 to W6, and their requests.

use crate::directory::Directory;
use crate::random::{below, distinct};

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Load {
    /// One user by id.
    W1,
    /// W1 with a document that nobody has seen before.
    W1N,
    /// A hundred users by id.
    W2,
    /// Fifty users by id, each with organizations and options.
    W3,
    /// Which of a hundred usernames exist; half do.
    W4,
    /// Setting an option.
    W5,
    /// The user of an address, half of them new.
    W6,
}

/// The users of a request of W2.
const W2_USERS: u64 = 100;
/// The users of a request of W3.
const W3_USERS: u64 = 50;
/// The usernames of a request of W4.
const W4_NAMES: u64 = 100;

impl Load {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::W1,
        Self::W1N,
        Self::W2,
        Self::W3,
        Self::W4,
        Self::W5,
        Self::W6,
    ];

    /// The name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W1N => "W1N",
            Self::W2 => "W2",
            Self::W3 => "W3",
            Self::W4 => "W4",
            Self::W5 => "W5",
            Self::W6 => "W6",
        }
    }

    /// What it is, in a few words.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::W1 => "one user",
            Self::W1N => "one user, a new document each time",
            Self::W2 => "100 users",
            Self::W3 => "50 users, organizations, options",
            Self::W4 => "existing usernames",
            Self::W5 => "set an option",
            Self::W6 => "get or create by address",
        }
    }

    /// Where the handlers that are no GraphQL answer it.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::W1 | Self::W1N => "/w1",
            Self::W2 => "/w2",
            Self::W3 => "/w3",
            Self::W4 => "/w4",
            Self::W5 => "/w5",
            Self::W6 => "/w6",
        }
    }

    /// The load that is answered at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|load| load.path() == path)
    }

    /// The document.
    const fn document(self) -> &'static str {
        match self {
            Self::W1 => {
                "query User($id: ID!) { user(id: $id) { id username name displayName isActive } }"
            }
            // The number of the request follows the name.
            Self::W1N => "($id: ID!) { user(id: $id) { id username name displayName isActive } }",
            Self::W2 => {
                "query Users($ids: [ID!]!) { users(filter: {ids: $ids}, first: 100) { \
                 nodes { id username name displayName isActive } } }"
            }
            Self::W3 => {
                "query Page($ids: [ID!]!) { users(filter: {ids: $ids}, first: 50) { \
                 nodes { id username displayName organizations { id slug name } \
                 options { key value } } } }"
            }
            Self::W4 => "query Names($names: [String!]!) { existingUsernames(usernames: $names) }",
            Self::W5 => {
                "mutation Set($input: SetUserOptionInput!) { setUserOption(input: $input) { \
                 option { id key value } changed errors { code } } }"
            }
            Self::W6 => {
                "mutation Provision($input: GetOrCreateUserByEmailInput!) { \
                 getOrCreateUserByEmail(input: $input) { \
                 user { id username displayName } created errors { code } } }"
            }
        }
    }
}

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
