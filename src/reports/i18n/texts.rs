//! What insights and recommendations say: one entry for each, in French and
//! English.

use super::Language;
use crate::reports::insights::{Insight, Recommendation};

/// The sentence of what matches, with its numbers as the language writes them.
macro_rules! texts {
    ($language:ident, $what:expr; $(
        $pattern:pat $(if $guard:expr)? $(, $number:ident = $value:expr)* =>
            $french:literal, $english:literal;
    )*) => {
        match $what {
            $($pattern $(if $guard)? => {
                $(let $number = $value;)*
                match $language {
                    Language::French => format!($french),
                    Language::English => format!($english),
                }
            })*
        }
    };
}

impl Language {
    /// What an insight says.
    #[must_use]
    pub fn insight(self, insight: &Insight) -> String {
        texts! { self, *insight;
            Insight::EmptyWeek =>
                "Aucune visite et aucune conversation n’ont été enregistrées cette semaine.",
                "No visits and no conversations were recorded this week.";
            Insight::VisitsUp { change }, change = self.change(change) =>
                "Les visites sont en hausse : {change}.",
                "Visits are up: {change}.";
            Insight::VisitsDown { change }, change = self.change(change) =>
                "Les visites sont en baisse : {change}.",
                "Visits are down: {change}.";
            Insight::PeakHour { weekday, hour, visits },
                day = self.weekday(weekday - 1), from = self.hour(hour), to = self.hour(hour + 1),
                visits = self.count(visits) =>
                "L’heure de pointe : {day} de {from} à {to}, {visits} visites.",
                "The busiest hour: {day} from {from} to {to}, {visits} visits.";
            Insight::SentimentPositive { value }, value = self.decimal_difference(value, 2) =>
                "Les conversations avec l’assistant sont positives ({value} sur une échelle de −1 à 1).",
                "Conversations with the assistant are positive ({value} on a scale from −1 to 1).";
            Insight::SentimentNegative { value }, value = self.decimal_difference(value, 2) =>
                "Les conversations avec l’assistant sont plutôt négatives ({value} sur une échelle de −1 à 1).",
                "Conversations with the assistant are rather negative ({value} on a scale from −1 to 1).";
            Insight::MoreAtRisk { value, previous },
                value = self.count(value), previous = self.count(previous) =>
                "Davantage de membres risquent de partir : {value}, contre {previous} la semaine précédente.",
                "More members are at risk of leaving: {value}, up from {previous} the week before.";
            Insight::FewerAtRisk { value, previous },
                value = self.count(value), previous = self.count(previous) =>
                "Moins de membres risquent de partir : {value}, contre {previous} la semaine précédente.",
                "Fewer members are at risk of leaving: {value}, down from {previous} the week before.";
            Insight::KioskUptimeLow { value }, value = self.percent(value, 1) =>
                "Les bornes n’ont fonctionné que {value} du temps d’ouverture.",
                "The kiosks worked for only {value} of opening time.";
            Insight::MembersLost { net }, net = self.difference(net) =>
                "La salle a perdu plus de membres qu’elle n’en a gagné : {net}.",
                "The gym lost more members than it won: {net}.";
            Insight::MembersGained { net }, net = self.difference(net) =>
                "La salle a gagné plus de membres qu’elle n’en a perdu : {net}.",
                "The gym won more members than it lost: {net}.";
        }
    }

    /// What a recommendation says.
    #[must_use]
    pub fn recommendation(self, recommendation: &Recommendation) -> String {
        let all_listed = |listed, total| total <= i64::try_from(listed).unwrap_or(i64::MAX);
        texts! { self, *recommendation;
            Recommendation::CheckReaders =>
                "Si la salle était ouverte, vérifiez que les lecteurs de badges et les bornes fonctionnent.",
                "If the gym was open, check that badge readers and kiosks work.";
            Recommendation::CallMembers { total: 1, .. } =>
                "Appelez le membre qui risque de partir ; le rapport dit qui.",
                "Call the member who may leave; the report says who.";
            Recommendation::CallMembers { listed, total } if all_listed(listed, total) =>
                "Appelez les membres qui risquent de partir ; le rapport dit qui.",
                "Call the members who may leave; the report says who.";
            Recommendation::CallMembers { listed, total }, total = self.count(total) =>
                "Appelez les membres qui risquent de partir : les {listed} premiers, sur {total}, sont dans le rapport.",
                "Call the members who may leave: the first {listed} of {total} are in the report.";
            Recommendation::CheckKiosks { uptime }, uptime = self.percent(uptime, 1) =>
                "Vérifiez l’alimentation et le réseau des bornes : {uptime} de disponibilité.",
                "Check the kiosks’ power and network: they were up {uptime} of the time.";
            Recommendation::ReadConversations { negative: 1 } =>
                "Lisez la conversation négative de la semaine : de quoi s’est-on plaint ?",
                "Read the week’s negative conversation: what was it about?";
            Recommendation::ReadConversations { negative }, n = self.count(negative) =>
                "Lisez les {n} conversations négatives de la semaine : de quoi s’est-on plaint ?",
                "Read the week’s {n} negative conversations: what were they about?";
            Recommendation::AskLeavers { lost: 1 } =>
                "Demandez au membre qui est parti ce qui l’a décidé.",
                "Ask the member who left why.";
            Recommendation::AskLeavers { lost }, lost = self.count(lost) =>
                "Demandez aux {lost} membres qui sont partis ce qui les a décidés.",
                "Ask the {lost} members who left why.";
            Recommendation::InviteBack { .. } =>
                "Relancez ceux qui viennent moins : un cours d’essai, un message, un rendez-vous.",
                "Get in touch with those who come less: a trial class, a message, a chat.";
            Recommendation::StaffPeak { weekday, hour },
                day = self.weekday(weekday - 1), hour = self.hour(hour) =>
                "Prévoyez quelqu’un à l’accueil le {day} vers {hour}.",
                "Have a staff member at the desk on {day} around {hour}.";
            Recommendation::CloseAlerts { open: 1 } =>
                "Traitez l’alerte encore ouverte.",
                "Deal with the alert that is still open.";
            Recommendation::CloseAlerts { open }, open = self.count(open) =>
                "Traitez les {open} alertes encore ouvertes.",
                "Deal with the {open} alerts that are still open.";
            Recommendation::KeepGoing =>
                "Rien à signaler : continuez ainsi.",
                "Nothing to report: keep going.";
        }
    }
}
