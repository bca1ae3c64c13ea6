//! Whatever the file says, applied it is so, and one change is one difference.

use jarvis_cron::config;
use jarvis_cron::qstash::apply::{Applied, Outcome, Scope, apply, plan};
use jarvis_cron::qstash::client::Client;
use jarvis_cron::qstash::plan::{Action, Plan, Wanted};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;

/// A QStash that is called without the binary.
struct Direct {
    qstash: Qstash,
    client: Client,
}

impl Direct {
    async fn new() -> Self {
        let qstash = Qstash::new().await;
        let settings = config::Settings::none().with(qstash.settings.clone());
        let client = Client::new(settings.required_qstash().unwrap()).unwrap();
        Self { qstash, client }
    }

    fn wanted(&self, text: &str) -> Vec<Wanted> {
        let settings = config::Settings::none().with(self.qstash.settings.clone());
        let destination = settings.destination(false).unwrap();
        let schedules: Schedules = text.parse().unwrap();
        schedules.wanted(&destination).unwrap()
    }

    async fn plan(&self, text: &str) -> Plan {
        plan(&self.client, &self.wanted(text), None).await.unwrap()
    }

    async fn apply(&self, text: &str, stop: &CancellationToken) -> Vec<Applied> {
        let wanted = self.wanted(text);
        apply(&self.client, &wanted, None, Scope::default(), stop)
            .await
            .unwrap()
    }
}

/// What may be said of one schedule, and the field that a plan names it by.
fn changes() -> impl Strategy<Value = (&'static str, &'static str, Value)> {
    prop_oneof![
        (0..=10).prop_map(|retries| ("retries", "retries", json!(retries))),
        (1..500).prop_map(|time| ("timeout", "timeout", json!(format!("{time}s")))),
        (1..90).prop_map(|time| ("timeout", "timeout", json!(format!("{time}m")))),
        (0..60).prop_map(|minute| ("cron", "cron", json!(format!("{minute} */7 * * 1-5")))),
        (1..10_000).prop_map(|rows| ("body", "body", json!({ "limit": rows, "batch_size": 7 }))),
        "/[a-z]{1,9}".prop_map(|path| ("failure_callback", "failure callback", json!(path))),
        any::<bool>().prop_map(|redact| (
            "redact_authorization",
            "Authorization is redacted",
            json!(redact)
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_applied_is_so_and_one_change_is_one_difference(
        all in prop::collection::vec((0..6_usize, changes()), 0..6),
        place in 0..6_usize,
        one in changes(),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let direct = Direct::new().await;
            let before = file(|file| {
                for (place, (field, _, value)) in all {
                    file["schedules"][place][field] = value;
                }
            });
            let (field, expected, value) = one;
            let mut after: Value = serde_json::from_str(&before).unwrap();
            after["schedules"][place][field] = value;

            direct.apply(&before, &CancellationToken::new()).await;
            prop_assert!(!direct.plan(&before).await.differs());
            let plan = direct.plan(&after.to_string()).await;

            let is_same = |wanted: &[Wanted]| {
                let shown = |wanted: &Wanted| format!("{:?} {}", wanted.headers, wanted.body);
                shown(&wanted[place])
            };
            let changed = is_same(&direct.wanted(&before)) != is_same(&direct.wanted(&after.to_string()));
            let differing: Vec<_> = plan.schedules.iter().filter(|one| one.action != Action::Unchanged).collect();
            if !changed {
                prop_assert!(differing.is_empty(), "{plan:?}");
                return Ok(());
            }
            prop_assert!(differing.len() <= 1, "{plan:?}");
            // 60s and 1m are the same time.
            if let Some(one) = differing.first() {
                prop_assert_eq!(one.differences.len(), 1, "{:?}", one);
                prop_assert_eq!(&one.differences[0].field, expected);
                prop_assert_eq!(&one.id, &plan.schedules[place].id);
            } else {
                prop_assert_eq!(expected, "timeout");
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn told_to_stop_it_writes_nothing_more_and_says_what_is_left() {
    let direct = Direct::new().await;
    let stop = CancellationToken::new();
    stop.cancel();

    let applied = direct.apply(Schedules::deployed_text(), &stop).await;

    assert_eq!(applied.len(), 6);
    assert!(
        applied.iter().all(|one| one.outcome == Outcome::NotTried),
        "{applied:?}"
    );
    assert_eq!(direct.qstash.writes(0), Vec::<String>::new());
}
