//! What names others stays whole. Names as they come: in capitals, with and
//! without accents; and names of others that have hers in them.

use serde_json::json;

use super::{GYM, JOB, SESSION, a_gym, counts, ottoline};

/// Of Élodie Grün.
const HERS: [&str; 5] = [
    "ÉLODIE GRÜN",
    "elodie grun",
    "E\u{301}lodie Gru\u{308}n",
    "/members/%C3%89lodie%20Gr%C3%BCn",
    "elodie.grun@work.test",
];

/// Of other people.
const OF_OTHERS: [&str; 12] = [
    "Élodie came in",
    "Élodie Grünwald",
    "Mélodie Grün",
    "/members/elodie-grunwald",
    "elodie.grunwald@work.test",
    "melodie_grun@work.test",
    "grun@gym.test",
    "jean.elo@gym.test",
    "elo@gym.test.fr",
    "badge=QX-773101",
    "badge=AQX-77310",
    "?badge=QX%2D773109",
];

#[tokio::test]
async fn a_name_is_found_in_any_letters_and_not_in_longer_ones() {
    let app = a_gym().await;
    app.execute(&format!(
        "insert into members (gym_id, badge_id, first_name, last_name, email, status, cancelled_at)
         values ('{GYM}', 'QX-77310', 'Élodie', 'GRÜN', 'elo@gym.test', 'cancelled', now() - interval '5 years');
         update retention_policies set enabled = (target = 'members')"
    ))
    .await;
    for (kind, texts) in [("hers", &HERS[..]), ("theirs", &OF_OTHERS[..])] {
        for text in texts {
            app.execute(&format!(
                "insert into system_logs (log_type, message) values ('{kind}', '{text}')"
            ))
            .await;
        }
    }
    let sql = "select message from system_logs where log_type = 'theirs' order by id";
    let theirs = app.rows(sql).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    let hers = "select distinct message from system_logs where log_type = 'hers'";
    let emptied = json!([{ "message": "about a member who was anonymised" }]);
    assert_eq!(app.rows(hers).await, emptied);
    assert_eq!(app.rows(sql).await, theirs);
}

#[tokio::test]
async fn what_is_not_about_her_stays_whole() {
    let app = a_gym().await;
    ottoline(&app).await;
    app.execute(&format!(
        "insert into members (gym_id, badge_id, first_name, last_name, email, status, cancelled_at)
         values ('{GYM}', '42', 'a', 'order', 'x@y', 'cancelled', now() - interval '5 years'),
                ('{GYM}', 'gold', null, 'Cron', null, 'cancelled', now() - interval '5 years');
         insert into system_logs (log_type, message, details)
         values ('kept', 'Ottoline came in', '{{}}'), ('kept', 'a order of 42', '{{\"a\": \"x@y\"}}'),
                ('kept', 'the Cron of gold', '{{}}'),
                ('kept', 'abcdef00-1234-4abc-8def-0123456789ac', '{{}}');
         insert into conversation_events (session_id, event_type, transcript)
         values ('{SESSION}', 'kept', 'Ottoline has left; that was long before one of the name Grandchamp')"
    ))
    .await;
    let sql = "select message, details, null as transcript from system_logs where log_type = 'kept'
               union all select null, null, transcript from conversation_events order by 1, 3";
    let before = app.rows(sql).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([3, 0, 0]), "{reply:?}");
    assert_eq!(app.rows(sql).await, before);
}
