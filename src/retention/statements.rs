//! The frame of the statements of every target, said once and checked at
//! compile time.
//!
//! Owns the walk by key, the lock policy and the legal hold. A target adds
//! what is its own:
//!
//! - `facts`: its table, and where it differs from the usual
//! - `rows`: the table with its alias
//! - `key`: what dates a row, its id and the id's type; an index has both.
//!   A key of more columns is written out, see the churn history
//! - `eligible`: which rows may go; `$3` is the cutoff
//! - `ahead`: which rows only a moment in the future keeps: one after `$1`
//! - `held_by`: where a legal hold on the row's subjects is found: a table or
//!   view `h` with an `until`, and the join; empty when a row has no subject
//! - `erase`: the statement up to its `where`, and what follows its
//!   conditions; `deleted by_key`, where a table has more indexes than that of
//!   the walk; or `chosen`, for what takes more than one statement
//!
//! In the others `$1` says whether any hold is active, and `$2` is now.
//! `$4` and `$5` are the key before the range; in `erase`, `$6` and `$7` are
//! its last key and `$8` whether to skip locked rows.

/// Implements [`Target`](super::target::Target) for a new type.
macro_rules! target {
    (
        $(#[$doc:meta])*
        $name:ident {
            facts: { $($facts:tt)+ },
            rows: $rows:literal,
            key: ($at:literal, $id:literal, $id_type:literal),
            $($rest:tt)+
        }
    ) => {
        target! {
            $(#[$doc])*
            $name {
                facts: { $($facts)+ },
                rows: $rows,
                key: {
                    columns: [$at ", " $id],
                    after: ["$4::timestamptz, $5::text::" $id_type],
                    upto: ["$6::timestamptz, $7::text::" $id_type],
                    at: $at,
                    id: $id,
                    sample: "id",
                    unique: $id,
                },
                $($rest)+
            }
        }
    };

    (
        $(#[$doc:meta])*
        $name:ident {
            facts: { $($facts:tt)+ },
            rows: $rows:literal,
            key: $key:tt,
            eligible: $eligible:literal,
            ahead: $ahead:literal,
            held_by: $held_by:tt,
            erase: $($erase:tt)+
        }
    ) => {
        $(#[$doc])*
        pub(crate) struct $name;

        const _: () = {
            use $crate::database::Unprepared;
            use $crate::retention::target::{Answer, BatchBounds, Erased, Facts, KeyRange, Target};

            impl Target for $name {
                fn facts(&self) -> &'static Facts {
                    const { &Facts { $($facts)+, ..Facts::USUAL } }
                }

                fn bounds<'a>(
                    &self,
                    db: Unprepared<'a>,
                    range: &'a KeyRange,
                ) -> Answer<'a, BatchBounds> {
                    target!(@bounds db range $rows $key $eligible $held_by)
                }

                fn erase<'a>(
                    &self,
                    db: Unprepared<'a>,
                    range: &'a KeyRange,
                ) -> Answer<'a, Option<Erased>> {
                    target!(@erase db range $rows $key $eligible $held_by $($erase)+)
                }

                fn count_ahead<'a>(
                    &self,
                    db: Unprepared<'a>,
                    ahead: chrono::DateTime<chrono::Utc>,
                ) -> Answer<'a, i64> {
                    Box::pin(async move {
                        sqlx::query_scalar!(
                            r#"select count(*) as "count!" from "# + $rows
                                + " where $1::timestamptz is not null
                                      and (" + $ahead + ")",
                            ahead,
                        )
                        .fetch_one(db)
                        .await
                    })
                }
            }
        };
    };

    (@bounds $db:ident $range:ident $rows:literal {
        columns: [$($columns:literal)+], after: [$($after:literal)+], upto: $upto:tt,
        at: $at:literal, id: $id:literal, sample: $sample:literal, unique: $unique:literal,
    } $eligible:literal $held_by:tt) => {
        Box::pin(async move {
            target!(@query query_as($crate::retention::target::BatchBounds)
                [
                    r#"
        select count(*) as "looked!",
               count(*) filter (where held) as "held!",
               max(at) as "at: _",
               (array_agg(id))[count(*)]::text as id,
               array_agg(at) filter (where $8) as "ats: _",
               (array_agg(id) filter (where $8))::text[] as ids,
               (array_agg("# $sample r#") filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select "# $id r#" as id,
                     "# $at r#" as at,
                     "#
                ]
                $held_by
                [
                    " as held
                from " $rows "
               where " $eligible "
                 and (" $($columns)+ ") > (" $($after)+ ")
                 and " $at " <= $9
               order by " $($columns)+ "
               limit $6
          ) looked"
                ]
                $range, $range.after.at as _, $range.after.id, $range.size, $range.samples, $range.each,
                $range.until as _
            )
            .fetch_one($db)
            .await
        })
    };

    (@erase $db:ident $range:ident $rows:literal $key:tt $eligible:literal $held_by:tt
        $head:literal, $($tail:literal,)?
    ) => {
        target!(@erase $db $range $rows $key $eligible $held_by [$head] [$($tail)?])
    };

    // In the order of the walk, or a plan may go by another index.
    (@erase $db:ident $range:ident $rows:literal {
        columns: [$($columns:literal)+], after: $after:tt, upto: $upto:tt,
        at: $at:literal, id: $id:literal, sample: $sample:literal, unique: $unique:literal,
    } $eligible:literal $held_by:tt deleted by_key,) => {
        target!(@erase $db $range $rows {
            columns: [$($columns)+], after: $after, upto: $upto,
            at: $at, id: $id, sample: $sample, unique: $unique,
        } $eligible $held_by
            [
                "
        with expired as materialized (
        select " $id " as id
          from " $rows
            ]
            [
                "
         order by " $($columns)+ "
        )
        delete from " $rows "
         where " $id " = any (array(select id from expired))
           and " $eligible
            ])
    };

    (@erase $db:ident $range:ident $rows:literal {
        columns: [$($columns:literal)+], after: [$($after:literal)+], upto: [$($upto:literal)+],
        at: $at:literal, id: $id:literal, sample: $sample:literal, unique: $unique:literal,
    } $eligible:literal $held_by:tt [$($head:literal)+] [$($tail:literal)*]) => {
        Box::pin(async move {
            let query = target!(@query query()
                [
                    $($head)+ "
         where " $eligible "
           and (" $($columns)+ ") > (" $($after)+ ")
           and (" $($columns)+ ") <= (" $($upto)+ ")
           and not "
                ]
                $held_by
                [
                    "
           and (not $8::boolean or (" $unique ") in (
                   select " $unique "
                     from " $rows "
                    where " $eligible "
                      and (" $($columns)+ ") > (" $($after)+ ")
                      and (" $($columns)+ ") <= (" $($upto)+ ")
                      for update skip locked
               ))" $($tail)*
                ]
                $range, $range.after.at as _, $range.after.id, $range.upto.at as _, $range.upto.id,
                $range.locks == $crate::retention::target::LockPolicy::SkipLocked
            );
            if $range.each {
                let statement = sqlx::Execute::sql(query);
                return $crate::retention::target::erase_each($db, statement.as_str(), $range)
                    .await
                    .map(Some);
            }
            let done = query.execute($db).await?;
            Ok(Some(Erased::all(done.rows_affected())))
        })
    };

    // Two statements, so that the second sees what was written before the first had its locks.
    (@erase $db:ident $range:ident $rows:literal {
        columns: [$($columns:literal)+], after: $after:tt, upto: $upto:tt,
        at: $at:literal, id: $id:literal, sample: $sample:literal, unique: $unique:literal,
    } $eligible:literal $held_by:tt chosen { lock: $lock:path, erase: $erase:path },) => {
        Box::pin(async move {
            let Unprepared(db) = $db;
            let locked = $lock(Unprepared(db), $range).await?;
            let chosen = target!(@query query_scalar()
                [
                    "
        select " $id r#" as "id!"
          from "# $rows "
         where " $id " = any($4)
           and " $eligible "
           and not "
                ]
                $held_by
                [
                    "
         order by " $($columns)+
                ]
                $range, &locked
            )
            .fetch_all(Unprepared(db))
            .await?;
            $erase(db, $range, &chosen).await
        })
    };

    // The only place that says what a legal hold covers. `offset 0` has it looked up row by row:
    // the planner would rather list everything that is held, for each batch anew.
    (@query $query:ident($($row:path)?)
        [$($before:literal)+]
        [$($held_by:literal),*]
        [$($after:literal)+]
        $range:ident $(, $more:expr)*
    ) => {
        sqlx::$query!(
            $($row,)?
            "" $(+ $before)+
            + "($1::boolean and ($2::timestamptz is null" $(+ "
                    or exists (
                        select from " + $held_by + "
                           and coalesce(h.until, 'infinity') > $2
                        offset 0
                    )")*
            + "))"
            $(+ $after)+,
            $range.any_held,
            $range.now,
            $range.cutoff,
            $($more,)*
        )
    };
}

pub(super) use target;
