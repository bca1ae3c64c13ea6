//! What names others stays whole. Names as they come: in capitals, with and
//! without accents; and names of others that have hers in them.

use rstest::rstest;
use serde_json::json;

use super::{GONE, GYM, JOB, SESSION, a_gym, counts, ottoline};

#[rstest]
#[case::accents(
    ["Élodie", "GRÜN"],
    &[
        "ÉLODIE GRÜN",
        "elodie grun",
        "E\u{301}lodie Gru\u{308}n",
        "/members/%C3%89lodie%20Gr%C3%BCn",
        "/members/E%CC%81lodie%20Gru%CC%88n",
        "elodie.grun@work.test",
    ],
    &[
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
        "100 % of %C3%28, %00, %E0%80%80 and %ED%A0%80",
    ],
)]
#[case::a_double_name(
    ["Jean-Marc", "Dupont"],
    &[
        "Jean-Marc Dupont",
        "Jean Marc DUPONT",
        "Dupont, Jean-Marc",
        "/members/jean-marc-dupont/edit",
        "dupont-jean-marc",
        "jean-marc.dupont@work.test",
        "jean_marc_dupont@work.test",
    ],
    &["Jean Dupont", "Marc Dupont", "/members/jean-marcel-dupont", "jean-marc.dupontel@work.test"],
)]
#[case::two_words(
    ["Jean-Marc", "de la Tour"],
    &["Jean Marc De La Tour", "jean-marc.de-la-tour@work.test"],
    &["Jean-Marc de la Tournelle", "de la Tour"],
)]
#[case::other_letters(
    ["José", "Muñoz Lebœuf"],
    &["?n=Jos%C3%A9%20Mu%C3%B1oz%20Leb%C5%93uf", "JOSE MUNOZ LEBOEUF"],
    &["José Muñoz"],
)]
#[case::letters_of_the_east(["Łukasz", "Țepeș"], &["%C5%81ukasz Tepes", "lukasz.tepes@work.test"], &["Luka Tepes"])]
#[tokio::test]
async fn a_name_is_found_in_any_letters_and_not_in_longer_ones(
    #[case] name: [&str; 2],
    #[case] hers: &[&str],
    #[case] theirs: &[&str],
) {
    let [first, last] = name;
    let app = a_gym().await;
    app.execute(&format!(
        "insert into members (gym_id, badge_id, first_name, last_name, email, status, cancelled_at)
         values ('{GYM}', 'QX-77310', '{first}', '{last}', 'elo@gym.test', 'cancelled', now() - interval '5 years');
         update retention_policies set enabled = (target = 'members')"
    ))
    .await;
    for (kind, texts) in [("hers", hers), ("theirs", theirs)] {
        for text in texts {
            app.execute(&format!(
                "insert into system_logs (log_type, message) values ('{kind}', '{text}')"
            ))
            .await;
        }
    }
    let of = |kind: &str| {
        format!("select message from system_logs where log_type = '{kind}' order by id")
    };
    let before = app.rows(&of("theirs")).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    let emptied = json!({ "message": "about a member who was anonymised" });
    assert_eq!(
        app.rows(&of("hers")).await,
        json!(vec![emptied; hers.len()])
    );
    assert_eq!(app.rows(&of("theirs")).await, before);
}

#[tokio::test]
async fn what_a_member_talked_about_stays_without_their_name() {
    let app = a_gym().await;
    ottoline(&app).await;
    app.execute(&format!(
        "update conversation_sessions
            set member_id = '{GONE}',
                started_at = now() - interval '5 years',
                topics = array['price', 'Ottoline Grandchamp', null, 'opening hours']
          where id = '{SESSION}'"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(counts(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
    assert_eq!(
        app.rows(&format!(
            "select topics from conversation_sessions where id = '{SESSION}'"
        ))
        .await,
        json!([{ "topics": ["price", null, "opening hours"] }])
    );
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
