-- What our sync wrote is about the intent and the session that the row named then. A shop that lets a row name another one
-- keeps the rest of it as it likes: Stripe has said nothing about that yet, so the row counts as never synced.

create function forget_last_sync()
returns trigger
language plpgsql
as $$
begin
    new.last_synced_at := null;
    return new;
end
$$;

create trigger payment_intents_renamed
before update of stripe_payment_intent_id, checkout_session_id on payment_intents
for each row
when (
    old.stripe_payment_intent_id is distinct from new.stripe_payment_intent_id
    or old.checkout_session_id is distinct from new.checkout_session_id
)
execute function forget_last_sync();
