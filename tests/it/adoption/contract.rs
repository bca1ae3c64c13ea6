//! What the contract says is what the statements need, and what the documents tell.

use std::fmt::Write as _;

use jarvis_cron::database::adoption::contract::{self, Group};
use serde_json::Value;

use super::files::{Written, plain};
use super::*;

#[test]
fn the_documents_tell_the_contract() {
    let document = std::fs::read_to_string(root("docs/adopting.md")).unwrap();

    let table = contract::table();

    assert!(
        document.contains(&table),
        "docs/adopting.md must have:\n{table}"
    );
}

#[tokio::test]
async fn every_statement_stands_on_ports_that_have_the_contract_and_no_more() {
    let app = beside("", &[]).await;
    apply(
        &app,
        &Written::new(&plain(&[Group::Shop, Group::Gym])).0,
        "shop,gym",
    )
    .await;
    let mut db = app.db.acquire().await.unwrap();
    let mut broken = String::new();

    for file in std::fs::read_dir(root(".sqlx")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap();
        let query = record["query"].as_str().unwrap();
        let prepared = db
            .execute(AssertSqlSafe(format!("prepare it as {query}")))
            .await;
        match prepared {
            Ok(_) => drop(db.execute("deallocate it").await.unwrap()),
            // Nothing to prepare.
            Err(_) if query.starts_with("set ") => {}
            Err(error) => writeln!(broken, "{error}: {query}").unwrap(),
        }
    }

    assert_eq!(broken, "");
}
