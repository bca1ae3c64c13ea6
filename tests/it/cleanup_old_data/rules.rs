//! What the customer has added: erased with a member as a policy file says.

use serde_json::json;

use super::{GYM, JOB, a_gym, counts, of};
use crate::app::App;
use crate::database::of_schema;

const GONE: &str = "00000000-0000-0000-0000-0000000000dd";

/// A gym with columns and tables of its own.
pub(crate) async fn a_gym_of_its_own() -> App {
    let app = a_gym().await;
    app.execute(&format!(
        r#"
        alter table members add column phone text, add column "Birth Date" date,
            add column health jsonb not null default '{{}}';
        alter table visits add column note text not null default '';
        create schema shop;
        create table shop."Lockers" (id int primary key, "memberId" uuid references members, code text);
        create table shop.keys (locker int references shop."Lockers");
        create table body_facts (member_id uuid not null references members, weight int);
        insert into members (id, gym_id, first_name, status, cancelled_at, phone, "Birth Date", health)
        values ('{GONE}', '{GYM}', 'Ada', 'cancelled', now() - interval '5 years', '0601020304',
                '1990-05-05', '{{"knee": 1}}'),
               (gen_random_uuid(), '{GYM}', 'Pia', 'active', null, '0700000000', '1991-01-01',
                '{{"back": 1}}');
        insert into visits (gym_id, member_id, checked_in_at, note)
        values ('{GYM}', '{GONE}', now() - interval '4 years', 'limps');
        insert into shop."Lockers"
        select row_number() over (), id, 'code of ' || first_name from members where first_name <> 'Zoé';
        insert into body_facts select id, 80 from members;
        update retention_policies set enabled = (target = 'members')
        "#
    ))
    .await;
    app
}

/// Rules for all of it, as the table has them.
async fn add(app: &App, rules: &[[&str; 5]]) {
    for (position, [schema, table, column, key, action]) in rules.iter().enumerate() {
        let schema = of_schema(schema);
        app.execute(&format!(
            "insert into erasure_rules (schema_name, table_name, column_name, key_name, action, position)
             values ('{schema}', '{table}', '{column}', '{key}', '{action}', {position})"
        ))
        .await;
    }
}

/// `public` stands for the schema of the service.
const RULES: [[&str; 5]; 6] = [
    ["public", "members", "phone", "id", "set_null"],
    ["public", "members", "Birth Date", "id", "set_null"],
    ["public", "members", "health", "id", "empty"],
    ["public", "visits", "note", "member_id", "empty"],
    ["shop", "Lockers", "code", "memberId", "set_null"],
    ["public", "body_facts", "member_id", "member_id", "delete"],
];

async fn left(app: &App) -> serde_json::Value {
    app.rows(
        r#"select m.phone, m."Birth Date" as born, m.health, l.code,
                  (select count(*) from body_facts b where b.member_id = m.id) as facts,
                  (select string_agg(note, '') from visits v where v.member_id = m.id) as notes
             from members m left join shop."Lockers" l on l."memberId" = m.id
            where m.phone is not null or m.status = 'anonymised' or m.status = 'cancelled'
            order by m.status"#,
    )
    .await
}

#[tokio::test]
async fn every_rule_is_carried_out_for_the_member_and_nobody_else() {
    let app = a_gym_of_its_own().await;
    add(&app, &RULES).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    assert_eq!(
        left(&app).await,
        json!([
            { "phone": "0700000000", "born": "1991-01-01", "health": { "back": 1 },
              "code": "code of Pia", "facts": 1, "notes": null },
            { "phone": null, "born": null, "health": {}, "code": null, "facts": 0, "notes": "" },
        ])
    );
}

#[tokio::test]
async fn a_rule_whose_column_is_gone_leaves_members_whole_and_stops_no_other_policy() {
    let app = a_gym_of_its_own().await;
    add(&app, &RULES).await;
    app.execute(
        "alter table members drop column phone; update retention_policies set enabled = true",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, "members"), json!([0, 1, 0]), "{reply:?}");
    let error = of(&reply, "members")["error"].as_str().unwrap();
    assert!(error.contains("column \"phone\""), "{error}");
    assert_eq!(counts(&reply, "visits"), json!([1, 0, 0]));
    let whole = r#"select count(*) from members m join body_facts b on b.member_id = m.id
                    where m.first_name = 'Ada' and m."Birth Date" is not null"#;
    assert_eq!(app.count(whole).await, 1);
}

#[tokio::test]
async fn a_row_that_a_rule_cannot_delete_keeps_its_member_and_no_other() {
    let app = a_gym_of_its_own().await;
    add(
        &app,
        &[["shop", "Lockers", "memberId", "memberId", "delete"]],
    )
    .await;
    app.execute(&format!(
        r#"insert into shop.keys select id from shop."Lockers" where "memberId" = '{GONE}';
           insert into members (gym_id, first_name, status, cancelled_at)
           select '{GYM}', 'Leo', 'cancelled', now() - interval '4 years' from generate_series(1, 5)"#
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([5, 1, 0]), "{reply:?}");
    assert_eq!(of(&reply, "members")["refused"], 1);
}
