//! The work of the six jobs: a few batches of each, and what of it the tables
//! show.

use jarvis_cron::demo::stripe_double::Intent;

use crate::app::App;

/// The work of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Orders,
    Intents,
    Members,
    Kiosks,
    OldRows,
    Reports,
}

/// Something that runs count and the tables show.
pub(super) struct Effect {
    /// The counts in the results, which add up over the runs.
    pub(super) counts: &'static [&'static str],
    /// The same in the tables, as one number.
    pub(super) shown: &'static str,
    /// Once all work is done.
    pub(super) all: i64,
}

const fn effect(counts: &'static [&'static str], shown: &'static str, all: i64) -> Effect {
    Effect { counts, shown, all }
}

impl Work {
    pub(super) fn job(self) -> &'static str {
        match self {
            Self::Orders => "expire-stale-orders",
            Self::Intents => "cleanup-stale-payment-intents",
            Self::Members => "daily-churn-analysis",
            Self::Kiosks => "health-check-kiosks",
            Self::OldRows => "cleanup-old-data",
            Self::Reports => "weekly-reports",
        }
    }

    /// What the transaction of a batch says, where it changes something.
    pub(super) fn batch(self) -> &'static str {
        match self {
            Self::Orders => "set status = 'EXPIRED'",
            Self::Intents => "update payment_intents",
            Self::Members => "insert into member_churn_history",
            Self::Kiosks => "update kiosks",
            Self::OldRows => "delete from kiosk_heartbeats",
            Self::Reports => "insert into weekly_reports",
        }
    }

    /// Six rows of each kind, which are three batches of two.
    pub(super) async fn prepare(self, app: &App) {
        match self {
            Self::Orders => {
                app.stale_orders(6, 3).await;
                app.open_intents_for_all().await;
            }
            Self::Intents => {
                app.execute(OLD_INTENTS).await;
                let ids = (1..=6).map(|n| format!("pi_{n}"));
                app.stripe
                    .add_all(ids.map(|id| Intent::new(&id, "requires_payment_method")));
            }
            Self::Members => app.execute(MEMBERS).await,
            Self::Kiosks => app.execute(KIOSKS).await,
            Self::OldRows => app.execute(OLD_ROWS).await,
            Self::Reports => app.execute(GYMS_WITH_RECIPIENTS).await,
        }
    }

    pub(super) fn effects(self) -> &'static [Effect] {
        match self {
            Self::Orders => &ORDERS,
            Self::Intents => &INTENTS,
            Self::Members => &SCORES,
            Self::Kiosks => &STATUSES,
            Self::OldRows => &ERASED,
            Self::Reports => &REPORTS,
        }
    }
}

const ORDERS: [Effect; 6] = [
    effect(
        &["orders_expired"],
        "count(*) from orders where status = 'EXPIRED'",
        6,
    ),
    effect(
        &["orders_expired"],
        "count(*) from audit_events where event_type = 'local.order.expired'",
        6,
    ),
    effect(
        &["stock_released"],
        "coalesce(sum(quantity), 0) from stock_reservations where status = 'RELEASED'",
        18,
    ),
    effect(
        &["stock_released"],
        "18 - sum(reserved) from stock_levels",
        18,
    ),
    effect(
        &["payment_intents_canceled"],
        "count(*) from payment_intents where status = 'canceled'",
        6,
    ),
    effect(
        &["payment_intents_canceled"],
        "count(*) from audit_events where event_type = 'local.payment.canceled'",
        6,
    ),
];

/// One that Stripe canceled before its run broke off is found canceled by the
/// next.
const ENDED: &[&str] = &["payment_intents_canceled", "payments_updated"];

const INTENTS: [Effect; 2] = [
    effect(
        ENDED,
        "count(*) from payment_intents where status = 'canceled'",
        6,
    ),
    effect(
        ENDED,
        "count(*) from audit_events where event_type = 'local.payment.canceled'",
        6,
    ),
];

const SCORES: [Effect; 4] = [
    effect(&["processed"], "count(*) from member_churn", 6),
    effect(
        &["processed"],
        "count(*) from member_churn_history where score is not null",
        6,
    ),
    effect(&["alerts_opened"], "count(*) from alerts", 2),
    effect(
        &["alerts_opened"],
        "coalesce(sum(occurrences), 0) from alerts",
        2,
    ),
];

