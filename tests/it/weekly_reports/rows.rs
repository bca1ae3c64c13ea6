//! Gyms, members and what they did.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use crate::app::App;

impl App {
    /// An active gym that has been there for years.
    pub(crate) async fn gym_called(&self, slug: &str, zone: &str) -> Uuid {
        sqlx::query_scalar(
            "insert into gyms (name, slug, status, timezone, created_at)
             values ('Gym ' || $1, $1, 'active', $2, '2015-01-01')
             returning id",
        )
        .bind(slug)
        .bind(zone)
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// So many gyms, called gym-0001 and so on.
    pub(super) async fn gyms(&self, count: i32) {
        sqlx::query(
            "insert into gyms (name, slug, status, created_at)
             select 'Gym ' || n, 'gym-' || lpad(n::text, 4, '0'), 'active', '2015-01-01'
               from generate_series(1, $1) n",
        )
        .bind(count)
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// A member for years.
    pub(super) async fn member(&self, gym: Uuid) -> Uuid {
        self.named_member(gym, "Ada", "Lovelace").await
    }

    pub(super) async fn named_member(&self, gym: Uuid, first: &str, last: &str) -> Uuid {
        sqlx::query_scalar(
            "insert into members (gym_id, first_name, last_name, joined_on, created_at)
             values ($1, $2, $3, '2018-01-01', '2018-01-01')
             returning id",
        )
        .bind(gym)
        .bind(first)
        .bind(last)
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    pub(super) async fn visit(&self, gym: Uuid, member: Uuid, at: &str) {
        sqlx::query("insert into visits (gym_id, member_id, checked_in_at) values ($1, $2, $3::timestamptz)")
            .bind(gym)
            .bind(member)
            .bind(at)
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// A score on a day.
    pub(super) async fn scored(&self, gym: Uuid, member: Uuid, day: &str, score: f32, level: &str) {
        sqlx::query(
            "insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version)
             values ($1, $2::date, $3, $4, $5, 'test')",
        )
        .bind(member)
        .bind(day)
        .bind(gym)
        .bind(score)
        .bind(level)
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// A bit of everything in 2025-W05 and the week before.
    pub(super) async fn busy_week(&self, gym: Uuid) {
        for (n, name) in ["Ada", "Bob", "Cy", "Dee"].iter().enumerate() {
            let member = self.named_member(gym, name, "Lovelace").await;
            for day in 20..(27 + n) {
                let at = format!("2025-01-{day}T1{n}:20:00Z");
                self.visit(gym, member, &at).await;
            }
            let score = [0.91, 0.62, 0.3, 0.1][n];
            let level = ["critical", "high", "medium", "low"][n];
            self.scored(gym, member, "2025-02-02", score, level).await;
        }
        self.execute(&format!(
            "insert into conversation_sessions (gym_id, state, started_at, sentiment, sentiment_score, topics)
             select '{gym}', 'closed', timestamptz '2025-01-28T12:00:00Z' + n * interval '1 hour',
                    case when n % 2 = 0 then 'positive' else 'negative' end, n * 0.1,
                    array['nutrition', 'topic ' || n % 3]
               from generate_series(1, 7) n;
             insert into kiosks (id, gym_id, slug, name, status, created_at)
             values ('{gym}', '{gym}', 'k-{gym}', 'Desk', 'online', '2024-01-01');
             insert into kiosk_heartbeats (kiosk_id, received_at)
             select '{gym}', beat
               from generate_series(timestamptz '2025-01-10', '2025-02-03', '5 minutes') beat
              where beat not between '2025-01-29' and '2025-01-30';"
        ))
        .await;
    }

    /// The only report of a gym.
    pub(super) async fn report(&self, gym: Uuid) -> Value {
        let sql = format!("select * from weekly_reports where gym_id = '{gym}'");
        let mut rows = self.rows(&sql).await;
        assert_eq!(rows.as_array().unwrap().len(), 1);
        rows[0].take()
    }

    /// A checksum of every table but the logs, which every run adds to.
    pub(super) async fn checksums_but_logs(&self) -> BTreeMap<String, String> {
        let mut sums = self.checksums().await;
        sums.remove("system_logs");
        sums
    }
}
