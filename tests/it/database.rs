//! The databases of the tests: one private Postgres per test binary, one
//! database per test, made from a migrated template and dropped after it;
//! optionally all of it behind a PgBouncer in transaction mode.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::database::Schema;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::sync::oneshot;

use crate::roles;
pub(crate) use crate::schemas::{of_schema, schema};

pub(crate) mod pooler;

use pooler::Pooler;

/// A database of its own for one test.
pub(crate) struct Database {
    /// Past the pooler, for looking at rows.
    pub(crate) direct: PgPool,
    pub(crate) direct_url: String,
    /// What the service is given: through the pooler where there is one.
    pub(crate) url: String,
    /// Its name on the server of all tests, which drops it.
    name: Option<String>,
}

impl Database {
    pub(crate) async fn new() -> Self {
        Self::copied(&server().template, &schema()).await
    }

    /// One in which another program has `public` for itself, and our tables are
    /// in the schema `jarvis`.
    pub(crate) async fn of_a_host() -> Self {
        static TEMPLATE: OnceLock<String> = OnceLock::new();
        let ours = Schema::named("jarvis").unwrap();
        let (schema, server) = (ours.clone(), server());
        let template = TEMPLATE.get_or_init(|| {
            let template = format!("{PREFIX}host_template_{}", std::process::id());
            let name = template.clone();
            // A runtime of its own, because this test's is busy waiting.
            let made = std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(make_template(&server.admin, &name, &schema, true))
            });
            made.join().unwrap();
            template
        });
        Self::copied(template, &ours).await
    }

    async fn copied(template: &str, schema: &Schema) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let server = server();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{number}", std::process::id());
        let strategy = server.strategy;
        let create = format!("create database {name} template {template} {strategy}");
        server.maker.ask(create).await.unwrap().unwrap();
        let direct_url = at(&server.admin, &name);
        let mut url = match &server.pooler {
            Some(pooler) => format!("postgres://postgres@127.0.0.1:{}/{name}", pooler.port),
            None => direct_url.clone(),
        };
        if let Some(role) = roles::least() {
            url = url.replace("//postgres", &format!("//{role}"));
        }
        let mut made = Self::in_schema(schema, direct_url, url);
        made.name = Some(name);
        made
    }

    /// One on a server of the test's own, which goes with that server.
    pub(crate) fn elsewhere(direct_url: String, url: String) -> Self {
        Self::in_schema(&schema(), direct_url, url)
    }

    fn in_schema(schema: &Schema, direct_url: String, url: String) -> Self {
        let options: PgConnectOptions = direct_url.parse().unwrap();
        let direct = PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy_with(options.options([("search_path", schema.name())]));
        Self {
            direct,
            direct_url,
            url,
            name: None,
        }
    }
}

impl Drop for Database {
    /// The next test reuses the memory. A failed test leaves its database to
    /// be looked at, where the server stays.
    fn drop(&mut self) {
        if let Some(name) = &self.name
            && !std::thread::panicking()
        {
            let statement = format!("drop database if exists {name} with (force)");
            drop(server().dropper.ask(statement));
        }
    }
}

const PREFIX: &str = "jarvis_cron_test_";

/// Where private servers have their files.
pub(crate) fn home() -> PathBuf {
    std::env::var_os("TEST_POSTGRES_HOME")
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}

struct Server {
    /// Its files go when this process ends, because its pipe does.
    _postgres: Option<PrivatePostgres>,
    pooler: Option<Pooler>,
    admin: String,
    template: String,
    /// How a database is copied: as files, where that waits for no disk.
    strategy: &'static str,
    maker: Clerk,
    dropper: Clerk,
}

/// A connection in a thread of its own, because it outlives the runtimes of
/// the tests; does what it is asked one after the other.
struct Clerk(mpsc::Sender<(String, oneshot::Sender<sqlx::Result<()>>)>);

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        // A runtime of its own, because the tests' runtimes come and go.
        std::thread::spawn(|| {
            tokio::runtime::Runtime::new()
                .unwrap()
                .block_on(Server::start())
        })
        .join()
        .unwrap()
    })
}

