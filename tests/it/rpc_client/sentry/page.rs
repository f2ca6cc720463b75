//! Pages, which Sentry does not have.

use user_gateway::domain::{
    Anchor, Code, Direction, OrderField, OrderValue, PageEnd, PageRequest, UserFilter, UserId,
    UserOrder, UserPageQuery, Viewer,
};

use super::{ADA, ALAN, Control, EVERYBODY, GRACE, GUEST, code, everybody, texts};
use crate::harness::at;

fn page(filter: UserFilter, viewer: Viewer) -> UserPageQuery {
    UserPageQuery {
        filter,
        order: UserOrder::default(),
        page: PageRequest {
            after: None,
            before: None,
            end: PageEnd::First,
            size: 2,
        },
        viewer,
    }
}

async fn ids(control: &Control, query: &UserPageQuery) -> (Vec<UserId>, bool, bool) {
    let page = control.services.users.page(query).await.unwrap();
    let ids = page.rows.iter().map(|profile| profile.id).collect();
    (ids, page.has_previous, page.has_next)
}

#[tokio::test]
#[ignore = "needs Python"]
async fn pages_are_cut_from_lists_that_something_bounds() {
    let control = Control::start();
    let mut query = page(everybody(), Viewer::All);
    assert_eq!(ids(&control, &query).await, (vec![ADA, GRACE], false, true));
    assert_eq!(control.services.users.count(&query).await.unwrap(), 4);
    query.page.after = Some(Anchor {
        value: OrderValue::Id,
        id: 2,
    });
    assert_eq!(
        ids(&control, &query).await,
        (vec![ALAN, GUEST], true, false)
    );
    query.order.direction = Direction::Descending;
    assert_eq!(ids(&control, &query).await, (vec![ADA], true, false));

    query = page(everybody(), Viewer::All);
    query.order.field = OrderField::DateJoined;
    query.page.end = PageEnd::Last;
    assert_eq!(ids(&control, &query).await, (vec![GRACE, ADA], true, false));
    let value = OrderValue::DateJoined(at("2025-01-01T00:00:00Z"));
    query.page.after = Some(Anchor { value, id: 3 });
    query.page.end = PageEnd::First;
    assert_eq!(
        ids(&control, &query).await,
        (vec![GUEST, GRACE], true, true)
    );

    query.order.field = OrderField::Username;
    query.page.after = None;
    let users = &control.services.users;
    assert_eq!(code(users.page(&query).await), Some(Code::NotSupported));
    let unbounded = page(UserFilter::default(), Viewer::All);
    assert_eq!(code(users.page(&unbounded).await), Some(Code::NotSupported));
    assert_eq!(
        code(users.count(&unbounded).await),
        Some(Code::NotSupported)
    );
}

#[tokio::test]
#[ignore = "needs Python"]
async fn pages_show_whom_the_viewer_may_see() {
    let control = Control::start();
    let seen = async |filter: UserFilter, viewer| {
        let mut query = page(filter, viewer);
        query.page.size = 10;
        let (ids, ..) = ids(&control, &query).await;
        let count = control.services.users.count(&query).await.unwrap();
        assert_eq!(u64::try_from(ids.len()).unwrap(), count);
        ids
    };
    let all = everybody;
    assert_eq!(seen(all(), Viewer::Public(None)).await, EVERYBODY);
    assert_eq!(seen(all(), Viewer::Member(GRACE)).await, [ADA, GRACE]);
    assert_eq!(seen(all(), Viewer::Member(ALAN)).await, [ALAN]);
    assert_eq!(seen(all(), Viewer::Alone(GRACE)).await, [GRACE]);
    assert_eq!(
        seen(UserFilter::default(), Viewer::Alone(GRACE)).await,
        [GRACE]
    );

    let emails = UserFilter {
        emails: Some(texts(["ada@example.com", "grace@example.com"])),
        ..UserFilter::default()
    };
    assert_eq!(seen(emails.clone(), Viewer::All).await, [ADA, GRACE]);
    assert_eq!(seen(emails.clone(), Viewer::Member(GRACE)).await, [GRACE]);
    assert_eq!(seen(emails.clone(), Viewer::Public(Some(ADA))).await, [ADA]);
    assert_eq!(seen(emails, Viewer::Public(None)).await, []);

    // Addresses are searched of the viewer alone; names of everybody.
    let search = |text: &str| UserFilter {
        query: Some(text.to_owned()),
        ..all()
    };
    assert_eq!(seen(search("@example"), Viewer::All).await, EVERYBODY);
    assert_eq!(
        seen(search("@example"), Viewer::Public(Some(GRACE))).await,
        [GRACE]
    );
    assert_eq!(seen(search("@example"), Viewer::Public(None)).await, []);
    assert_eq!(seen(search("lovelace"), Viewer::Member(GRACE)).await, [ADA]);
}
