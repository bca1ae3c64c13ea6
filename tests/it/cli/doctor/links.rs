//! What `doctor` says of the secret that signs links to reports.

use rstest::rstest;

use super::*;

const SECRET: &str = "link-5c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f";
const FORMER: &str = "link-9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b";
const MAIL: [(&str, &str); 2] = [
    ("RESEND_API_KEY", "re_double"),
    ("REPORT_FROM", "reports@gym.test"),
];

#[rstest]
#[case::none(&[], "ok", "signed with OPERATOR_SECRET, and a new one ends them")]
#[case::none_and_mails(&MAIL, "warning", "signed with OPERATOR_SECRET, and a new one ends them")]
#[case::a_rotation(
    &[("LINK_SECRET", SECRET), ("LINK_SECRET_PREVIOUS", FORMER)],
    "ok",
    "signed with LINK_SECRET_PREVIOUS are good until they expire"
)]
#[case::no_rotation(
    &[("LINK_SECRET", SECRET), ("LINK_SECRET_PREVIOUS", SECRET)],
    "warning",
    "LINK_SECRET_PREVIOUS equals LINK_SECRET"
)]
#[case::short(&[("LINK_SECRET", "link")], "failure", "LINK_SECRET is shorter")]
#[case::the_operators(
    &[("LINK_SECRET", OPERATOR_SECRET)],
    "failure",
    "LINK_SECRET equals OPERATOR_SECRET"
)]
#[tokio::test]
async fn links_are_signed_with_a_secret_of_their_own(
    #[case] changes: &[(&str, &str)],
    #[case] level: &str,
    #[case] said: &str,
) {
    let all = Surroundings::new().await;

    let found = doctor(&all.settings(changes)).await;

    let at = found.at(level);
    assert!(at.iter().any(|it| it.contains(said)), "{found:#?}");
    let answer = found.answer.to_string();
    assert!(!answer.contains(SECRET) && !answer.contains(FORMER));
}
