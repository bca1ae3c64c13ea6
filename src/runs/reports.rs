//! The weekly reports as their readers get them. Read only.

use super::Runner;
use crate::jobs::Stop;
use crate::jobs::weekly_reports::stored::{self, Stored};
use crate::jobs::weekly_reports::week::IsoWeek;

impl Runner {
    /// The report of a gym's week, with the names of members as they are now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn weekly_report(&self, slug: &str, week: IsoWeek) -> Result<Option<Stored>, Stop> {
        let mut tx = self.reading().await?;
        stored::find(&mut tx, slug, week).await
    }
}
