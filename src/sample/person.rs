//! Who a user is: what the rows of several tables have to agree on.

use crate::sample::locale::{LOCALES, Locale};
use crate::sample::moment::DAY;
use crate::sample::random::{Random, Stream, index, mix};
use crate::sample::{Size, organization};

/// One user of the directory.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) name: String,
    pub(super) username: String,
    /// The primary address and up to two more.
    pub(super) addresses: Vec<String>,
    pub(super) locale: &'static Locale,
    /// The seconds between joining and the present of the directory.
    pub(super) age: u64,
    /// The ids of the user's organizations, the one that matters most first.
    pub(super) organizations: Vec<u64>,
}

/// What the account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// User 1, who is signed in to the demo.
    Admin,
    /// Users 2 and 3, who have one primary address between them.
    Twin,
    Plain,
    /// A program.
    App,
}

/// What became of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Inactive,
    Unclaimed,
}

/// The user who signs in to the demo.
const ADMIN: u64 = 1;

/// The two users with one primary address.
pub(super) const TWINS: [u64; 2] = [2, 3];

/// A user whose names are fixed.
struct First {
    name: &'static str,
    username: &'static str,
    addresses: &'static [&'static str],
    locale: &'static Locale,
}

/// The users from 1. Documentation, examples and tests rely on them.
static FIRST: [First; 4] = [
    First {
        name: "Ada Admin",
        username: "admin",
        addresses: &["admin@example.com", "ada@home.example"],
        locale: &LOCALES[0],
    },
    First {
        name: "Robin Shared",
        username: "shared.first",
        addresses: &["shared@example.com", "robin@home.example"],
        locale: &LOCALES[0],
    },
    First {
        name: "Kim Shared",
        username: "shared.second",
        addresses: &["Shared@Example.com"],
        locale: &LOCALES[0],
    },
    First {
        name: "Юлия Шевченко",
        username: "юлия",
        addresses: &["юлия@пример.example", "yuliya@example.org"],
        locale: &LOCALES[7],
    },
];

/// How many of the first users are active whatever the draw, since these are the ones people look at.
const ALWAYS_ACTIVE: u64 = 10;

/// One in so many accounts is a program's, beginning after the founders of organizations.
const APP_EVERY: u64 = 250;

const APPS: [&str; 4] = ["Deploy Bot", "Release Robot", "Issue Sync", "Chat Bridge"];

impl Person {
    /// The user with that id, from 1.
    pub(super) fn new(size: Size, id: u64) -> Self {
        let kind = Kind::of(size, id);
        let mut random = Random::new(Stream::Name, id);
        let identity = match FIRST.get(index(id - 1)) {
            Some(first) => Identity::first(first),
            None if kind == Kind::App => Identity::app(id, &mut random),
            None => Identity::plain(id, &mut random),
        };
        let state = match random.below(100) {
            _ if id <= ALWAYS_ACTIVE || kind == Kind::App => State::Active,
            0..3 => State::Inactive,
            3..5 => State::Unclaimed,
            _ => State::Active,
        };
        Self {
            id,
            kind,
            state,
            name: identity.name,
            username: identity.username,
            addresses: identity.addresses,
            locale: identity.locale,
            age: DAY + random.below(8 * 365 * DAY),
            organizations: if kind == Kind::App {
                Vec::new()
            } else {
                organization::joined_by(size, id)
            },
        }
    }

    /// The value of a column that refers to this user.
    pub(super) fn key(&self) -> i64 {
        self.id.cast_signed()
    }

    pub(super) fn primary_address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }
}

impl Kind {
    fn of(size: Size, id: u64) -> Self {
        if id == ADMIN {
            Self::Admin
        } else if TWINS.contains(&id) {
            Self::Twin
        } else if id.is_multiple_of(APP_EVERY) && id > size.organizations {
            Self::App
        } else {
            Self::Plain
        }
    }
}

/// The names of a user.
struct Identity {
    name: String,
    username: String,
    addresses: Vec<String>,
    locale: &'static Locale,
}

impl Identity {
    fn first(first: &First) -> Self {
        Self {
            name: first.name.to_owned(),
            username: first.username.to_owned(),
            addresses: first
                .addresses
                .iter()
                .map(|&text| text.to_owned())
                .collect(),
            locale: first.locale,
        }
    }

