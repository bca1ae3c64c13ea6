//! What a report says, in French.

use super::{Language, as_count};
use crate::reports::insights::{Insight, Recommendation};

impl Language {
    pub(super) fn insight_in_french(self, insight: &Insight) -> String {
        match *insight {
            Insight::EmptyWeek => {
                "Aucune visite et aucune conversation n’ont été enregistrées cette semaine.".into()
            }
            Insight::VisitsUp { change } => {
                format!("Les visites sont en hausse : {}.", self.change(change))
            }
            Insight::VisitsDown { change } => {
                format!("Les visites sont en baisse : {}.", self.change(change))
            }
            Insight::PeakHour {
                weekday,
                hour,
                visits,
            } => format!(
                "L’heure de pointe : {} de {} à {}, {} visites.",
                self.weekday(weekday - 1),
                self.hour(hour),
                self.hour(hour + 1),
                self.count(visits)
            ),
            Insight::SentimentPositive { value } => format!(
                "Les conversations avec l’assistant sont positives ({} sur une échelle de −1 à 1).",
                self.decimal_difference(value, 2)
            ),
            Insight::SentimentNegative { value } => format!(
                "Les conversations avec l’assistant sont plutôt négatives ({} sur une échelle de −1 à 1).",
                self.decimal_difference(value, 2)
            ),
            Insight::MoreAtRisk { value, previous } => format!(
                "Davantage de membres risquent de partir : {}, contre {} la semaine précédente.",
                self.count(value),
                self.count(previous)
            ),
            Insight::FewerAtRisk { value, previous } => format!(
                "Moins de membres risquent de partir : {}, contre {} la semaine précédente.",
                self.count(value),
                self.count(previous)
            ),
            Insight::KioskUptimeLow { value } => format!(
                "Les bornes n’ont fonctionné que {} du temps d’ouverture.",
                self.percent(value, 1)
            ),
            Insight::MembersLost { net } => format!(
                "La salle a perdu plus de membres qu’elle n’en a gagné : {}.",
                self.difference(net)
            ),
            Insight::MembersGained { net } => format!(
                "La salle a gagné plus de membres qu’elle n’en a perdu : {}.",
                self.difference(net)
            ),
        }
    }

    pub(super) fn recommendation_in_french(self, recommendation: &Recommendation) -> String {
        match *recommendation {
            Recommendation::CheckReaders => {
                "Si la salle était ouverte, vérifiez que les lecteurs de badges et les bornes fonctionnent.".into()
            }
            Recommendation::CallMembers { total: 1, .. } => {
                "Appelez le membre qui risque de partir ; le rapport dit qui.".into()
            }
            Recommendation::CallMembers { listed, total } if total > as_count(listed) => format!(
                "Appelez les membres qui risquent de partir : les {listed} premiers, sur {}, sont dans le rapport.",
                self.count(total)
            ),
            Recommendation::CallMembers { .. } => {
                "Appelez les membres qui risquent de partir ; le rapport dit qui.".into()
            }
            Recommendation::CheckKiosks { uptime } => format!(
                "Vérifiez l’alimentation et le réseau des bornes : {} de disponibilité.",
                self.percent(uptime, 1)
            ),
            Recommendation::ReadConversations { negative: 1 } => {
                "Lisez la conversation négative de la semaine : de quoi s’est-on plaint ?".into()
            }
            Recommendation::ReadConversations { negative } => format!(
                "Lisez les {} conversations négatives de la semaine : de quoi s’est-on plaint ?",
                self.count(negative)
            ),
            Recommendation::AskLeavers { lost: 1 } => {
                "Demandez au membre qui est parti ce qui l’a décidé.".into()
            }
            Recommendation::AskLeavers { lost } => format!(
                "Demandez aux {} membres qui sont partis ce qui les a décidés.",
                self.count(lost)
            ),
            Recommendation::InviteBack { .. } => {
                "Relancez ceux qui viennent moins : un cours d’essai, un message, un rendez-vous.".into()
            }
            Recommendation::StaffPeak { weekday, hour } => format!(
                "Prévoyez quelqu’un à l’accueil le {} vers {}.",
                self.weekday(weekday - 1),
                self.hour(hour)
            ),
            Recommendation::CloseAlerts { open: 1 } => "Traitez l’alerte encore ouverte.".into(),
            Recommendation::CloseAlerts { open } => {
                format!("Traitez les {} alertes encore ouvertes.", self.count(open))
            }
            Recommendation::KeepGoing => "Rien à signaler : continuez ainsi.".into(),
        }
    }
}
