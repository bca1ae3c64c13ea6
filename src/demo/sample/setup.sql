-- Sample data for an empty, migrated database: three gyms and a shop, with work for every job.
-- Run once. The caller says how much: select set_config('demo.scale', '1', false).
-- Every time is relative to now(), and every choice hangs on a hash of the row's own number: two runs differ by the
-- clock only.

set local jit = off; -- compiling these statements takes longer than running them

create schema demo;

-- A number in [0, 1) that depends on nothing but its key.
create function demo.chance(key text)
returns double precision
language sql immutable parallel safe
as $$ select (hashtextextended(key, 42) & 1073741823) / 1073741824::double precision $$;

-- An id that depends on nothing but its key, so that rows can refer to each other without being looked up.
create function demo.id(key text)
returns uuid
language sql immutable parallel safe
as $$ select md5(key)::uuid $$;

-- One of several.
create function demo.pick(choices text[], key text)
returns text
language sql immutable parallel safe
as $$ select choices[1 + floor(demo.chance(key) * cardinality(choices))::int] $$;
