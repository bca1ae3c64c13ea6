//! Connections: how many, who has to go, and who takes no answer.

use axum::routing::get;

use super::*;

fn at_most(connections: usize) -> Limits {
    Limits {
        connections,
        ..Limits::default()
    }
}

fn by_operator(method: &str, path: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATOR_SECRET}\r\n\r\n"
    )
}

#[tokio::test]
async fn the_oldest_idle_connection_leaves_its_place_to_the_next() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), at_most(3)).await;
    let mut callers = Vec::new();
    for _ in 0..20 {
        let mut caller = edge.call().await;
        assert_eq!(caller.ask(LIVE).await.status, 200);
        callers.push(caller);
    }
    for caller in &mut callers[..17] {
        assert!(caller.is_closed().await);
    }
    for caller in &mut callers[17..] {
        assert_eq!(caller.ask(LIVE).await.status, 200);
    }
}

#[tokio::test]
async fn a_caller_with_a_credential_keeps_their_place_in_a_crowd_of_those_without() {
    let app = App::new().await;
    let edge = Edge::of(app.router.clone(), at_most(3)).await;
    let mut known = edge.call().await;
    assert_eq!(
        known.ask(&by_operator("GET", "/api/jobs")).await.status,
        200
    );
    let mut wrong = edge.call().await;
    let with_another = by_operator("GET", "/api/jobs").replace(OPERATOR_SECRET, "another");
    assert_eq!(wrong.ask(&with_another).await.status, 401);

    let mut crowd = Vec::new();
    for said in [LIVE, "GET /half-a-head", "", LIVE].repeat(5) {
        let mut caller = edge.call().await;
        caller.say(said).await;
        if said == LIVE {
            assert_eq!(caller.answer().await.status, 200);
        }
        crowd.push(caller);
    }

    assert!(wrong.is_closed().await);
    assert_eq!(
        known.ask(&by_operator("GET", "/api/jobs")).await.status,
        200
    );
}

#[tokio::test]
async fn no_answer_is_cut_off_for_the_next_caller() {
    let app = App::new().await;
    let edge = Edge::of(app.router.clone(), at_most(1)).await;
    let mut locked = app.db.begin().await.unwrap();
    sqlx::query("lock table job_leases in access exclusive mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    let mut working = edge.call().await;
    working
        .say(&by_operator("POST", &format!("/api/cron/{JOB}")))
        .await;
    let waits =
        "select count(*) from pg_locks where not granted and relation = 'job_leases'::regclass";
    while app.count(waits).await == 0 {
        tokio::task::yield_now().await;
    }
    let mut next = edge.call().await;
    next.say(LIVE).await;
    locked.rollback().await.unwrap();

    assert_eq!(working.answer().await.status, 200);
    assert_eq!(next.answer().await.status, 200);
    assert!(working.is_closed().await);
}

#[tokio::test]
async fn who_takes_no_answer_is_cut_off() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let mut caller = edge.call().await;
    let many = LIVE.repeat(500);
    tokio::time::pause();
    let began = tokio::time::Instant::now();

    while caller.0.write_all(many.as_bytes()).await.is_ok() {}

    // The clock that stands still runs ahead while a busy machine moves bytes.
    let took = began.elapsed().as_secs();
    assert!((15..=60).contains(&took), "{took}");
}

#[tokio::test]
async fn who_takes_a_long_answer_slowly_gets_it_to_its_end() {
    const LENGTH: usize = 32 * 1024 * 1024;
    let large = Router::new().route("/", get(async || vec![b'x'; LENGTH]));
    let edge = Edge::of(large, Limits::default()).await;
    let mut caller = edge.call().await;
    tokio::time::pause();
    caller
        .say("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let mut chunk = vec![0; LENGTH / 32];
    for _ in 0..32 {
        // The buffers between hold several chunks.
        pass(3).await;
        caller.0.read_exact(&mut chunk).await.unwrap();
    }
}
