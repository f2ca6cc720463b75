//! Documents as clients usually write them, read quickly.
//!
//! The engine's parser takes more time than all the rest of a new document's first answer. Nearly all
//! documents are of a form that takes little: ASCII, without comments, escapes, block strings or
//! fractions. They are read here. Whatever is not, is left to that parser, and so is saying what is
//! wrong with a text: what is read here, that parser reads in the same way, places included.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread,
    InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet, Type,
    TypeCondition, VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value;

/// Reads a document whose nesting has been found bounded by [`super::scan`]; `None` if it is not of
/// the usual form.
pub(super) fn read(text: &str) -> Option<ExecutableDocument> {
    let reader = Reader {
        text,
        at: 0,
        line: 1,
        line_start: 0,
    };
    text.is_ascii().then(|| reader.document()).flatten()
}

/// A text, and how far it has been read: to a token, or to its end.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// Where the line begins.
    line_start: usize,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Option<ExecutableDocument> {
        let mut single = None;
        let mut named = HashMap::new();
        let mut fragments = HashMap::new();
        self.skip();
        while self.at < self.text.len() {
            let pos = self.pos();
            if self.peek() == Some(b'{') {
                let operation = self.operation(OperationType::Query)?;
                insert_only(&mut single, Positioned::new(operation, pos))?;
                continue;
            }
            let ty = match self.word()? {
                "query" => OperationType::Query,
                "mutation" => OperationType::Mutation,
                "subscription" => OperationType::Subscription,
                "fragment" => {
                    let (name, fragment) = self.fragment()?;
                    insert_new(&mut fragments, name, Positioned::new(fragment, pos))?;
                    continue;
                }
                _ => return None,
            };
            let name = self.is_at_name().then(|| self.word()).flatten();
            let operation = Positioned::new(self.operation(ty)?, pos);
            match name {
                Some(name) => insert_new(&mut named, Name::new(name), operation)?,
                None => insert_only(&mut single, operation)?,
            }
        }
        let operations = match single {
            Some(single) if named.is_empty() => DocumentOperations::Single(single),
            None if !named.is_empty() => DocumentOperations::Multiple(named),
            _ => return None,
        };
        Some(ExecutableDocument {
            operations,
            fragments,
        })
    }

    /// An operation from its variables on.
    fn operation(&mut self, ty: OperationType) -> Option<OperationDefinition> {
        let mut variable_definitions = Vec::new();
        if self.takes(b'(') {
            while !self.takes(b')') {
                variable_definitions.push(self.variable_definition()?);
            }
        }
        Some(OperationDefinition {
            ty,
            variable_definitions,
            directives: self.directives()?,
            selection_set: self.selection_set()?,
        })
    }

    fn variable_definition(&mut self) -> Option<Positioned<VariableDefinition>> {
        let pos = self.pos();
        self.take(b'$')?;
        let name = self.name()?;
        self.take(b':')?;
        let var_type = self.ty()?;
        let mut default_value = None;
        if self.takes(b'=') {
            let Positioned { pos, node } = self.value()?;
            default_value = Some(Positioned::new(node.into_const()?, pos));
        }
        let definition = VariableDefinition {
            name,
            var_type,
            directives: Vec::new(),
            default_value,
        };
        Some(Positioned::new(definition, pos))
    }

    /// A type, within which nothing may stand that could be left out.
    fn ty(&mut self) -> Option<Positioned<Type>> {
        let (start, pos) = (self.at, self.pos());
        let rest = &self.text.as_bytes()[start..];
        let lists = rest.iter().take_while(|byte| **byte == b'[').count();
        self.at += lists;
        self.pass_name()?;
        self.at += usize::from(self.peek() == Some(b'!'));
        for _ in 0..lists {
            self.at += usize::from(self.peek() == Some(b']'));
            self.at += usize::from(self.peek() == Some(b'!'));
        }
        // Too few brackets are noticed here, and too many by whoever wants what comes after a type.
        let ty = Type::new(&self.text[start..self.at])?;
        self.skip();
        Some(Positioned::new(ty, pos))
    }

    fn fragment(&mut self) -> Option<(Name, FragmentDefinition)> {
        let name = self.name()?;
        let pos = self.pos();
        if self.word()? != "on" {
            return None;
        }
        let on = self.name()?;
        let fragment = FragmentDefinition {
            type_condition: Positioned::new(TypeCondition { on }, pos),
            directives: self.directives()?,
            selection_set: self.selection_set()?,
        };
        Some((name.node, fragment))
    }

    fn selection_set(&mut self) -> Option<Positioned<SelectionSet>> {
        let pos = self.pos();
        self.take(b'{')?;
        let mut items = vec![self.selection()?];
        while !self.takes(b'}') {
            items.push(self.selection()?);
        }
        Some(Positioned::new(SelectionSet { items }, pos))
    }

    fn selection(&mut self) -> Option<Positioned<Selection>> {
        let pos = self.pos();
        let selection = if self.peek() == Some(b'.') {
            self.spread(pos)?
        } else {
            Selection::Field(Positioned::new(self.field()?, pos))
        };
        Some(Positioned::new(selection, pos))
    }

    fn field(&mut self) -> Option<Field> {
        let mut name = self.name()?;
        let mut alias = None;
        if self.takes(b':') {
            alias = Some(name);
            name = self.name()?;
        }
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let mut selection_set = Positioned::default();
        if self.peek() == Some(b'{') {
            selection_set = self.selection_set()?;
        }
        Some(Field {
            alias,
            name,
            arguments,
            directives,
            selection_set,
        })
    }

    /// A fragment, named or not, that stands in a selection set.
    fn spread(&mut self, start: Pos) -> Option<Selection> {
        if !self.text[self.at..].starts_with("...") {
            return None;
        }
        self.at += 3;
        self.skip();
        let pos = self.pos();
        let mut type_condition = None;
        if self.is_at_name() {
            let name = self.word()?;
            if name != "on" {
                let spread = FragmentSpread {
                    fragment_name: Positioned::new(Name::new(name), pos),
                    directives: self.directives()?,
                };
                return Some(Selection::FragmentSpread(Positioned::new(spread, start)));
            }
            let on = self.name()?;
            type_condition = Some(Positioned::new(TypeCondition { on }, pos));
        }
        let fragment = InlineFragment {
            type_condition,
            directives: self.directives()?,
            selection_set: self.selection_set()?,
        };
        Some(Selection::InlineFragment(Positioned::new(fragment, start)))
    }

    fn directives(&mut self) -> Option<Vec<Positioned<Directive>>> {
        let mut directives = Vec::new();
        while self.peek() == Some(b'@') {
            let pos = self.pos();
            self.take(b'@')?;
            let directive = Directive {
                name: self.name()?,
                arguments: self.arguments()?,
            };
            directives.push(Positioned::new(directive, pos));
        }
        Some(directives)
    }

    fn arguments(&mut self) -> Option<Vec<(Positioned<Name>, Positioned<Value>)>> {
        let mut arguments = Vec::new();
        if self.takes(b'(') {
            loop {
                let name = self.name()?;
                self.take(b':')?;
                arguments.push((name, self.value()?));
                if self.takes(b')') {
                    break;
                }
            }
        }
        Some(arguments)
    }

    fn value(&mut self) -> Option<Positioned<Value>> {
        let pos = self.pos();
        let value = match self.peek()? {
            b'$' => {
                self.take(b'$')?;
                Value::Variable(self.name()?.node)
            }
            b'"' => Value::String(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            b'[' => {
                self.take(b'[')?;
                let mut items = Vec::new();
                while !self.takes(b']') {
                    items.push(self.value()?.node);
                }
                Value::List(items)
            }
            b'{' => {
                self.take(b'{')?;
                let mut fields = Vec::new();
                while !self.takes(b'}') {
                    let name = self.name()?.node;
                    self.take(b':')?;
                    fields.push((name, self.value()?.node));
                }
                Value::Object(fields.into_iter().collect())
            }
            _ => match self.word()? {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                "null" => Value::Null,
                // The engine's parser takes these apart.
                word if ["true", "false", "null"]
                    .iter()
                    .any(|w| word.starts_with(w)) =>
                {
                    return None;
                }
                word => Value::Enum(Name::new(word)),
            },
        };
        Some(Positioned::new(value, pos))
    }

    /// A string in which nothing stands for anything else.
    fn string(&mut self) -> Option<String> {
        let start = self.at + 1;
        let rest = &self.text[start..];
        let end = rest.find(['"', '\\', '\n', '\r'])?;
        let is_plain = rest[end..].starts_with('"') && !rest.starts_with("\"\"");
        let text = is_plain.then(|| rest[..end].to_owned())?;
        self.at = start + end + 1;
        self.skip();
        Some(text)
    }

    /// A whole number.
    fn number(&mut self) -> Option<Value> {
        let rest = &self.text[self.at..];
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let goes_on = |byte: &u8| is_name(*byte) || *byte == b'.';
        let is_whole = match digits.as_bytes() {
            [b'0', ..] => count == 1,
            _ => count > 0,
        };
        if !is_whole || digits.as_bytes().get(count).is_some_and(goes_on) {
            return None;
        }
        let end = rest.len() - digits.len() + count;
        let number = rest[..end].parse().ok()?;
        self.at += end;
        self.skip();
        Some(Value::Number(number))
    }

    fn name(&mut self) -> Option<Positioned<Name>> {
        let pos = self.pos();
        let word = self.word()?;
        Some(Positioned::new(Name::new(word), pos))
    }

    /// A name or a keyword.
    fn word(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.pass_name()?;
        let word = &self.text[start..self.at];
        self.skip();
        Some(word)
    }

    /// Goes to the end of a name.
    fn pass_name(&mut self) -> Option<()> {
        if !self.is_at_name() {
            return None;
        }
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| is_name(**byte)).count();
        Some(())
    }

    fn is_at_name(&self) -> bool {
        self.peek()
            .is_some_and(|byte| is_name(byte) && !byte.is_ascii_digit())
    }

    /// Passes a token that must stand here.
    fn take(&mut self, token: u8) -> Option<()> {
        self.takes(token).then_some(())
    }

    /// Passes a token if it stands here.
    fn takes(&mut self, token: u8) -> bool {
        let is_here = self.peek() == Some(token);
        if is_here {
            self.at += 1;
            self.skip();
        }
        is_here
    }

    /// Goes on to the next token.
    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b',' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                }
                _ => break,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn pos(&self) -> Pos {
        Pos {
            line: self.line,
            column: self.at - self.line_start + 1,
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Sets what may be set once.
fn insert_only<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Inserts under a key that is not taken.
fn insert_new<T>(map: &mut HashMap<Name, T>, key: Name, value: T) -> Option<()> {
    match map.entry(key) {
        Entry::Occupied(_) => None,
        Entry::Vacant(place) => {
            place.insert(value);
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fuzz::is_read;

    const USUAL: &[&str] = &[
        "{a}",
        " { a , b }\n",
        "query { a }",
        "query Q { a { b c: d } }",
        "query User($id: ID!) { user(id: $id) { id username name } }",
        "query($a:[ID!]!,$b:[[Int]!]=[[1,-2],[0]],$c:In={a:{b:TWO}c:null,d:\"\"}){a(x:$a y:$b)}",
        "mutation M($input: In!) { set(input: $input) { ok errors { code } } }",
        "subscription { events(of: \"User:1\") { id } }",
        "query A { ...F @include(if: true) ... on Query @skip(if: $b) { a } ... { b } ...onF }\n\
         query B { ... @a(b: 1) @c { d } }\n\tfragment F on Query { a(x: {}, y: [], z: $z) }\n\
         fragment onF on Query @d { e }",
        "{ a(s: \"# no, comment ' here\", e: trees) }",
    ];

    /// Left to the engine's parser, which reads some of them.
    const UNUSUAL: &[&str] = &[
        "",
        "{}",
        "{ a # b\n }",
        "{ a }\r\n",
        "\u{feff}{ a }",
        "{ a(b: 1.5) }",
        "{ a(b: 1e3) }",
        "{ a(b: 01) }",
        "{ a(b: \"\\n\") }",
        "{ a(b: \"\"\"c\"\"\") }",
        "{ a(b: \"é\") }",
        "{ a(b: trueish) }",
        "{ a } { b }",
        "{ a } query B { b }",
        "query A { a } query A { b }",
        "fragment F on A { a }",
        "query ($a: [Int) { a }",
        "query ($a: [Int]]) { a }",
        "query ($a: [Int) { a(b: ]) }",
        "query ($a: Int @b) { a }",
        "query ($a: Int = $b) { a }",
        "queryA { a }",
        "{ ...on }",
        "type A { b: Int }",
    ];

    #[test]
    fn usual_documents_are_read_as_the_engine_reads_them() {
        for text in USUAL {
            assert!(is_read(text), "{text}");
        }
    }

    #[test]
    fn what_is_unusual_or_wrong_is_left_to_the_engine() {
        for text in UNUSUAL {
            assert!(!is_read(text), "{text}");
        }
    }

    #[test]
    fn nothing_is_read_that_the_engine_would_not() {
        let strange = [
            "", " ", "{", "}", "(", ")", "[", "]", ":", "=", "!", "$", "@", "...", "\"", "0", "-",
            "a", "on", "true", "null", "\n", "\0", "#", ".",
        ];
        for text in USUAL {
            for at in 0..text.len() {
                for with in strange {
                    let _ = is_read(&format!("{}{with}{}", &text[..at], &text[at..]));
                    let _ = is_read(&format!("{}{with}{}", &text[..at], &text[at + 1..]));
                }
            }
        }
    }
}
