//! The host goes on meanwhile, and gets its database back.

use super::files::{Written, filled};
use super::*;

async fn run(app: &App, arguments: &[&str]) -> Done {
    let done = cli::run(&app.settings, arguments).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    done
}

#[rstest]
#[case::a_shop(include_str!("../fixtures/adopt/shop.sql"), SHOP, "shop", "expire-stale-orders")]
#[case::a_gym(include_str!("../fixtures/adopt/gym.sql"), GYM, "gym", "health-check-kiosks")]
#[tokio::test]
async fn a_host_has_its_database_as_it_was_after_a_drop(
    #[case] tables: &str,
    #[case] file: &str,
    #[case] ports: &str,
    #[case] job: &str,
) {
    let app = beside(tables, &[]).await;
    let before = (
        dump(&app, &[]).await,
        dump(&app, &["--schema=public"]).await,
    );

    let checked = adopt(&app, "check", &root(file), ports).await;
    let after_check = dump(&app, &[]).await;
    apply(&app, &root(file), ports).await;
    app.deliver(job).await;
    let status = run(&app, &["adopt", "status"]).await;
    run(&app, &["adopt", "drop", "--all"]).await;

    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(before.0, after_check);
    assert!(
        status
            .out
            .contains(&format!("by {}", file.rsplit('/').next().unwrap())),
        "{status:?}"
    );
    assert_eq!(before.1, dump(&app, &["--schema=public"]).await);
    // Our alerts are about rows of the host's; and Postgres writes its own text with fewer brackets.
    let plain = |dump: String| dump.replace(" NOT VALID", "").replace(['(', ')'], "");
    assert_eq!(plain(before.0), plain(dump(&app, &[]).await));
    let again = app.deliver(job).await;
    assert_eq!(again.outcome(), (200, "succeeded"), "{again:?}");
}

#[tokio::test]
async fn what_a_file_wrote_down_outlives_a_drop_and_is_found_again() {
    let app = a_shop(&[]).await;
    app.deliver(JOB).await;
    let lines = "select count(*) from host_released";
    let released = app.count(lines).await;

    let dropped = run(&app, &["adopt", "drop"]).await;
    assert!(dropped.out.contains("jarvis.host_released"), "{dropped:?}");
    apply(&app, &root(SHOP), "shop").await;

    assert!(released > 0);
    assert_eq!(app.count(lines).await, released);
    let reply = app.deliver(JOB).await;
    assert_eq!(reply.results()["stock_released"], 0, "{reply:?}");
    run(&app, &["adopt", "drop", "--all"]).await;
    assert_eq!(
        app.count("select count(*) from pg_class where relname like 'host\\_%'")
            .await,
        0
    );
}

#[tokio::test]
async fn the_shop_goes_on_selling_while_it_is_adopted() {
    let app = a_shop(&[]).await;
    let shop = [
        "insert into public.orders (id, machine_id, status, created_at, expires_at) values ('new', 'm1', 'PENDING', '2026-01-01T00:00:00Z', '2999-01-01T00:00:00Z')",
        "update public.stocks set quantity = quantity - 1 where id = 'stock1'",
        "update public.orders set status = 'PAID', paid_at = '2026-01-01T00:00:00Z' where id = 'order31'",
        "update public.orders set status = 'CANCELLED' where id = 'order32'",
        "delete from public.orders where id = 'order33'",
    ];
    for statement in shop {
        app.execute(statement).await;
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let theirs = "select id, status from public.orders where id in ('new', 'order31', 'order32', 'order33') order by 1";
    let expected = json!([
        ["new", "PENDING"],
        ["order31", "PAID"],
        ["order32", "CANCELLED"]
    ]);
    assert_eq!(cells(&app, theirs).await, expected);
}

#[tokio::test]
async fn the_host_migrates_beside_us_or_between_drop_and_apply() {
    let app = a_shop(&[]).await;
    app.execute("alter table public.orders add column note text")
        .await;
    app.execute("alter table public.orders rename column currency to money")
        .await;
    app.execute("alter table public.order_items rename to lines")
        .await;
    app.execute("alter table public.lines rename to order_items")
        .await;
    let widened = "alter table public.order_items alter column quantity type bigint";
    let refused = app.db.execute(widened).await.unwrap_err().to_string();
    assert!(
        refused.contains("cannot alter type of a column used by a view"),
        "{refused}"
    );

    let check = cli::run(&app.settings, &["adopt", "check"]).await;
    run(&app, &["adopt", "drop"]).await;
    app.execute(widened).await;
    apply(&app, &root(SHOP), "shop").await;

    assert_eq!(check.code, Some(0), "{check:?}");
    let reply = app.deliver(JOB).await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
}

#[tokio::test]
async fn a_trigger_and_an_index_are_found_under_another_name_of_their_table() {
    let app = a_gym().await;
    app.execute("alter table public.gym_members_v2 rename to people")
        .await;
    app.execute("drop index public.jarvis_visits_gym").await;

    run(&app, &["adopt", "drop", "--all"]).await;

    let left = "select count(*) from pg_class c full join pg_trigger t on false
                 where c.relname like 'jarvis\\_%' and c.relkind = 'i' or t.tgname like 'jarvis\\_%'";
    assert_eq!(app.count(left).await, 0);
}

#[tokio::test]
async fn a_view_that_the_host_made_of_ours_is_named_before_it_is_lost() {
    let app = beside("", &[]).await;
    apply(&app, &Written::new(&filled()).0, "shop").await;
    app.execute("create view public.due as select * from jarvis.orders")
        .await;

    let done = cli::run(&app.settings, &["adopt", "drop", "--all"]).await;

    // It is put on our own table, as our own views are.
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(app.count("select count(*) from public.due").await, 0);
}

#[tokio::test]
async fn tables_that_nothing_fills_are_told() {
    let app = beside("", &[]).await;
    let jobs = [("JOBS", "expire-stale-orders,health-check-kiosks")];
    let mut some = app.settings.clone();
    some.extend(jobs.map(|(name, value)| (name.to_owned(), value.to_owned())));

    let all = cli::run(&app.settings, &["doctor", "--json"]).await;
    let used = cli::run(&some, &["doctor", "--json"]).await;

    assert!(
        all.out
            .contains("orders, members, visits, kiosks never had a row"),
        "{all:?}"
    );
    assert!(
        used.out.contains("orders, kiosks never had a row"),
        "{used:?}"
    );
}
