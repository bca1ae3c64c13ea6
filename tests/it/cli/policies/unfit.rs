//! `policies apply` with a rule that cannot be carried out.

use super::files::apply;
use super::*;
use crate::cleanup_old_data::rules::a_gym_of_its_own;

#[rstest]
#[case::no_table(
    "lookers",
    "x",
    "set_null",
    "lookers.x: there is no such table, or it needs its schema in front"
)]
#[case::no_column("members", "x", "set_null", "members.x: there is no such column")]
#[case::of_ours(
    "members",
    "email",
    "set_null",
    "members.email: this column is the service's own, which erases it where it must"
)]
#[case::in_a_table_of_ours(
    "orders",
    "currency",
    "empty",
    "orders.currency: this table is the service's own: see policies list"
)]
#[case::our_rows(
    "visits",
    "member_id",
    "delete",
    "visits.member_id: this table is the service's own: see policies list"
)]
#[case::our_members(
    "members",
    "id",
    "delete",
    "members.id: this table is the service's own: see policies list"
)]
#[case::not_null(
    "members",
    "health",
    "set_null",
    "members.health: the column is not null: use \"empty\", \"delete\", or let it be null"
)]
#[case::no_empty_date(
    "members",
    "Birth Date",
    "empty",
    "members.Birth Date: only a text, a document or a list can be empty: use \"set_null\""
)]
#[case::not_the_key(
    "shop.Lockers",
    "code",
    "delete",
    "shop.Lockers.code: with \"delete\", the column is the one that refers to the member"
)]
#[case::no_way_to_members(
    "shop.keys",
    "locker",
    "set_null",
    "shop.keys.locker: no foreign key leads from its table to members: say \"key\""
)]
#[case::another_action("members", "phone", "burn", "unknown variant `burn`")]
#[case::a_word_too_many(
    "members; drop table members",
    "phone",
    "set_null",
    "members; drop table members.phone: there is no such table"
)]
#[tokio::test]
async fn a_rule_that_cannot_be_carried_out_changes_nothing(
    #[case] table: &str,
    #[case] column: &str,
    #[case] action: &str,
    #[case] why: &str,
) {
    let app = a_gym_of_its_own().await;
    let before = app.checksums().await;

    let done = apply(
        &app,
        &json!([{ "table": "members", "column": "phone", "action": "set_null" },
                { "table": table, "column": column, "action": action }]),
    )
    .await;

    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert!(done.err.contains(why), "{done:?}");
    assert_eq!(app.checksums().await, before);
}
