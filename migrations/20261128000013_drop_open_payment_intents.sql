-- no-transaction
-- Replaced by payment_intents_unsettled_by_turn.

drop index concurrently if exists payment_intents_open_by_turn;