    fn app(id: u64, random: &mut Random) -> Self {
        let name = *random.pick(&APPS);
        // No name of a person holds a hyphen, so the two kinds of username cannot meet.
        let username = format!("{}-{id}", name.to_ascii_lowercase().replace(' ', "-"));
        Self {
            name: name.to_owned(),
            addresses: vec![format!("{username}@apps.example")],
            username,
            locale: &LOCALES[0],
        }
    }

    fn plain(id: u64, random: &mut Random) -> Self {
        let (name, handle) = Handle::of(id);
        // Some write their name for others to read.
        let name = match random.below(10) {
            0..3 => capitalize(&handle.letters().replace('.', " ")),
            _ => name,
        };
        let addresses = handle.addresses(random);
        let username = match random.below(10) {
            0..3 => addresses[0].clone(),
            3 => handle.native.clone(),
            4 => capitalize(&handle.ascii),
            _ => handle.ascii.clone(),
        };
        Self {
            name,
            username,
            addresses,
            locale: handle.locale,
        }
    }
}

/// The longest part of an address before its `@`, by RFC 5321.
const MAX_LOCAL_OCTETS: usize = 64;

/// A name as part of an address, once in ASCII and once as written.
///
/// Each of the two is unique, ignoring case too: within a round of [`Handle::ROUND`] users no combination of names
/// comes twice, and later rounds append their number.
struct Handle {
    ascii: String,
    native: String,
    locale: &'static Locale,
}

impl Handle {
    /// How many combinations of names there are.
    const ROUND: u64 = 16 * 16 * 8;

    /// Name and handle of the user with that id.
    fn of(id: u64) -> (String, Self) {
        let (round, place) = ((id - 1) / Self::ROUND, (id - 1) % Self::ROUND);
        let number = shuffle(place, round);
        let locale = &LOCALES[index(number % 16)];
        let given = locale.given[index(number / 16 % 16)];
        let family = locale.family[index(number / 256)];
        let suffix = match round {
            0 => String::new(),
            _ => (round + 1).to_string(),
        };
        let handle = Self {
            ascii: format!("{}.{}{suffix}", given.1, family.1),
            native: format!("{}.{}{suffix}", given.0, family.0).to_lowercase(),
            locale,
        };
        (locale.order.join(given.0, family.0), handle)
    }

    /// The handle without the number of its round.
    fn letters(&self) -> &str {
        self.ascii
            .trim_end_matches(|letter: char| letter.is_ascii_digit())
    }

    fn addresses(&self, random: &mut Random) -> Vec<String> {
        let Self { ascii, native, .. } = self;
        let domain = self.locale.domain;
        let primary = match random.below(20) {
            0..7 => format!("{ascii}@example.com"),
            7..11 => format!("{ascii}@example.org"),
            11 => format!("{}@Example.com", capitalize(ascii)),
            15.. if native.len() <= MAX_LOCAL_OCTETS => format!("{native}@{domain}"),
            _ => format!("{ascii}@{domain}"),
        };
        let mut addresses = vec![primary];
        let more = random.below(10);
        if more >= 6 {
            addresses.push(format!("{ascii}@work.example"));
        }
        if more >= 9 {
            addresses.push(format!("{ascii}+alerts@home.example"));
        }
        addresses
    }
}

/// A bijection on the numbers below [`Handle::ROUND`], another one in each round: neighbours get unlike names.
fn shuffle(place: u64, round: u64) -> u64 {
    let mut number = place ^ (mix(round) % Handle::ROUND);
    // An odd factor and a shift to the right are both reversible on a power of two.
    for factor in [1_117, 733] {
        number = number * factor % Handle::ROUND;
        number ^= number >> 6;
    }
    number
}

/// `maria.garcia` as `Maria.Garcia`, and the same with a space.
fn capitalize(ascii: &str) -> String {
    let mut start = true;
    ascii
        .chars()
        .map(|letter| {
            let shown = if start {
                letter.to_ascii_uppercase()
            } else {
                letter
            };
            start = letter == '.' || letter == ' ';
            shown
        })
        .collect()
}
