//! A session whose settings are not those that the service asks for: a pooler
//! drops its start-up parameters, and the role has its own.

use std::io;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::{GYM, JOB, TARGETS, counts, fill, in_a_gym};
use crate::app::App;
use crate::database::Database;

/// The address of a relay that tells Postgres who logs in where, and nothing else.
async fn forgetful_pooler(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            tokio::spawn(relay(caller, to.clone()));
        }
    });
    address
}

async fn relay(mut caller: TcpStream, to: String) -> io::Result<()> {
    let mut postgres = TcpStream::connect(to).await?;
    let length = caller.read_u32().await? as usize;
    let mut startup = vec![0; length - 4];
    caller.read_exact(&mut startup).await?;
    let words: Vec<&[u8]> = startup[4..].split(|byte| *byte == 0).collect();
    let mut kept = startup[..4].to_vec();
    for pair in words.chunks(2) {
        if let [name @ (b"user" | b"database"), value] = pair {
            for word in [name, value] {
                kept.extend_from_slice(word);
                kept.push(0);
            }
        }
    }
    kept.push(0);
    postgres
        .write_u32(u32::try_from(kept.len()).unwrap() + 4)
        .await?;
    postgres.write_all(&kept).await?;
    copy_bidirectional(&mut caller, &mut postgres).await?;
    Ok(())
}

/// A service whose sessions write the day before the month, in Tokyo.
async fn app() -> App {
    let database = Database::new().await;
    let mut url = url::Url::parse(&database.direct_url).unwrap();
    let to = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let pooler = forgetful_pooler(to).await;
    url.set_port(Some(pooler.rsplit(':').next().unwrap().parse().unwrap()))
        .unwrap();
    let name = url.path().trim_start_matches('/').to_owned();
    url.query_pairs_mut().append_pair("sslmode", "disable");
    let app = App::with_database(database, &[("DATABASE_URL", url.as_str())]).await;
    for setting in [
        "datestyle = 'SQL, DMY'",
        "timezone = 'Asia/Tokyo'",
        "intervalstyle = 'sql_standard'",
    ] {
        app.execute(&format!("alter database {name} set {setting}"))
            .await;
    }
    app
}

#[tokio::test]
async fn every_walk_comes_to_its_end_whatever_the_session_makes_of_dates() {
    let app = in_a_gym(app().await).await;
    app.execute("create table seen as select ''::text as style where false;
                 create function see() returns trigger language plpgsql as $$ begin
                     insert into seen values (current_setting('datestyle')); return null; end $$;
                 create trigger see after delete on visits for each statement execute function see()")
        .await;
    fill(&app, 40).await;

    let reply = app.operate(JOB, "batch_size=3").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    for target in TARGETS {
        assert_eq!(counts(&reply, target), json!([40, 0, 0]), "{target}");
    }
    let styles = app.rows("select distinct style from seen").await;
    assert_eq!(styles, json!([{ "style": "SQL, DMY" }]));
}

#[tokio::test]
async fn a_walk_goes_past_moments_that_no_calendar_holds() {
    let app = in_a_gym(app().await).await;
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select '{GYM}', (select id from members), at::timestamptz + n * interval '1 microsecond'
           from unnest(array['-infinity', '4000-02-03 BC', '2019-12-13 11:12:13.123456Z']) at,
                generate_series(1, 5) n"
    ))
    .await;

    let reply = app.operate(JOB, "batch_size=2").await;

    assert_eq!(counts(&reply, "visits"), json!([15, 0, 0]), "{reply:?}");
}
