//! What does not keep the contract is refused by name, and leaves nothing.

use super::files::{Written, filled};
use super::*;

/// A view of the orders with this in the place of its columns.
fn orders(select: &str) -> String {
    let plain = "create view orders as select * from public.of_orders;";
    let file = filled();
    assert!(file.contains(plain), "{file}");
    file.replace(plain, &format!("create view orders as {select};"))
}

const COLUMNS: &str = "id, order_number, status, expires_at, expired_at, created_at, updated_at";

#[rstest]
#[case::a_wrong_type(
    orders(
        "select id, order_number, status, expires_at::text, expired_at, created_at, updated_at from public.of_orders"
    ),
    "FAILURE orders.expires_at: is text, and must be timestamp with time zone; cast it in the file: (…)::timestamp with time zone as expires_at"
)]
#[case::no_such_column(
    orders(
        "select id, order_number, status, expires_at, expired_at, created_at from public.of_orders"
    ),
    "FAILURE orders.updated_at: is not there"
)]
#[case::a_computed_column(
    orders(
        "select id, order_number, lower(status) as status, expires_at, expired_at, created_at, updated_at from public.of_orders"
    ),
    "FAILURE orders.status: is computed, and cannot be written"
)]
#[case::rows_that_nothing_locks(
    format!("{}{}", orders(&format!("select {COLUMNS} from public.of_orders union all select {COLUMNS} from public.of_orders where false")), INSTEAD),
    "FAILURE orders: a row that is locked through it is not locked"
)]
#[case::rows_that_cannot_be_locked(
    format!("{}{}", orders(&format!("select distinct {COLUMNS} from public.of_orders")), INSTEAD),
    "FAILURE orders: cannot be locked"
)]
#[case::an_id_twice(
    format!("{}insert into public.of_orders select * from public.of_orders;", filled()),
    "FAILURE orders.id: 1 rows have an id that another row has"
)]
#[case::null_where_something_must_be(
    format!("{}update public.of_orders set created_at = null;", filled()),
    "FAILURE orders.created_at: 1 rows have none"
)]
#[case::a_write_that_is_refused(
    format!("{}alter table public.of_payment_intents add check (status <> 'missing');", filled()),
    "FAILURE payment_intents: does not take a write (to missing)"
)]
#[case::a_write_that_goes_nowhere(
    format!("{}{}", filled(), INSTEAD.replace("update public.of_orders", "return new; update public.of_orders")),
    "FAILURE orders.status: reads otherwise than it was written"
)]
#[case::a_write_that_says_nothing(
    format!("{}{}", filled(), INSTEAD.replace("return new", "return null")),
    "FAILURE orders: a write reached no row"
)]
#[case::none_of_the_ports("create table public.of_no_port ();".to_owned(), "makes none of the ports")]
#[case::a_table_of_the_hosts_changed("alter table public.theirs add column ours int;".to_owned(), "may only create tables")]
#[case::a_table_of_the_hosts_gone("drop table public.theirs;".to_owned(), "it changes, or creates, table public.theirs")]
#[case::the_end_of_the_transaction("create table public.of_more ();\nCOMMIT ;\n".to_owned(), "the file runs in one transaction, and may not end it")]
#[case::an_error_of_syntax("select 1;\nselect\n  from from;".to_owned(), "line 3: syntax error")]
#[tokio::test]
async fn a_file_that_does_not_keep_the_contract_leaves_nothing(
    #[case] file: String,
    #[case] said: &str,
) {
    let app = beside("create table public.theirs (id int)", &[]).await;

    let done = adopt(&app, "apply", &Written::new(&file).0, "shop").await;

    assert_eq!(done.code, Some(1), "{done:?}");
    let all = format!("{}{}", done.out, done.err);
    assert!(all.contains(said), "{all}");
    assert!(done.err.contains("Nothing was changed."), "{done:?}");
    let left = "select count(*) from pg_class
                 where relname like 'of\\_%' or relname = 'orders' and relkind <> 'r'
                    or relnamespace = to_regnamespace('jarvis_own')";
    assert_eq!(app.count(left).await, 0);
    assert_eq!(app.count("select count(*) from adoptions").await, 0);
    let theirs = "select count(*) from pg_attribute where attrelid = 'public.theirs'::regclass and attnum > 0";
    assert_eq!(app.count(theirs).await, 1);
}

/// The writes of the orders, by hand.
const INSTEAD: &str = "
    create function write_order() returns trigger language plpgsql as $$
    begin
        update public.of_orders set status = new.status, expired_at = new.expired_at where id = old.id;
        return new;
    end $$;
    create trigger write instead of update on orders for each row execute function write_order();";

