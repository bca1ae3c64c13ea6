-- A function that looks up names when it is called looked them up where its caller does. The tables may be in a schema of
-- their own, and the application beside them, whose search path does not lead there, could not delete a member: the trigger
-- found no table of that name, and the delete failed. So each keeps the path of the schema that it was made in. The functions
-- in SQL need none: they name nothing of ours, or were bound to it when they were made.

alter function forget_scores_of_the_deleted() set search_path from current;
alter function forget_last_sync() set search_path from current;
alter function erase_each(text, boolean, timestamptz, timestamptz, timestamptz[], text[], boolean)
    set search_path from current;
