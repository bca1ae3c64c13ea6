//! Who was mailed which weekly report.
//!
//! The reports themselves stay: they name members by their ids only.

use super::statements::target;

target! {
    /// A delivery expires by when it was last tried, or by its week where that
    /// has not come, and at once when its
    /// recipient has left the list; but never while its report is so young that
    /// a mail might be sent again; the floor is what a refusal is remembered for. Its id is its report and a hash, so that no
    /// address stands in a checkpoint. A hold may name the report's gym.
    ReportDeliveries {
        facts: {
            table: "report_deliveries",
            floor_days: 90,
            first_id: "00000000-0000-0000-0000-000000000000/-9223372036854775808"
        },
        rows: "report_deliveries d",
        key: {
            columns: ["coalesce(d.sent_at, d.attempted_at, '-infinity'::timestamptz), d.report_id, hashtextextended(d.recipient, 0)"],
            after: ["$4::timestamptz, split_part($5, '/', 1)::uuid, split_part($5, '/', 2)::bigint"],
            upto: ["$6::timestamptz, split_part($7, '/', 1)::uuid, split_part($7, '/', 2)::bigint"],
            at: "coalesce(d.sent_at, d.attempted_at, '-infinity'::timestamptz)",
            id: "d.report_id || '/' || hashtextextended(d.recipient, 0)",
            sample: "split_part(id, '/', 1)",
            unique: "d.report_id, d.recipient",
        },
        eligible: "(select w.period_end from weekly_reports w where w.id = d.report_id)
                   < $2::timestamptz - interval '60 days'
           and (coalesce(
                    unless_ahead(d.sent_at),
                    unless_ahead(d.attempted_at),
                    (select w.period_end from weekly_reports w where w.id = d.report_id)
                ) < $3
                or not exists (
                    select from report_recipients r
                     where r.gym_id = (select w.gym_id from weekly_reports w where w.id = d.report_id)
                       and mailbox_of(r.email) = mailbox_of(d.recipient)
                ))",
        ahead: "coalesce(d.sent_at, d.attempted_at, '-infinity'::timestamptz) > $1
           and (select w.period_end from weekly_reports w where w.id = d.report_id) > $1",
        held_by: [
            "legal_holds h
                         where h.subject_id = (select w.gym_id from weekly_reports w where w.id = d.report_id)"
        ],
        erase: "delete from report_deliveries d",
    }
}
