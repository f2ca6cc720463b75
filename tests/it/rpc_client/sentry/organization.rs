//! Organizations, one user at a time.

use user_gateway::domain::{
    Code, OrganizationId, OrganizationVisibility, PageEnd, PageRequest, UserId,
};

use super::{ADA, ALAN, Control, GRACE, GUEST, code};

#[tokio::test]
#[ignore = "needs Python"]
async fn organizations_are_told_user_by_user() {
    let control = Control::start();
    let organizations = &control.services.organizations;
    let memberships = async |ids: &[UserId], visibility| {
        let found = organizations
            .get_memberships(ids, visibility)
            .await
            .unwrap();
        found
            .iter()
            .map(|m| (m.user_id, m.organization.id.0))
            .collect::<Vec<_>>()
    };
    let asked = [GUEST, ADA, ALAN, UserId(404), ADA];
    assert_eq!(
        memberships(&asked, OrganizationVisibility::Any).await,
        [(ADA, 1), (ADA, 2), (GUEST, 3)]
    );
    assert_eq!(
        memberships(&asked, OrganizationVisibility::OnlyVisible).await,
        [(ADA, 1), (GUEST, 3)]
    );
    let own = organizations
        .get_organizations(ADA, OrganizationVisibility::Any)
        .await
        .unwrap();
    assert!(own[0].flags.require_2fa && !own[0].flags.early_adopter);
    assert_eq!(
        organizations.get_member_region_names(ADA).await.unwrap(),
        ["de", "us"]
    );
    assert_eq!(
        organizations.get_joined(ADA).await.unwrap(),
        [1, 2].map(OrganizationId)
    );
    let colleagues = organizations
        .get_colleagues(GRACE, &[GUEST, ADA, ALAN])
        .await
        .unwrap();
    assert_eq!(colleagues, [ADA]);
    let ids = [OrganizationId(1)];
    let all = PageRequest {
        after: None,
        before: None,
        end: PageEnd::First,
        size: 1,
    };
    for refused in [
        code(organizations.get_many_by_id(&ids).await),
        code(organizations.get_by_slug("org-1").await),
        code(organizations.get_members(&ids, &all).await),
        code(organizations.count_members(&ids).await),
        code(control.services.users.get_roles(&[ADA]).await),
        code(control.services.users.get_identities(&[ADA]).await),
    ] {
        assert_eq!(refused, Some(Code::NotSupported));
    }
}
