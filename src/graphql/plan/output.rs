//! What fields answer with, and how it is written.

use super::compile::FieldCompiler;
use super::object::{Rows, Selection};
use super::writer::{NullInNonNull, Segment, Writer, Written};
use crate::domain::JsonText;
use crate::graphql::error::FieldError;
use crate::graphql::id::Id;
use crate::graphql::scalar::DateTime;

/// The value of a field.
pub(in super::super) trait Output: Send + Sync {
    /// Whether it may be null.
    const NULLABLE: bool = false;
    /// The objects in it.
    type Object: Send + Sync + 'static;
    /// What is selected of them.
    type Below: Selection<Self::Object>;

    /// Compiles what is selected beneath the field.
    fn below(field: &FieldCompiler<'_>) -> Option<Self::Below>;

    /// Whether anything is to be read for what is selected.
    fn reads(below: &Self::Below) -> bool {
        below.reads()
    }

    /// Adds the objects in it, in the order in which they are written.
    fn objects<'o>(&'o self, objects: &mut Vec<&'o Self::Object>);

    /// Writes it, with what was read beneath it, if anything was.
    fn write<'p>(
        &self,
        below: &'p Self::Below,
        rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written;
}

/// Implements [`Output`] for an object of the graph; part of `#[object]`.
macro_rules! object_output {
    ($object:ty) => {
        impl $crate::graphql::plan::Output for $object {
            type Object = Self;
            type Below = $crate::graphql::plan::ObjectPlan<Self>;

            fn below(field: &$crate::graphql::plan::FieldCompiler<'_>) -> Option<Self::Below> {
                field.object()
            }

            fn objects<'o>(&'o self, objects: &mut Vec<&'o Self::Object>) {
                objects.push(self);
            }

            fn write<'p>(
                &self,
                below: &'p Self::Below,
                rows: ::std::option::Option<&mut $crate::graphql::plan::Rows>,
                writer: &mut $crate::graphql::plan::Writer<'p>,
            ) -> $crate::graphql::plan::Written {
                $crate::graphql::plan::Selection::write(below, self, rows, writer)
            }
        }
    };
}
pub(in super::super) use object_output;

/// A reference to what a field answers with.
impl<T: Output + ?Sized> Output for &T {
    const NULLABLE: bool = T::NULLABLE;
    type Object = T::Object;
    type Below = T::Below;

    fn below(field: &FieldCompiler<'_>) -> Option<Self::Below> {
        T::below(field)
    }

    fn objects<'o>(&'o self, objects: &mut Vec<&'o Self::Object>) {
        (**self).objects(objects);
    }

    fn write<'p>(
        &self,
        below: &'p Self::Below,
        rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written {
        (**self).write(below, rows, writer)
    }
}

impl<T: Output> Output for Option<T> {
    const NULLABLE: bool = true;
    type Object = T::Object;
    type Below = T::Below;

    fn below(field: &FieldCompiler<'_>) -> Option<Self::Below> {
        T::below(field)
    }

    fn objects<'o>(&'o self, objects: &mut Vec<&'o Self::Object>) {
        if let Some(value) = self {
            value.objects(objects);
        }
    }

    fn write<'p>(
        &self,
        below: &'p Self::Below,
        rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written {
        let start = writer.out.len();
        let written = match self {
            Some(value) => value.write(below, rows, writer),
            None => Err(NullInNonNull),
        };
        if written.is_err() {
            writer.out.truncate(start);
            writer.null();
        }
        Ok(())
    }
}

