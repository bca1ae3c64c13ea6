-- Time in which a member could not come, or in which nothing would have shown it, is no absence. `members` says who is
-- frozen now and not who was, so each night notes what it sees; and days on which the readers of a whole gym were silent
-- are noted before retention takes the visits around them. No trigger watches the members: their table may be a view.

-- Two swipes of one member of which the later adds nothing: a visit is a swipe without another in the minute before it.
create function same_visit(earlier timestamptz, later timestamptz)
returns boolean
language sql
stable -- not immutable, or it would not be inlined: what is added might be days
parallel safe
return later <= earlier + interval '1 minute';

-- Whether the swipe begins a visit; for swipes where the one before is not at hand.
create function begins_visit(member uuid, swiped_at timestamptz)
returns boolean
language sql
stable
parallel safe
return not exists (
    select
    from visits
    where member_id = member
        and checked_in_at < swiped_at
        and checked_in_at >= swiped_at - interval '2 minutes'
        and same_visit(checked_in_at, swiped_at)
);

-- The days from one date to another, without those in `paused`.
create function active_days(since date, until date, paused datemultirange)
returns int
language sql
immutable
parallel safe
return until - since - case
    when paused is null or since >= until then 0
    else (
        select coalesce(sum(upper(pause) - lower(pause)), 0)::int
        from unnest(paused * datemultirange(daterange(since + 1, until + 1))) as pause
    )
end;

-- One freeze of a member. No foreign key: cascading, it would be a way to lose rows, and without, a deletion would fail.
create table member_freezes (
    member_id uuid not null,
    began_on date not null,
    seen_on date not null, -- the last day on which the member was seen frozen, or a past freeze was found
    ended_on date, -- the first day after it; null while it lasts
    primary key (member_id, began_on),
    constraint member_freezes_are_dates
        check (isfinite(began_on) and isfinite(seen_on) and isfinite(ended_on)),
    constraint member_freezes_end_after_they_begin
        check (ended_on >= began_on)
);

-- daily-churn-analysis: the freezes that may have ended since.
create index member_freezes_open
    on member_freezes (member_id)
    where ended_on is null;

create function forget_freezes_of_the_deleted()
returns trigger
language plpgsql
as $$
begin
    delete from member_freezes
     where member_id in (select id from gone);
    return null;
end $$;

create trigger members_deleted_and_their_freezes
    after delete on members
    referencing old table as gone
    for each statement
    execute function forget_freezes_of_the_deleted();

-- Days on which a gym had no visit at all, where its weeks before say that some were to be expected.
create table visit_silences (
    gym_id uuid not null,
    began_on date not null, -- the first day without a visit
    ended_on date, -- the day on which visits came again; null while it lasts
    usual_per_day real not null, -- members who came on a day before
    primary key (gym_id, began_on),
    constraint visit_silences_end_after_they_begin
        check (ended_on >= began_on)
);

-- How far a gym's mean score before fitting is from what its members do, in log-odds; found anew each week.
create table churn_offsets (
    gym_id uuid not null,
    found_on date not null,
    log_odds double precision not null,
    predictions int not null, -- members and moments that it is found from
    primary key (gym_id, found_on),
    constraint churn_offsets_are_small
        check (abs(log_odds) <= 2)
);
