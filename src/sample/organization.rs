//! Organizations: their rows, their sign-in providers, and who belongs to which.

use serde_json::json;

use crate::sample::moment::{DAY, ago};
use crate::sample::person::TWINS;
use crate::sample::random::{Random, Stream, index};
use crate::sample::{AuthProviderRow, Batch, OrganizationMappingRow, Size};

/// Slug and name of the first organizations. Documentation, examples and tests rely on them.
static FIRST: [(&str, &str); 8] = [
    ("example", "Example"),
    ("mueller-soehne", "Müller & Söhne"),
    ("sakura-denki", "さくら電機"),
    ("cafe-ole", "Café Olé"),
    ("zarya", "Заря"),
    ("agora", "Αγορά"),
    ("nour", "نور للبرمجيات"),
    ("hanbit", "한빛 소프트"),
];

const ADJECTIVES: [&str; 32] = [
    "Amber", "Bold", "Bright", "Calm", "Clever", "Copper", "Coral", "Crimson", "Daring", "Early",
    "Gentle", "Golden", "Happy", "Honest", "Humble", "Jolly", "Kind", "Lively", "Lucky", "Merry",
    "Mellow", "Noble", "Patient", "Proud", "Quick", "Quiet", "Silver", "Steady", "Sunny", "Swift",
    "Velvet", "Wise",
];

const NOUNS: [&str; 32] = [
    "Acorn", "Badger", "Bakery", "Beacon", "Bridge", "Brook", "Canyon", "Cedar", "Comet", "Falcon",
    "Forge", "Garden", "Harbor", "Heron", "Island", "Kettle", "Lantern", "Library", "Meadow",
    "Meteor", "Orchard", "Otter", "Pebble", "Piano", "Planet", "Rocket", "Sparrow", "Station",
    "Summit", "Valley", "Willow", "Workshop",
];

/// How many combinations of adjective and noun there are.
const ROUND: u64 = 32 * 32;

/// What kinds of sign-in providers there are.
const PROVIDERS: [&str; 4] = ["google", "github", "okta", "saml2"];

pub(super) fn add(id: u64, batch: &mut Batch) {
    batch.organizations.push(organization(id));
    batch.auth_providers.extend(auth_provider(id));
}

fn organization(id: u64) -> OrganizationMappingRow {
    let mut random = Random::new(Stream::Organization, id);
    let (slug, name) = names(id);
    let age = age(id);
    OrganizationMappingRow {
        id: mapping_id(id),
        organization_id: id.cast_signed(),
        slug,
        name,
        date_created: ago(age),
        customer_id: random.chance(700).then(|| format!("cus_sample{id:08}")),
        verified: random.chance(900),
        idempotency_key: String::new(),
        region_name: region(id, &mut random).to_owned(),
        status: Some(i64::from(id.is_multiple_of(13))),
        allow_joinleave: random.chance(800),
        enhanced_privacy: random.chance(150),
        require_2fa: random.chance(200),
        early_adopter: random.chance(250),
        disable_shared_issues: random.chance(100),
        disable_new_visibility_features: random.chance(50),
        require_email_verification: random.chance(150),
        disable_member_project_creation: random.chance(200),
        prevent_superuser_access: random.chance(50),
        disable_member_invite: random.chance(150),
        date_updated: ago(random.below(age)),
    }
}

/// Neighbours change places, so that a mapping's key is never the id of its organization.
fn mapping_id(id: u64) -> i64 {
    (((id - 1) ^ 1) + 1).cast_signed()
}

/// One of three regions; the first three organizations are in one each.
fn region(id: u64, random: &mut Random) -> &'static str {
    match (id, random.below(20)) {
        (2, _) => "de",
        (3, _) => "apac",
        (1, _) | (_, 0..12) => "us",
        (_, 12..17) => "de",
        _ => "apac",
    }
}

/// The seconds since the organization was made, more than any user's: nobody joins before there is something to join.
fn age(id: u64) -> u64 {
    9 * 365 * DAY + Random::new(Stream::OrganizationAge, id).below(3 * 365 * DAY)
}

fn names(id: u64) -> (String, String) {
    if let Some(&(slug, name)) = FIRST.get(index(id - 1)) {
        return (slug.to_owned(), name.to_owned());
    }
    let (round, place) = ((id - 1) / ROUND, (id - 1) % ROUND);
    // An odd factor is reversible on a power of two, so no combination comes twice in a round.
    let number = place * 617 % ROUND;
    let adjective = ADJECTIVES[index(number / 32)];
    let noun = NOUNS[index((number + number / 32) % 32)];
    let name = match round {
        0 => format!("{adjective} {noun}"),
        _ => format!("{adjective} {noun} {}", round + 1),
    };
    (name.to_ascii_lowercase().replace(' ', "-"), name)
}

fn auth_provider(organization: u64) -> Option<AuthProviderRow> {
    let id = auth_provider_id(organization)?;
    let age = age(organization);
    let mut random = Random::new(Stream::AuthProvider, organization);
    Some(AuthProviderRow {
        id,
        organization_id: organization.cast_signed(),
        provider: match organization {
            1 => "google",
            2 => "github",
            _ => random.pick(&PROVIDERS),
        }
        .to_owned(),
        config: json!({}),
        date_added: ago(random.below(age)),
        sync_time: None,
        last_sync: random.chance(500).then(|| ago(random.below(30 * DAY))),
        default_role: 50,
        default_global_access: random.chance(900),
        flags: *random.pick(&[0, 0, 0, 1, 2]),
    })
}

/// The key of the provider that every third organization has, and the first three besides.
pub(super) fn auth_provider_id(organization: u64) -> Option<i64> {
    match organization {
        1..=3 => Some(organization.cast_signed()),
        _ if organization.is_multiple_of(3) => Some((organization / 3 + 2).cast_signed()),
        _ => None,
    }
}

/// The organizations of a user, in no particular order but the first, which the user founded if it has the user's id.
pub(super) fn joined_by(size: Size, user: u64) -> Vec<u64> {
    let first: &[u64] = match user {
        1 => &[1, 2, 3],
        // Each twin belongs to an organization the other's provider does not serve.
        _ if user == TWINS[0] => &[2, 1],
        _ if user == TWINS[1] => &[3, 2],
        _ => &[],
    };
    if !first.is_empty() {
        let exists = |&id: &u64| id <= size.organizations;
        return first.iter().copied().filter(exists).collect();
    }
    let mut random = Random::new(Stream::Organizations, user);
    let wanted = match random.below(100) {
        0..2 => 0,
        2..62 => 1,
        62..90 => 2,
        _ => 3,
    };
    let mut joined = Vec::with_capacity(3);
    if user <= size.organizations {
        joined.push(user);
    }
    while joined.len() < wanted.min(index(size.organizations)) {
        let mut candidate = draw(size, &mut random);
        while joined.contains(&candidate) {
            candidate = candidate % size.organizations + 1;
        }
        joined.push(candidate);
    }
    joined
}

/// An organization, the likelier the lower its id: sizes fall off by a power law, and the first has about a quarter of
/// a thousand users, but not a quarter of a million.
fn draw(size: Size, random: &mut Random) -> u64 {
    let mut range = size.organizations;
    while range > 1 && random.below(16) < 11 {
        range /= 2;
    }
    1 + random.below(range)
}
