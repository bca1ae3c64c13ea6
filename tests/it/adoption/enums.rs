//! A host of Prisma's own making: names in mixed case, and a status that is an enum.

use super::files::Written;
use super::*;

const TABLES: &str = r#"
    create type public."OrderStatus" as enum ('PENDING', 'REQUIRES_PAYMENT', 'PAID', 'EXPIRED', 'CANCELLED');
    create table public."Order" (
        "id" text primary key,
        "status" public."OrderStatus" not null default 'PENDING',
        "expiresAt" timestamp(3) not null,
        "createdAt" timestamp(3) not null default now()
    );
    insert into public."Order" ("id", "status", "expiresAt")
    select 'o' || n,
           (array['PENDING', 'REQUIRES_PAYMENT', 'PAID', 'CANCELLED'])[1 + n % 4]::public."OrderStatus",
           now() at time zone 'UTC' - interval '1 hour'
      from generate_series(1, 8) n;
"#;

/// Each label by itself: an index may compare enums, but not write them as text.
const WORDS: &str = r#"case
        when "status" = 'PENDING' then 'PENDING'
        when "status" = 'REQUIRES_PAYMENT' then 'REQUIRES_PAYMENT'
        when "status" = 'CANCELLED' then 'CANCELED'
        when "status" = 'PAID' then 'PAID'
        else 'EXPIRED'
    end"#;

fn file() -> String {
    format!(
        r#"
        create index jarvis_orders_id on public."Order" ((md5("id")::uuid));
        create view orders as
        select
            md5("id")::uuid as id,
            "id" as order_number,
            {WORDS} as status,
            "expiresAt" at time zone 'UTC' as expires_at,
            null::timestamptz as expired_at,
            "createdAt" at time zone 'UTC' as created_at,
            "createdAt" at time zone 'UTC' as updated_at
        from public."Order";

        create index jarvis_orders_due on public."Order" (("expiresAt" at time zone 'UTC'), (md5("id")::uuid))
        where {WORDS} in ('PENDING', 'REQUIRES_PAYMENT');

        create function expire_order(its_id text)
        returns boolean
        language sql
        begin atomic
            update public."Order"
               set "status" = 'EXPIRED'
             where "id" = its_id
               and "status" in ('PENDING', 'REQUIRES_PAYMENT')
            returning true;
        end;

        create function write_order()
        returns trigger
        language plpgsql security definer set search_path from current
        as $$
        begin
            return case when expire_order(old.order_number) then new end;
        end $$;

        create trigger write_order
        instead of update on orders
        for each row execute function write_order();
        "#
    )
}

#[tokio::test]
async fn orders_whose_status_is_an_enum_expire_by_an_index() {
    let app = beside(TABLES, &[]).await;
    apply(&app, &Written::new(&file()).0, "orders").await;
    let mut db = app.db.begin().await.unwrap();
    db.execute("set local enable_seqscan = off").await.unwrap();
    let due = "explain select id from orders where status in ('PENDING', 'REQUIRES_PAYMENT') and expires_at < now()";
    let plan: Vec<String> = sqlx::query_scalar(due).fetch_all(&mut *db).await.unwrap();
    db.rollback().await.unwrap();

    let reply = app.deliver(JOB).await;
    let dropped = cli::run(&app.settings, &["adopt", "drop", "--all"]).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 4, "{reply:?}");
    assert!(plan.join("\n").contains("jarvis_orders_due"), "{plan:?}");
    let theirs = r#"select "status", count(*) from public."Order" group by 1 order by 1"#;
    let expected = json!([["PAID", 2], ["EXPIRED", 4], ["CANCELLED", 2]]);
    assert_eq!(cells(&app, theirs).await, expected);
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
}

/// As an index refuses it, with the line.
#[tokio::test]
async fn an_enum_that_an_index_would_write_as_text_is_refused_with_its_reason() {
    let app = beside(TABLES, &[]).await;
    let text = file().replacen(&format!("where {WORDS}"), "where \"status\"::text", 1);

    let done = adopt(&app, "check", &Written::new(&text).0, "orders").await;

    assert_ne!(done.code, Some(0), "{done:?}");
    assert!(done.err.contains("must be marked IMMUTABLE"), "{done:?}");
}
