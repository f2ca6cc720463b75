//! What is asked: the loads, and their requests.

mod asker;

pub(crate) use asker::{Asker, Place};

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
    /// The first page of all users.
    FirstPage,
    /// A page from somewhere among all users.
    DeepPage,
    /// A page of those whose names contain a text.
    Search,
    /// The same where many contain it.
    CommonSearch,
}

impl Load {
    /// Those that are answered by hand too.
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
            Self::FirstPage => "first page",
            Self::DeepPage => "deep page",
            Self::Search => "search",
            Self::CommonSearch => "common search",
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
            Self::FirstPage => "the first 50 of all users",
            Self::DeepPage => "50 of all users after any one",
            Self::Search => "20 users whose names contain a username",
            Self::CommonSearch => "20 users whose names contain four letters",
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
            Self::FirstPage | Self::DeepPage | Self::Search | Self::CommonSearch => "/graphql",
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
            Self::FirstPage | Self::DeepPage => {
                "query All($after: String) { users(first: 50, after: $after) { \
                 nodes { id username displayName } pageInfo { endCursor hasNextPage } } }"
            }
            Self::Search | Self::CommonSearch => {
                "query Search($query: String!) { users(filter: {query: $query}, first: 20) { \
                 nodes { id username displayName } pageInfo { endCursor hasNextPage } } }"
            }
        }
    }
}
