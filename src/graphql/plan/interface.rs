//! Interfaces in plans.

/// Makes an [`Output`](super::Output) of an enum with a variant for each object behind an
/// interface. What is selected of each of these types is a plan of its own.
macro_rules! plan_interface {
    ($interface:ident, $plan:ident { $($variant:ident($field:ident: $object:ty)),* $(,)? }) => {
        /// What is selected of the objects behind the interface.
        pub(in $crate::graphql) struct $plan {
            $($field: $crate::graphql::plan::ObjectPlan<$object>,)*
        }

        impl $crate::graphql::plan::Output for $interface {
            type Object = Self;
            type Below = $plan;

            fn below(field: &$crate::graphql::plan::FieldCompiler<'_>) -> Option<Self::Below> {
                Some($plan { $($field: field.object()?,)* })
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

        impl $crate::graphql::plan::Selection<$interface> for $plan {
            fn reads(&self) -> bool {
                false $(|| self.$field.reads())*
            }

            fn read<'a>(
                &'a self,
                run: &'a $crate::graphql::plan::Run<'a>,
                objects: Vec<&'a $interface>,
            ) -> ::futures_util::future::BoxFuture<'a, $crate::graphql::plan::Rows> {
                $(let mut $field = Vec::new();)*
                for object in objects {
                    match object {
                        $($interface::$variant(object) => $field.push(object),)*
                    }
                }
                Box::pin(async move {
                    let ($($field,)*) = ::futures_util::join!(
                        $(self.$field.read(run, $field),)*
                    );
                    $crate::graphql::plan::Rows::of_kinds([$($field,)*])
                })
            }

            fn write<'p>(
                &'p self,
                object: &$interface,
                rows: ::std::option::Option<&mut $crate::graphql::plan::Rows>,
                writer: &mut $crate::graphql::plan::Writer<'p>,
            ) -> $crate::graphql::plan::Written {
                let mut kinds = rows.map($crate::graphql::plan::Rows::kinds);
                $(let $field = kinds.as_mut().and_then(::std::iter::Iterator::next);)*
                match object {
                    $($interface::$variant(object) => {
                        $crate::graphql::plan::Selection::write(&self.$field, object, $field, writer)
                    })*
                }
            }
        }
    };
}
pub(in super::super) use plan_interface;
