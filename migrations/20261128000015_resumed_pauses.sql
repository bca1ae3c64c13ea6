-- A pause that an operator ended used to be over from a moment on. When the database's clock was set back, that moment lay
-- ahead again, and every tick was skipped until the clock had caught up. Now a pause that was ended says so.

alter table job_pauses
    add column resumed boolean not null default false; -- an operator ended it, at `until`

create function pause_holds(until timestamptz, resumed boolean)
returns boolean
language sql
volatile
as $$
    select not resumed and coalesce(until > clock_timestamp(), true)
$$;
