//! What `doctor` says of roles that can reach the tables, and of what stands
//! against `migrate`.

use super::*;
use crate::database::{of_schema, schema};
use crate::roles;

/// What the check finds, with its level.
async fn found(app: &App) -> Vec<(String, String)> {
    let doctor = run(&app.settings, &["doctor", "--json"]).await.json();
    let findings = doctor["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .filter(|it| it["check"] == "exposure")
        .map(|it| (text(&it["level"]), text(&it["what"])))
        .collect()
}

#[rstest]
#[case::nothing("", "ok", "no other role can read or write the tables")]
#[case::reports_read(
    "grant select on visits, members to {role}",
    "ok",
    "{role} can read members, visits"
)]
#[case::an_application_that_fills(
    "grant select, insert on orders to {role}",
    "ok",
    "{role} can read orders, and write orders"
)]
#[case::writing_ours(
    "grant insert on job_pauses to {role}; grant update (keep_days) on retention_policies to {role}",
    "failure",
    "{role} can write job_pauses, retention_policies"
)]
#[case::emptying(
    "grant truncate on audit_events to {role}",
    "failure",
    "{role} can write audit_events"
)]
#[case::everyone(
    "grant select on members to public",
    "failure",
    "PUBLIC can read members"
)]
#[case::by_another_role(
    "create role {role}_group; grant delete on alerts to {role}_group; grant {role}_group to {role}",
    "failure",
    "{role} can write alerts"
)]
#[case::behind_row_level_security(
    "grant all on job_pauses to {role}; alter table job_pauses enable row level security",
    "ok",
    "no other role"
)]
#[case::behind_row_level_security_that_shows_every_row(
    "grant all on job_pauses to {role}; alter table job_pauses enable row level security;
     create policy every on job_pauses using (true)",
    "failure",
    "{role} can read job_pauses, and write job_pauses"
)]
#[case::its_own_code_in_ours(
    "grant trigger on job_pauses to {role}",
    "failure",
    "{role} can write job_pauses"
)]
#[case::keeping_rows_of_ours(
    "grant references on job_pauses to {role}",
    "failure",
    "{role} can write job_pauses"
)]
#[case::the_record(
    "grant insert on _sqlx_migrations to {role}",
    "failure",
    "{role} can write _sqlx_migrations"
)]
#[case::a_view_of_ours(
    "grant select on held_members to {role}",
    "ok",
    "{role} can read held_members"
)]
#[tokio::test]
async fn roles_that_can_reach_the_tables_are_named(
    #[case] granted: &str,
    #[case] level: &str,
    #[case] said: &str,
) {
    let app = App::new().await;
    let role = format!("host_{}", uuid::Uuid::new_v4().simple());
    let schema = schema();
    let granted = granted.replace("{role}", &role);
    app.execute(&format!(
        "create role {role}; grant usage on schema {} to {role}, public; {granted}",
        schema.name()
    ))
    .await;

    let found = found(&app).await;

    let said = said.replace("{role}", &role);
    let is_said = |(at, what): &(String, String)| at == level && what.starts_with(&said);
    let everyone_s = |(_, what): &(String, String)| what.starts_with("PUBLIC");
    assert!(found.iter().any(is_said), "{said}: {found:?}");
    let is_everyone_s = said.starts_with("PUBLIC");
    assert!(
        !is_everyone_s || found.len() <= 1 + usize::from(roles::least().is_some()),
        "{found:?}"
    );
    assert_eq!(
        found.iter().any(everyone_s),
        said.starts_with("PUBLIC"),
        "{found:?}"
    );
    let group = format!("{role}_group");
    app.execute(&format!(
        "do $$ begin
             if to_regrole('{group}') is not null then
                 drop owned by {group}; drop role {group};
             end if;
         end $$;
         drop owned by {role}; drop role {role}"
    ))
    .await;
}

/// As Supabase's image gives them, with the damage that was tried.
#[tokio::test]
async fn what_the_public_key_opens_is_a_failure_with_the_statement_that_closes_it() {
    let app = App::new().await;
    app.execute(&of_schema(
        "create role anon; grant usage on schema public to anon;
         grant select on all tables in schema public to anon;
         create role \"An.Other\"; grant usage on schema public to \"An.Other\";
         create table public.theirs (id int); grant select on public.theirs to \"An.Other\";
         grant delete on alerts to \"An.Other\"",
    ))
    .await;

    let doctor = run(&app.settings, &["doctor", "--json"]).await.json();

    let findings = doctor["findings"].as_array().unwrap().iter();
    let mut findings = findings.filter(|it| it["check"] == "exposure" && it["level"] == "failure");
    let other = findings.next().unwrap();
    assert_eq!(other["what"], "\"An.Other\" can write alerts");
    app.execute(other["mend"].as_str().unwrap()).await;
    let finding = findings.next().unwrap();
    let what = finding["what"].as_str().unwrap();
    assert!(what.starts_with("anon can read "), "{what}");
    assert!(what.contains("members"), "{what}");
    app.execute(finding["mend"].as_str().unwrap()).await;
    assert_eq!(found(&app).await[0].0, "ok");
    let theirs = "select count(*) from information_schema.role_table_grants
                   where grantee = 'An.Other' and table_name = 'theirs'";
    assert_eq!(app.count(theirs).await, 1);
    app.execute("drop owned by anon, \"An.Other\"; drop role anon, \"An.Other\"")
        .await;
}

/// Without rights to the schema, nothing in it is reached.
#[tokio::test]
async fn a_grant_without_the_schema_s_opens_nothing() {
    let app = App::new().await;
    let role = format!("host_{}", uuid::Uuid::new_v4().simple());
    app.execute(&of_schema(&format!(
        "revoke usage on schema public from public;
         create role {role}; grant all on all tables in schema public to {role}"
    )))
    .await;
    let found = found(&app).await;
    assert_eq!(found[0].0, "ok", "{found:?}");
    assert!(found[0].1.starts_with("no other role"), "{found:?}");
    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn what_stands_against_migrate_is_said_instead_of_run_migrate() {
    let all = Surroundings::new().await;
    all.app
        .execute(&of_schema(
            "drop schema public cascade; create schema public; create table gyms (id int)",
        ))
        .await;
    let found = doctor(&all.settings(&[])).await;
    let said = "and migrate would refuse: the schema public has table gyms of others";
    found.fails_with(&[&of_schema(said), "is not ready"]);
    let of_migrations = |it: &&Value| it["check"] == "migrations";
    let findings = found.answer["findings"].as_array().unwrap().iter();
    let mends: Vec<String> = findings
        .filter(of_migrations)
        .map(Value::to_string)
        .collect();
    let mends = mends.join(" ");
    assert!(
        mends.contains("set DATABASE_SCHEMA to a schema of its own"),
        "{mends}"
    );
    assert!(!mends.contains("run: jarvis-cron migrate"), "{mends}");
}
