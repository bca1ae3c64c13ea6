//! The table in a spreadsheet: cells arrive as they are, and none is a formula.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rstest::rstest;

use super::{JOB, MONDAY, read};
use crate::app::App;

/// What members, topics and gyms may be called.
const HOSTILE: [&str; 30] = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1,2)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\u{a0}=1+1",
    "\u{202f}=1+1",
    "\u{feff}=1+1",
    "\u{200b}=1+1",
    "\"=1+1\"",
    "\"\"=1+1",
    "'=1+1",
    "«=1+1",
    "\u{ff1d}1+1",
    "\u{ff0b}1+1",
    "\u{ff0d}1+1",
    "\u{ff20}SUM(1)",
    "\u{2212}1+1",
    "Durand;=1+1",
    "Durand;\t=1+1",
    "Durand;\"=1+1\";x",
    "Durand, =1+1",
    "Durand\n=1+1",
    "Durand\t=1+1",
    "=cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "=HYPERLINK(\"http://x.test\";\"y\")",
];

/// A report in which everything that has a name has a hostile one.
async fn hostile() -> App {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    // Ten are listed.
    for n in 0..10 {
        let (first, last) = (
            HOSTILE[n],
            format!("{}{}", HOSTILE[n + 10], HOSTILE[n + 20]),
        );
        let member = app.named_member(gym, first, &last).await;
        app.scored(gym, member, "2025-02-02", 0.9, "critical").await;
    }
    app
}

/// The table, with these topics.
async fn table(app: &App, topics: &[&str], query: &str) -> String {
    sqlx::query("insert into conversation_sessions (gym_id, started_at, topics) select id, '2025-01-28', $1 from gyms")
        .bind(topics)
        .execute(&app.db)
        .await
        .unwrap();
    app.operate(JOB, MONDAY).await;
    let path = format!("/reports/lyon/2025-W05.csv{query}");
    read(app, &path).await.text
}

fn rows(table: &str, separator: u8) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(table.trim_start_matches('\u{feff}').as_bytes());
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| row.iter().map(str::to_owned).collect())
        .collect()
}

/// Whether a spreadsheet may take the text for a formula.
fn may_be_a_formula(cell: &str) -> bool {
    let seen = cell.trim_matches(|c: char| {
        c.is_whitespace() || c.is_control() || "\"\u{200b}\u{feff}".contains(c)
    });
    let begins = seen.starts_with([
        '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\u{2212}',
    ]);
    begins && seen.replace(',', ".").parse::<f64>().is_err()
}

#[rstest]
#[case::french("", b';', b',')]
#[case::english("?lang=en", b',', b';')]
#[case::tabs("?sep=%09", b'\t', b';')]
#[tokio::test]
async fn no_cell_begins_a_formula_whichever_way_the_table_is_read(
    #[case] query: &str,
    #[case] separator: u8,
    #[case] other: u8,
) {
    for topics in HOSTILE.chunks(5) {
        let app = hostile().await;
        let text = table(&app, topics, query).await;

        let read = rows(&text, separator);
        assert!(read.iter().all(|row| row.len() == 6), "{read:#?}");
        assert!(read.len() > 190, "{}", read.len());
        for topic in topics {
            let is_there = |row: &Vec<String>| {
                row[0] == "top_topics" && row[1].replace('\'', "") == topic.replace('\'', "")
            };
            assert!(read.iter().any(is_there), "{topic:?} is not in {text}");
        }
        for cells in [read, rows(&text, other), rows(&text, b'\t')] {
            for cell in cells.into_iter().flatten() {
                assert!(!may_be_a_formula(&cell), "{cell:?} in {text}");
            }
        }
    }
}

#[rstest]
#[case::two_separators("Du;rand, A.", "Du;rand, A.")]
#[case::quotes("l'\"Éclair\"", "l'\"Éclair\"")]
#[case::lines("one\ntwo", "one\ntwo")]
#[case::a_number("-2", "-2")]
#[case::a_number_among_others("L;=1+1;-2;x", "L;'=1+1;-2;x")]
#[case::an_accent("Élodie", "Élodie")]
#[case::a_phone("+33 6 12 34 56 78", "'+33 6 12 34 56 78")]
#[tokio::test]
async fn a_name_arrives_as_it_is_in_either_form(#[case] name: &str, #[case] cell: &str) {
    let app = App::new().await;
    app.gym_called("lyon", "Europe/Paris").await;
    let french = table(&app, &[name], "").await;
    let english = read(&app, "/reports/lyon/2025-W05.csv?lang=en").await.text;

    for rows in [rows(&french, b';'), rows(&english, b',')] {
        let topic = rows.iter().find(|row| row[0] == "top_topics").unwrap();
        assert_eq!(topic[1..], [cell, cell, "1", "", ""], "{rows:?}");
    }
}

