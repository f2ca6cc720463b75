//! Options: small values that a user has set, for everything, for a project or an organization.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::error::{Invalid, InvalidCode};
use super::id::{OrganizationId, ProjectId, UserId, UserOptionId};
use super::json_text::JsonText;

/// The longest key of an option, in characters.
pub const OPTION_KEY_MAX_CHARS: usize = 64;

/// The limits on the options of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionBounds {
    /// The most options, in all scopes.
    pub count: u64,
    /// The most bytes of their values together, as the database writes them as JSON.
    pub bytes: u64,
}

impl Default for OptionBounds {
    fn default() -> Self {
        Self {
            count: 1_000,
            bytes: 4 * 1024 * 1024,
        }
    }
}

impl OptionBounds {
    /// Checks the state after a change: `count` options if it adds one, `bytes` of values if it adds
    /// some. What already exists beyond the limits is kept.
    pub fn check(&self, count: Option<u64>, bytes: Option<u64>) -> Result<(), Invalid> {
        if count.is_some_and(|count| count > self.count) {
            return Err(Invalid::new(
                InvalidCode::TooMany,
                format!(
                    "a user has at most {} options; delete some that are not needed any more",
                    self.count
                ),
                &["key"],
            ));
        }
        if bytes.is_some_and(|bytes| bytes > self.bytes) {
            return Err(Invalid::new(
                InvalidCode::TooLong,
                format!(
                    "the values of a user's options have at most {} bytes together as JSON; give \
                     a shorter one, or delete options that are not needed any more",
                    self.bytes
                ),
                &["value"],
            ));
        }
        Ok(())
    }
}

/// A well-formed key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OptionKey(String);

impl OptionKey {
    /// Checks `text`: one to [`OPTION_KEY_MAX_CHARS`] characters, none of them a control character.
    pub fn parse(text: &str, path: &[&str]) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new(
                InvalidCode::Required,
                "an option needs a key, such as `theme`",
                path,
            ));
        }
        if text.chars().count() > OPTION_KEY_MAX_CHARS {
            return Err(Invalid::new(
                InvalidCode::TooLong,
                format!("the key of an option has at most {OPTION_KEY_MAX_CHARS} characters"),
                path,
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid::format(
                "the key of an option holds no control characters",
                path,
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an option applies to: neither given means everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct OptionScope {
    /// This project.
    pub project_id: Option<ProjectId>,
    /// This organization.
    pub organization_id: Option<OrganizationId>,
}

impl OptionScope {
    /// Everything.
    pub const GLOBAL: Self = Self {
        project_id: None,
        organization_id: None,
    };

    /// One project.
    #[must_use]
    pub const fn project(id: ProjectId) -> Self {
        Self {
            project_id: Some(id),
            organization_id: None,
        }
    }

    /// One organization.
    #[must_use]
    pub const fn organization(id: OrganizationId) -> Self {
        Self {
            project_id: None,
            organization_id: Some(id),
        }
    }
}

/// A stored option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserOption {
    /// The id.
    pub id: UserOptionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What it sets.
    pub key: SmolStr,
    /// To what.
    pub value: StoredValue,
    /// For what.
    pub scope: OptionScope,
}

/// The value of an option as the database holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredValue {
    /// JSON; a missing value is `null`.
    Json(JsonText),
    /// Something that is not JSON, such as a pickled object of an old installation. It is never
    /// guessed at and never overwritten.
    Unreadable,
}

/// The value of the first option with this key and this user, each checked only when given.
#[must_use]
pub fn get_option_from_list<'a>(
    options: &'a [UserOption],
    key: Option<&str>,
    user_id: Option<UserId>,
) -> Option<&'a StoredValue> {
    options
        .iter()
        .find(|option| {
            key.is_none_or(|key| option.key == key) && user_id.is_none_or(|id| option.user_id == id)
        })
        .map(|option| &option.value)
}

/// The options by user and id. Of several that stand for one, which old data may hold, the newest
/// is kept.
#[must_use]
pub fn newest(mut options: Vec<UserOption>) -> Vec<UserOption> {
    let place = |option: &UserOption| (option.user_id, option.id);
    if !options.is_sorted_by_key(place) {
        options.sort_unstable_by_key(place);
    }
    let of_users = options.chunk_by(|one, next| one.user_id == next.user_id);
    let outdated: HashSet<UserOptionId> = of_users.flat_map(outdated).collect();
    if !outdated.is_empty() {
        options.retain(|option| !outdated.contains(&option.id));
    }
    options
}

