//! Files of no host in particular: tables that have what the contract says, and views of them.

use std::path::PathBuf;

use jarvis_cron::database::adoption::contract::{Group, PORTS, Port};
use uuid::Uuid;

/// A table and a view for each port, with no more columns than the contract has.
pub(super) fn plain(groups: &[Group]) -> String {
    let ports = PORTS.iter().filter(|port| groups.contains(&port.group));
    ports.map(table_and_view).collect()
}

fn table_and_view(port: &Port) -> String {
    let name = port.name;
    let columns = port.columns.iter();
    let columns: Vec<_> = columns
        .map(|it| format!("\"{}\" {}", it.name, it.kind))
        .collect();
    let columns = columns.join(", ");
    format!(
        "create table public.of_{name} ({columns});
         create view {name} as select * from public.of_{name};\n"
    )
}

/// The same with a row in each table of the shop.
pub(super) fn filled() -> String {
    format!(
        "{}
        insert into public.of_orders
        values ('{ORDER}', 'A1', 'PENDING', now() - interval '1 minute', null, now(), now());
        insert into public.of_payment_intents (id, order_id, stripe_payment_intent_id, status, cancel_attempts, created_at, updated_at)
        values (gen_random_uuid(), '{ORDER}', 'pi_1', 'requires_payment_method', 0, now(), now());
        insert into public.of_stock_levels values ('{LEVEL}', 3);
        insert into public.of_stock_reservations values ('{ORDER}', '{LEVEL}', 1, 'ACTIVE', null, null);\n",
        plain(&[Group::Shop])
    )
}

const ORDER: &str = "01900000-0000-7000-8000-00000000000a";
const LEVEL: &str = "01900000-0000-7000-8000-00000000000b";

/// A file that goes with the test.
pub(super) struct Written(pub(super) PathBuf);

impl Written {
    pub(super) fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("host-{}.sql", Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
