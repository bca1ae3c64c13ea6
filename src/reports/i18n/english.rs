//! What a report says, in English.

use super::{Language, as_count};
use crate::reports::insights::{Insight, Recommendation};

impl Language {
    pub(super) fn insight_in_english(self, insight: &Insight) -> String {
        match *insight {
            Insight::EmptyWeek => "No visits and no conversations were recorded this week.".into(),
            Insight::VisitsUp { change } => format!("Visits are up: {}.", self.change(change)),
            Insight::VisitsDown { change } => format!("Visits are down: {}.", self.change(change)),
            Insight::PeakHour {
                weekday,
                hour,
                visits,
            } => format!(
                "The busiest hour: {} from {} to {}, {} visits.",
                self.weekday(weekday - 1),
                self.hour(hour),
                self.hour(hour + 1),
                self.count(visits)
            ),
            Insight::SentimentPositive { value } => format!(
                "Conversations with the assistant are positive ({} on a scale from −1 to 1).",
                self.decimal_difference(value, 2)
            ),
            Insight::SentimentNegative { value } => format!(
                "Conversations with the assistant are rather negative ({} on a scale from −1 to 1).",
                self.decimal_difference(value, 2)
            ),
            Insight::MoreAtRisk { value, previous } => format!(
                "More members are at risk of leaving: {}, up from {} the week before.",
                self.count(value),
                self.count(previous)
            ),
            Insight::FewerAtRisk { value, previous } => format!(
                "Fewer members are at risk of leaving: {}, down from {} the week before.",
                self.count(value),
                self.count(previous)
            ),
            Insight::KioskUptimeLow { value } => format!(
                "The kiosks worked for only {} of opening time.",
                self.percent(value, 1)
            ),
            Insight::MembersLost { net } => format!(
                "The gym lost more members than it won: {}.",
                self.difference(net)
            ),
            Insight::MembersGained { net } => format!(
                "The gym won more members than it lost: {}.",
                self.difference(net)
            ),
        }
    }

    pub(super) fn recommendation_in_english(self, recommendation: &Recommendation) -> String {
        match *recommendation {
            Recommendation::CheckReaders => {
                "If the gym was open, check that badge readers and kiosks work.".into()
            }
            Recommendation::CallMembers { total: 1, .. } => {
                "Call the member who may leave; the report says who.".into()
            }
            Recommendation::CallMembers { listed, total } if total > as_count(listed) => format!(
                "Call the members who may leave: the first {listed} of {} are in the report.",
                self.count(total)
            ),
            Recommendation::CallMembers { .. } => {
                "Call the members who may leave; the report says who.".into()
            }
            Recommendation::CheckKiosks { uptime } => format!(
                "Check the kiosks’ power and network: they were up {} of the time.",
                self.percent(uptime, 1)
            ),
            Recommendation::ReadConversations { negative: 1 } => {
                "Read the week’s negative conversation: what was it about?".into()
            }
            Recommendation::ReadConversations { negative } => format!(
                "Read the week’s {} negative conversations: what were they about?",
                self.count(negative)
            ),
            Recommendation::AskLeavers { lost: 1 } => "Ask the member who left why.".into(),
            Recommendation::AskLeavers { lost } => {
                format!("Ask the {} members who left why.", self.count(lost))
            }
            Recommendation::InviteBack { .. } => {
                "Get in touch with those who come less: a trial class, a message, a chat.".into()
            }
            Recommendation::StaffPeak { weekday, hour } => format!(
                "Have somebody at the desk on {} around {}.",
                self.weekday(weekday - 1),
                self.hour(hour)
            ),
            Recommendation::CloseAlerts { open: 1 } => {
                "Deal with the alert that is still open.".into()
            }
            Recommendation::CloseAlerts { open } => {
                format!(
                    "Deal with the {} alerts that are still open.",
                    self.count(open)
                )
            }
            Recommendation::KeepGoing => "Nothing to report: keep going.".into(),
        }
    }
}