/// Implements [`Output`] for lists that are slices underneath.
macro_rules! list_output {
    ($list:ident<T>) => {
        impl<T: $crate::graphql::plan::Output> $crate::graphql::plan::Output for $list<T> {
            type Object = T::Object;
            type Below = T::Below;

            fn below(field: &$crate::graphql::plan::FieldCompiler<'_>) -> Option<Self::Below> {
                T::below(field)
            }

            fn objects<'o>(&'o self, objects: &mut Vec<&'o Self::Object>) {
                <[T] as $crate::graphql::plan::Output>::objects(self, objects);
            }

            fn write<'p>(
                &self,
                below: &'p Self::Below,
                rows: ::std::option::Option<&mut $crate::graphql::plan::Rows>,
                writer: &mut $crate::graphql::plan::Writer<'p>,
            ) -> $crate::graphql::plan::Written {
                <[T] as $crate::graphql::plan::Output>::write(self, below, rows, writer)
            }
        }
    };
}
pub(in super::super) use list_output;

list_output!(Vec<T>);

/// A list that the parent keeps.
impl<T: Output> Output for [T] {
    type Object = T::Object;
    type Below = T::Below;

    fn below(field: &FieldCompiler<'_>) -> Option<Self::Below> {
        T::below(field)
    }

    fn objects<'o>(&'o self, objects: &mut Vec<&'o Self::Object>) {
        for item in self {
            item.objects(objects);
        }
    }

    fn write<'p>(
        &self,
        below: &'p Self::Below,
        mut rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written {
        let mut written = Ok(());
        writer.out.push(b'[');
        for (i, item) in self.iter().enumerate() {
            if i > 0 {
                writer.out.push(b',');
            }
            writer.path.push(Segment::Index(i));
            written = written.and(item.write(below, rows.as_deref_mut(), writer));
            writer.path.pop();
        }
        writer.out.push(b']');
        written
    }
}

impl<T: Output> Output for Result<T, FieldError> {
    const NULLABLE: bool = T::NULLABLE;
    type Object = T::Object;
    type Below = T::Below;

    fn below(field: &FieldCompiler<'_>) -> Option<Self::Below> {
        T::below(field)
    }

    fn objects<'o>(&'o self, objects: &mut Vec<&'o Self::Object>) {
        if let Ok(value) = self {
            value.objects(objects);
        }
    }

    fn write<'p>(
        &self,
        below: &'p Self::Below,
        rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written {
        match self {
            Ok(value) => value.write(below, rows, writer),
            Err(FieldError(error)) => writer.fail(error, T::NULLABLE),
        }
    }
}

/// Implements [`Output`] for leaves, of which nothing is selected.
macro_rules! leaves {
    ($($ty:ty: |$value:ident, $writer:ident| $write:expr;)*) => {$(
        impl $crate::graphql::plan::Output for $ty {
            type Object = ::std::convert::Infallible;
            type Below = ();

            fn below(_: &$crate::graphql::plan::FieldCompiler<'_>) -> Option<Self::Below> {
                Some(())
            }

            fn objects<'o>(&'o self, _: &mut Vec<&'o Self::Object>) {}

            fn write<'p>(
                &self,
                (): &'p Self::Below,
                _: ::std::option::Option<&mut $crate::graphql::plan::Rows>,
                $writer: &mut $crate::graphql::plan::Writer<'p>,
            ) -> $crate::graphql::plan::Written {
                let $value = self;
                $write;
                Ok(())
            }
        }
    )*};
}
pub(in super::super) use leaves;

leaves! {
    str: |value, writer| writer.text(value);
    String: |value, writer| writer.text(value);
    Id: |value, writer| writer.id(*value);
    bool: |value, writer| writer.json(value);
    i32: |value, writer| writer.json(value);
    DateTime: |value, writer| writer.text(&value.to_string());
    JsonText: |value, writer| writer.out.extend_from_slice(value.as_str().as_bytes());
}

/// Implements [`Output`] for enums of the graph.
macro_rules! enum_outputs {
    ($($ty:ty),* $(,)?) => {
        $crate::graphql::plan::leaves! {$(
            $ty: |value, writer| {
                let items = <$ty as ::async_graphql::resolver_utils::EnumType>::items();
                let item = items.iter().find(|item| item.value == *value);
                writer.text(item.map_or("", |item| item.name))
            };
        )*}
    };
}
pub(in super::super) use enum_outputs;
