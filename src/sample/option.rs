//! Options of a user: global ones, and some limited to a project or an organization.

use serde_json::{Value, json};

use crate::sample::person::{Kind, Person};
use crate::sample::random::{Random, Stream};
use crate::sample::{Batch, UserOptionRow, row_id};

/// The places of the global options, and two for each kind of scope.
const STRIDE: u64 = GLOBAL.len() as u64 + 4;

/// How a value is made.
type Make = fn(&Person, &mut Random) -> Value;

/// The global options: key, how many of a thousand users have it, and its value. Each has a place of its own, so none
/// can come twice, which no constraint of the table would prevent.
const GLOBAL: [(&str, u64, Make); 8] = [
    ("theme", 600, |_, random| {
        json!(random.pick(&["light", "dark", "system"]))
    }),
    ("language", 700, |person, _| json!(person.locale.language)),
    ("timezone", 700, |person, random| {
        json!(random.pick(&person.locale.timezones))
    }),
    ("clock_24_hours", 500, |_, random| json!(random.chance(500))),
    // Stored as a text or as a number, as it is in directories that have grown.
    ("stacktrace_order", 300, |_, random| {
        random
            .pick(&[json!("-1"), json!("1"), json!("2"), json!(1), json!(2)])
            .clone()
    }),
    ("default_issue_event", 300, |_, random| {
        json!(random.pick(&["recommended", "latest", "oldest"]))
    }),
    ("prefers_issue_details_streamlined_ui", 400, |_, random| {
        json!(random.chance(800))
    }),
    ("reports:disabled-organizations", 30, |person, _| {
        json!(person.organizations)
    }),
];

pub(super) fn add(person: &Person, batch: &mut Batch) {
    // Programs have no preferences.
    if person.kind == Kind::App {
        return;
    }
    let mut random = Random::new(Stream::Option, person.id);
    for (place, (key, share, make)) in (0..).zip(GLOBAL) {
        if random.chance(share) || person.kind == Kind::Admin {
            let value = make(person, &mut random);
            batch.options.push(row(person, place, key, value));
        }
    }
    for (place, &organization) in (0..2).zip(&person.organizations) {
        let place = GLOBAL.len() as u64 + 2 * place;
        if random.chance(120) || person.kind == Kind::Admin {
            batch.options.push(UserOptionRow {
                project_id: Some(project(organization, &mut random)),
                ..row(person, place, "mail:email", mail_address(person))
            });
        }
        if random.chance(80) || person.kind == Kind::Admin {
            let value = json!(random.pick(&["all", "participating", "none"]));
            batch.options.push(UserOptionRow {
                organization_id: Some(organization.cast_signed()),
                ..row(person, place + 1, "workflow_notifications", value)
            });
        }
    }
}

/// Regions keep the projects; these ids are made up, five to an organization.
fn project(organization: u64, random: &mut Random) -> i64 {
    (organization * 10 + 1 + random.below(5)).cast_signed()
}

/// Where mail about a project goes: the last address, so that it often is not the primary one.
fn mail_address(person: &Person) -> Value {
    json!(person.addresses.last())
}

fn row(person: &Person, place: u64, key: &str, value: Value) -> UserOptionRow {
    UserOptionRow {
        id: row_id(person.id, STRIDE, place),
        user_id: person.key(),
        project_id: None,
        organization_id: None,
        key: key.to_owned(),
        value,
    }
}
