//! The alerts that only a whole run can tell: about Stripe and our key, and
//! about what concerns so many orders or intents that it is one matter.
//!
//! While Stripe denies or refuses every call, nothing is told of single orders.
//! What is seen once is raised with the rows that tell it, so that no run that
//! dies on the way loses it: [`tell_of`], [`raise`].

use std::slice;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::Synced;
use super::breaker::{Breaker, Call, Health};
use crate::alerts::kinds::{
    INTENTS_CORRECTED, INTENTS_MISSING, Kind, ORDER_PAID_AFTER_END, ORDERS_INTENT_MISSING,
    ORDERS_STUCK, STRIPE_DENIED, STRIPE_REFUSES_ALL, STRIPE_WRITES_DENIED,
};
use crate::alerts::{self, Alert, OpenAlert};
use crate::database::Unprepared;
use crate::engine::{Batch, JobError, context};

/// So many of a kind are told one by one.
const FEW: usize = 5;
/// So many are named in the alert about many.
const MOST_NAMED: usize = 20;

/// What is told as one matter when it concerns many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// Orders with intents that Stripe does not know.
    OrdersMissing,
    /// Orders that cannot be expired.
    OrdersStuck,
    /// Intents that Stripe does not know.
    IntentsMissing,
    /// Intents whose final status here was not Stripe's.
    IntentsCorrected,
}

impl Matter {
    /// Whether this is no matter of its own, because of how Stripe is.
    fn is_of_stripe(self, health: Health) -> bool {
        match health {
            Health::Well | Health::Unreachable => false,
            Health::WritesDenied => self == Self::OrdersStuck,
            Health::Denied | Health::RefusesAll => true,
        }
    }

    fn kind(self) -> (&'static Kind, &'static str) {
        match self {
            Self::OrdersMissing => (&ORDERS_INTENT_MISSING, "orders"),
            Self::OrdersStuck => (&ORDERS_STUCK, "orders"),
            Self::IntentsMissing => (&INTENTS_MISSING, "intents"),
            Self::IntentsCorrected => (&INTENTS_CORRECTED, "intents"),
        }
    }
}

/// The alerts about orders that are raised at the end of a run.
#[derive(Debug, Default)]
pub struct Held(Mutex<Vec<(Matter, Alert)>>);

impl Held {
    /// Keeps alerts for the end of the run; call it once what they tell of is
    /// committed.
    pub fn add(&self, alerts: Vec<(Matter, Alert)>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(alerts);
    }

