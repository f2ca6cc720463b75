//! Long lists, asked for in several calls.

use super::super::call::Call;
use super::transport::{RpcClient, not_offered};
use crate::domain::{Result, UserFilter};

/// How many items a list in one call has at most: half of what a gateway takes.
pub(super) const BATCH: usize = 5_000;

/// The answers to a call that gateways alone understand, for a list of any length. If the peer is
/// no gateway, the error says that `what` is not offered.
pub(super) async fn gather<C, T, R>(
    client: &RpcClient,
    list: &[T],
    what: &str,
    call: impl Fn(Vec<T>) -> C + Send,
) -> Result<Vec<R>>
where
    C: Call<Value = Vec<R>>,
    T: Clone + Send + Sync,
    R: Send,
{
    let mut gathered = Vec::new();
    for part in list.chunks(BATCH) {
        let call = call(part.to_vec());
        let answer = client.ask_gateway(&call).await?;
        gathered.extend(answer.ok_or_else(|| not_offered(what))?);
    }
    Ok(gathered)
}

/// A filter whose lists are short, or several that together find what it finds, or none if that is
/// nobody. One user may be found by several of them.
pub(super) fn filters(filter: &UserFilter) -> Vec<UserFilter> {
    let mut parts = Vec::new();
    if contradicts_itself(filter) {
        return parts;
    }
    for user_ids in lists(filter.user_ids.as_deref()) {
        for emails in lists(filter.emails.as_deref()) {
            for usernames in lists(filter.usernames.as_deref()) {
                parts.push(UserFilter {
                    user_ids: user_ids.clone(),
                    emails: emails.clone(),
                    usernames,
                    ..filter.clone()
                });
            }
        }
    }
    parts
}

/// Whether a filter asks for users of an organization and of none, which a call cannot even say.
pub(super) const fn contradicts_itself(filter: &UserFilter) -> bool {
    filter.without_organization && filter.organization_id.is_some()
}

/// The parts of a list. An empty one is one part, since it says something.
fn lists<T: Clone>(list: Option<&[T]>) -> Vec<Option<Vec<T>>> {
    match list {
        None => vec![None],
        Some([]) => vec![Some(Vec::new())],
        Some(list) => list.chunks(BATCH).map(|part| Some(part.to_vec())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    #[test]
    fn short_lists_and_empty_ones_stay_what_they_are() {
        for filter in [
            UserFilter::ids(&[]),
            UserFilter::ids(&[UserId(1)]),
            UserFilter {
                emails: Some(vec![String::new()]),
                is_active: Some(true),
                ..UserFilter::default()
            },
        ] {
            assert_eq!(filters(&filter), [filter]);
        }
    }

    #[test]
    fn every_pair_of_long_lists_is_asked_for() {
        let count = i64::try_from(BATCH).unwrap() + 1;
        let filter = UserFilter {
            user_ids: Some((0..count).map(UserId).collect()),
            emails: Some((0..count).map(|n| n.to_string()).collect()),
            is_active: Some(true),
            ..UserFilter::default()
        };
        let parts = filters(&filter);
        let sizes: Vec<_> = parts
            .iter()
            .map(|part| {
                let ids = part.user_ids.as_ref().map(Vec::len);
                (ids, part.emails.as_ref().map(Vec::len))
            })
            .collect();
        let (long, short) = (Some(BATCH), Some(1));
        assert_eq!(
            sizes,
            [(long, long), (long, short), (short, long), (short, short)]
        );
        assert!(parts.iter().all(|part| part.is_active == Some(true)));
    }
}
