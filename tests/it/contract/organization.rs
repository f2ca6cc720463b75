//! The contract of the organization service.

use user_gateway::domain::{
    Anchor, OrderValue, OrganizationFlags, OrganizationId, OrganizationMember, OrganizationStatus,
    OrganizationStatus::{
        Active, DeletionInProgress, PendingDeletion, RelocationPendingApproval, Unknown,
    },
    OrganizationVisibility::{Any, OnlyVisible},
    PageEnd,
    PageEnd::{First, Last},
    PageRequest, UserId,
};

use crate::harness::{TestDatabase, at};

const NOBODY: UserId = UserId(404);
const NOWHERE: OrganizationId = OrganizationId(404);

fn page(end: PageEnd, size: u32, after: Option<UserId>, before: Option<UserId>) -> PageRequest {
    let anchor = |id: UserId| Anchor {
        value: OrderValue::Id,
        id: id.0,
    };
    PageRequest {
        after: after.map(anchor),
        before: before.map(anchor),
        end,
        size,
    }
}

fn member_id(member: &OrganizationMember) -> UserId {
    member.user.id
}

/// The ids of an organization's members on a page, and whether there are more on either side.
async fn members(
    db: &TestDatabase,
    organization: OrganizationId,
    page: &PageRequest,
) -> (Vec<UserId>, bool, bool) {
    let mut found = db
        .organizations()
        .get_members(&[organization], page)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    let (id, page) = found.remove(0);
    assert_eq!(id, organization);
    let members = page.rows.iter().map(member_id).collect();
    (members, page.has_previous, page.has_next)
}