impl Server {
    async fn start() -> Self {
        let settings = Settings::from_env();
        let given = std::env::var_os("DATABASE_URL").map(|url| url.into_string().unwrap());
        let (postgres, admin) = if let Some(url) = given {
            (None, url)
        } else {
            let programs = Programs::find(&settings).unwrap();
            let postgres = PrivatePostgres::start(&programs, &home(), Auth::Trust)
                .await
                .unwrap();
            let url = postgres.url("postgres");
            (Some(postgres), url)
        };
        let template = format!("{PREFIX}template_{}", std::process::id());
        let version = make_template(&admin, &template, &schema(), false).await;
        // Before version 15 there is no other way, and no word for it.
        let strategy = match &postgres {
            Some(_) if version >= 150_000 => "strategy file_copy",
            _ => "",
        };
        let pooler = std::env::var_os("TEST_PGBOUNCER").map(|program| {
            let port = postgres
                .as_ref()
                .expect("--pgbouncer needs the private Postgres")
                .port();
            Pooler::start(Path::new(&program), port, "transaction")
        });
        Self {
            _postgres: postgres,
            pooler,
            maker: Clerk::start(admin.clone()),
            dropper: Clerk::start(admin.clone()),
            strategy,
            admin,
            template,
        }
    }
}

impl Clerk {
    fn start(admin: String) -> Self {
        let (orders, ordered) = mpsc::channel::<(String, oneshot::Sender<_>)>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let connection = PgConnection::connect(&admin);
            let mut connection = runtime.block_on(connection).unwrap();
            for (sql, done) in ordered {
                let sent = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
                let _ = done.send(runtime.block_on(sent).map(|_| ()));
            }
        });
        Self(orders)
    }

    /// The answer comes once the statement is done; the statement runs even when no test waits for the answer.
    fn ask(&self, sql: String) -> oneshot::Receiver<sqlx::Result<()>> {
        let (done, answer) = oneshot::channel();
        self.0.send((sql, done)).unwrap();
        answer
    }
}

/// Leftovers of earlier processes go, and a migrated database comes; tells the
/// server's version.
async fn make_template(admin: &str, template: &str, schema: &Schema, is_host: bool) -> i32 {
    let mut connection = PgConnection::connect(admin).await.unwrap();
    let ours = format!("%\\_{}%", std::process::id());
    let old: Vec<String> = sqlx::query_scalar(
        "select datname from pg_database
          where datname like 'jarvis\\_cron\\_test\\_%'
            and datname not like $1
            and not exists (select from pg_stat_activity a where a.datname = pg_database.datname)",
    )
    .bind(ours)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    for name in old {
        // Another test process may be dropping it, or using it by now.
        let drop = format!("drop database if exists {name}");
        let _ = sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut connection)
            .await;
    }
    let collation = std::env::var_os("TEST_ICU_LOCALE").map(|locale| {
        let locale = locale.to_string_lossy();
        format!("template template0 locale_provider icu icu_locale '{locale}'")
    });
    let collation = collation.unwrap_or_default();
    let create = format!("create database {template} {collation}");
    sqlx::raw_sql(AssertSqlSafe(create))
        .execute(&mut connection)
        .await
        .unwrap();
    let url = at(admin, template);
    migrate::apply(url.parse().unwrap(), schema).await.unwrap();
    let mut made = PgConnection::connect(&url).await.unwrap();
    // Each test's service was just set up, also when the suite takes longer than a job may be late.
    let set_up = "update {}._sqlx_migrations set installed_on = now() + interval '1 hour'";
    let set_up = set_up.replace("{}", schema.name());
    sqlx::raw_sql(AssertSqlSafe(set_up))
        .execute(&mut made)
        .await
        .unwrap();
    if *schema != Schema::default() && !is_host {
        // What looks for a table in it finds none.
        made.execute("drop schema public").await.unwrap();
    }
    if let Some(role) = roles::least() {
        roles::make(&mut made, schema.name(), &role).await;
    }
    made.close().await.unwrap();
    sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// The same server's database of that name.
fn at(admin: &str, database: &str) -> String {
    let mut url = url::Url::parse(admin).unwrap();
    url.set_path(database);
    url.to_string()
}
