//! The sample data, and what Stripe knows of it.

use anyhow::Context;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::stripe_double::Intent;

/// The parts, in an order in which each finds what it builds on.
const PARTS: [&str; 13] = [
    include_str!("sample/setup.sql"),
    include_str!("sample/stock.sql"),
    include_str!("sample/orders.sql"),
    include_str!("sample/payment_intents.sql"),
    include_str!("sample/gyms.sql"),
    include_str!("sample/members.sql"),
    include_str!("sample/visits.sql"),
    include_str!("sample/kiosks.sql"),
    include_str!("sample/conversations.sql"),
    include_str!("sample/predictions.sql"),
    include_str!("sample/alerts.sql"),
    include_str!("sample/ledger.sql"),
    include_str!("sample/end.sql"),
];

/// Fills an empty, migrated database; answers the intents as Stripe has them.
///
/// # Errors
/// When the database refuses.
pub(super) async fn load(database: &str, scale: u32) -> anyhow::Result<Vec<Intent>> {
    let options: PgConnectOptions = database.parse()?;
    let mut connection = options
        .disable_statement_logging()
        .connect()
        .await
        .context("connect")?;
    sqlx::query("select set_config('demo.scale', $1, false)")
        .bind(scale.to_string())
        .execute(&mut connection)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(PARTS.concat()))
        .execute(&mut connection)
        .await
        .context("make sample data")?;
    let intents: Vec<(String, String, i64, Option<String>)> = sqlx::query_as(
        "select stripe_payment_intent_id, status, amount, checkout_session_id
           from demo.demo_stripe_intents",
    )
    .fetch_all(&mut connection)
    .await
    .context("read what Stripe knows")?;
    connection.close().await?;
    let intents = intents.into_iter();
    let intents = intents.map(|(id, status, amount, checkout_session_id)| Intent {
        amount,
        checkout_session_id,
        ..Intent::new(id, status)
    });
    Ok(intents.collect())
}
