//! A migration touches a table that a host's view may stand for only in a file that says so.
//!
//! Such a file is applied where our own table is, also while that stands aside: so it touches nothing but ports. What
//! statements need of it then is for the contract, and raises its version.

use jarvis_cron::database::adoption::contract;

use super::super::files;
use super::statements::{first_word, statements};

/// From here on a database may be adopted.
const SINCE: u64 = 20_261_129_000_070;

/// What is wrong with a migration that way.
fn faults(text: &str) -> Vec<String> {
    let says_so = text.lines().any(|line| line.starts_with("-- port: "));
    let is_port = |name: &str| contract::names().contains(&name);
    let judged = statements(text).into_iter().filter_map(|statement| {
        if target(&statement).is_some_and(is_port) != says_so {
            return Some(format!(
                "a file that begins with -- port: touches ports, and no other does: {statement}"
            ));
        }
        let refers = statement.split(" references ").skip(1).any(|rest| {
            is_port(
                rest.split(|c: char| c != '_' && !c.is_alphanumeric())
                    .next()
                    .unwrap_or_default(),
            )
        });
        refers.then(|| format!("no foreign key leads to a view: {statement}"))
    });
    judged.collect()
}

/// The table that a statement changes.
fn target(statement: &str) -> Option<&str> {
    let heads = [
        "alter table ",
        "drop table ",
        "update ",
        "delete from ",
        "insert into ",
        "lock table ",
        "comment on table ",
    ];
    if let Some(rest) = heads.iter().find_map(|head| statement.strip_prefix(head)) {
        return Some(first_word(rest));
    }
    let on = [
        "create index ",
        "create unique index ",
        "create trigger ",
        "create policy ",
    ];
    let is_on = on.iter().any(|head| statement.starts_with(head));
    is_on.then(|| first_word(statement.split(" on ").nth(1).unwrap_or_default()))
}

#[test]
fn no_new_migration_touches_a_view_of_a_host() {
    for migration in files("migrations", "sql") {
        let name = migration.path.trim_start_matches("migrations/");
        let version: u64 = name.split('_').next().unwrap().parse().unwrap();
        let faults = if version > SINCE {
            faults(&migration.text)
        } else {
            Vec::new()
        };
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

#[test]
fn what_touches_a_port_is_judged() {
    let alone = "-- port: orders\n-- Why.\nalter table orders add column note text;";
    let concurrent =
        "-- no-transaction\n-- port: orders\ncreate index concurrently orders_x on orders (note);";
    let of_ours = "alter table alerts add column note text;";
    for good in [alone, concurrent, of_ours] {
        assert_eq!(faults(good), Vec::<String>::new());
    }
    let unsaid = "alter table orders add column note text;";
    let trigger = "create trigger t before update on members for each row execute function f();";
    let mixed = "-- port: orders\nalter table orders add column a text;\nalter table alerts add column a text;";
    let key = "create table notes (id uuid, order_id uuid references orders);";
    for bad in [unsaid, trigger, mixed, key] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
}
