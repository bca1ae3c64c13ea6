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
    for (intent, session) in likely {
        let (stripe, may_begin) = (&ctx.stripe, may_begin(ctx, breaker));
        let answer = match (intent, session) {
            (Some(id), _) => stripe.retrieve(&id, &may_begin).await.map(drop),
            (None, id) => {
                let id = id.unwrap_or_default();
                stripe.retrieve_session(&id, &may_begin).await.map(drop)
            }
        };
        if answer.is_ok() {
            breaker.count(Call::Read, &answer);
            return;
        }
    }
}

/// The intents that Stripe was last known to know, those of orders in time, and
/// those at the end of both jobs' lines: what is of another account or mode stands
/// before.
/// Each with its session, which is all that is known of some.
async fn likely(ctx: &JobContext) -> Result<Vec<(Option<String>, Option<String>)>, JobError> {
    let mut tx = ctx.reading().await?;
    let likely = sqlx::query!(
        r#"
        select distinct intent, session
          from (
              (select stripe_payment_intent_id as intent, checkout_session_id as session
                 from payment_intents
                where last_synced_at is not null
                  and status <> 'missing'
                  and synced_status is distinct from 'missing'
                order by last_synced_at desc
                limit 2)
              union all
              (select p.stripe_payment_intent_id, p.checkout_session_id
                 from orders o
                 join payment_intents p on p.order_id = o.id
                where o.status in ('PENDING', 'REQUIRES_PAYMENT')
                  and o.expires_at > $1
                order by o.expires_at desc
                limit 2)
              union all
              (select p.stripe_payment_intent_id, p.checkout_session_id
                 from orders o
                 join payment_intents p on p.order_id = o.id
                where o.status in ('PENDING', 'REQUIRES_PAYMENT')
                  and o.expires_at <= $1
                order by o.expires_at desc
                limit 2)
              union all
              (select stripe_payment_intent_id, checkout_session_id
                 from payment_intents
                where not intent_is_settled(status, synced_status, last_synced_at)
                order by updated_at desc
                limit 2)
          ) likely
        "#,
        ctx.now,
    );
    let likely = likely
        .fetch_all(Unprepared(&mut tx))
        .await
        .map_err(context("look for an intent that Stripe knows"))?;
    Ok(likely
        .into_iter()
        .map(|row| (row.intent, row.session))
        .collect())
}
