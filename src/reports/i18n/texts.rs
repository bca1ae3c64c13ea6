//! What insights and recommendations say, in French and English side by side.

use super::Language;
use crate::reports::insights::{Insight, Recommendation};

/// A sentence in either language, with its numbers as that language writes
/// them.
macro_rules! text {
    ($language:expr $(, $number:ident = $value:expr)*; $french:literal, $english:literal) => {{
        $(let $number = $value;)*
        match $language {
            Language::French => format!($french),
            Language::English => format!($english),
        }
    }};
}

impl Language {
    /// What an insight says.
    #[must_use]
    pub fn insight(self, insight: &Insight) -> String {
        match *insight {
            Insight::EmptyWeek => text! { self;
                "Aucune visite et aucune conversation n’ont été enregistrées cette semaine.",
                "No visits and no conversations were recorded this week."
            },
            Insight::VisitsUp { change } => text! { self, change = self.change(change);
                "Les visites sont en hausse : {change}.",
                "Visits are up: {change}."
            },
            Insight::VisitsDown { change } => text! { self, change = self.change(change);
                "Les visites sont en baisse : {change}.",
                "Visits are down: {change}."
            },
            Insight::PeakHour {
                weekday,
                hour,
                visits,
            } => self.peak_hour(weekday, hour, visits),
            Insight::SentimentPositive { value } => text! {
                self, value = self.decimal_difference(value, 2);
                "Les conversations avec l’assistant sont positives ({value} sur une échelle de −1 à 1).",
                "Conversations with the assistant are positive ({value} on a scale from −1 to 1)."
            },
            Insight::SentimentNegative { value } => text! {
                self, value = self.decimal_difference(value, 2);
                "Les conversations avec l’assistant sont plutôt négatives ({value} sur une échelle de −1 à 1).",
                "Conversations with the assistant are rather negative ({value} on a scale from −1 to 1)."
            },
            Insight::MoreAtRisk { value, previous } => text! {
                self, value = self.count(value), previous = self.count(previous);
                "Davantage de membres risquent de partir : {value}, contre {previous} la semaine précédente.",
                "More members are at risk of leaving: {value}, up from {previous} the week before."
            },
            Insight::FewerAtRisk { value, previous } => text! {
                self, value = self.count(value), previous = self.count(previous);
                "Moins de membres risquent de partir : {value}, contre {previous} la semaine précédente.",
                "Fewer members are at risk of leaving: {value}, down from {previous} the week before."
            },
            Insight::KioskUptimeLow { value } => text! { self, value = self.percent(value, 1);
                "Les bornes n’ont fonctionné que {value} du temps d’ouverture.",
                "The kiosks worked for only {value} of opening time."
            },
            Insight::MembersLost { net } => text! { self, net = self.difference(net);
                "La salle a perdu plus de membres qu’elle n’en a gagné : {net}.",
                "The gym lost more members than it won: {net}."
            },
            Insight::MembersGained { net } => text! { self, net = self.difference(net);
                "La salle a gagné plus de membres qu’elle n’en a perdu : {net}.",
                "The gym won more members than it lost: {net}."
            },
        }
    }

    fn peak_hour(self, weekday: usize, hour: usize, visits: i64) -> String {
        text! {
            self,
            day = self.weekday(weekday - 1),
            from = self.hour(hour),
            to = self.hour(hour + 1),
            visits = self.count(visits);
            "L’heure de pointe : {day} de {from} à {to}, {visits} visites.",
            "The busiest hour: {day} from {from} to {to}, {visits} visits."
        }
    }

    /// What a recommendation says.
    #[must_use]
    pub fn recommendation(self, recommendation: &Recommendation) -> String {
        match *recommendation {
            Recommendation::CheckReaders => text! { self;
                "Si la salle était ouverte, vérifiez que les lecteurs de badges et les bornes fonctionnent.",
                "If the gym was open, check that badge readers and kiosks work."
            },
            Recommendation::CallMembers { listed, total } => self.call_members(listed, total),
            Recommendation::CheckKiosks { uptime } => {
                text! { self, uptime = self.percent(uptime, 1);
                    "Vérifiez l’alimentation et le réseau des bornes : {uptime} de disponibilité.",
                    "Check the kiosks’ power and network: they were up {uptime} of the time."
                }
            }
            Recommendation::ReadConversations { negative: 1 } => text! { self;
                "Lisez la conversation négative de la semaine : de quoi s’est-on plaint ?",
                "Read the week’s negative conversation: what was it about?"
            },
            Recommendation::ReadConversations { negative } => {
                text! { self, n = self.count(negative);
                    "Lisez les {n} conversations négatives de la semaine : de quoi s’est-on plaint ?",
                    "Read the week’s {n} negative conversations: what were they about?"
                }
            }
            Recommendation::AskLeavers { lost: 1 } => text! { self;
                "Demandez au membre qui est parti ce qui l’a décidé.",
                "Ask the member who left why."
            },
            Recommendation::AskLeavers { lost } => text! { self, lost = self.count(lost);
                "Demandez aux {lost} membres qui sont partis ce qui les a décidés.",
                "Ask the {lost} members who left why."
            },
            Recommendation::InviteBack { .. } => text! { self;
                "Relancez ceux qui viennent moins : un cours d’essai, un message, un rendez-vous.",
                "Get in touch with those who come less: a trial class, a message, a chat."
            },
            Recommendation::StaffPeak { weekday, hour } => text! {
                self, day = self.weekday(weekday - 1), hour = self.hour(hour);
                "Prévoyez quelqu’un à l’accueil le {day} vers {hour}.",
                "Have a staff member at the desk on {day} around {hour}."
            },
            Recommendation::CloseAlerts { open: 1 } => text! { self;
                "Traitez l’alerte encore ouverte.",
                "Deal with the alert that is still open."
            },
            Recommendation::CloseAlerts { open } => text! { self, open = self.count(open);
                "Traitez les {open} alertes encore ouvertes.",
                "Deal with the {open} alerts that are still open."
            },
            Recommendation::KeepGoing => text! { self;
                "Rien à signaler : continuez ainsi.",
                "Nothing to report: keep going."
            },
        }
    }

    fn call_members(self, listed: usize, total: i64) -> String {
        if total == 1 {
            return text! { self;
                "Appelez le membre qui risque de partir ; le rapport dit qui.",
                "Call the member who may leave; the report says who."
            };
        }
        if total <= i64::try_from(listed).unwrap_or(i64::MAX) {
            return text! { self;
                "Appelez les membres qui risquent de partir ; le rapport dit qui.",
                "Call the members who may leave; the report says who."
            };
        }
        text! { self, total = self.count(total);
            "Appelez les membres qui risquent de partir : les {listed} premiers, sur {total}, sont dans le rapport.",
            "Call the members who may leave: the first {listed} of {total} are in the report."
        }
    }
}
