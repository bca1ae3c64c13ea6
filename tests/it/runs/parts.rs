//! A batch that takes too long is done in parts, in every job that writes batches.

use rstest::rstest;

use crate::app::App;

/// As the database ends a statement that took too long, when it changes more
/// than three rows of `table`, or the row that `held` says; notes how many it
/// changed.
async fn slow(app: &App, table: &str, held: &str) {
    app.execute(&format!(
        "create table changed (rows bigint);
         create function be_slow() returns trigger language plpgsql as $$
         begin
             if (select count(*) > 3 or bool_or({held}) from made) then
                 raise query_canceled using message = 'that took too long';
             end if;
             insert into changed select count(*) from made;
             return null;
         end $$;
         create trigger be_slow after update on {table}
             referencing new table as made for each statement execute function be_slow();"
    ))
    .await;
}

/// Forty orders, each with an open intent of Stripe's.
async fn orders(app: &App) {
    app.stale_orders(40, 1).await;
    app.open_intents_for_all().await;
}

/// Intents that are older than a week.
async fn old_intents(app: &App) {
    orders(app).await;
    app.execute("update payment_intents set created_at = now() - interval '8 days', updated_at = now() - interval '8 days'")
        .await;
}

#[rstest]
#[case::orders("expire-stale-orders", "orders", "orders_expired")]
#[case::intents(
    "cleanup-stale-payment-intents",
    "payment_intents",
    "payment_intents_canceled"
)]
#[tokio::test]
async fn a_batch_that_takes_too_long_is_done_in_parts(
    #[case] job: &str,
    #[case] table: &str,
    #[case] counted: &str,
) {
    let app = App::new().await;
    old_intents(&app).await;
    slow(&app, table, "false").await;

    let reply = app.operate(job, "").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()[counted], 40, "{reply:?}");
    assert!(app.count("select max(rows) from changed").await <= 3);
    // Once it is known that a batch may be small, the next ones are.
    let statements = app
        .count("select count(*) from changed where rows > 0")
        .await;
    assert!(statements <= 30, "{statements}");
    let again = app.operate(job, "").await;
    assert_eq!(again.results()[counted], 0, "{again:?}");
}

#[tokio::test]
async fn an_order_that_takes_too_long_alone_holds_up_no_other() {
    let app = App::new().await;
    orders(&app).await;
    let held = "order_number = (select min(order_number collate \"C\") from orders)";
    slow(&app, "orders", held).await;

    let reply = app.operate("expire-stale-orders", "").await;

    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 39, "{reply:?}");
    assert_eq!(reply.results()["orders_deferred"], 1, "{reply:?}");
}
