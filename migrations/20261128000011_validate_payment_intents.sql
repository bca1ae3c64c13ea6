-- A scan that blocks no writer, and so is no part of the migration that added the checks.

alter table payment_intents validate constraint payment_intents_has_an_id;
alter table order_expirations validate constraint order_expirations_outcome_known;