contract! {
    async fn a_membership_counts_whatever_the_state_of_its_invitation(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let mut organizations = Vec::new();
        for (id, status) in [(9, Some(0)), (8, Some(1)), (7, Some(2)), (6, None)] {
            let organization = db.add_organization(id, "us", Some(0)).await;
            db.add_membership(organization, Some(ada), "member", status).await;
            organizations.push(organization);
        }
        // The same membership twice, somebody else's, and one whose organization is unknown here.
        db.join(ada, organizations[0]).await;
        db.join(grace, organizations[1]).await;
        db.join(ada, NOWHERE).await;
        let found = db.organizations().get_memberships(&[grace, ada, NOBODY], Any).await.unwrap();
        let found: Vec<_> = found.iter().map(|m| (m.user_id, m.organization.id.0)).collect();
        assert_eq!(found, [(ada, 6), (ada, 7), (ada, 8), (ada, 9), (grace, 8)]);

        let found = db.organizations().get_organizations(ada, Any).await.unwrap();
        assert_eq!(found.iter().map(|o| o.id.0).collect::<Vec<_>>(), [6, 7, 8, 9]);
        assert!(db.organizations().get_organizations(NOBODY, Any).await.unwrap().is_empty());
    }

    async fn only_active_organizations_are_visible(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let states = [
            Some(Active),
            Some(PendingDeletion),
            Some(DeletionInProgress),
            Some(RelocationPendingApproval),
            Some(Unknown(9)),
            None,
        ];
        for (id, state) in (1..).zip(states) {
            let stored = state.map(OrganizationStatus::stored);
            let organization = db.add_organization(id, "us", stored).await;
            db.join(ada, organization).await;
        }
        let all = db.organizations().get_organizations(ada, Any).await.unwrap();
        assert_eq!(all.iter().map(|o| o.status).collect::<Vec<_>>(), states);
        let visible = db.organizations().get_organizations(ada, OnlyVisible).await.unwrap();
        assert_eq!(visible.iter().map(|o| o.status).collect::<Vec<_>>(), [Some(Active)]);
    }

    async fn an_organization_is_read_whole(db: &TestDatabase) {
        let id = db.add_organization(7, "de", Some(0)).await;
        db.execute(
            "UPDATE sentry_organizationmapping SET slug = 'looms', name = 'Looms', \
             customer_id = 'cus_7', early_adopter = true, require_2fa = true, \
             disable_member_invite = true",
        )
        .await;
        let found = db.organizations().get_by_slug("looms").await.unwrap().unwrap();
        assert_eq!(found.id, id);
        assert_eq!((found.slug.as_str(), found.name.as_str()), ("looms", "Looms"));
        assert_eq!(found.region_name, "de");
        assert_eq!(found.date_created, at("2025-01-01T00:00:00Z"));
        assert_eq!(found.customer_id.as_deref(), Some("cus_7"));
        let flags = OrganizationFlags {
            early_adopter: true,
            require_2fa: true,
            disable_member_invite: true,
            ..OrganizationFlags::default()
        };
        assert_eq!(found.flags, flags);
        assert_eq!(db.organizations().get_many_by_id(&[id]).await.unwrap(), [found]);
        assert!(db.organizations().get_by_slug("LOOMS").await.unwrap().is_none());
    }

    async fn organizations_by_id_come_by_id(db: &TestDatabase) {
        for id in [9, 7, 8] {
            db.add_organization(id, "us", Some(1)).await;
        }
        let asked = [OrganizationId(9), NOWHERE, OrganizationId(7), OrganizationId(9)];
        let found = db.organizations().get_many_by_id(&asked).await.unwrap();
        assert_eq!(found.iter().map(|o| o.id.0).collect::<Vec<_>>(), [7, 9]);
        assert!(db.organizations().get_many_by_id(&[]).await.unwrap().is_empty());
    }

    async fn the_regions_of_a_user_are_named_once_and_sorted(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        for (id, region, status) in [(1, "us", 0), (2, "de", 1), (3, "us", 0)] {
            let organization = db.add_organization(id, region, Some(status)).await;
            db.join(ada, organization).await;
        }
        db.add_organization(4, "jp", Some(0)).await;
        let names = db.organizations().get_member_region_names(ada).await.unwrap();
        assert_eq!(names, ["de", "us"]);
        assert!(db.organizations().get_member_region_names(NOBODY).await.unwrap().is_empty());
    }

    async fn members_of_several_organizations_come_in_one_answer(db: &TestDatabase) {
        let [ada, grace, edith] = db.add_users(["ada", "grace", "edith"]).await;
        let one = db.add_organization(1, "us", Some(0)).await;
        let two = db.add_organization(2, "us", Some(0)).await;
        let empty = db.add_organization(3, "us", Some(0)).await;
        for (organization, user, role, status) in [
            (one, Some(grace), "owner", Some(0)),
            (one, Some(ada), "manager", Some(0)),
            // Of two rows for one member the older one counts.
            (one, Some(ada), "member", Some(0)),
            (one, None, "member", Some(0)),
            (one, Some(edith), "member", Some(1)),
            (two, Some(edith), "member", None),
            (two, Some(ada), "member", Some(2)),
            (two, Some(grace), "admin", Some(0)),
        ] {
            db.add_membership(organization, user, role, status).await;
        }
        let asked = [two, NOWHERE, one, empty, two];
        let found = db
            .organizations()
            .get_members(&asked, &page(First, 10, None, None))
            .await
            .unwrap();
        let roles = |place: usize| -> (OrganizationId, Vec<(UserId, &str)>) {
            let (id, page) = &found[place];
            assert!(!page.has_next && !page.has_previous);
            (*id, page.rows.iter().map(|m| (member_id(m), m.role.as_str())).collect())
        };
        assert_eq!(found.len(), 5);
        assert_eq!(roles(0), (two, vec![(grace, "admin"), (edith, "member")]));
        assert_eq!(roles(1), (NOWHERE, vec![]));
        assert_eq!(roles(2), (one, vec![(ada, "manager"), (grace, "owner")]));
        assert_eq!(roles(3), (empty, vec![]));
        assert_eq!(roles(4), roles(0));
        assert_eq!(found[0].1.rows[0].date_added, at("2025-01-01T00:00:00Z"));

        let counts = db.organizations().count_members(&asked).await.unwrap();
        assert_eq!(counts, [(two, 2), (NOWHERE, 0), (one, 2), (empty, 0), (two, 2)]);
    }

    async fn members_are_paged_in_every_organization_alike(db: &TestDatabase) {
        let users = db.add_users(["a", "b", "c", "d", "e"]).await;
        let one = db.add_organization(1, "us", Some(0)).await;
        let two = db.add_organization(2, "us", Some(0)).await;
        for user in users.into_iter().rev() {
            db.join(user, one).await;
            db.join(user, one).await;
        }
        db.join(users[2], two).await;
        for (request, expected) in [
            (page(First, 2, None, None), (vec![users[0], users[1]], false, true)),
            (page(First, 2, Some(users[1]), None), (vec![users[2], users[3]], true, true)),
            (page(First, 2, Some(users[3]), None), (vec![users[4]], true, false)),
            (page(Last, 2, None, None), (vec![users[3], users[4]], true, false)),
            (page(Last, 2, None, Some(users[3])), (vec![users[1], users[2]], true, true)),
            (page(Last, 2, None, Some(users[1])), (vec![users[0]], false, true)),
            (page(First, 2, Some(users[0]), Some(users[4])), (vec![users[1], users[2]], true, true)),
            (page(First, 5, None, None), (users.to_vec(), false, false)),
        ] {
            assert_eq!(members(db, one, &request).await, expected, "{request:?}");
        }
        let first = page(First, 2, None, None);
        assert_eq!(members(db, two, &first).await, (vec![users[2]], false, false));
    }

    async fn colleagues_are_joined_to_a_common_organization(db: &TestDatabase) {
        let [me, colleague, invited, asking, stranger, old] =
            db.add_users(["me", "colleague", "invited", "asking", "stranger", "old"]).await;
        let ours = db.add_organization(7, "us", Some(1)).await;
        let theirs = db.add_organization(8, "us", Some(0)).await;
        for (organization, user, status) in [
            (ours, me, Some(0)),
            (ours, colleague, Some(0)),
            (ours, colleague, Some(0)),
            (ours, invited, Some(1)),
            (ours, asking, Some(2)),
            (ours, old, None),
            (theirs, stranger, Some(0)),
            (theirs, me, Some(1)),
        ] {
            db.add_membership(organization, Some(user), "member", status).await;
        }
        let service = db.organizations();
        let others = [stranger, old, asking, invited, colleague, NOBODY];
        let mut found = service.get_colleagues(me, &others).await.unwrap();
        found.sort_unstable();
        assert_eq!(found, [colleague, old]);
        assert!(service.get_colleagues(invited, &[me, colleague]).await.unwrap().is_empty());
        assert!(service.get_colleagues(me, &[]).await.unwrap().is_empty());
        assert!(service.get_colleagues(NOBODY, &others).await.unwrap().is_empty());

        assert_eq!(service.get_joined(me).await.unwrap(), [ours]);
        assert_eq!(service.get_joined(old).await.unwrap(), [ours]);
        for without in [invited, asking, NOBODY] {
            assert!(service.get_joined(without).await.unwrap().is_empty());
        }
    }
}
