//! `policies apply`, and what `policies list` and `doctor` say of what the
//! customer has added.

use super::*;
use crate::cleanup_old_data::rules::a_gym_of_its_own;
use crate::database::of_schema;

/// A policy file, in a folder of its own.
struct File(std::path::PathBuf);

impl File {
    fn of(text: &str) -> Self {
        let folder = std::env::temp_dir().join(uuid::Uuid::now_v7().to_string());
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("policies.json");
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    async fn apply(&self, app: &App) -> Done {
        let path = self.0.to_str().unwrap();
        run(
            &database_of(app),
            &[
                "policies", "apply", "--file", path, "--actor", "Zoé", "--reason", "decided",
            ],
        )
        .await
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

pub(super) async fn apply(app: &App, rules: &Value) -> Done {
    File::of(&json!({ "erase": rules }).to_string())
        .apply(app)
        .await
}

async fn not_erased(app: &App) -> Value {
    let listed = run(&database_of(app), &["policies", "list", "--json"]).await;
    let policies = listed.json();
    let members = policies.as_array().unwrap().iter();
    let members = members.clone().find(|policy| policy["target"] == "members");
    members.unwrap()["not_erased"].clone()
}

async fn findings(app: &App) -> String {
    let done = run(&database_of(app), &["doctor", "--json"]).await;
    let found = done.json()["findings"].clone();
    let found = found.as_array().unwrap().iter();
    let of_retention = found.filter(|finding| finding["check"] == "retention");
    let lines: Vec<_> = of_retention
        .map(|it| format!("{}: {}", it["level"].as_str().unwrap(), it["what"]))
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_fresh_database_has_nothing_that_is_not_known() {
    let app = App::new().await;

    assert_eq!(not_erased(&app).await, json!([]));
    assert!(findings(&app).await.starts_with("ok: "));
}

#[tokio::test]
async fn what_was_added_is_named_until_a_policy_file_says_what_becomes_of_it() {
    let app = a_gym_of_its_own().await;
    let all = json!([
        "members.Birth Date",
        "members.health",
        "members.phone",
        of_schema("public.body_facts.member_id (refers to members)"),
        "shop.Lockers.memberId (refers to members)",
        "visits.note",
    ]);

    let mut named = not_erased(&app).await;
    let columns = named.as_array_mut().unwrap();
    columns.sort_by_key(|name| !name.as_str().unwrap().starts_with("members."));
    assert_eq!(named, all);
    let found = findings(&app).await;
    for name in all.as_array().unwrap() {
        assert!(found.contains(name.as_str().unwrap()), "{found}");
    }
    assert!(found.starts_with("warning: "), "{found}");
    let table = run(&database_of(&app), &["policies", "list"]).await;
    assert!(
        table
            .out
            .contains("Not erased with a member: members.phone"),
        "{table:?}"
    );

    let done = apply(
        &app,
        &json!([
            { "table": "members", "column": "phone", "action": "set_null" },
            { "table": "members", "column": "Birth Date", "action": "set_null" },
            { "table": of_schema("public.members"), "column": "health", "action": "empty" },
            { "table": "visits", "column": "note", "action": "empty" },
            { "table": "shop.Lockers", "column": "code", "action": "set_null" },
            { "table": "body_facts", "column": "member_id", "action": "delete" },
        ]),
    )
    .await;

    assert_eq!((done.code, &*done.err), (Some(0), ""), "{done:?}");
    assert_eq!(not_erased(&app).await, json!([]));
    assert!(findings(&app).await.starts_with("ok: "));
    let listed = run(&database_of(&app), &["policies", "list"]).await;
    assert!(
        listed
            .out
            .contains("Erased with a member: shop.Lockers.code (set_null)"),
        "{listed:?}"
    );
    let record = app
        .rows("select event_type, actor, payload ->> 'reason' as reason, payload -> 'before' as before,
                      jsonb_array_length(payload -> 'after') as after from audit_events")
        .await;
    assert_eq!(
        record,
        json!([{ "event_type": "local.erasure_rules.changed", "actor": "Zoé", "reason": "decided",
                 "before": [], "after": 6 }])
    );
    let reply = app.deliver("cleanup-old-data").await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let phones = "select count(*) from members where phone = '0601020304' or health ? 'knee'";
    assert_eq!(app.count(phones).await, 0);
}

#[tokio::test]
async fn a_reference_that_was_added_to_a_table_of_ours_is_named_and_can_be_emptied() {
    let app = a_gym_of_its_own().await;
    app.execute(
        "alter table orders add column buyer uuid references members;
         alter table visits add column guest_of uuid references members;
         create table shop.visits (member_id uuid references members);
         insert into orders (order_number, currency, total_amount, expires_at, buyer)
         select 'O-1', 'eur', 1, now() + interval '1 year', id from members where first_name = 'Ada'",
    )
    .await;
    let named = not_erased(&app).await.to_string();
    for name in [
        &*of_schema("public.orders.buyer (refers to members)"),
        "shop.visits.member_id (refers to members)",
        "visits.guest_of",
    ] {
        assert!(named.contains(name), "{named}");
    }

    let done = apply(
        &app,
        &json!([{ "table": "orders", "column": "buyer", "action": "set_null" }]),
    )
    .await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let reply = app.deliver("cleanup-old-data").await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let buyers = "select count(*) from orders where buyer is not null";
    assert_eq!(app.count(buyers).await, 0);
}

#[tokio::test]
async fn members_with_a_moment_in_the_future_are_counted_in_the_list() {
    let app = a_gym_of_its_own().await;
    app.execute(
        "insert into members (gym_id, first_name, status, membership_ends_on)
         select id, 'Leo', kind, '9999-12-31'
           from gyms, unnest(array['active', 'expired', 'cancelled']) kind",
    )
    .await;

    let table = run(&database_of(&app), &["policies", "list"]).await;
    let listed = run(&database_of(&app), &["policies", "list", "--json"]).await;

    assert!(table.out.contains("last contact: 2\n"), "{table:?}");
    assert!(
        listed.out.contains("\"with_moment_in_future\": 2"),
        "{listed:?}"
    );
}

/// One that is missing here would keep its row's person: say in
/// `src/retention/references.rs` what becomes of it, and in
/// `src/retention/rules/known.rs` that it is known.
#[tokio::test]
async fn every_column_of_ours_that_leads_to_a_member_is_one_that_erasing_knows() {
    let app = App::new().await;

    let found = app
        .rows(
            "select distinct found.name
               from (
                   select c.table_name || '.' || c.column_name as name
                     from information_schema.columns c
                     join information_schema.tables t using (table_schema, table_name)
                    where table_schema = current_schema()
                      and t.table_type = 'BASE TABLE'
                      and c.column_name like '%member%id'
                   union all
                   select f.conrelid::regclass || '.' || a.attname
                     from pg_constraint f
                     join pg_attribute a on a.attrelid = f.conrelid and a.attnum = any (f.conkey)
                    where f.contype = 'f' and f.confrelid = 'members'::regclass
               ) found
              order by 1",
        )
        .await;

    let names = found.as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "alerts.member_id",
            "conversation_sessions.member_id",
            "member_churn.member_id",
            // Stays until the night: daily-churn-analysis deletes it.
            "member_churn_history.member_id",
            "member_freezes.member_id",
            "visits.member_id",
        ]
    );
}

#[tokio::test]
async fn a_file_replaces_the_rules_of_before() {
    let app = a_gym_of_its_own().await;
    let phone = json!([{ "table": "members", "column": "phone", "action": "set_null" }]);
    apply(&app, &phone).await;
    let done = apply(&app, &json!([])).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(not_erased(&app).await.to_string().contains("members.phone"));
}

#[tokio::test]
async fn a_rule_whose_column_went_is_a_failure_that_doctor_names() {
    let app = a_gym_of_its_own().await;
    let phone = json!([{ "table": "members", "column": "phone", "action": "set_null" }]);
    apply(&app, &phone).await;
    app.execute("alter table members drop column phone").await;

    let found = findings(&app).await;
    assert!(
        found.contains(&of_schema("failure: \"no member can be anonymised: public.members.phone: there is no such column\"")),
        "{found}"
    );
}
