-- A moment in a row may be one that no calendar holds: infinity, or a year after 9999. Others write most of these rows, and
-- those that are there stay as they are; a check would only fail the next write of such a row. So whatever moment is read
-- into the service, or subtracted from another, passes this function. It is inlined, and no index is found by it.

create function within_calendar(at timestamptz)
returns timestamptz
language sql
immutable
parallel safe
return case
    when at > timestamptz '9999-12-31 00:00:00+00' then timestamptz '9999-12-31 00:00:00+00'
    when at < timestamptz '0001-01-01 00:00:00+00' then timestamptz '0001-01-01 00:00:00+00'
    else at
end;
