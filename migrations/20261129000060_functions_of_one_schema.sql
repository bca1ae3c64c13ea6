-- A function that looks up names when it is called looks them up where its caller does. The tables may be in a schema of
-- their own, and the application beside them, whose search path does not lead there, could not delete a member: the trigger
-- found no table of that name, and the delete failed. So each that a trigger calls keeps the path of the schema that it was
-- made in. Those in SQL that an index or a check calls need none: they name nothing of ours, or were bound to it when they
-- were made. All others are called by the service, whose transactions say where its tables are.

alter function forget_scores_of_the_deleted() set search_path from current;
alter function forget_last_sync() set search_path from current;
