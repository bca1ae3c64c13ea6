//! Statements without a name, for transaction-mode poolers, and with a bound.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, Postgres, SqlStr};
use tokio::time::timeout;

use super::Transaction;
use super::connection::State;
use super::fault::no_answer;

/// A transaction that sends every statement unnamed, and waits for its answer
/// no longer than its limits say.
///
/// Named statements belong to one server connection, and a transaction-mode
/// pooler hands the next transaction another one.
#[derive(Debug)]
pub struct Unprepared<'c>(pub &'c mut Transaction);

struct Once<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Once<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(
        &mut self,
    ) -> Result<Option<sqlx::postgres::PgArguments>, sqlx::error::BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'c> Executor<'c> for Unprepared<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (connection, state, bound) = match self.0.begin_statement() {
            Ok(parts) => parts,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let rows = connection.fetch_many(Once(query));
        stream::unfold(Some((rows, state)), move |left| async move {
            let (mut rows, state) = left?;
            let answer = timeout(bound, rows.next()).await;
            match answer.unwrap_or_else(|_| Some(Err(no_answer()))) {
                Some(Ok(row)) => Some((Ok(row), Some((rows, state)))),
                Some(error) => {
                    *state = State::after(&error);
                    Some((error, None))
                }
                None => {
                    *state = State::Sound;
                    None
                }
            }
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move {
            let (connection, state, bound) = self.0.begin_statement()?;
            let answer = timeout(bound, connection.fetch_optional(Once(query))).await;
            let row = answer.unwrap_or_else(|_| Err(no_answer()));
            *state = State::after(&row);
            row
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        async move {
            let (connection, _, bound) = self.0.begin_statement()?;
            let prepared = timeout(bound, connection.prepare_with(sql, parameters)).await;
            prepared.unwrap_or_else(|_| Err(no_answer()))
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<Postgres>>>
    where
        'c: 'e,
    {
        async move {
            let (connection, _, bound) = self.0.begin_statement()?;
            let described = timeout(bound, connection.describe(sql)).await;
            described.unwrap_or_else(|_| Err(no_answer()))
        }
        .boxed()
    }
}