#[tokio::test]
async fn text_that_is_no_moment_is_counted_and_passed() {
    let app = beside("", &[]).await;
    let file = format!(
        "{}insert into public.of_orders select gen_random_uuid(), 'A2', 'PENDING', null, null, now(), now();",
        filled()
    );

    let done = adopt(&app, "check", &Written::new(&file).0, "shop").await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out
            .contains("warning orders.expires_at: 1 rows have none"),
        "{done:?}"
    );
    assert!(
        done.out
            .contains("The contract is kept. Nothing was changed."),
        "{done:?}"
    );
    assert_eq!(
        app.count("select count(*) from pg_class where relname like 'of\\_%'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_word_that_is_not_ours_is_counted_and_passed() {
    let app = beside("", &[]).await;
    let file = format!(
        "{}insert into public.of_orders select gen_random_uuid(), 'A2', 'PARKED', now(), null, now(), now();",
        filled()
    );

    let done = adopt(&app, "check", &Written::new(&file).0, "shop").await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out
            .contains("warning orders: 1 rows break orders_status"),
        "{done:?}"
    );
}

#[tokio::test]
async fn tables_with_rows_of_ours_do_not_give_way() {
    let app = beside("", &[]).await;
    app.execute("insert into orders (order_number) values ('A1')")
        .await;

    let done = adopt(&app, "apply", &Written::new(&filled()).0, "shop").await;

    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("orders has rows of its own"), "{done:?}");
    assert_eq!(app.count("select count(*) from orders").await, 1);
}

/// A new version of the file is tried, and applied, over the one before.
#[tokio::test]
async fn a_file_takes_the_place_of_the_one_before_or_leaves_it() {
    let app = beside("", &[]).await;
    apply(&app, &Written::new(&filled()).0, "shop").await;
    let hosts = dump(&app, &[]).await;
    let bad = orders(
        "select id, order_number, lower(status) as status, expires_at, expired_at, created_at, updated_at from public.of_orders",
    );

    let part = adopt(&app, "apply", &Written::new(&filled()).0, "orders").await;
    let refused = adopt(&app, "apply", &Written::new(&bad).0, "shop").await;
    let after = dump(&app, &[]).await;
    // The tables of the file stay, for rows are in them.
    let file = filled();
    let views = file.lines().filter(|line| line.contains("create view"));
    let again = Written::new(&views.collect::<String>());
    apply(&app, &again.0, "shop").await;

    assert_eq!(part.code, Some(1), "{part:?}");
    let said = "payment_intents is adopted by host-";
    assert!(part.err.contains(said), "{part:?}");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(after, hosts);
    let name = again.0.file_name().unwrap().to_string_lossy();
    let status = cli::run(&app.settings, &["adopt", "status"]).await;
    assert!(status.out.contains(&*name), "{status:?}");
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn a_name_that_is_no_port_is_told() {
    let app = beside("", &[]).await;

    let done = adopt(&app, "check", &Written::new("").0, "shops").await;

    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err.contains("\"shops\" is no port: shop, gym, orders"),
        "{done:?}"
    );
}

/// A view that the host replaced afterwards, and a column that it lacks by now.
#[tokio::test]
async fn a_service_whose_host_changed_its_views_says_what_they_lack() {
    let app = beside("", &[]).await;
    apply(&app, &Written::new(&filled()).0, "shop").await;
    assert_eq!(ready(&app).await, (200, json!("complete")));
    app.execute("alter view orders rename column expires_at to due_at")
        .await;

    let lacking = ready(&app).await;
    let doctor = cli::run(&app.settings, &["doctor", "--json"]).await;
    let check = cli::run(&app.settings, &["adopt", "check", "--json"]).await;

    let said = "orders.expires_at: is not there, and must be timestamp with time zone; add to its select: … as expires_at";
    assert_eq!(lacking, (503, json!(said)));
    assert!(
        doctor.out.contains("orders.expires_at: is not there"),
        "{doctor:?}"
    );
    assert!(doctor.out.contains("are others than"), "{doctor:?}");
    assert_eq!(check.code, Some(1), "{check:?}");
    assert_eq!(check.json()["findings"][0]["place"], "orders.expires_at");
}

async fn ready(app: &App) -> (u16, serde_json::Value) {
    let reply = app
        .call(axum::http::Method::GET, "/health/ready", &[], "")
        .await;
    (reply.status.as_u16(), reply.body["ports"].clone())
}
