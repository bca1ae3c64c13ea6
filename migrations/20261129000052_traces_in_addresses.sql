-- A name stands in a document as it comes: in capitals that the database's locale does not fold, without its accents, in the
-- path of a URL, percent-encoded, or as the beginning of an address. So a text is read word by word after all that is taken
-- away, and what is searched for likewise. Indexes are found by `words_in`, which answers more from here on: the migrations
-- after this one build each of them anew. Until then they find what they found before.

-- What a URL stands for: bytes that are no UTF-8 are a space, since an error would refuse the row.
create function percent_decoded(words text)
returns text
language sql immutable parallel safe
as $$
    select string_agg(
        case
            when part[1] is not null then convert_from(decode(replace(part[1], '%', ''), 'hex'), 'UTF8')
            when part[2] is not null then ' '
            else part[3]
        end,
        '' order by place
    )
    from regexp_matches(
        words,
        '((?:%(?:0[1-9a-f]|[1-7][0-9a-f])|%(?:c[2-9a-f]|d[0-9a-f])%[89ab][0-9a-f]'
            || '|%(?:e[1-9a-cef]%[89ab][0-9a-f]|e0%[ab][0-9a-f]|ed%[89][0-9a-f])%[89ab][0-9a-f])+)'
            || '|(%[0-9a-f]{2})|([^%]+|%)',
        'gi'
    ) with ordinality as cut (part, place)
$$;

-- A text with its words set apart: what URLs are made of is a space, and letters have no accents, since `lower` may know
-- only those without. ASCII alone, as most texts are, is quick. Bound when it is made, as what calls it: indexes are built,
-- and dumps restored, with no search_path.
create function plain_words(words text)
returns text
language sql immutable parallel safe
return (
    select translate(
        case
            when octet_length(decoded) = length(decoded) then decoded
            else translate(
                replace(replace(replace(replace(replace(
                    regexp_replace(normalize(decoded, NFD), U&'[!0300-!036F]' uescape '!', '', 'g'),
                    U&'!0153' uescape '!', 'oe'), U&'!0152' uescape '!', 'Oe'), U&'!00E6' uescape '!', 'ae'), U&'!00C6' uescape '!', 'Ae'), U&'!00DF' uescape '!', 'ss'),
                U&'!0141!0142!0110!0111!00D8!00F8' uescape '!',
                'LlDdOo'
            )
        end,
        '/<>&+',
        '    _'
    )
    from (
        select case when strpos(plain, '%') = 0 then plain else percent_decoded(plain) end as decoded
        from (select replace(replace(words, chr(92) || 'n', ' '), chr(92) || 't', ' ') as plain) as cut
    ) as read
);

-- Every word in a text, in lower case. Its beginning only, because longer ones are refused; line ends of a document are
-- two characters, the second of which would belong to the next word.
create or replace function words_in(words text)
returns tsvector
language sql immutable parallel safe cost 1000
return to_tsvector('simple', plain_words(left(words, 100000)));

-- How a member is named in a text: by the address, by a badge that no number looks like, or by both names within four
-- words of each other, or as the beginning of an address or a file's name. A name that stands alone is as much another's.
-- Null: by nothing that can be searched for.
create or replace function words_of(first_name text, last_name text, email text, badge_id text)
returns tsquery
language sql immutable parallel safe
as $$
    with names (a, b) as (
        -- A double name is two words, however they are joined.
        select
            translate(trim(lower(plain_words(one) collate "C")), '-', ' '),
            translate(trim(lower(plain_words(other) collate "C")), '-', ' ')
        from (values (first_name, last_name), (last_name, first_name)) as orders (one, other)
        where length(first_name) > 1
            and length(last_name) > 1
    ), badge (id) as (
        select lower(plain_words(badge_id) collate "C")
        where badge_id ~ '[0-9]'
            and length(badge_id) > case when badge_id ~ '[A-Za-z]' then 3 else 7 end
            -- A version, a day, a moment.
            and badge_id !~* '^v?[0-9.]*[.][0-9.]*$'
            and badge_id !~ '^(19|20)[0-9]{2}(0[1-9]|1[0-2])([0-2][0-9]|3[01])$'
            and badge_id !~ '^1[0-9]{9}([0-9]{3})?$'
    )
    select string_agg(query::text, ' | ')::tsquery
    from (
        select phraseto_tsquery('simple', plain_words(email)) as query
        where email like '%_@_%'
            and length(email) > 5
        union all
        select phraseto_tsquery('simple', id)
        from badge
        union all
        select ('''' || id || '.'':*')::tsquery
        from badge
        where id ~ '^[-a-z0-9]+$'
        union all
        select tsquery_phrase(phraseto_tsquery('simple', a), phraseto_tsquery('simple', b), distance)
        from names
        cross join generate_series(1, 4) as distance
        where numnode(phraseto_tsquery('simple', a)) > 0
            and numnode(phraseto_tsquery('simple', b)) > 0
        union all
        select ('''' || replace(a, ' ', inner_glue) || glue || replace(b, ' ', inner_glue) || ending)::tsquery
        from names
        cross join (
            values ('.', ''''), ('.', '.'':*'), ('-', '.'':*'), ('_', '.'':*'),
                ('.', '@'':*'), ('-', '@'':*'), ('_', '@'':*')
        ) as written (glue, ending)
        cross join lateral (
            select '-'
            union
            select glue
        ) as joined (inner_glue)
        where a || b !~ '[''\\]'
    ) as queries
    where numnode(query) > 0
$$;
