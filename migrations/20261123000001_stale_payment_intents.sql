-- A weekly run has seconds for intents that may be thousands, and some of them fail every week. Walked by age, the same
-- ones would come first each time and use up the time of all others. So the walk goes by who was let lie longest:
-- whatever a run looks at is touched, and goes to the end of the line. The walk by age has no other user.

-- cleanup-stale-payment-intents: the keyset walk over what is not settled. A statement must spell the statuses out to
-- be matched with this index; a bound array of them would not be.
create index payment_intents_open_by_turn
    on payment_intents (updated_at, id)
    where status not in ('succeeded', 'canceled', 'missing');

drop index payment_intents_open_by_age;

-- A row at the end of time would never have its turn, and no clock of ours can read one at the beginning.
alter table payment_intents
    add constraint payment_intents_updated_at_finite
        check (isfinite(updated_at));
