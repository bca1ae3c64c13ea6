//! The real program in a process of its own, and deliveries to it.

use jarvis_cron::cli::call::{Delivery, new_message_id};
use jarvis_cron::jobs;
use tokio::process::{Child, Command};

pub(crate) const CRON_SECRET: &str = "bench-5f1d8a3e9b7c4d2f6a0e8b1c3d5f7a9b";
pub(crate) const PUBLIC_URL: &str = "https://cron.bench.test";
pub(crate) const KEY: &str = "sig_bench_current";

/// An address of this machine that is free.
pub(crate) fn free_address() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

/// Starts `serve` by `command`; the process ends with what is returned.
pub(crate) fn serve(command: &mut Command, address: &str, database: &str) -> Child {
    command
        .envs([
            ("DATABASE_URL", database),
            ("PUBLIC_URL", PUBLIC_URL),
            ("CRON_SECRET", CRON_SECRET),
            ("QSTASH_CURRENT_SIGNING_KEY", KEY),
            ("QSTASH_NEXT_SIGNING_KEY", "sig_bench_next"),
            ("HOST", "127.0.0.1"),
            ("PORT", address.rsplit(':').next().unwrap()),
        ])
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// A message of its own, as QStash would send it.
pub(crate) fn delivery(job: &str, address: &str) -> Delivery {
    Delivery {
        job: jobs::ALL.find(job).unwrap(),
        url: format!("http://{address}"),
        public_url: PUBLIC_URL.to_owned(),
        body: String::new(),
        message_id: new_message_id(),
        cron_secret: CRON_SECRET.to_owned().into(),
        signing_key: KEY.to_owned().into(),
    }
}
