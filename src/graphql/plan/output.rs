//! What fields answer with, and how it is written.

use super::compile::FieldCompiler;
use super::object::{Rows, Selection};
use super::writer::{Place, Segment, Unwritten, Writer, Written};
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

    /// The number of objects in it, without their selections.
    fn count(&self) -> usize {
        0
    }

    /// A lower bound of its bytes, without the selections of objects.
    fn bytes(&self) -> usize {
        1
    }

    /// Writes it, with what was read beneath it, if anything was; or resumes writing it.
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

            fn count(&self) -> usize {
                1
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

    fn count(&self) -> usize {
        (**self).count()
    }

    fn bytes(&self) -> usize {
        (**self).bytes()
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

    fn count(&self) -> usize {
        self.as_ref().map_or(0, T::count)
    }

    fn bytes(&self) -> usize {
        self.as_ref().map_or(1, T::bytes)
    }

    fn write<'p>(
        &self,
        below: &'p Self::Below,
        rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written {
        let place = writer.resume().unwrap_or_else(|| Place::at(writer));
        let written = match self {
            Some(value) => value.write(below, rows, writer),
            None => Err(Unwritten::NullInNonNull),
        };
        match written {
            Ok(()) => {}
            Err(Unwritten::NullInNonNull) => {
                writer.retract(place.start);
                writer.null();
            }
            Err(Unwritten::Paused) => return writer.pause(place),
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

            fn count(&self) -> usize {
                <[T] as $crate::graphql::plan::Output>::count(self)
            }

            fn bytes(&self) -> usize {
                <[T] as $crate::graphql::plan::Output>::bytes(self)
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

    fn count(&self) -> usize {
        self.iter().map(T::count).sum()
    }

    fn bytes(&self) -> usize {
        2 + self.iter().map(T::bytes).sum::<usize>()
    }

    fn write<'p>(
        &self,
        below: &'p Self::Below,
        mut rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written {
        let resumed = writer.resume();
        // The comma of the item in which the writer paused is written.
        let mut is_begun = resumed.is_some();
        let mut place = resumed.unwrap_or_else(|| Place::at(writer));
        if !is_begun {
            writer.out.push(b'[');
        }
        for (i, item) in self.iter().enumerate().skip(place.next) {
            if i > 0 && !is_begun {
                writer.out.push(b',');
            }
            is_begun = false;
            writer.path.push(Segment::Index(i));
            let written = item.write(below, rows.as_deref_mut(), writer);
            writer.path.pop();
            match written {
                Ok(()) => {}
                Err(Unwritten::NullInNonNull) => place.is_null = true,
                Err(Unwritten::Paused) => {
                    place.next = i;
                    return writer.pause(place);
                }
            }
        }
        writer.out.push(b']');
        place.written()
    }
}

/// The approximate size of an error in memory. The engine keeps all errors, beyond the limit, too.
const ERROR_BYTES: usize = 256;

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

    fn count(&self) -> usize {
        self.as_ref().map_or(0, T::count)
    }

    fn bytes(&self) -> usize {
        self.as_ref().map_or(ERROR_BYTES, T::bytes)
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

/// Implements [`Output`] for leaves, of which nothing is selected; a text of them tells how many bytes
/// it has.
macro_rules! leaves {
    ($($ty:ty $([$text:ident => $bytes:expr])?: |$value:ident, $writer:ident| $write:expr;)*) => {$(
        impl $crate::graphql::plan::Output for $ty {
            type Object = ::std::convert::Infallible;
            type Below = ();

            fn below(_: &$crate::graphql::plan::FieldCompiler<'_>) -> Option<Self::Below> {
                Some(())
            }

            fn objects<'o>(&'o self, _: &mut Vec<&'o Self::Object>) {}

            $(fn bytes(&self) -> usize {
                let $text = self;
                $bytes
            })?

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
    str [text => text.len() + 2]: |value, writer| writer.text(value);
    String [text => text.len() + 2]: |value, writer| writer.text(value);
    Id: |value, writer| writer.id(*value);
    bool: |value, writer| writer.json(value);
    i32: |value, writer| writer.json(value);
    DateTime: |value, writer| writer.text(&value.to_string());
    JsonText [text => text.as_str().len()]: |value, writer| writer.out.extend_from_slice(value.as_str().as_bytes());
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
