//! Gyms, kiosks and heartbeats to begin with, and how they look afterwards.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::app::App;

pub(super) const JOB: &str = "health-check-kiosks";
/// A Thursday; in Paris the clocks say twelve.
pub(super) const NOON: &str = "2026-01-15T11:00:00Z";
pub(super) const ALWAYS: &str = "null";
/// From six to ten at night, every day but Sunday.
pub(super) const BY_DAY: &str = r#"{"mon": [["06:00", "22:00"]], "tue": [["06:00", "22:00"]],
    "wed": [["06:00", "22:00"]], "thu": [["06:00", "22:00"]], "fri": [["06:00", "22:00"]],
    "sat": [["06:00", "22:00"]]}"#;

impl App {
    /// Runs the job as of a moment; the results.
    pub(super) async fn check(&self, at: &str) -> Value {
        let reply = self.operate(JOB, &format!("as_of={at}")).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        reply.results().clone()
    }

    /// An active gym in Paris with these hours.
    pub(super) async fn gym(&self, hours: &str) -> Uuid {
        sqlx::query_scalar(
            "insert into gyms (id, name, slug, status, opening_hours, created_at)
             select md5('gym ' || n)::uuid, 'Gym ' || n, 'gym-' || n, 'active',
                    nullif($1::jsonb, 'null'), '2020-01-01'
               from (select 1 + count(*) as n from gyms) counted
             returning id",
        )
        .bind(serde_json::from_str::<Value>(hours).unwrap())
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// A kiosk that at noon has been silent for so long, or was never seen.
    pub(super) async fn kiosk(&self, gym: Uuid, status: &str, silent: &str) -> Uuid {
        self.kiosk_at(NOON, gym, status, silent).await
    }

    pub(super) async fn kiosk_at(&self, now: &str, gym: Uuid, status: &str, silent: &str) -> Uuid {
        sqlx::query_scalar(
            "insert into kiosks (id, gym_id, slug, name, status, last_heartbeat_at, status_since,
                                 created_at, updated_at)
             select md5('kiosk ' || n)::uuid, $1, 'kiosk-' || n, 'Kiosk ' || n, $2,
                    $3::text::timestamptz - nullif($4, 'never')::interval,
                    $3::text::timestamptz - interval '10 days',
                    $3::text::timestamptz - interval '100 days',
                    $3::text::timestamptz - interval '10 days'
               from (select 1 + count(*) as n from kiosks) counted
             returning id",
        )
        .bind(gym)
        .bind(status)
        .bind(now)
        .bind(silent)
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// Heard again, or for the last time, at that moment.
    pub(super) async fn heard(&self, kiosk: Uuid, at: &str) {
        self.on(kiosk, &format!("last_heartbeat_at = '{at}'")).await;
    }

    /// Sets columns of a kiosk.
    pub(super) async fn on(&self, kiosk: Uuid, set: &str) {
        self.execute(&format!("update kiosks set {set} where id = '{kiosk}'"))
            .await;
    }

    pub(super) async fn beat(&self, kiosk: Uuid, received_at: &str, sent_at: &str) {
        self.execute(&format!(
            "insert into kiosk_heartbeats (kiosk_id, received_at, sent_at)
             values ('{kiosk}', '{received_at}', '{sent_at}')"
        ))
        .await;
    }

    pub(super) async fn status(&self, kiosk: Uuid) -> String {
        self.text(&format!("select status from kiosks where id = '{kiosk}'"))
            .await
    }

    /// The alerts of a gym, its kiosks' included, in one line.
    pub(super) async fn alerts(&self) -> String {
        self.text(
            "select coalesce(string_agg(
                 concat_ws(' ', split_part(dedup_key, ':', 1), k.slug, severity, a.status,
                           'x' || occurrences), '; '
                 order by opened_at, kind, k.slug), 'none')
               from alerts a left join kiosks k on k.id = a.kiosk_id",
        )
        .await
    }

    /// All that the job may change, without ids that are made up.
    pub(super) async fn fleet(&self) -> Value {
        let kiosks = self.rows("select * from kiosks order by id").await;
        let alerts = self
            .rows(
                "select to_jsonb(a) - 'id' as alert from alerts a
                  order by dedup_key, opened_at, status",
            )
            .await;
        serde_json::json!({ "kiosks": kiosks, "alerts": alerts })
    }

    pub(super) async fn text(&self, sql: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// Six gyms with kiosks in every state, alerts that stand open, and
    /// heartbeats.
    pub(super) async fn a_fleet_of_every_kind(&self) {
        let town = self.gym(ALWAYS).await;
        for (status, silent) in [
            ("online", "10 seconds"),
            ("online", "7 minutes"),
            ("online", "2 hours"),
            ("online", "never"),
            ("degraded", "10 seconds"),
            ("degraded", "9 minutes"),
            ("offline", "10 seconds"),
            ("offline", "4 days"),
            ("provisioning", "never"),
            ("pending_approval", "never"),
            ("maintenance", "2 days"),
            ("retired", "90 days"),
        ] {
            self.kiosk(town, status, silent).await;
        }
        let dark = self.gym(BY_DAY).await;
        for _ in 0..3 {
            self.kiosk(dark, "offline", "3 days").await;
        }
        let closed = self.gym("{}").await;
        self.kiosk(closed, "online", "3 days").await;
        let ended = self.gym(ALWAYS).await;
        self.kiosk(ended, "online", "3 days").await;
        self.execute(&format!(
            "update gyms set status = 'cancelled' where id = '{ended}'"
        ))
        .await;
        self.alert_for_all_offline("2 days").await;
        self.execute(&format!(
            "insert into kiosk_heartbeats (kiosk_id, received_at)
             select id, at from kiosks, generate_series(
                 timestamptz '{NOON}' - interval '30 hours', timestamptz '{NOON}', '7 minutes') at
              where status <> 'retired'"
        ))
        .await;
    }

    /// An alert for every kiosk that is offline, opened so long before noon
    /// and last seen a day before.
    pub(super) async fn alert_for_all_offline(&self, age: &str) {
        self.execute(&format!(
            "insert into alerts (gym_id, kiosk_id, kind, dedup_key, title, opened_at, last_seen_at)
             select gym_id, id, 'kiosk_offline', 'kiosk_offline:' || id, name,
                    timestamptz '{NOON}' - interval '{age}',
                    timestamptz '{NOON}' - interval '1 day'
               from kiosks where status = 'offline'"
        ))
        .await;
    }
}
