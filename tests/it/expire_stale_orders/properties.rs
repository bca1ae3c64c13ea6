//! What holds for every sequence of Stripe's answers and the shop's changes: the pure decisions.

use jarvis_cron::shop::payment_intents::breaker::{Call, Tally};
use jarvis_cron::shop::payment_intents::verdict::{self, MANY_ATTEMPTS, Outcome};
use jarvis_cron::shop::payment_intents::{Health, IntentState};
use jarvis_cron::stripe::Failure;
use proptest::prelude::*;

fn canceled(by_us: bool) -> IntentState {
    IntentState::Canceled {
        reason: None,
        at: None,
        by_us,
    }
}

/// Every state that an intent can have.
fn state() -> impl Strategy<Value = IntentState> {
    let word = || "w".to_owned();
    prop_oneof![
        3 => Just(canceled(false)),
        3 => Just(IntentState::Open(word())),
        1 => prop::sample::select(vec![
            IntentState::Succeeded,
            IntentState::RequiresCapture,
            IntentState::Processing,
            IntentState::PartlyPaid(word()),
            IntentState::Unclear("why".into()),
            IntentState::Missing("why".into()),
            IntentState::Refused("why".into()),
            IntentState::Denied("why".into()),
        ]),
    ]
}

fn is_money(state: &IntentState) -> bool {
    use IntentState::{PartlyPaid, Processing, RequiresCapture, Succeeded};
    matches!(
        state,
        Succeeded | RequiresCapture | Processing | PartlyPaid(_)
    )
}

/// What happens between two calls of a run.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The customer, or a bank, moves an intent on; what is canceled stays so.
    Pays(usize, usize),
    /// The shop gives the order more time, or takes it back.
    Extends(bool),
    /// The shop writes the row of an intent.
    Writes(usize),
    /// The next call is not answered.
    Fails(usize),
    Nothing,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..4_usize, 0..5_usize).prop_map(|(intent, to)| Event::Pays(intent, to)),
        any::<bool>().prop_map(Event::Extends),
        (0..4_usize).prop_map(Event::Writes),
        (0..4_usize).prop_map(Event::Fails),
        Just(Event::Nothing),
    ]
}

/// Stripe, the shop, and the events to come.
struct World {
    at_stripe: Vec<IntentState>,
    rows: Vec<u32>,
    is_due: bool,
    fails: Option<usize>,
    events: std::vec::IntoIter<Event>,
}

impl World {
    fn turn(&mut self) {
        self.fails = None;
        let count = self.at_stripe.len();
        match self.events.next().unwrap_or(Event::Nothing) {
            Event::Pays(intent, to) if !self.at_stripe[intent % count].is_canceled() => {
                self.at_stripe[intent % count] = match to {
                    0 => IntentState::Succeeded,
                    1 => IntentState::RequiresCapture,
                    2 => IntentState::Processing,
                    3 => IntentState::PartlyPaid("requires_action".to_owned()),
                    _ => IntentState::Open("requires_action".to_owned()),
                };
            }
            Event::Extends(more) => self.is_due = !more,
            Event::Writes(intent) => self.rows[intent % count] += 1,
            Event::Fails(how) => self.fails = Some(how),
            Event::Pays(..) | Event::Nothing => {}
        }
    }

    fn answer(&mut self, intent: usize) -> IntentState {
        self.turn();
        let why = || "why".into();
        match self.fails {
            None => self.at_stripe[intent].clone(),
            Some(0) => IntentState::Unclear(why()),
            Some(1) => IntentState::Missing(why()),
            Some(2) => IntentState::Refused(why()),
            Some(_) => IntentState::Denied(why()),
        }
    }

    /// A run as the job does it; answers the outcome, once it is written.
    fn run(&mut self) -> Result<Option<Outcome>, TestCaseError> {
        if !self.is_due {
            return Ok(None);
        }
        let read = self.rows.clone();
        let mut states: Vec<IntentState> =
            (0..read.len()).map(|intent| self.answer(intent)).collect();
        if verdict::may_end(&states, true) {
            for intent in 0..states.len() {
                if states[intent].is_canceled() {
                    continue;
                }
                let may_still_end = self.is_due && self.rows[intent] == read[intent];
                if !may_still_end {
                    break;
                }
                // Stripe ends what is open, and nothing that money is on its way for.
                if self.at_stripe[intent].is_open() {
                    prop_assert!(self.is_due, "an intent of a payable order was canceled");
                    self.at_stripe[intent] = canceled(true);
                }
                states[intent] = self.answer(intent);
                if !states[intent].is_canceled() {
                    break;
                }
            }
        }
        self.turn();
        let is_as_read = self.rows == read;
        Ok(self.is_due.then(|| match verdict::outcome(&states, true) {
            Outcome::Expire if !is_as_read => Outcome::Unfinished,
            outcome => outcome,
        }))
    }
}

