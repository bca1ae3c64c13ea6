//! QStash's regions sign with keys of their own.

use super::*;

/// Settings of a service that takes deliveries of two regions.
const REGIONS: [(&str, &str); 3] = [
    ("QSTASH_REGION", "EU_CENTRAL_1"),
    ("US_EAST_1_QSTASH_CURRENT_SIGNING_KEY", US_KEYS[0]),
    ("US_EAST_1_QSTASH_NEXT_SIGNING_KEY", US_KEYS[1]),
];
const US_KEYS: [&str; 2] = ["sig_us_current_4Rk8wPz", "sig_us_next_9TmB3xQ"];

#[rstest]
#[case::us_by_its_current_key(&REGIONS, Some("US-EAST-1"), US_KEYS[0], 200)]
#[case::us_by_its_next_key(&REGIONS, Some("us_east_1"), US_KEYS[1], 200)]
#[case::us_by_the_default_key(&REGIONS, Some("US-EAST-1"), CURRENT_KEY, 401)]
#[case::eu_without_keys_of_its_own(&REGIONS, Some("EU-CENTRAL-1"), CURRENT_KEY, 200)]
#[case::unknown_region(&REGIONS, Some("MARS-1"), CURRENT_KEY, 200)]
#[case::unknown_region_by_a_key_of_us(&REGIONS, Some("MARS-1"), US_KEYS[0], 401)]
#[case::no_region(&REGIONS, None, CURRENT_KEY, 200)]
#[case::no_region_by_a_key_of_us(&REGIONS, None, US_KEYS[0], 401)]
#[case::regions_not_in_use(&REGIONS[1..], Some("US-EAST-1"), CURRENT_KEY, 200)]
#[case::regions_not_in_use_by_a_key_of_us(&REGIONS[1..], Some("US-EAST-1"), US_KEYS[0], 401)]
#[tokio::test]
async fn the_region_chooses_among_the_configured_keys(
    #[case] settings: &[(&str, &str)],
    #[case] region: Option<&str>,
    #[case] key: &str,
    #[case] status: u16,
) {
    let app = App::with(settings).await;
    let mut delivery = Delivery {
        key: key.to_owned(),
        ..Delivery::of(JOB)
    };
    if let Some(region) = region {
        delivery = delivery.header("upstash-region", region);
    }
    assert_eq!(delivery.to(&app).await.status.as_u16(), status);
}
