//! Whether the key is of the right account, when Stripe does not know an
//! intent or refuses it: shown by any other that it does know.

use super::Breaker;
use super::breaker::Call;
use super::fetch::may_begin;
use crate::database::Unprepared;
use crate::engine::{JobContext, JobError, context};

/// Asks about the intents that Stripe most likely knows, until it knows one.
/// When it knows none of them, that proves nothing.
pub(super) async fn prove(ctx: &JobContext, breaker: &Breaker) {
    let likely = match likely(ctx).await {
        Ok(likely) => likely,
        Err(error) => {
            tracing::warn!(%error, "Failed to look for an intent that Stripe knows");
            return;
        }
    };
    for stripe_id in likely {
        let answer = ctx
            .stripe
            .retrieve(&stripe_id, &may_begin(ctx, breaker))
            .await;
        if answer.is_ok() {
            breaker.count(Call::Read, &answer);
            return;
        }
    }
}

/// The intents that Stripe was last known to know, then the newest.
async fn likely(ctx: &JobContext) -> Result<Vec<String>, JobError> {
    let mut tx = ctx.reading().await?;
    sqlx::query_scalar!(
        r#"
        select id as "id!"
          from (
              (select stripe_payment_intent_id as id
                 from payment_intents
                where last_synced_at is not null
                  and status <> 'missing'
                  and synced_status is distinct from 'missing'
                  and stripe_payment_intent_id is not null
                order by last_synced_at desc
                limit 3)
              union all
              (select stripe_payment_intent_id
                 from payment_intents
                where last_synced_at is null
                  and stripe_payment_intent_id is not null
                order by created_at desc
                limit 3)
          ) likely
         limit 3
        "#
    )
    .fetch_all(Unprepared(&mut tx))
    .await
    .map_err(context("look for an intent that Stripe knows"))
}
