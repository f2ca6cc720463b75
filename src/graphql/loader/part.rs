//! Lists that are cut from one another without being copied.

use std::borrow::Cow;
use std::ops::{Deref, Range};
use std::sync::Arc;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_list;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

use super::batch::Size;
use crate::graphql::plan::list_output;

/// A part of a list that is found at once for many and belongs to one of them.
#[derive(Debug)]
pub(in super::super) struct Part<T> {
    list: Arc<Vec<T>>,
    range: Range<usize>,
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self {
            list: Arc::clone(&self.list),
            range: self.range.clone(),
        }
    }
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            list: Arc::default(),
            range: 0..0,
        }
    }
}

impl<T> Deref for Part<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.list[self.range.clone()]
    }
}

/// The values of each id, in the order they came.
pub(super) fn parts<I: Ord + Copy, V>(
    pairs: impl IntoIterator<Item = (I, V)>,
) -> Vec<(I, Part<V>)> {
    let mut pairs: Vec<(I, V)> = pairs.into_iter().collect();
    // Mostly they come so.
    if !pairs.is_sorted_by_key(|(id, _)| *id) {
        pairs.sort_by_key(|(id, _)| *id);
    }
    let (ids, list): (Vec<I>, Vec<V>) = pairs.into_iter().unzip();
    cut(list, &ids)
}

/// The values of each id, in the order they came, where they tell whose they are.
pub(super) fn parts_of<I: Ord + Copy, V>(
    mut list: Vec<V>,
    id: impl Fn(&V) -> I,
) -> Vec<(I, Part<V>)> {
    if !list.is_sorted_by_key(&id) {
        list.sort_by_key(&id);
    }
    let ids: Vec<I> = list.iter().map(id).collect();
    cut(list, &ids)
}

/// Cuts a list where the ids change to which the values belong.
fn cut<I: Eq + Copy, V>(list: Vec<V>, ids: &[I]) -> Vec<(I, Part<V>)> {
    let list = Arc::new(list);
    let mut end = 0;
    let parts = ids.chunk_by(|one, next| one == next).map(|same| {
        let range = end..end + same.len();
        end = range.end;
        let list = Arc::clone(&list);
        (same[0], Part { list, range })
    });
    parts.collect()
}

impl<T: Size> Size for Part<T> {
    fn rows(&self) -> usize {
        self.len()
    }

    fn bytes(&self) -> usize {
        self.iter().map(T::bytes).sum()
    }
}

impl<T: OutputType> OutputType for Part<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        context: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        resolve_list(context, field, self.iter(), Some(self.len())).await
    }
}

list_output!(Part<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_what_is_theirs_in_the_order_it_came() {
        let sorted = parts([(1, 'a'), (1, 'b'), (3, 'c')]);
        let found = |parts: &[(i32, Part<char>)]| -> Vec<(i32, String)> {
            let parts = parts.iter();
            parts
                .map(|(id, part)| (*id, part.iter().collect()))
                .collect()
        };
        assert_eq!(found(&sorted), [(1, "ab".to_owned()), (3, "c".to_owned())]);
        let mixed = parts([(3, 'c'), (1, 'b'), (3, 'a')]);
        assert_eq!(found(&mixed), [(1, "b".to_owned()), (3, "ca".to_owned())]);
        assert!(parts::<i32, char>([]).is_empty());
        let of_tens = parts_of(vec![31, 12, 30, 11], |number| number / 10);
        let of_tens = of_tens.iter().map(|(ten, part)| (*ten, part.to_vec()));
        let of_tens: Vec<(i32, Vec<i32>)> = of_tens.collect();
        assert_eq!(of_tens, [(1, vec![12, 11]), (3, vec![31, 30])]);
        assert!(Part::<char>::default().is_empty());
    }
}
