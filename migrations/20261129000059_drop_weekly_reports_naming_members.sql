-- no-transaction
-- It found members at risk by one spelling of their ids; weekly_reports_by_trace finds all.

drop index concurrently if exists weekly_reports_naming_members;
