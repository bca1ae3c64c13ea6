//! The service under test, called as QStash and operators call it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use jarvis_cron::cli::serve;
use jarvis_cron::config::Settings;
use jarvis_cron::demo::stripe_double::StripeDouble;
use jarvis_cron::engine::Runner;
use jarvis_cron::http;
use jarvis_cron::qstash::signature;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use tower::ServiceExt;

use crate::database::{Database, schema};

pub(crate) const CRON_SECRET: &str = "cron-5f1d8a3e9b7c4d2f6a0e8b1c3d5f7a9b";
pub(crate) const OPERATOR_SECRET: &str = "oper-0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d";
pub(crate) const CURRENT_KEY: &str = "sig_current_7Qm2xk9TzR4pLw8NbY3d";
pub(crate) const NEXT_KEY: &str = "sig_next_5HsVf6JcGe1aUo0ZqXiK";
pub(crate) const PUBLIC_URL: &str = "https://cron.example.test";
pub(crate) const JOB: &str = "expire-stale-orders";

/// The service, its database and its Stripe.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) runner: Runner,
    pub(crate) stripe: StripeDouble,
    /// For looking at rows.
    pub(crate) db: PgPool,
    pub(crate) database: Database,
    pub(crate) settings: BTreeMap<String, String>,
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Whose database refuses every connection.
    pub(crate) async fn without_a_database() -> Self {
        let away = ("DATABASE_URL", "postgres://postgres@127.0.0.1:1/none");
        Self::with(&[away, ("DATABASE_ACQUIRE_TIMEOUT_MS", "100")]).await
    }

    /// Whose batches wait for a lock no longer than it takes to see that they do.
    pub(crate) async fn impatient() -> Self {
        Self::with(&[("DATABASE_LOCK_TIMEOUT_MS", "200")]).await
    }

    /// With these settings added or replaced; an empty value unsets.
    pub(crate) async fn with(changes: &[(&str, &str)]) -> Self {
        Self::with_database(Database::new().await, changes).await
    }

    /// The same on that database.
    pub(crate) async fn with_database(database: Database, changes: &[(&str, &str)]) -> Self {
        let stripe = StripeDouble::start().await.unwrap();
        let mut settings = settings(&database.url, &stripe.url());
        for (name, value) in changes {
            if value.is_empty() {
                settings.remove(*name);
            } else {
                settings.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        let read = Settings::none().with(settings.clone());
        let runner = serve::runner(&read).unwrap();
        let router = http::router(runner.clone(), read.guard(false).unwrap());
        Self {
            router,
            runner,
            stripe,
            db: database.direct.clone(),
            database,
            settings,
        }
    }

    /// From now on a run has time enough.
    pub(crate) fn take_time(&mut self) {
        self.runner.settings.budget = Duration::from_mins(10);
        let guard = Settings::none().with(self.settings.clone()).guard(false);
        self.router = http::router(self.runner.clone(), guard.unwrap());
    }

    /// Delivers the job as QStash does: both credentials, a fresh token.
    pub(crate) async fn deliver(&self, job: &str) -> Reply {
        Delivery::of(job).to(self).await
    }

    /// Calls the job as an operator does, with options in the query.
    pub(crate) async fn operate(&self, job: &str, query: &str) -> Reply {
        let path = format!("/api/cron/{job}?{query}");
        let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
        self.call(Method::POST, &path, &headers, "").await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.request(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn request(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Rows of any query, as JSON, for `assert_eq!` and snapshots.
    pub(crate) async fn rows(&self, sql: &str) -> Value {
        let sql = format!("select coalesce(jsonb_agg(to_jsonb(r)), '[]') from ({sql}) r");
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let sql = format!("select ({sql})::bigint");
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// A checksum of every row of every table but the ledger's.
    pub(crate) async fn checksums(&self) -> BTreeMap<String, String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select tablename::text from pg_tables
              where schemaname = current_schema()
                and tablename not in ('_sqlx_migrations', 'job_runs', 'job_leases', 'job_totals',
                                        'job_run_totals')",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        let mut sums = BTreeMap::new();
        for table in tables {
            let sql = format!(
                "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t"
            );
            sums.insert(
                table,
                sqlx::query_scalar(AssertSqlSafe(sql))
                    .fetch_one(&self.db)
                    .await
                    .unwrap(),
            );
        }
        sums
    }
}

/// What the service is given.
fn settings(database: &str, stripe: &str) -> BTreeMap<String, String> {
    [
        ("DATABASE_URL", database),
        ("DATABASE_SCHEMA", schema().name()),
        ("PUBLIC_URL", PUBLIC_URL),
        ("CRON_SECRET", CRON_SECRET),
        ("OPERATOR_SECRET", OPERATOR_SECRET),
        ("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY),
        ("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY),
        ("STRIPE_SECRET_KEY", "sk_test_double"),
        ("STRIPE_API_BASE", stripe),
        ("STRIPE_MAX_RPS", "5000"),
        // A busy machine takes longer: only tests about the budget have a short one.
        ("RUN_BUDGET_SECONDS", "600"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
}

impl Reply {
    /// The HTTP status and the `status` of the body.
    pub(crate) fn outcome(&self) -> (u16, &str) {
        (
            self.status.as_u16(),
            self.body["status"].as_str().unwrap_or_default(),
        )
    }

    pub(crate) fn results(&self) -> &Value {
        &self.body["results"]
    }
}

/// One delivery of QStash's, with whatever is to be wrong about it.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) key: String,
    pub(crate) message_id: String,
    /// Name and value; a name given again is sent twice.
    pub(crate) headers: Vec<(String, String)>,
    /// A token made before, instead of a fresh one.
    pub(crate) token: Option<String>,
}

impl Delivery {
    pub(crate) fn of(job: &str) -> Self {
        Self {
            path: format!("/api/cron/{job}"),
            body: String::new(),
            key: CURRENT_KEY.to_owned(),
            message_id: format!("msg_{}", uuid::Uuid::now_v7().simple()),
            headers: vec![("authorization".to_owned(), format!("Bearer {CRON_SECRET}"))],
            token: None,
        }
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", "application/json")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    pub(crate) fn message(mut self, id: &str) -> Self {
        id.clone_into(&mut self.message_id);
        self
    }

    /// A token for this delivery, as QStash would sign it now.
    pub(crate) fn sign(&self) -> String {
        let url = format!("{PUBLIC_URL}{}", self.path);
        let key = SecretString::from(self.key.clone());
        signature::sign(&key, &url, self.body.as_bytes(), now()).unwrap()
    }

    pub(crate) async fn to(&self, app: &App) -> Reply {
        let token = self.token.clone().unwrap_or_else(|| self.sign());
        let mut request = Request::post(&self.path)
            .header("upstash-message-id", &self.message_id)
            .header("upstash-signature", token);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        app.request(request.body(Body::from(self.body.clone())).unwrap())
            .await
    }
}

/// The wall clock, as QStash reads it.
#[expect(
    clippy::disallowed_methods,
    reason = "tests play the outside, which has a clock"
)]
pub(crate) fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
