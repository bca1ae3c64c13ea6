//! Every alert there is: its name, severity, title and what to do about it.
//!
//! Where one name has two entries, the cause differs, and so do the actions.

use chrono::TimeDelta;
use serde::Serialize;

mod shop;

pub use shop::*;

/// A kind of alert.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The name in `alerts.kind`, and the first part of the `dedup_key`.
    pub name: &'static str,
    /// The severity it is opened with.
    pub severity: &'static str,
    /// The title; each `{}` is filled by the caller.
    pub title: &'static str,
    /// What to do, in the order to try it.
    pub actions: &'static [&'static str],
    /// When an open alert counts as seen again.
    pub repeat: Repeat,
    /// How long no new one is opened after one that an operator dismissed.
    pub quiet_after_dismissal: Option<TimeDelta>,
}

/// When an open alert counts as seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Each time it is raised.
    EachTime,
    /// Once an hour.
    Hourly,
    /// Once a day of the gym's calendar; until then, severity and details follow.
    Daily,
}

impl Kind {
    const fn new(
        name: &'static str,
        severity: &'static str,
        title: &'static str,
        actions: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            severity,
            title,
            actions,
            repeat: Repeat::EachTime,
            quiet_after_dismissal: None,
        }
    }

    const fn hourly(self) -> Self {
        Self {
            repeat: Repeat::Hourly,
            ..self
        }
    }

    const fn daily(self) -> Self {
        Self {
            repeat: Repeat::Daily,
            ..self
        }
    }
}

/// daily-churn-analysis: high risk. The actions depend on the member.
pub const CHURN_RISK_HIGH: Kind =
    Kind::new("churn_risk", "high", "A member may stop coming", &[]).daily();

/// daily-churn-analysis: critical risk. The actions depend on the member.
pub const CHURN_RISK_CRITICAL: Kind = Kind::new(
    "churn_risk",
    "critical",
    "A member has most likely stopped coming",
    &[],
)
.daily();

/// daily-churn-analysis: who is at risk when a gym is scored for the first time.
pub const CHURN_FIRST_NIGHT: Kind = Kind::new(
    "churn_first_night",
    "high",
    "Members at risk since the first night of {}: {}",
    &[
        "See them, with the gym_id of this alert: select member_id, level, score, factors from member_churn where gym_id = '...' and level in ('high', 'critical') order by score desc",
        "Begin with those whose absence is recent or whose contract ends soon.",
        "From the next night on, a member who turns, or gets worse, has an alert of their own. This one is resolved when none of these members is at risk any more; dismissed, it stays dismissed.",
    ],
)
.daily();

/// daily-churn-analysis: a gym has hardly a visit, where its weeks before had many.
pub const VISITS_SILENT: Kind = Kind::new(
    "visits_silent",
    "high",
    "{} has had hardly a visit for {} days",
    &[
        "Check the badge readers of the gym, and what brings their visits into the database.",
        "If the gym is closed, acknowledge this: it is resolved when visits come again.",
        "If visits were lost, import them: the nights after count them. Until visits come, the levels of the gym's members stand still.",
    ],
)
.daily();

/// health-check-kiosks: a kiosk is offline. Like all alerts of kiosks it grows
/// more severe with its age ([`super::kiosks`]).
pub const KIOSK_OFFLINE: Kind = Kind::new(
    "kiosk_offline",
    "warning",
    "Kiosk {} ({}) is offline",
    &[
        "Check that the kiosk has power and that its screen is on.",
        "Check the network at the kiosk: cable or Wi-Fi, and whether other devices there are online.",
        "Restart the kiosk.",
        "If it stays silent, call support with the kiosk's slug.",
    ],
)
.hourly();

/// health-check-kiosks: a kiosk loses heartbeats.
pub const KIOSK_DEGRADED: Kind = Kind::new(
    "kiosk_degraded",
    "warning",
    "Kiosk {} ({}) is degraded",
    &[
        "Check the network at the kiosk: a weak Wi-Fi loses heartbeats.",
        "Restart the kiosk if it stays like this.",
        "If it comes back again and again, call support with the kiosk's slug.",
    ],
)
.hourly();

