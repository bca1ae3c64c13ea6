//! The labels of the page, the mail and the CSV: one line for each, in French
//! and English.

use super::Language;

/// Declares the labels once, and a table of them for each language.
macro_rules! labels {
    ($($label:ident: $kind:ty = $french:expr, $english:expr;)*) => {
        /// Every label, in one language.
        #[derive(Debug)]
        #[expect(missing_docs, reason = "the names say where they are shown")]
        pub struct Labels {
            $(pub $label: $kind,)*
        }

        static FRENCH: Labels = Labels { $($label: $french,)* };
        static ENGLISH: Labels = Labels { $($label: $english,)* };
    };
}

impl Language {
    /// The labels in this language.
    #[must_use]
    pub fn labels(self) -> &'static Labels {
        self.either(&FRENCH, &ENGLISH)
    }
}

type Text = &'static str;

labels! {
    title: Text = "Rapport hebdomadaire", "Weekly report";
    week: Text = "Semaine", "Week";
    compared: Text = "comparée à la semaine précédente", "compared with the week before";
    in_short: Text = "En bref", "In short";
    to_do: Text = "À faire", "To do";
    in_numbers: Text = "En chiffres", "In numbers";
    last_week: Text = "semaine précédente", "last week";
    unmeasured: Text = "Aucune mesure cette semaine.", "Nothing was measured this week.";
    visits: Text = "Visites", "Visits";
    unique_visitors: Text = "Membres venus", "Members who came";
    new_members: Text = "Nouveaux membres", "New members";
    lost_members: Text = "Membres partis", "Members who left";
    net_members: Text = "Solde", "Net change";
    active_members: Text = "Membres actifs", "Active members";
    conversations: Text = "Conversations", "Conversations";
    avg_sentiment: Text = "Humeur moyenne", "Average mood";
    churn_high: Text = "Risque élevé", "High risk";
    churn_critical: Text = "Risque critique", "Critical risk";
    kiosk_uptime: Text = "Bornes disponibles", "Kiosk uptime";
    open_alerts: Text = "Alertes ouvertes", "Open alerts";
    points: Text = "pt", "pts";
    visits_per_day: Text = "Visites par jour", "Visits per day";
    this_week: Text = "cette semaine", "this week";
    busy_hours: Text = "Affluence par heure", "Busy hours";
    busy_hours_key: Text =
        "Plus la couleur est vive, plus il y a de visites.",
        "The stronger the color, the more visits.";
    no_visits: Text = "Aucune visite cette semaine.", "No visits this week.";
    churn_levels: Text = "Risque de départ", "Risk of leaving";
    not_scored: Text =
        "Aucun membre n’a été évalué cette semaine.",
        "No member was scored this week.";
    levels: [Text; 4] =
        ["faible", "moyen", "élevé", "critique"],
        ["low", "medium", "high", "critical"];
    call_first: Text = "À appeler en premier", "Call these first";
    none_at_risk: Text = "Personne ne présente de risque élevé.", "No member is at high risk.";
    listed_of: Text = "Les plus à risque :", "Most at risk:";
    of: Text = "sur", "of";
    anonymised: Text = "Membre anonymisé", "Anonymised member";
    risk: Text = "de risque", "risk";
    kiosks_note: Text =
        "Part du temps d’ouverture pendant laquelle les bornes ont répondu.",
        "Share of opening time in which the kiosks answered.";
    topics: Text = "Sujets de conversation", "What people talked about";
    no_topics: Text = "Aucun sujet cette semaine.", "No topics this week.";
    moods: [Text; 4] =
        ["positives", "neutres", "mitigées", "négatives"],
        ["positive", "neutral", "mixed", "negative"];
    generated: Text = "Établi le", "Made on";
    time_zone: Text = "heure locale", "local time";
    other_language: Text = "English", "Français";
    read_online: Text = "Lire le rapport complet", "Read the full report";
    why_mailed: Text =
        "Vous recevez ce message parce que votre adresse est inscrite aux rapports de cette salle.",
        "You get this mail because your address is on this gym’s list for reports.";
}