const STATUSES: [Effect; 3] = [
    effect(
        &["status_changed"],
        "count(*) from kiosks where status = 'offline'",
        6,
    ),
    effect(
        &["alerts_opened"],
        "count(*) from alerts where kind = 'kiosk_offline'",
        6,
    ),
    effect(
        &["alerts_opened"],
        "coalesce(sum(occurrences), 0) from alerts",
        6,
    ),
];

const ERASED: [Effect; 2] = [
    effect(
        &["rows_erased"],
        "coalesce(sum(affected), 0) from erasure_log",
        12,
    ),
    effect(
        &["rows_erased"],
        "12 - (select count(*) from kiosk_heartbeats) - (select count(*) from visits)",
        12,
    ),
];

const REPORTS: [Effect; 2] = [
    effect(&["generated"], "count(*) from weekly_reports", 6),
    effect(
        &["emails_sent"],
        "count(*) from report_deliveries where sent_at is not null",
        12,
    ),
];

const OLD_INTENTS: &str = "
    insert into payment_intents (stripe_payment_intent_id, status, amount, created_at, updated_at)
    select 'pi_' || n, 'requires_payment_method', 1000, made, made
      from generate_series(1, 6) n,
           lateral (select now() - interval '9 days' + n * interval '1 second' as made) m";

/// One in three has stopped coming, since a night that was not the first.
const MEMBERS: &str = "
    insert into gyms (id, name, slug, status)
    values ('00000000-0000-0000-0000-00000000000a', 'A', 'a', 'active');
    insert into member_churn_history (member_id, scored_on, gym_id, level, model_version)
    values (gen_random_uuid(), current_date - 2, '00000000-0000-0000-0000-00000000000a', 'new', 'test');
    insert into members (gym_id, joined_on)
    select '00000000-0000-0000-0000-00000000000a', current_date - 300 from generate_series(1, 6);
    insert into visits (gym_id, member_id, checked_in_at)
    select gym_id, id, now() - interval '6 hours' - ago * interval '3 days'
      from (select gym_id, id, row_number() over () as n from members) m,
           generate_series(case when n % 3 = 0 then 20 else 1 end, 40) ago";

/// Gyms of two kiosks, one of which fell silent: not so many of them that it
/// is the fleet.
const KIOSKS: &str = "
    insert into gyms (name, slug, status)
    select 'Gym ' || n, 'gym-' || n, 'active' from generate_series(1, 6) n;
    insert into kiosks (gym_id, slug, name, status, last_heartbeat_at, created_at)
    select id, slug || '-' || side, 'K', 'online',
           now() - case side when 'left' then interval '2 hours' else '0' end,
           now() - interval '100 days'
      from gyms, unnest(array['left', 'right']) side";

const OLD_ROWS: &str = "
    insert into gyms (id, name, slug, status)
    values ('00000000-0000-0000-0000-00000000000a', 'A', 'a', 'active');
    insert into kiosks (id, gym_id, slug, name)
    values ('00000000-0000-0000-0000-0000000000ca', '00000000-0000-0000-0000-00000000000a', 'k', 'K');
    insert into members (id, gym_id)
    values ('00000000-0000-0000-0000-0000000000aa', '00000000-0000-0000-0000-00000000000a');
    insert into kiosk_heartbeats (kiosk_id, received_at)
    select '00000000-0000-0000-0000-0000000000ca', now() - interval '1 year' - n * interval '1 day'
      from generate_series(1, 6) n;
    insert into visits (gym_id, member_id, checked_in_at)
    select '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000aa',
           now() - interval '5 years' - n * interval '1 day'
      from generate_series(1, 6) n";

const GYMS_WITH_RECIPIENTS: &str = "
    insert into gyms (name, slug, status, created_at)
    select 'Gym ' || n, 'gym-' || n, 'active', '2015-01-01' from generate_series(1, 6) n;
    insert into report_recipients (gym_id, email, locale)
    select id, who || '@' || slug || '.test', 'fr' from gyms, unnest(array['ada', 'bob']) who";