/// A cell as the spreadsheet has it.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Empty,
    Number(f64),
    Text(String),
}

/// A table as a spreadsheet reads it where the computer is set to that language;
/// `None` where none is installed.
fn in_libreoffice(table: &str, separator: u8, language: u16) -> Option<(String, Vec<Vec<Cell>>)> {
    let folder = std::env::temp_dir().join(format!("jarvis-cron-table-{}", uuid::Uuid::new_v4()));
    fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| -> PathBuf { folder.join(name) };
    fs::write(path("table.csv"), table).unwrap();
    let started = Command::new("soffice")
        .arg(format!("-env:UserInstallation=file://{}", path("profile").display()))
        .args(["--headless", "--convert-to", "fods", "--outdir"])
        .arg(&folder)
        // UTF-8; whatever looks like a formula is evaluated.
        .arg(format!(
            "--infilter=Text - txt - csv (StarCalc):{separator},34,76,1,,{language},false,true,false,false,false,0,true"
        ))
        .arg(path("table.csv"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut office) = started else {
        println!("Skipping LibreOffice: it is not installed.");
        return None;
    };
    for _ in 0..600 {
        if office.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = office.kill();
    let _ = office.wait();
    let sheet = fs::read_to_string(path("table.fods")).expect("LibreOffice wrote nothing");
    fs::remove_dir_all(&folder).unwrap();
    let body = sheet.split("<table:table ").nth(1).unwrap();
    let rows = body.split("<table:table-row").skip(1).map(|row| {
        let row = row.split("</table:table-row>").next().unwrap();
        row.split("<table:table-cell")
            .skip(1)
            .flat_map(cells)
            .collect()
    });
    let rows = rows.collect();
    Some((sheet, rows))
}

/// One element, which may stand for several cells.
fn cells(element: &str) -> Vec<Cell> {
    let (attributes, content) = element.split_once('>').unwrap();
    let attribute = |name: &str| {
        let (_, value) = attributes.split_once(&format!("{name}=\""))?;
        value.split('"').next()
    };
    let repeated = attribute("number-columns-repeated").map_or(1, |n| n.parse().unwrap());
    let cell = match attribute("office:value-type") {
        None => Cell::Empty,
        Some("string") => {
            let lines = content.split("<text:p>").skip(1);
            let lines = lines.map(|line| line.split("</text:p>").next().unwrap());
            Cell::Text(lines.collect::<Vec<_>>().join("\n"))
        }
        Some("float") => Cell::Number(attribute("office:value").unwrap().parse().unwrap()),
        other => panic!("{other:?} in {element}"),
    };
    vec![cell; repeated]
}

#[rstest]
#[case::french("", b';', 1036, "Visites")]
#[case::english("?lang=en", b',', 1033, "Visits")]
#[tokio::test]
async fn libreoffice_reads_texts_and_numbers_and_no_formula(
    #[case] query: &str,
    #[case] separator: u8,
    #[case] language: u16,
    #[case] visits: &str,
) {
    let app = hostile().await;
    let gym = app.rows("select id from gyms").await;
    let gym = gym[0]["id"].as_str().unwrap().parse().unwrap();
    app.busy_week(gym).await;
    let table = table(&app, &HOSTILE[..5], query).await;

    let Some((sheet, rows)) = in_libreoffice(&table, separator, language) else {
        return;
    };

    assert!(!sheet.contains("table:formula"), "{sheet}");
    let text = |text: &str| Cell::Text(text.to_owned());
    let row = |item: &str| {
        let found = rows.iter().find(|row| row.get(1) == Some(&text(item)));
        found.unwrap_or_else(|| panic!("{item} is not in {rows:#?}"))
    };
    assert_eq!(
        row("visits")[2..6],
        [
            text(visits),
            Cell::Number(6.0),
            Cell::Number(28.0),
            Cell::Number(-0.7857)
        ]
    );
    assert!(matches!(row("avg_sentiment")[3], Cell::Number(mood) if mood.fract() > 0.0));
    let people: Vec<_> = rows
        .iter()
        .filter(|row| row[0] == text("at_risk"))
        .collect();
    assert_eq!(people.len(), 10);
    for person in people {
        assert!(matches!(person[2], Cell::Text(_)), "{person:?}");
        assert!(
            matches!(person[3], Cell::Number(score) if score > 0.5),
            "{person:?}"
        );
    }
    for row in rows.iter().filter(|row| row[0] != text("visits_by_hour")) {
        println!(
            "{}",
            row.iter()
                .take(6)
                .map(shown)
                .collect::<Vec<_>>()
                .join(" | ")
        );
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Number(number) => format!("[{number}]"),
        Cell::Text(text) => format!("{text:?}"),
    }
}