/// Those of the options of one user, by id, of which there is a newer one.
fn outdated(options: &[UserOption]) -> Vec<UserOptionId> {
    /// So few are compared with each other sooner than they are hashed.
    const FEW: usize = 16;
    let is_same =
        |one: &UserOption, other: &UserOption| (one.scope, &one.key) == (other.scope, &other.key);
    if options.len() <= FEW {
        let numbered = options.iter().enumerate();
        let outdated = numbered.filter(|(place, option)| {
            let mut newer = options[place + 1..].iter();
            newer.any(|newer| is_same(option, newer))
        });
        return outdated.map(|(_, option)| option.id).collect();
    }
    let mut seen = HashSet::with_capacity(options.len());
    let from_newest = options.iter().rev();
    let outdated = from_newest.filter(|option| !seen.insert((option.scope, &option.key)));
    outdated.map(|option| option.id).collect()
}

/// Which options are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOptionFilter {
    /// Of these users.
    pub user_ids: Vec<UserId>,
    /// With one of these keys, if given.
    pub keys: Option<Vec<String>>,
    /// With these scopes.
    pub scope: OptionScopeFilter,
}

/// Which scopes of options are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OptionScopeFilter {
    /// Exactly this one.
    Exactly(OptionScope),
    /// Any of these projects, whatever the organization.
    Projects(Vec<ProjectId>),
}

/// An option to be set.
#[derive(Debug, Clone, PartialEq)]
pub struct SetOption {
    /// Whose.
    pub user_id: UserId,
    /// What.
    pub key: OptionKey,
    /// To what; `null` is stored as such and is not a deletion.
    pub value: JsonText,
    /// For what.
    pub scope: OptionScope,
}

/// What became of an option that was set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetOptionResult {
    /// The option as it is now.
    pub option: UserOption,
    /// Whether anything was written: an equal value writes nothing.
    pub changed: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use serde_json::json;

    use super::*;

    fn option(user: i64, key: &str, value: &Value) -> UserOption {
        UserOption {
            id: UserOptionId(1),
            user_id: UserId(user),
            key: key.into(),
            value: StoredValue::Json(JsonText::from(value)),
            scope: OptionScope::GLOBAL,
        }
    }

    #[test]
    fn of_several_options_that_stand_for_one_the_newest_is_kept() {
        let value = json!(null);
        for keys in [2, 40] {
            // Two users have each key twice, and the second one of them for a project too.
            let mut options = Vec::new();
            let mut add = |option: UserOption| {
                let id = UserOptionId(i64::try_from(options.len()).unwrap());
                options.push(UserOption { id, ..option });
            };
            for user in [2, 1, 2, 1] {
                for key in 0..keys {
                    add(option(user, &key.to_string(), &value));
                }
            }
            add(UserOption {
                scope: OptionScope::project(ProjectId(1)),
                ..option(2, "0", &value)
            });
            let kept: Vec<_> = newest(options)
                .into_iter()
                .map(|option| (option.user_id.0, option.id.0))
                .collect();
            let of_first = (3 * keys..4 * keys).map(|id| (1, id));
            let of_second = (2 * keys..3 * keys).chain([4 * keys]).map(|id| (2, id));
            assert_eq!(kept, of_first.chain(of_second).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_option_that_fits_is_taken() {
        let options = [
            option(1, "theme", &json!("dark")),
            option(2, "theme", &json!(null)),
        ];
        let of = |key, user| get_option_from_list(&options, key, user);
        assert_eq!(
            of(Some("theme"), None),
            Some(&StoredValue::Json(JsonText::from(&json!("dark"))))
        );
        assert_eq!(
            of(Some("theme"), Some(UserId(2))),
            Some(&StoredValue::Json(JsonText::from(&json!(null))))
        );
        assert_eq!(
            of(None, None),
            Some(&StoredValue::Json(JsonText::from(&json!("dark"))))
        );
        assert_eq!(of(Some("language"), None), None);
    }
}
