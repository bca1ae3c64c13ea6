//! The opening hours of gyms, as the screens of their host may have written them.

use super::*;

const WHOLE: &str = r#"[["00:00", "00:00"]]"#;

/// What the host has, and what it is to us; null is always open, a day without spans is closed.
const CASES: [(&str, &str); 24] = [
    ("null", "null"),
    ("{}", "null"),
    ("[]", "null"),
    (r#"{"note": "on demand"}"#, "null"),
    (
        r#"{"monday": {"open": "06:00", "close": "22:00"}}"#,
        r#"{"mon": [["06:00", "22:00"]]}"#,
    ),
    (
        r#"{"Mon": {"open": "06:00", "close": "22:00", "is_closed": false}}"#,
        r#"{"mon": [["06:00", "22:00"]]}"#,
    ),
    (
        r#"{"sunday": {"open": "6:00", "close": "24:00"}}"#,
        r#"{"sun": [["06:00", "00:00"]]}"#,
    ),
    (
        r#"{"sunday": {"open": "06:00:00", "close": "22:30:00"}}"#,
        r#"{"sun": [["06:00", "22:30"]]}"#,
    ),
    (
        r#"{"sunday": {"open": "6h", "close": "22h30"}}"#,
        r#"{"sun": [["06:00", "22:30"]]}"#,
    ),
    (
        r#"{"sunday": {"open": "18:00", "close": "02:00"}}"#,
        r#"{"sun": [["18:00", "02:00"]]}"#,
    ),
    (
        r#"{"sunday": {"open": "00:00", "close": "24:00"}}"#,
        r#"{"sun": [["00:00", "00:00"]]}"#,
    ),
    (
        r#"{"monday": [{"open": "06:00", "close": "12:00"}, {"open": "14:00", "close": "22:00"}]}"#,
        r#"{"mon": [["06:00", "12:00"], ["14:00", "22:00"]]}"#,
    ),
    (
        r#"{"mon": [["6:00", "12:00"], ["14:00", "22:00"]]}"#,
        r#"{"mon": [["06:00", "12:00"], ["14:00", "22:00"]]}"#,
    ),
    (
        r#"{"monday": ["06:00", "22:00"]}"#,
        r#"{"mon": [["06:00", "22:00"]]}"#,
    ),
    (
        r#"{"monday": {"is_closed": true, "open": "06:00", "close": "22:00"}}"#,
        r#"{"mon": []}"#,
    ),
    (
        r#"{"monday": {"open": null, "close": null}}"#,
        r#"{"mon": []}"#,
    ),
    (r#"{"monday": {"open": "", "close": ""}}"#, r#"{"mon": []}"#),
    (
        r#"{"monday": null, "tuesday": [], "friday": "closed", "sunday": false}"#,
        r#"{"mon": [], "tue": [], "fri": [], "sun": []}"#,
    ),
    (r#"{"monday": [{"is_closed": true}]}"#, r#"{"mon": []}"#),
    (r#"{"monday": {"open": "early", "close": "late"}}"#, "mon"),
    (r#"{"monday": {"open": "09:00"}}"#, "mon"),
    (r#"{"monday": {"open": 600, "close": 2200}}"#, "mon"),
    (r#"{"monday": {"open": "25:00", "close": "22:61"}}"#, "mon"),
    (r#"{"monday": "24/7"}"#, "mon"),
];

#[tokio::test]
async fn hours_are_read_as_hosts_write_them() {
    let app = a_gym().await;
    for (theirs, ours) in CASES {
        let expected: serde_json::Value = match ours {
            "mon" => serde_json::from_str(&format!(r#"{{"mon": {WHOLE}}}"#)),
            _ => serde_json::from_str(ours),
        }
        .unwrap();
        let ask = format!("select hours('{theirs}') as it");
        assert_eq!(cells(&app, &ask).await, json!([[expected]]), "{theirs}");
    }
}

/// Closed on each day is not always open: its kiosks may be silent.
#[tokio::test]
async fn a_kiosk_of_a_gym_that_is_closed_all_week_is_not_judged() {
    let app = a_gym().await;
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let closed = days
        .map(|day| format!(r#""{day}": {{"is_closed": true}}"#))
        .join(", ");
    app.execute(&format!(
        "update public.gyms set opening_hours = '{{{closed}}}'"
    ))
    .await;

    let reply = app.deliver(gym::HEALTH).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["status_changed"], 0, "{reply:?}");
}
