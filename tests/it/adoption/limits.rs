//! What a file may not do, and what it may not get past the checks with.

use super::files::{Written, filled};
use super::*;

const HOST: &str = "create table public.theirs (id int);
    insert into public.theirs values (1), (2);
    create function public.one() returns int language sql as 'select 1'";

/// However the end of the transaction is written.
#[rstest]
#[case::with_a_comment("create table public.of_more (); commit; -- x")]
#[case::end("end;")]
#[case::work("commit work;")]
#[case::on_one_line("select 1; commit; create table public.of_more ();")]
#[case::on_two_lines("commit\n;")]
#[case::chained("commit and chain;")]
#[case::undone("rollback;")]
#[case::begun("begin;")]
#[case::prepared("prepare transaction 'x';")]
#[case::part("savepoint x;")]
#[case::of_a_block("do $x$ begin commit; end $x$;")]
#[case::of_a_procedure(
    "create procedure p() language plpgsql as $x$ begin commit; end $x$; call p();"
)]
#[tokio::test]
async fn a_file_cannot_end_its_transaction(#[case] end: &str) {
    let app = beside(HOST, &[]).await;
    let before = dump(&app, &[]).await;

    let done = adopt(
        &app,
        "check",
        &Written::new(&format!("{}{end}", filled())).0,
        "shop",
    )
    .await;

    assert_eq!(done.code, Some(1), "{done:?}");
    let said = "the file runs in one transaction, and may not end it";
    assert!(done.err.contains(said), "{done:?}");
    assert_eq!(dump(&app, &[]).await, before);
}

#[rstest]
#[case::rows_gone("delete from public.theirs", "rows of table public.theirs")]
#[case::rows_changed("update public.theirs set id = 3", "rows of table public.theirs")]
#[case::rows_added("insert into public.theirs values (3)", "rows of table public.theirs")]
#[case::all_rows("truncate public.theirs", "table public.theirs")]
#[case::a_comment("comment on table public.theirs is 'ours'", "table public.theirs")]
#[case::a_comment_of_a_column(
    "comment on column public.theirs.id is 'ours'",
    "table public.theirs"
)]
#[case::a_rule(
    "create rule r as on update to public.theirs do instead nothing",
    "rule r on public.theirs"
)]
#[case::a_cast("create cast (text as point) with inout", "casts")]
#[case::a_publication("create publication p for table public.theirs", "publications")]
#[case::an_event_trigger(
    "create function e() returns event_trigger language plpgsql as $x$ begin end $x$; create event trigger e on ddl_command_end execute function e()",
    "event triggers"
)]
#[case::default_privileges(
    "alter default privileges grant select on tables to public",
    "default privileges"
)]
#[case::replica_identity(
    "alter table public.theirs replica identity full",
    "table public.theirs"
)]
#[case::a_child("create table public.more () inherits (public.theirs)", "inheritance")]
#[case::a_function(
    "create or replace function public.one() returns int language sql as 'select 2'",
    "function public.one()"
)]
#[case::tables_of_the_session("create temp table t ()", "tables of the session")]
#[tokio::test]
async fn what_no_drop_undoes_is_refused_by_name(#[case] sql: &str, #[case] said: &str) {
    let app = beside(HOST, &[]).await;
    let before = dump(&app, &[]).await;

    let done = adopt(
        &app,
        "apply",
        &Written::new(&format!("{}{sql};", filled())).0,
        "shop",
    )
    .await;

    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("it changes, or creates, "), "{done:?}");
    assert!(done.err.contains(said), "{done:?}");
    assert_eq!(dump(&app, &[]).await, before);
    assert_eq!(app.count("select count(*) from public.theirs").await, 2);
}

/// The writes of a port, by hand.
fn instead(port: &str, write: &str) -> String {
    format!(
        "create function write_{port}() returns trigger language plpgsql as $x$ begin {write}; return new; end $x$;
         create trigger write instead of update on {port} for each row execute function write_{port}();"
    )
}

const ORDERS: &str = "create view orders as select * from public.of_orders;";
const COLUMNS: &str =
    "o.id, o.order_number, o.status, o.expires_at, o.expired_at, o.created_at, o.updated_at";
const EXPIRE: &str = "update public.of_orders set status = new.status, expired_at = new.expired_at where id = old.id";

#[rstest]
#[case::a_write_that_wrote_nothing(
    filled() + &instead("stock_levels", "null"),
    "FAILURE stock_levels: a write wrote nothing (`reserved`"
)]
#[case::a_write_of_all_rows(
    filled() + &instead("orders", "update public.of_orders set status = new.status"),
    "FAILURE orders: a write of one row writes 2 rows of public.of_orders"
)]
#[case::rows_that_are_not_locked_beside_one_that_is(
    filled().replace(ORDERS, &format!(
        "create view orders as select {COLUMNS} from (
             select * from public.of_orders union all select * from public.of_orders where false
         ) o join public.theirs t on t.id = 1;"
    )) + &instead("orders", EXPIRE),
    "FAILURE orders: a row of public.of_orders is written that was not locked through it"
)]
#[case::a_table(
    filled().replace(ORDERS, "create table orders as select * from public.of_orders;"),
    "makes something else than a view of orders"
)]
#[case::a_view_of_the_session(filled().replace("create view", "create temp view"), "tables of the session")]
#[tokio::test]
async fn what_would_lose_a_write_or_a_lock_is_refused(#[case] file: String, #[case] said: &str) {
    let app = beside(HOST, &[]).await;
    let two = "insert into public.of_orders select gen_random_uuid(), 'A2', status, expires_at, null, now(), now() from public.of_orders;";
    let file = file.replace(
        "insert into public.of_payment_intents",
        &format!("{two} insert into public.of_payment_intents"),
    );

    let done = adopt(&app, "apply", &Written::new(&file).0, "shop").await;

    assert_eq!(done.code, Some(1), "{done:?}");
    let all = format!("{}{}", done.out, done.err);
    assert!(all.contains(said), "{all}");
}

/// As editors on Windows write it, and with settings of its own.
#[tokio::test]
async fn a_mark_of_the_encoding_and_line_ends_are_no_fault_and_what_a_file_sets_ends_with_it() {
    let app = beside(HOST, &[]).await;
    let file = format!(
        "\u{feff}{}\nset search_path = public;\nset statement_timeout = 1;\n",
        filled()
    );
    let file = file.replace('\n', "\r\n");

    apply(&app, &Written::new(&file).0, "shop").await;

    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
}

/// What the host holds says nothing of the views.
#[tokio::test]
async fn rows_that_the_host_holds_are_not_tried_on() {
    let app = beside(HOST, &[]).await;
    apply(&app, &Written::new(&filled()).0, "shop").await;
    let mut holder = app.db.begin().await.unwrap();
    holder.execute("update public.of_orders set status = status; update public.of_payment_intents set status = status")
        .await
        .unwrap();

    let check = cli::run(&app.settings, &["adopt", "check"]).await;

    holder.rollback().await.unwrap();
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        check
            .out
            .contains("note orders: not tried, for no row is so by now"),
        "{check:?}"
    );
    let free = cli::run(&app.settings, &["adopt", "check"]).await;
    assert!(!free.out.contains("orders: not tried"), "{free:?}");
}
