//! Answers, written byte by byte.

/// Appends a text.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(out, text);
    }
}

/// Appends a global id, the name of its type given with the colon.
pub(super) fn id(out: &mut Vec<u8>, ty: &str, id: i64) {
    out.push(b'"');
    out.extend_from_slice(ty.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    out.push(b'"');
}

/// A user, as far as W1 and W2 go.
#[derive(Debug)]
pub(super) struct User<'a> {
    /// The id.
    pub(super) id: i64,
    /// The username.
    pub(super) username: &'a str,
    /// The name, which may be empty.
    pub(super) name: &'a str,
    /// What to show of somebody without a name.
    pub(super) substitute: Option<&'a str>,
    /// Whether the account may be used.
    pub(super) is_active: bool,
}

impl User<'_> {
    /// Appends the user.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        id(out, "User:", self.id);
        out.extend_from_slice(b",\"username\":");
        text(out, self.username);
        out.extend_from_slice(b",\"name\":");
        text(out, self.name);
        out.extend_from_slice(b",\"displayName\":");
        text(out, self.substitute.unwrap_or(self.name));
        out.extend_from_slice(b",\"isActive\":");
        boolean(out, self.is_active);
        out.push(b'}');
    }
}

/// Appends a boolean.
pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends the items of a list, with commas between them.
pub(super) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Appends the start of a user of W3, up to the organizations.
pub(super) fn start_of_page_user(out: &mut Vec<u8>, user: &User<'_>) {
    out.extend_from_slice(b"{\"id\":");
    id(out, "User:", user.id);
    out.extend_from_slice(b",\"username\":");
    text(out, user.username);
    out.extend_from_slice(b",\"displayName\":");
    text(out, user.substitute.unwrap_or(user.name));
    out.extend_from_slice(b",\"organizations\":");
}

/// Appends an organization of W3.
pub(super) fn organization(out: &mut Vec<u8>, number: i64, slug: &str, name: &str) {
    out.extend_from_slice(b"{\"id\":");
    id(out, "Organization:", number);
    out.extend_from_slice(b",\"slug\":");
    text(out, slug);
    out.extend_from_slice(b",\"name\":");
    text(out, name);
    out.push(b'}');
}

/// Appends an option of W3, whose value is JSON already.
pub(super) fn option(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    out.extend_from_slice(b"{\"key\":");
    text(out, key);
    out.extend_from_slice(b",\"value\":");
    out.extend_from_slice(value.unwrap_or("null").as_bytes());
    out.push(b'}');
}

/// Appends those of `names` that exist, each once.
pub(super) fn existing<'a>(
    out: &mut Vec<u8>,
    names: &'a [std::borrow::Cow<'a, str>],
    mut take: impl FnMut(&str) -> bool,
) {
    out.extend_from_slice(b"{\"data\":{\"existingUsernames\":");
    list(out, names.iter().filter(|name| take(name)), |out, name| {
        text(out, name);
    });
    out.extend_from_slice(b"}}");
}
