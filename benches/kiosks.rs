//! Ratios, not seconds: health-check-kiosks against a bare UPDATE that writes
//! the same statuses, side by side against one private Postgres with its
//! durability on.
//!
//! `cargo bench --bench kiosks [KIOSKS]` prints, for each night, the median of
//! seven rounds of each, taken in turn, and the ratio of the job to the
//! UPDATE. The UPDATE is given to psql and timed by psql itself; it knows
//! nothing of opening hours, alerts, leases or a fleet. A gym has five kiosks.
//!
//! - `every kiosk turns`: all come back, and no kiosk had an alert.
//! - `an ordinary night`: one in twenty turns; alerts are opened and resolved.
//!   Once against an UPDATE of those that turn, once against one of all rows.
//! - `with uptime`: the ordinary night, and for every kiosk one heartbeat every
//!   five minutes of the last day to measure uptime by. In the nights before,
//!   the kiosks are too young to have any.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use service::Side;
use side_by_side::median;

#[path = "side_by_side/service.rs"]
mod service;
mod side_by_side;

const ROUNDS: usize = 7;
/// A Thursday at noon; every gym is open.
const NOW: &str = "2026-01-15T11:40:00Z";

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let kiosks: u32 = asked.unwrap_or(10_000);
    let side = Side::start().await;
    let mut db = PgConnection::connect(&side.database).await.unwrap();
    seed(&mut db, kiosks).await;

    println!("{kiosks} kiosks, medians of {ROUNDS} rounds");
    compare(
        &side,
        &mut db,
        "every kiosk turns",
        EVERY,
        &those_that_turn(),
    )
    .await;
    compare(
        &side,
        &mut db,
        "an ordinary night",
        ORDINARY,
        &those_that_turn(),
    )
    .await;
    compare(&side, &mut db, "  all rows written", ORDINARY, &all_rows()).await;
    beat(&mut db).await;
    compare(&side, &mut db, "with uptime", ORDINARY, &those_that_turn()).await;
    compare(&side, &mut db, "  all rows written", ORDINARY, &all_rows()).await;
}

async fn compare(side: &Side, db: &mut PgConnection, night: &str, start: &str, update: &str) {
    let (mut bare, mut job) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        reset(db, start).await;
        let by_update = side.psql(update);
        let turned = turned(db).await;
        reset(db, start).await;
        let body = format!(r#"{{"as_of": "{NOW}"}}"#);
        let (by_job, results) = side.deliver("health-check-kiosks", &body).await;
        assert_eq!(results["status_changed"], turned, "{results}");
        // The first round only warms up.
        if round > 0 {
            bare.push(by_update);
            job.push(by_job);
        }
    }
    // Round by round, because the machine's speed drifts.
    let ratios = job.iter().zip(&bare);
    let ratio = median(ratios.map(|(job, bare)| job.as_secs_f64() / bare.as_secs_f64()));
    let [bare, job] = [bare, job].map(|times| median(times.iter().map(Duration::as_secs_f64)));
    println!(
        "{night:<20} update {:>7.1} ms   job {:>7.1} ms   job / update = {ratio:.2}",
        bare * 1e3,
        job * 1e3
    );
}

async fn execute(db: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(
        sql.replace("NOW", &format!("timestamptz '{NOW}'")),
    ))
    .execute(db)
    .await
    .unwrap();
}

/// How many kiosks have a status that was given now.
async fn turned(db: &mut PgConnection) -> i64 {
    let sql = format!("select count(*) from kiosks where status_since = '{NOW}'");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(db)
        .await
        .unwrap()
}

/// Gyms that are open from six to ten at night, and five kiosks in each.
async fn seed(db: &mut PgConnection, kiosks: u32) {
    let sql = format!(
        r#"
        insert into gyms (name, slug, status, opening_hours)
        select 'Gym ' || n, 'gym-' || n, 'active', jsonb_object_agg(day, '[["06:00", "22:00"]]'::jsonb)
          from generate_series(1, {kiosks} / 5) n,
               unnest(array['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']) day
         group by n;
        insert into kiosks (gym_id, slug, name, created_at)
        select id, slug || '-' || n, 'Kiosk ' || n, NOW - interval '35 minutes'
          from gyms, generate_series(1, 5) n"#
    );
    execute(db, &sql).await;
}

/// The kiosks are old, and sent one heartbeat every five minutes of the last
/// day, each a little later than its slot begins.
async fn beat(db: &mut PgConnection) {
    let sql = "
        update kiosks set created_at = NOW - interval '1 year';
        insert into kiosk_heartbeats (kiosk_id, received_at, sent_at)
        select id, at + interval '20 seconds', at + interval '19 seconds'
          from kiosks, generate_series(NOW - interval '32 hours', NOW - interval '5 minutes', '5 minutes') at
         order by at";
    execute(db, sql).await;
}

/// All kiosks are heard; half were offline, half degraded.
const EVERY: &str = "
    update kiosks
       set status = case when abs(hashtext(slug)) % 2 = 0 then 'offline' else 'degraded' end,
           last_heartbeat_at = NOW - interval '10 seconds'";

/// Out of a hundred, two fell silent, one is late, two came back, and three
/// stay away; those who stay away or come back had alerts.
const ORDINARY: &str = "
    update kiosks
       set status = case when place < 5 then 'offline' else 'online' end,
           last_heartbeat_at = NOW - case
               when place < 2 then interval '10 seconds'
               when place < 7 then interval '3 hours'
               when place < 8 then interval '10 minutes'
               else interval '10 seconds'
           end
      from (select id as of, abs(hashtext(slug)) % 100 as place from kiosks) placed
     where of = id;
    insert into alerts (gym_id, kiosk_id, kind, dedup_key, title, opened_at, last_seen_at)
    select gym_id, id, 'kiosk_offline', 'kiosk_offline:' || id, 'Kiosk', NOW - interval '30 hours',
           NOW - interval '24 hours'
      from kiosks
     where status = 'offline'";

async fn reset(db: &mut PgConnection, start: &str) {
    execute(db, "truncate alerts, system_logs, job_runs cascade").await;
    execute(db, start).await;
    execute(
        db,
        "update kiosks set uptime = null, status_since = NOW - interval '1 month'",
    )
    .await;
    // A fresh table each time, and no checkpoint that falls into a round by chance.
    for sql in ["vacuum (full) kiosks", "vacuum analyze", "checkpoint"] {
        execute(db, sql).await;
    }
}

/// The verdict on the clock of the wall.
const VERDICT: &str = "case
    when last_heartbeat_at >= NOW - interval '5 minutes' then 'online'
    when last_heartbeat_at >= NOW - interval '30 minutes' then 'degraded'
    else 'offline'
end";

fn those_that_turn() -> String {
    let sql = format!(
        "update kiosks set status = {VERDICT}, status_since = NOW, updated_at = NOW
          where status in ('online', 'degraded', 'offline') and status <> {VERDICT}"
    );
    sql.replace("NOW", &format!("timestamptz '{NOW}'"))
}

fn all_rows() -> String {
    let sql = format!(
        "update kiosks
            set status = {VERDICT}, updated_at = NOW,
                status_since = case when status = {VERDICT} then status_since else NOW end
          where status in ('online', 'degraded', 'offline')"
    );
    sql.replace("NOW", &format!("timestamptz '{NOW}'"))
}
