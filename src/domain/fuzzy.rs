//! Which member of an organization somebody means who gives an address or a name.

use std::collections::BTreeSet;

use super::fold::fold;
use super::id::{OrganizationId, UserId};

/// Where the addresses lie that GitHub gives to people who hide their own.
const GITHUB_NO_REPLY: &str = "users.noreply.github.com";

/// A member of an organization, as hints are given of one. An empty hint is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuzzyUserQuery {
    /// Among whose active members.
    pub organization_id: OrganizationId,
    /// What may be an address of the member, or of another domain, or hold the username.
    pub email: Option<String>,
    /// What may be the member's display name.
    pub name: Option<String>,
}

/// A member, as far as hints can tell of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuzzyMember {
    /// Who.
    pub id: UserId,
    /// The username.
    pub username: String,
    /// The display name.
    pub name: String,
    /// Every address, verified or not.
    pub emails: Vec<String>,
}

/// The one of `members` whom the hints point to, and nobody if they point to several, to
/// different ones, or to none.
///
/// An address points to whoever has it, and to whoever has the part before its `@` at another
/// domain or as username, where `.`, `_` and `-` are the same; with dots in that part, also to
/// whoever has it as first and last name. None of these weighs more than another.
#[must_use]
pub fn resolve_fuzzy_user(query: &FuzzyUserQuery, members: &[FuzzyMember]) -> Option<UserId> {
    let hint = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim).map(fold);
        text.filter(|text| !text.is_empty())
    };
    let by_email = hint(&query.email).map(|email| found(members, |m| has_email(m, &email)));
    let by_name = hint(&query.name).map(|name| {
        let name: Vec<&str> = name.split_whitespace().collect();
        found(members, |member| has_name(member, &name))
    });
    let mut all: BTreeSet<UserId> = by_email.into_iter().chain(by_name).flatten().collect();
    let first = all.pop_first()?;
    all.is_empty().then_some(first)
}

fn found(members: &[FuzzyMember], fits: impl Fn(&FuzzyMember) -> bool) -> BTreeSet<UserId> {
    let members = members.iter().filter(|member| fits(member));
    members.map(|member| member.id).collect()
}

fn has_email(member: &FuzzyMember, email: &str) -> bool {
    let addresses: Vec<String> = member.emails.iter().map(|email| fold(email)).collect();
    if addresses.iter().any(|address| address == email) {
        return true;
    }
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let username = fold(&member.username);
    if domain == fold(GITHUB_NO_REPLY) {
        let login = match local.split_once('+') {
            Some((number, login)) if number.bytes().all(|b| b.is_ascii_digit()) => login,
            _ => local,
        };
        return is_same(login, &username);
    }
    let same_local = addresses.iter().any(|address| {
        let other = address.rsplit_once('@');
        other.is_some_and(|(other, _)| is_same(local, other))
    });
    let name: Vec<&str> = local.split('.').collect();
    same_local || is_same(local, &username) || (name.len() > 1 && has_name(member, &name))
}

/// Whether two texts are the same but for which of `.`, `_` and `-` stands between their parts.
fn is_same(one: &str, other: &str) -> bool {
    const SEPARATORS: [char; 3] = ['.', '_', '-'];
    !one.is_empty() && one.split(SEPARATORS).eq(other.split(SEPARATORS))
}

/// Whether the words of `hint`, which are folded, name the member. First and last must be the
/// same. What the record has between them may be missing in the hint; what the hint has there
/// must be in the record, but for an initial where the record has nothing.
fn has_name(member: &FuzzyMember, hint: &[&str]) -> bool {
    let name = fold(&member.name);
    let record: Vec<&str> = name.split_whitespace().collect();
    let ([first, middle @ .., last], [own_first, own_middle @ .., own_last]) = (hint, &record[..])
    else {
        return hint.len() == 1 && hint == record;
    };
    let mut own_middle_names = own_middle.iter();
    first == own_first
        && last == own_last
        && middle.iter().all(|name| match initial(name) {
            Some(_) if own_middle.is_empty() => true,
            Some(letter) => own_middle_names.any(|own| own.starts_with(letter)),
            None => own_middle_names.any(|own| {
                own == name || initial(own).is_some_and(|letter| name.starts_with(letter))
            }),
        })
}

