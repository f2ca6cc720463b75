//! What writers have written and readers may read.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

/// How many users have options written, so that several writers meet at one.
const SHARED: usize = 20;

/// How many silos there are.
pub(super) const SILOS: usize = 4;

/// What is written of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name.
    Name,
    /// An option.
    Option,
}

/// One value that one writer sets to rising numbers. It begins at zero.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) user: usize,
    pub(super) kind: Kind,
    /// The key of the option.
    pub(super) key: String,
    /// The last number of which was said that it is kept.
    acknowledged: AtomicU64,
    /// The last number that was sent.
    attempted: AtomicU64,
    /// Whether it is unknown what became of a number: it may still be kept, even much later.
    doubtful: AtomicBool,
    /// By silo, what a read that begins now may not be older than.
    floors: [AtomicU64; SILOS],
}

impl Slot {
    /// The next number to send.
    pub(super) fn attempt(&self) -> u64 {
        self.attempted.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes note that a number which was sent through a silo is kept.
    pub(super) fn acknowledge(&self, silo: usize, number: u64) {
        self.acknowledged.store(number, Ordering::SeqCst);
        // Control has no copies, and whoever changes something reads it there at once.
        for reader in [0, silo] {
            self.raise(reader, number);
        }
    }

    /// Takes note that nobody knows whether a number is kept.
    pub(super) fn doubt(&self) {
        self.doubtful.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::SeqCst)
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// What a read at a silo that begins now may not be older than.
    pub(super) fn floor(&self, silo: usize) -> u64 {
        self.floors[silo].load(Ordering::SeqCst)
    }

    /// Takes note that a silo knows of a number.
    pub(super) fn raise(&self, silo: usize, number: u64) {
        self.floors[silo].fetch_max(number, Ordering::SeqCst);
    }

    /// Whether `number` can be what is kept in the end.
    pub(super) fn may_end_with(&self, number: u64) -> bool {
        let acknowledged = self.acknowledged();
        if self.is_doubtful() {
            (acknowledged..=self.attempted.load(Ordering::SeqCst)).contains(&number)
        } else {
            number == acknowledged
        }
    }

    /// Whether `number` can be read at all by now.
    pub(super) fn was_attempted(&self, number: u64) -> bool {
        number <= self.attempted.load(Ordering::SeqCst)
    }

    /// The body of the request that sends a number.
    pub(super) fn write(&self, number: u64) -> Value {
        let (query, input) = match self.kind {
            Kind::Name => (
                "mutation($input: UpdateUserInput!) {
                    updateUser(input: $input) { user { id } errors { code } }
                }",
                json!({ "userId": self.user, "name": number.to_string() }),
            ),
            Kind::Option => (
                "mutation($input: SetUserOptionInput!) {
                    setUserOption(input: $input) { option { key } errors { code } }
                }",
                json!({ "userId": self.user, "key": self.key, "value": number }),
            ),
        };
        json!({ "query": query, "variables": { "input": input } })
    }

    /// The body of the request that asks for the number.
    pub(super) fn read(&self) -> Value {
        let query = "query($id: ID!, $key: String!) {
            user(id: $id) { name option(key: $key) }
        }";
        json!({ "query": query, "variables": { "id": self.user, "key": self.key } })
    }

    /// The number in the data of the answer.
    pub(super) fn number(&self, data: &Value) -> u64 {
        match self.kind {
            // Before the first number a name is what the directory began with.
            Kind::Name => {
                let name = data["user"]["name"].as_str();
                name.and_then(|name| name.parse().ok()).unwrap_or(0)
            }
            Kind::Option => data["user"]["option"].as_u64().unwrap_or(0),
        }
    }

    /// The query past the gateway for what is kept, as a text.
    pub(super) fn sql(&self) -> String {
        let Self { user, key, .. } = self;
        match self.kind {
            Kind::Name => format!("SELECT first_name AS kept FROM auth_user WHERE id = {user}"),
            Kind::Option => format!(
                "SELECT value::text AS kept FROM sentry_useroption \
                 WHERE user_id = {user} AND key = '{key}'"
            ),
        }
    }
}

/// Every value that is written in this round.
#[derive(Debug, Default)]
pub(super) struct Slots {
    made: AtomicUsize,
    current: Mutex<Vec<Arc<Slot>>>,
}

impl Slots {
    /// How many users are needed for this many values.
    pub(super) const fn users(values: usize) -> usize {
        SHARED + values
    }

    /// A value that nobody has written before.
    pub(super) fn add(&self, kind: Kind) -> Arc<Slot> {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let user = match kind {
            Kind::Name => SHARED + number,
            Kind::Option => number % SHARED,
        };
        let slot = Arc::new(Slot {
            user: user + 1,
            kind,
            key: format!("count-{number}"),
            acknowledged: AtomicU64::new(0),
            attempted: AtomicU64::new(0),
            doubtful: AtomicBool::new(false),
            floors: Default::default(),
        });
        self.current().push(Arc::clone(&slot));
        slot
    }

    /// The values of this round so far.
    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.current().clone()
    }

    /// Begins another round.
    pub(super) fn clear(&self) {
        self.current().clear();
    }

    fn current(&self) -> MutexGuard<'_, Vec<Arc<Slot>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
