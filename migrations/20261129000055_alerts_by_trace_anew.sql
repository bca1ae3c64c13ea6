-- no-transaction
-- cleanup-old-data: `words_in` answers more than when this index was built. Concurrently, because the table is written meanwhile;
-- the old one serves until the new one is there.

reindex index concurrently alerts_by_trace;
