//! Members of organizations, and people who are invited but have no account yet.

use crate::sample::moment::ago;
use crate::sample::person::{Kind, Person};
use crate::sample::random::{Random, Stream};
use crate::sample::{Batch, OrganizationMemberMappingRow, row_id};

/// Three memberships and one invitation.
const STRIDE: u64 = 4;

pub(super) fn add(person: &Person, batch: &mut Batch) {
    let mut random = Random::new(Stream::Membership, person.id);
    for (place, &organization) in (0..).zip(&person.organizations) {
        let row = member(person, place, organization, &mut random);
        batch.memberships.push(row);
    }
    batch.memberships.extend(invitation(person));
}

fn member(
    person: &Person,
    place: u64,
    organization: u64,
    random: &mut Random,
) -> OrganizationMemberMappingRow {
    let founder = organization;
    let role = match (person.kind, place) {
        _ if founder == person.id => "owner",
        (Kind::Admin, 1) => "manager",
        (Kind::Admin, _) => "member",
        _ => random_role(random),
    };
    // A founder with a higher id is not loaded yet.
    let has_inviter = founder < person.id && random.chance(600);
    OrganizationMemberMappingRow {
        role: role.to_owned(),
        user_id: Some(person.key()),
        inviter_id: has_inviter.then(|| founder.cast_signed()),
        ..row(person, place, organization, random)
    }
}

fn random_role(random: &mut Random) -> &'static str {
    match random.below(100) {
        0..3 => "owner",
        3..10 => "manager",
        10..20 => "admin",
        _ => "member",
    }
}

/// An invitation by this user, which one in forty has sent.
fn invitation(person: &Person) -> Option<OrganizationMemberMappingRow> {
    let mut random = Random::new(Stream::Invitation, person.id);
    let &organization = person.organizations.first()?;
    random.chance(25).then(|| OrganizationMemberMappingRow {
        email: Some(format!("invited{}@example.org", person.id)),
        inviter_id: Some(person.key()),
        invite_status: Some(*random.pick(&[0, 0, 0, 1, 2])),
        ..row(person, STRIDE - 1, organization, &mut random)
    })
}

/// What memberships and invitations have in common.
fn row(
    person: &Person,
    place: u64,
    organization: u64,
    random: &mut Random,
) -> OrganizationMemberMappingRow {
    let id = row_id(person.id, STRIDE, place);
    OrganizationMemberMappingRow {
        id,
        organization_id: organization.cast_signed(),
        // Regions count on their own; the offset tells their ids from ours at a glance.
        organizationmember_id: Some(7_000_000_000 + id),
        date_added: ago(random.below(person.age)),
        role: "member".to_owned(),
        user_id: None,
        email: None,
        inviter_id: None,
        invite_status: Some(0),
    }
}