proptest! {
    #[test]
    fn an_order_expires_only_when_every_intent_is_canceled_at_stripe(
        states in prop::collection::vec(state(), 0..6),
        is_whole: bool,
    ) {
        let outcome = verdict::outcome(&states, is_whole);
        let all_canceled = states.iter().all(IntentState::is_canceled);
        prop_assert_eq!(outcome == Outcome::Expire, is_whole && all_canceled);
        let may_end = verdict::may_end(&states, is_whole);
        prop_assert_eq!(may_end, is_whole && states.iter().all(|it| it.is_open() || it.is_canceled()));
        if states.iter().any(is_money) {
            prop_assert!(outcome <= Outcome::Processing && !may_end);
        }
    }

    #[test]
    fn the_order_of_the_intents_decides_nothing(
        mut states in prop::collection::vec(state(), 1..6),
        turn in 0..6_usize,
        is_whole: bool,
    ) {
        let outcome = verdict::outcome(&states, is_whole);
        let count = states.len();
        states.rotate_left(turn % count);
        prop_assert_eq!(verdict::outcome(&states, is_whole), outcome);
    }

    #[test]
    fn whatever_stays_has_a_name_a_next_attempt_and_in_the_end_an_alert(
        states in prop::collection::vec(state(), 1..6),
        attempts in 0..40_i32,
    ) {
        let outcome = verdict::outcome(&states, true);
        let (first, longest) = outcome.pause(attempts);
        prop_assert!(first > 0 && first <= longest && longest <= 24 * 60);
        prop_assert!(!outcome.name().is_empty());
        // Paid, authorized, partly paid and missing orders have alerts of their own.
        let waits = outcome == Outcome::Processing;
        let has_own = outcome <= Outcome::PartlyPaid || outcome == Outcome::Missing;
        prop_assert!(waits || has_own || outcome.is_stuck(attempts.max(MANY_ATTEMPTS)));
    }

    #[test]
    fn a_stale_intent_is_ended_only_while_nothing_is_on_its_way(state in state(), has_ended: bool) {
        let is_held = state == IntentState::RequiresCapture && has_ended;
        prop_assert_eq!(verdict::may_end_stale(&state, has_ended), state.is_open() || is_held);
    }

    #[test]
    fn no_sequence_of_answers_and_changes_expires_money_or_loses_an_order(
        at_stripe in prop::collection::vec(state(), 1..5),
        events in prop::collection::vec(event(), 0..60),
    ) {
        let known = |state: &IntentState| state.is_open() || state.is_canceled() || is_money(state);
        prop_assume!(at_stripe.iter().all(known));
        let rows = vec![0; at_stripe.len()];
        let mut world = World { at_stripe, rows, is_due: true, fails: None, events: events.into_iter() };
        for _ in 0..8 {
            let Some(outcome) = world.run()? else { continue };
            if outcome == Outcome::Expire {
                prop_assert!(world.at_stripe.iter().all(IntentState::is_canceled), "{:?}", world.at_stripe);
                return Ok(());
            }
            prop_assert!(outcome.pause(0).0 > 0);
        }
    }
}

fn answer(kind: usize) -> Result<(), Failure> {
    let message = || "no".into();
    match kind {
        0 => Ok(()),
        1 => Err(Failure::Denied {
            status: 401,
            message: message(),
        }),
        2 => Err(Failure::Missing(message())),
        3 | 4 => Err(Failure::Refused {
            status: 400,
            code: (kind == 4).then(message),
            message: message(),
            intent: None,
        }),
        5 => Err(Failure::Unavailable {
            message: message(),
            retry: false,
            retry_after: None,
        }),
        6 => Err(Failure::Unreachable("no")),
        _ => Err(Failure::NoTime),
    }
}

proptest! {
    #[test]
    fn the_answers_of_a_run_say_how_stripe_is(
        answers in prop::collection::vec((any::<bool>(), 0..8_usize), 0..12),
    ) {
        let mut tally = Tally::default();
        for (is_write, kind) in &answers {
            let call = if *is_write { Call::Write } else { Call::Read };
            tally.count(call, &answer(*kind));
        }
        let kinds: Vec<usize> = answers.iter().map(|it| it.1).filter(|kind| *kind < 7).collect();
        let all = |wanted: &[usize]| !kinds.is_empty() && kinds.iter().all(|it| wanted.contains(it));
        let in_a_row = |wanted: &[usize]| kinds.windows(5).any(|five| five.iter().all(|it| wanted.contains(it)));
        match tally.health() {
            Health::Well => {
                prop_assert!(!(all(&[1]) || all(&[5, 6]) && kinds.contains(&6)));
                prop_assert!(kinds.len() < 2 || !(all(&[3]) || all(&[4])));
            }
            Health::Denied => prop_assert!(kinds.contains(&1) || in_a_row(&[1, 2]) || kinds.contains(&2)),
            Health::WritesDenied => prop_assert!(answers.contains(&(true, 1)) || answers.contains(&(true, 2))),
            Health::RefusesAll => prop_assert!(kinds.len() > 1 && (all(&[3]) || all(&[4]))),
            Health::Unreachable => prop_assert!(in_a_row(&[6]) || all(&[5, 6])),
        }
    }
}
