//! Pages by keyset: a page starts after a place in the order, never at a count of rows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// What a list of users can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderField {
    /// The id.
    #[default]
    Id,
    /// The username, in the database's collation.
    Username,
    /// When the account was created.
    DateJoined,
}

/// The order of a list of users; equal values follow their id in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct UserOrder {
    /// By what.
    pub field: OrderField,
    /// Which way.
    pub direction: Direction,
}

/// The value of the order field at a place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderValue {
    /// The id alone decides.
    Id,
    /// A username.
    Username(String),
    /// A moment.
    DateJoined(DateTime<Utc>),
}

impl OrderValue {
    /// The field this is a value of.
    #[must_use]
    pub const fn field(&self) -> OrderField {
        match self {
            Self::Id => OrderField::Id,
            Self::Username(_) => OrderField::Username,
            Self::DateJoined(_) => OrderField::DateJoined,
        }
    }
}

/// A place in a list: the row with this id and this value of the order field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Anchor {
    /// The value of the order field.
    pub value: OrderValue,
    /// The row's id, which makes the place exact.
    pub id: i64,
}

/// The end of the range that a page is cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageEnd {
    /// The first rows.
    First,
    /// The last rows; they still come in the list's order.
    Last,
}

/// A page of a list: `size` rows from one end of the range between two places.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PageRequest {
    /// Rows after this place only.
    pub after: Option<Anchor>,
    /// Rows before this place only.
    pub before: Option<Anchor>,
    /// Which end of the range.
    pub end: PageEnd,
    /// How many rows at most.
    pub size: u32,
}

/// Rows in the list's order, and whether there are more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether rows follow the last one.
    pub has_next: bool,
    /// Whether rows stand before the first one.
    pub has_previous: bool,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            has_next: false,
            has_previous: false,
        }
    }
}

impl<T> Page<T> {
    /// Makes a page of what a query for `size + 1` rows from the requested end found.
    ///
    /// `rows` run away from that end. Beyond the other bound of the range nothing is looked at:
    /// a page that starts after a place has that place before it.
    #[must_use]
    pub fn from_overfull(mut rows: Vec<T>, request: &PageRequest) -> Self {
        let size = usize::try_from(request.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        match request.end {
            PageEnd::First => Self {
                rows,
                has_next: more || request.before.is_some(),
                has_previous: request.after.is_some(),
            },
            PageEnd::Last => {
                rows.reverse();
                Self {
                    rows,
                    has_next: request.before.is_some(),
                    has_previous: more || request.after.is_some(),
                }
            }
        }
    }

    /// The same page of other rows.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            rows: self.rows.into_iter().map(f).collect(),
            has_next: self.has_next,
            has_previous: self.has_previous,
        }
    }
}