/// The letter of a name that is cut down to one, with or without a dot.
fn initial(name: &str) -> Option<char> {
    let mut letters = name.strip_suffix('.').unwrap_or(name).chars();
    letters.next().filter(|_| letters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: i64, username: &str, name: &str, emails: &[&str]) -> FuzzyMember {
        FuzzyMember {
            id: UserId(id),
            username: username.to_owned(),
            name: name.to_owned(),
            emails: emails.iter().map(|email| (*email).to_owned()).collect(),
        }
    }

    fn resolve(members: &[FuzzyMember], email: &str, name: &str) -> Option<i64> {
        let hint = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let query = FuzzyUserQuery {
            organization_id: OrganizationId(1),
            email: hint(email),
            name: hint(name),
        };
        resolve_fuzzy_user(&query, members).map(|id| id.0)
    }

    fn directory() -> Vec<FuzzyMember> {
        vec![
            member(1, "dana-reed", "Dana Marie Reed", &["dana@work.example"]),
            member(
                2,
                "kim",
                "Kim Q. Lee",
                &["k_lee@home.example", "jo@home.example"],
            ),
            member(3, "octo", "", &["octo.cat@home.example"]),
        ]
    }

    #[test]
    fn an_address_points_to_whoever_has_it_ignoring_case() {
        assert_eq!(resolve(&directory(), "DANA@Work.example", ""), Some(1));
        assert_eq!(resolve(&directory(), "nobody@work.example", ""), None);
    }

    #[test]
    fn the_part_before_the_at_may_belong_to_another_domain() {
        assert_eq!(resolve(&directory(), "dana@elsewhere.example", ""), Some(1));
        assert_eq!(resolve(&directory(), "jo@elsewhere.example", ""), Some(2));
        for local in ["k.lee", "k-lee", "k_lee", "K_LEE"] {
            let email = format!("{local}@elsewhere.example");
            assert_eq!(resolve(&directory(), &email, ""), Some(2), "{email}");
        }
    }

    #[test]
    fn separators_inside_a_word_make_it_another_word() {
        assert_eq!(resolve(&directory(), "d.a.n.a@elsewhere.example", ""), None);
        assert_eq!(resolve(&directory(), "klee@elsewhere.example", ""), None);
        assert_eq!(resolve(&directory(), "@work.example", ""), None);
    }

    #[test]
    fn a_part_with_dots_may_be_a_name_or_a_username() {
        assert_eq!(
            resolve(&directory(), "dana.reed@elsewhere.example", ""),
            Some(1)
        );
        assert_eq!(
            resolve(&directory(), "kim.lee@elsewhere.example", ""),
            Some(2)
        );
        assert_eq!(resolve(&directory(), "kim_lee@elsewhere.example", ""), None);
        assert_eq!(resolve(&directory(), "kim@elsewhere.example", ""), Some(2));
    }

    #[test]
    fn an_address_that_github_gives_holds_a_username() {
        for email in [
            "octo@users.noreply.github.com",
            "12345+octo@users.noreply.github.com",
            "1+Octo@users.noreply.GitHub.com",
        ] {
            assert_eq!(resolve(&directory(), email, ""), Some(3), "{email}");
        }
        assert_eq!(
            resolve(&directory(), "jo@users.noreply.github.com", ""),
            None
        );
        assert_eq!(
            resolve(&directory(), "x+octo@users.noreply.github.com", ""),
            None
        );
    }

    #[test]
    fn a_name_needs_first_and_last() {
        for name in [
            "Dana Reed",
            "dana reed",
            "Dana M Reed",
            "Dana M. Reed",
            "Dana Marie Reed",
        ] {
            assert_eq!(resolve(&directory(), "", name), Some(1), "{name}");
        }
        for name in [
            "Dana",
            "Reed",
            "Reed Dana",
            "Dana X. Reed",
            "Dana Xenia Reed",
            "Dana Marie",
        ] {
            assert_eq!(resolve(&directory(), "", name), None, "{name}");
        }
        let plain = [member(1, "ada", "Ada Lovelace", &[])];
        assert_eq!(resolve(&plain, "", "Ada K. Lovelace"), Some(1));
        assert_eq!(resolve(&plain, "", "Ada King Lovelace"), None);
    }

    #[test]
    fn an_initial_in_the_record_stands_for_a_name() {
        assert_eq!(resolve(&directory(), "", "Kim Quinn Lee"), Some(2));
        assert_eq!(resolve(&directory(), "", "Kim R. Lee"), None);
    }

    #[test]
    fn hints_that_point_to_several_point_to_nobody() {
        let mut members = directory();
        members.push(member(4, "other", "", &["dana@home.example"]));
        assert_eq!(resolve(&members, "dana@work.example", ""), None);
        members.push(member(5, "sixth", "Kim Lee", &[]));
        assert_eq!(resolve(&members, "", "Kim Lee"), None);
    }

    #[test]
    fn hints_that_disagree_point_to_nobody() {
        assert_eq!(
            resolve(&directory(), "dana@work.example", "Dana Reed"),
            Some(1)
        );
        assert_eq!(resolve(&directory(), "dana@work.example", "Kim Lee"), None);
        assert_eq!(
            resolve(&directory(), "dana@work.example", "Nobody Here"),
            Some(1)
        );
    }

    #[test]
    fn without_a_hint_nobody_is_meant() {
        assert_eq!(resolve(&directory(), "", ""), None);
        assert_eq!(resolve(&directory(), " ", " "), None);
        assert_eq!(resolve(&[], "dana@work.example", ""), None);
    }
}