/// health-check-kiosks: a kiosk is degraded because its clock runs ahead.
pub const KIOSK_WRONG_CLOCK: Kind = Kind {
    actions: &[
        "Set the kiosk's clock, or let it take the time from the network.",
        "Restart the kiosk.",
        "If its clock runs ahead again, call support with the kiosk's slug.",
    ],
    ..KIOSK_DEGRADED
};

/// health-check-kiosks: all kiosks of a gym.
pub const GYM_OFFLINE: Kind = Kind::new(
    "gym_offline",
    "high",
    "All {} kiosks of {} are offline",
    &[
        "Check the power of the gym: nothing in it is heard.",
        "Check the gym's router and its line to the Internet.",
        "Restart the router, then one kiosk.",
        "If they stay silent, call support with the gym's slug.",
    ],
)
.hourly();

/// health-check-kiosks: most kiosks at once.
pub const FLEET_SILENT: Kind = Kind {
    quiet_after_dismissal: Some(TimeDelta::hours(24)),
    ..Kind::new(
        "fleet_silent",
        "critical",
        "Most kiosks fell silent at once: are their heartbeats still taken in?",
        &[
            "Check the service that takes in the kiosks' heartbeats, and its way to the database.",
            "Ask one gym whether its kiosks work.",
            "When heartbeats come in again, the next run goes on by itself.",
            "Should the kiosks be gone, or their statuses be old (a database adopted today), acknowledge this alert: the next run judges them one by one.",
        ],
    )
    .hourly()
};

/// cleanup-old-data: a policy that cannot erase everything.
pub const RETENTION_POLICY_FAILING: Kind = Kind::new(
    "retention_policy_failing",
    "high",
    "Not everything is erased from {}",
    &[
        "Fix what the error names",
        "Try the fix with run cleanup-old-data --dry-run",
    ],
)
.hourly();

/// weekly-reports: Resend sends nothing, or does not answer. Mails wait.
pub const MAIL_WAITING: Kind = Kind::new(
    "mail_waiting",
    "high",
    "{} mails with weekly reports wait: Resend does not send them",
    &[
        "Read Resend's words in the details: a quota that is used up, the key, the sender, or an outage.",
        "A quota: wait for its reset or raise it at Resend. The key or the sender: correct RESEND_API_KEY or REPORT_FROM, and deploy.",
        "With QSTASH_TOKEN the mails go by themselves, not before the moment in the details. To send them now, or without a token: jarvis-cron run weekly-reports",
        "The run that sends the last of them resolves this alert.",
    ],
);

/// weekly-reports: the address of a recipient does not work.
pub const MAIL_REFUSED: Kind = Kind::new(
    "mail_refused",
    "warning",
    "Resend refuses {} addresses of weekly reports",
    &[
        "Find them: select recipient, error from report_deliveries where sent_at is null and refusals > 0",
        "Correct or delete each in report_recipients. Until then such an address gets no newer report; its mail is tried five times in all.",
        "To try an address again that was given up, set refusals to 0.",
    ],
);

/// Any job: its lease was written by a clock that has been set back since.
pub const CLOCK_MOVED: Kind = Kind::new(
    "clock_moved",
    "warning",
    "The database's clock was set back: {} had a lease from the future",
    &[
        "Compare the clocks: jarvis-cron doctor",
        "Find out what set the database's clock back, and synchronise it by NTP; the clock of a managed database is its provider's.",
        "No run waits for the clock: the next run that finds no lease from the future resolves this alert.",
    ],
)
.hourly();

/// Any job: QStash has given up on a message. The actions name the job.
pub const SCHEDULE_FAILING: Kind =
    Kind::new("schedule_failing", "high", "QStash has given up on {}", &[]);
