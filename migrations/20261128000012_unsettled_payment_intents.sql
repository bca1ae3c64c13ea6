-- no-transaction
-- cleanup-stale-payment-intents: the keyset walk over what our own sync has not settled, the longest untouched first. Built
-- concurrently, because the shop writes this table while it is built.

create index concurrently if not exists payment_intents_unsettled_by_turn
    on payment_intents (updated_at, id)
    where not intent_is_settled(status, synced_status, last_synced_at);
