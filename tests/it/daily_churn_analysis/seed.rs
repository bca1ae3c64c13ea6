//! Gyms, members and visits to begin with.

use uuid::Uuid;

use crate::app::App;

/// The date in Paris of the night that most tests replay.
pub(super) const TODAY: &str = "2025-06-16";

/// Days ago, from `first` on, every `gap` days of half a year.
pub(super) fn every(first: i32, gap: usize) -> Vec<i32> {
    (first..first + 182).step_by(gap).collect()
}

impl App {
    pub(super) async fn gym_in(&self, timezone: &str) -> Uuid {
        sqlx::query_scalar(
            "insert into gyms (name, slug, status, timezone)
             values ('A gym', 'gym-' || gen_random_uuid(), 'active', $1)
             returning id",
        )
        .bind(timezone)
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// The gym was scored before, and this night is not its first: neither one
    /// that is replayed, nor the next.
    pub(super) async fn scored_before(&self, gym: Uuid) {
        self.execute(&format!(
            "insert into member_churn_history (member_id, scored_on, gym_id, level, model_version)
             select gen_random_uuid(), day, '{gym}', 'new', 'test'
               from unnest(array[date '2025-01-01', current_date - 2]) day"
        ))
        .await;
    }

    /// So many members who joined so many days before [`TODAY`].
    pub(super) async fn members<const N: usize>(&self, gym: Uuid, joined_ago: i32) -> [Uuid; N] {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "insert into members (gym_id, joined_on, first_name, last_name)
             select $1, $2::date - $3::int, 'Zebulon', 'Quartz' from generate_series(1, $4)
             returning id",
        )
        .bind(gym)
        .bind(TODAY.parse::<chrono::NaiveDate>().unwrap())
        .bind(joined_ago)
        .bind(i32::try_from(N).unwrap())
        .fetch_all(&self.db)
        .await
        .unwrap();
        ids.try_into().unwrap()
    }

    /// Visits at six in the evening of the gym, so many days before [`TODAY`].
    pub(super) async fn came(&self, member: Uuid, days_ago: Vec<i32>) {
        sqlx::query(
            "insert into visits (gym_id, member_id, checked_in_at)
             select g.id, m.id, ($2::date - ago + time '18:00') at time zone g.timezone
               from members m
               join gyms g on g.id = m.gym_id
               cross join unnest($3::int[]) ago
              where m.id = $1",
        )
        .bind(member)
        .bind(TODAY.parse::<chrono::NaiveDate>().unwrap())
        .bind(days_ago)
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// One of each sort: regular, gone, new, never there, frozen, opted out.
    pub(super) async fn members_of_every_sort(&self) -> [Uuid; 6] {
        let gym = self.gym_in("Europe/Paris").await;
        self.scored_before(gym).await;
        let [regular, gone, never, frozen, out] = self.members(gym, 300).await;
        let [new] = self.members(gym, 5).await;
        for member in [regular, frozen, out] {
            self.came(member, every(1, 3)).await;
        }
        self.came(gone, every(50, 2)).await;
        self.execute(&format!(
            "update members set status = 'frozen' where id = '{frozen}';
             update members set churn_opt_out = true where id = '{out}'"
        ))
        .await;
        [regular, gone, new, never, frozen, out]
    }

    pub(super) async fn score(&self, member: Uuid) -> f32 {
        sqlx::query_scalar("select score from member_churn where member_id = $1")
            .bind(member)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// The member's level, or `-` without a row.
    pub(super) async fn level(&self, member: Uuid) -> String {
        sqlx::query_scalar("select level from member_churn where member_id = $1")
            .bind(member)
            .fetch_optional(&self.db)
            .await
            .unwrap()
            .unwrap_or_else(|| "-".to_owned())
    }
}
