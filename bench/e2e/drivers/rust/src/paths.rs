//! Runs the paths of a driver one after another and says how each went, as the README of the folder above
//! has it.

use std::env;
use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long one path may take.
const LIMIT: Duration = Duration::from_secs(180);

/// Ends the path unless both values are the same.
#[macro_export]
macro_rules! same {
    ($what:expr, $got:expr, $want:expr) => {{
        let (got, want) = ($got, $want);
        if got != want {
            return Err(format!("{}: got {:.200}, want {:.200} at line {}", $what, format!("{got:?}"), format!("{want:?}"), line!()).into());
        }
    }};
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// A table or a channel of this run, by its name.
pub fn own(name: &str) -> String {
    format!("{name}_rust_{}", variable("TARGET_COPY"))
}

/// The user to log in as.
pub fn user() -> String {
    variable("TARGET_USER")
}

/// The file with the authority that signed the server's certificate.
pub fn ca() -> String {
    variable("TARGET_CA")
}

/// Whether statements have to be seen on several servers.
pub fn shared() -> bool {
    env::var("TARGET_SHARED").is_ok_and(|v| v == "1")
}

/// Whether the path of that name is to be run: the environment names it, or none.
fn wanted(name: &str) -> bool {
    let names = env::var("TARGET_PATHS").unwrap_or_default();
    names.trim().is_empty() || names.split_whitespace().any(|n| n == name)
}

/// Where to connect.
pub fn config() -> Config {
    let mut c = Config::new();
    c.host(&variable("TARGET_HOST"))
        .port(variable("TARGET_PORT").parse().expect("a port"))
        .user(&user())
        .password(variable("TARGET_PASSWORD"))
        .dbname(&variable("TARGET_DATABASE"))
        .connect_timeout(Duration::from_secs(90));
    c
}

/// A client whose connection lives as long as it does.
pub async fn dial() -> Outcome<Client> {
    dial_with(&config()).await
}

pub async fn dial_with(config: &Config) -> Outcome<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { connection.await.ok() }); // the client tells what went wrong
    Ok(client)
}

/// Runs one path, if it is wanted, and says how it went. It returns whether that is good.
pub async fn run<F: Future<Output = Outcome>>(name: &str, path: F) -> bool {
    if !wanted(name) {
        return true;
    }
    let outcome = match tokio::time::timeout(LIMIT, path).await {
        Ok(outcome) => outcome.map_err(|e| format!("{e} {:?}", e.source()).replace('\n', " ")),
        Err(_) => Err(format!("not done after {LIMIT:?}")),
    };
    match &outcome {
        Ok(()) => println!("ok {name}"),
        Err(why) => println!("FAIL {name} {why}"),
    }
    outcome.is_ok()
}

/// Ends the path unless the server answered with the error of that SQLSTATE.
pub fn fails<T>(state: &str, result: Result<T, tokio_postgres::Error>) -> Outcome {
    match result {
        Ok(_) => Err(format!("no error, want SQLSTATE {state}").into()),
        Err(e) if e.code().is_some_and(|c| c.code() == state) => Ok(()),
        Err(e) => Err(format!("error {e} {:?}, want SQLSTATE {state}", e.source()).into()),
    }
}

/// Makes an empty table of this run.
pub async fn table(c: &Client, name: &str, columns: &str) -> Outcome<String> {
    let name = own(name);
    c.batch_execute(&format!("drop table if exists {name}; create table {name} ({columns})")).await?;
    Ok(name)
}

/// Clients that run short transactions while a path goes on.
pub struct Busy {
    going: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
    all: Vec<JoinHandle<Outcome>>,
}

impl Busy {
    pub fn start(count: usize) -> Busy {
        let going = Arc::new(AtomicBool::new(true));
        let runs = Arc::new(AtomicUsize::new(0));
        let all = (0..count).map(|_| tokio::spawn(neighbour(going.clone(), runs.clone()))).collect();
        Busy { going, runs, all }
    }

    /// Stops them. That one of them failed is an error.
    pub async fn end(mut self) -> Outcome {
        self.going.store(false, Ordering::Relaxed);
        for one in self.all.drain(..) {
            one.await??;
        }
        same!("neighbours at work", self.runs.load(Ordering::Relaxed) > 0, true);
        Ok(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.going.store(false, Ordering::Relaxed);
    }
}

async fn neighbour(going: Arc<AtomicBool>, runs: Arc<AtomicUsize>) -> Outcome {
    let mut c = dial().await?;
    loop {
        let t = c.transaction().await?;
        let word: String = t.query_one("select $1::text from pg_sleep(0.002)", &[&"n"]).await?.get(0);
        same!("neighbour", word, "n");
        t.commit().await?;
        runs.fetch_add(1, Ordering::Relaxed);
        if !going.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
}