    fn take(&self) -> Vec<(Matter, Alert)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Raises the alerts of a run, and resolves those about Stripe that its answers
/// disprove; answers how many are new.
///
/// # Errors
/// When the database refuses.
pub async fn report(
    batch: &mut Batch<'_>,
    held: &Held,
    breaker: &Breaker,
    now: DateTime<Utc>,
) -> Result<usize, JobError> {
    let of_stripe = of_stripe(breaker);
    let disproved = disproved(breaker, &of_stripe);
    let held = held.take();
    let mut opened = 0;
    for matter in [Matter::OrdersMissing, Matter::OrdersStuck] {
        if !matter.is_of_stripe(breaker.health()) {
            let alerts = held.iter().filter(|(of, _)| *of == matter);
            let alerts: Vec<Alert> = alerts.map(|(_, alert)| alert.clone()).collect();
            opened += raise(batch, matter, &alerts, now).await?;
        }
    }
    let over = open_of(batch.db()?, &disproved)
        .await
        .map_err(context("look for alerts about Stripe"))?;
    alerts::resolve(batch.db()?, &over, now)
        .await
        .map_err(context("resolve alerts about Stripe"))?;
    let of_stripe = alerts::open(batch.db()?, &of_stripe, now)
        .await
        .map_err(context("open alerts about Stripe"))?;
    Ok(opened + of_stripe.len())
}

/// Raises what Stripe's word shows once: that rows were wrong, and that money came in
/// for those of the `paid` orders that have ended; answers how many alerts are new.
///
/// # Errors
/// When the database refuses.
pub async fn tell_of(
    batch: &mut Batch<'_>,
    synced: impl Iterator<Item = &Synced>,
    paid: &[Uuid],
    now: DateTime<Utc>,
) -> Result<usize, JobError> {
    let corrected: Vec<Alert> = synced.filter_map(Synced::correction).collect();
    let corrected = raise(batch, Matter::IntentsCorrected, &corrected, now).await?;
    let ended = paid_after_end(batch.db()?, paid)
        .await
        .map_err(context("read the orders that were paid"))?;
    let ended = alerts::open(batch.db()?, &ended, now)
        .await
        .map_err(context("open alerts"))?;
    Ok(corrected + ended.len())
}

/// Raises alerts of one matter, one by one when they are few; answers how many are
/// new.
///
/// # Errors
/// When the database refuses.
pub async fn raise(
    batch: &mut Batch<'_>,
    matter: Matter,
    alerts: &[Alert],
    now: DateTime<Utc>,
) -> Result<usize, JobError> {
    if alerts.is_empty() {
        return Ok(0);
    }
    let (kind, subject) = matter.kind();
    let open = alerts::open_of_kind(batch.db()?, kind)
        .await
        .map_err(context("look for open alerts"))?;
    let is_told = open.iter().any(|it| it.dedup_key == kind.key(subject));
    let is_new = |it: &&OpenAlert| alerts.iter().all(|new| new.dedup_key != it.dedup_key);
    let about_many = (is_told || alerts.len() + open.iter().filter(is_new).count() > FEW)
        .then(|| about_many(kind, subject, alerts));
    let raised = about_many.as_ref().map_or(alerts, slice::from_ref);
    let opened = alerts::open(batch.db()?, raised, now)
        .await
        .map_err(context("open alerts"))?;
    Ok(opened.len())
}

fn of_stripe(breaker: &Breaker) -> Vec<Alert> {
    let (kind, subject) = match breaker.health() {
        Health::Denied => (STRIPE_DENIED, ""),
        Health::WritesDenied => (STRIPE_WRITES_DENIED, "write"),
        Health::RefusesAll => (STRIPE_REFUSES_ALL, ""),
        Health::Well | Health::Unreachable => return Vec::new(),
    };
    vec![kind.about(subject, &[], json!({ "error": breaker.why() }))]
}

/// The keys of alerts that a good answer disproves.
fn disproved(breaker: &Breaker, raised: &[Alert]) -> Vec<String> {
    let mut keys = Vec::new();
    if breaker.went_well(Call::Read) || breaker.went_well(Call::Write) {
        keys.extend([STRIPE_DENIED.key(""), STRIPE_REFUSES_ALL.key("")]);
    }
    if breaker.went_well(Call::Write) {
        keys.push(STRIPE_WRITES_DENIED.key("write"));
    }
    keys.retain(|key| raised.iter().all(|alert| alert.dedup_key != *key));
    keys
}

fn about_many(kind: &Kind, subject: &str, alerts: &[Alert]) -> Alert {
    let ids = alerts
        .iter()
        .filter_map(|alert| alert.dedup_key.split_once(':'));
    let first: Vec<&str> = ids.map(|(_, id)| id).take(MOST_NAMED).collect();
    let details = json!({ "count": alerts.len(), "first": first, "example": alerts[0].details });
    kind.about(subject, &[&alerts.len().to_string()], details)
}

/// The alerts about money that was charged for those of these orders that have
/// ended unpaid, as our table has it.
async fn paid_after_end(db: Unprepared<'_>, orders: &[Uuid]) -> sqlx::Result<Vec<Alert>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let ended = sqlx::query!(
        "select id, order_number, status
           from orders
          where id = any($1)
            and status in ('EXPIRED', 'CANCELED')
          order by id",
        orders,
    )
    .fetch_all(db)
    .await?;
    let alerts = ended.into_iter().map(|order| {
        let details = json!({ "order_number": order.order_number, "status": order.status });
        let words = [order.order_number.as_str(), &order.status];
        Alert {
            order_id: Some(order.id),
            ..ORDER_PAID_AFTER_END.about(&order.id.to_string(), &words, details)
        }
    });
    Ok(alerts.collect())
}

async fn open_of(db: Unprepared<'_>, keys: &[String]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id
           from alerts
          where dedup_key = any($1)
            and status in ('open', 'acknowledged')",
        keys,
    )
    .fetch_all(db)
    .await
}
