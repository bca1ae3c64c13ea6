-- Only what the Stripe double reads is left behind.
drop table
    demo.baskets, demo.lines, demo.intents, demo.houses, demo.people, demo.devices, demo.shifts, demo.talks;

analyze
    orders, order_items, stock_levels, stock_reservations, payment_intents, order_expirations, audit_events,
    gyms, members, visits, conversation_sessions, conversation_events, member_churn, member_churn_history,
    kiosks, kiosk_heartbeats, alerts, report_recipients, legal_holds, system_logs, job_runs;
