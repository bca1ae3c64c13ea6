//! Why a member is at risk, in French and English.

use super::Language;
use crate::reports::reasons::{Code, Reason};

impl Language {
    /// What a reason says, as a part of a sentence.
    #[must_use]
    pub fn reason(self, reason: &Reason) -> String {
        let value = self.amount(reason.value);
        let usual = self.amount(reason.usual);
        let days = |number| self.plural(number, ["jour", "jours"], ["day", "days"]);
        let (french, english) = match reason.code {
            Code::UsualGap => (
                format!("vient d’habitude {}", self.every(reason.value)),
                format!("usually comes {}", self.every(reason.value)),
            ),
            Code::Absence => {
                let (days, every) = (days(reason.value), self.every(reason.usual));
                (
                    format!("aucune visite depuis {value} {days}, d’habitude {every}"),
                    format!("no visit for {value} {days}, usually {every}"),
                )
            }
            Code::Trend => {
                let visits = self.plural(reason.value, ["visite", "visites"], ["visit", "visits"]);
                (
                    format!("{value} {visits} en quatre semaines, {usual} d’habitude"),
                    format!("{value} {visits} in four weeks, {usual} usually"),
                )
            }
            Code::Tenure => {
                let months = self.plural(reason.value, ["mois", "mois"], ["month", "months"]);
                (
                    format!("membre depuis {value} {months}"),
                    format!("a member for {value} {months}"),
                )
            }
            Code::ContractEnd => {
                let days = days(reason.value);
                (
                    format!("le contrat se termine dans {value} {days}"),
                    format!("the contract ends in {value} {days}"),
                )
            }
            Code::NegativeConversations => {
                let (one, many) = ("conversation négative", "conversations négatives");
                let negative = self.plural(reason.value, [one, many], ["", ""]);
                (
                    format!("{value} {negative} sur {usual}"),
                    format!("{value} of {usual} conversations negative"),
                )
            }
        };
        self.either(french, english)
    }

    /// `tous les 3 jours`, `every 3 days`.
    fn every(self, days: f64) -> String {
        if days.round() <= 1.0 {
            return self.either("chaque jour", "every day").to_owned();
        }
        let days = self.decimal(days, 0);
        self.either(
            format!("tous les {days} jours"),
            format!("every {days} days"),
        )
    }

    /// With a decimal where there is one.
    fn amount(self, number: f64) -> String {
        let places = usize::from((number - number.round()).abs() >= 0.05);
        self.decimal(number, places)
    }

    /// The form for one or for many; French counts less than two as one.
    fn plural(
        self,
        number: f64,
        french: [&'static str; 2],
        english: [&'static str; 2],
    ) -> &'static str {
        let is_one = self.either(number < 2.0, (number - 1.0).abs() < 0.05);
        self.either(french, english)[usize::from(!is_one)]
    }
}
