//! The account of a user: the user's own row, the addresses and the avatar.

use crate::sample::moment::{DAY, ago};
use crate::sample::person::{Kind, Person, State};
use crate::sample::random::{Random, Stream};
use crate::sample::{Batch, UserAvatarRow, UserEmailRow, UserRow, row_id};

/// The shape of a hash. A hyphen is no digit of base 64, so no password has this one.
const NO_PASSWORD: &str = "pbkdf2_sha256$1000000$sample$matches-no-password";

/// What Django takes for "cannot sign in with a password".
const UNUSABLE_PASSWORD: &str = "!";

pub(super) fn add(person: &Person, batch: &mut Batch) {
    let avatar = avatar(person);
    batch.users.push(user(person, avatar.as_ref()));
    batch.emails.extend(emails(person));
    batch.avatars.extend(avatar);
}

fn user(person: &Person, avatar: Option<&UserAvatarRow>) -> UserRow {
    let mut random = Random::new(Stream::Account, person.id);
    let is_admin = person.kind == Kind::Admin;
    let is_person = person.kind != Kind::App;
    let is_plain = person.kind == Kind::Plain;
    let comes_back = is_person && person.state != State::Unclaimed;
    let signed_in = random.below(person.age.min(400 * DAY));
    let has_password = comes_back && random.chance(900);
    UserRow {
        id: person.key(),
        password: if has_password {
            NO_PASSWORD
        } else {
            UNUSABLE_PASSWORD
        }
        .to_owned(),
        last_login: (comes_back && random.chance(950)).then(|| ago(signed_in)),
        username: person.username.clone(),
        first_name: person.name.clone(),
        email: person.primary_address().to_owned(),
        email_unique: None,
        is_staff: is_staff(person),
        is_active: person.state != State::Inactive,
        is_unclaimed: person.state == State::Unclaimed,
        is_superuser: is_admin,
        is_managed: is_plain && random.chance(15),
        is_sentry_app: if is_person {
            random.chance(500).then_some(false)
        } else {
            Some(true)
        },
        is_password_expired: is_plain && has_password && random.chance(10),
        is_suspended: is_plain && random.chance(3),
        last_password_change: (has_password && random.chance(600))
            .then(|| ago(random.below(person.age))),
        flags: i64::from(random.chance(100)),
        session_nonce: (comes_back && random.chance(800))
            .then(|| format!("{:012x}", random.draw() >> 16)),
        date_joined: ago(person.age),
        last_active: (comes_back && random.chance(950)).then(|| ago(random.below(signed_in + 1))),
        avatar_type: avatar.map_or(0, |avatar| avatar.avatar_type),
        avatar_url: avatar
            .filter(|avatar| avatar.control_file_id.is_some())
            .map(|avatar| format!("https://avatars.example/avatar/{}/", avatar.ident)),
    }
}

/// Whether the user is staff; who is also gets a role and permissions.
pub(super) fn is_staff(person: &Person) -> bool {
    match person.kind {
        Kind::Admin => true,
        Kind::Twin | Kind::App => false,
        Kind::Plain => {
            person.state == State::Active && Random::new(Stream::Staff, person.id).chance(10)
        }
    }
}

fn emails(person: &Person) -> impl Iterator<Item = UserEmailRow> {
    let mut random = Random::new(Stream::Email, person.id);
    (0..)
        .zip(&person.addresses)
        .map(move |(place, email)| UserEmailRow {
            id: row_id(person.id, 3, place),
            user_id: person.key(),
            email: email.clone(),
            validation_hash: random.hex(),
            date_hash_added: ago(random.below(person.age)),
            is_verified: match (person.kind, place) {
                (Kind::Admin | Kind::Twin, _) => place == 0,
                (Kind::App, _) => true,
                (Kind::Plain, 0) => person.state != State::Unclaimed && random.chance(960),
                (Kind::Plain, _) => random.chance(800),
            },
        })
}

fn avatar(person: &Person) -> Option<UserAvatarRow> {
    let mut random = Random::new(Stream::Avatar, person.id);
    // Drawn first, because only first draws are unique.
    let ident = random.hex();
    let has_one = person.kind == Kind::Admin || random.chance(400);
    has_one.then(|| {
        let avatar_type = *random.pick(&[0, 1, 1, 2, 2]);
        UserAvatarRow {
            id: row_id(person.id, 2, 0),
            ident,
            control_file_id: (avatar_type == 1).then(|| 1_000 + 3 * person.key()),
            avatar_type,
            user_id: person.key(),
        }
    })
}
