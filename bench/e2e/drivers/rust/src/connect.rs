//! The paths that are about connections: logins, TLS, settings, cancels, notifications.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{future, stream, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{AsyncMessage, Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::paths::{ca, config, dial, dial_with, fails, own, user, Busy, Outcome};
use crate::same;

pub async fn connect() -> Outcome {
    let c = dial().await?;
    same!("current_user", one(&c, "select current_user::text").await?, user());
    let mut wrong = config();
    wrong.password("wrong");
    fails("28P01", wrong.connect(NoTls).await)
}

/// The single value of a query, as text.
async fn one(c: &Client, text: &str) -> Outcome<String> {
    Ok(c.query_one(text, &[]).await?.get(0))
}

async fn setting(c: &Client, name: &str) -> Outcome<String> {
    Ok(c.query_one("select current_setting($1)", &[&name]).await?.get(0))
}

/// With TLS the proof of the password is bound to the channel.
pub async fn tls_verify_full() -> Outcome {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca())?)?;
    let mut required = config();
    required.ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
    let (c, connection) = required.connect(trusting(roots)).await?;
    tokio::spawn(async move { connection.await.ok() });
    let sum: i32 = c.query_one("select $1::int + 1", &[&1]).await?.get(0);
    same!("an answer over TLS", sum, 2);

    let nobody = required.connect(trusting(RootCertStore::empty())).await;
    same!("trust in nobody", nobody.is_err_and(|e| format!("{e:?}").contains("UnknownIssuer")), true);
    Ok(())
}

fn trusting(roots: RootCertStore) -> MakeRustlsConnect {
    MakeRustlsConnect::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

pub async fn startup() -> Outcome {
    let mut wanted = config();
    wanted.application_name("first words").options("-c geqo=off -c statement_timeout=54321 -c TimeZone=Asia/Tokyo -c search_path=pg_catalog");
    let (c, other) = (dial_with(&wanted).await?, dial().await?);
    for _ in 0..3 {
        for (name, want) in [
            ("application_name", "first words"),
            ("geqo", "off"),
            ("statement_timeout", "54321ms"),
            ("TimeZone", "Asia/Tokyo"),
            ("search_path", "pg_catalog"),
        ] {
            same!(name, setting(&c, name).await?, want);
        }
        same!("statement_timeout of another", setting(&other, "statement_timeout").await?, "0");
    }
    Ok(())
}

/// Settings of two clients are kept apart.
pub async fn settings() -> Outcome {
    let zones = ["Asia/Tokyo", "America/New_York"];
    let noons = ["2020-01-01 12:00:00+09", "2020-01-01 12:00:00-05"];
    let schemas = [own("schema0"), own("schema1")];
    let both = [dial().await?, dial().await?];
    for i in 0..2 {
        let (schema, zone) = (&schemas[i], zones[i]);
        both[i].batch_execute(&format!("drop schema if exists {schema} cascade; create schema {schema}")).await?;
        both[i].batch_execute(&format!("set search_path = {schema}; set timezone = '{zone}'")).await?;
        both[i].execute("select set_config('application_name', $1, false)", &[schema]).await?;
        both[i].batch_execute(&format!("create table place as select '{schema}' as name")).await?;
    }
    for _ in 0..10 {
        for i in 0..2 {
            same!("name", one(&both[i], "select name from place").await?, schemas[i].as_str());
            same!("TimeZone", setting(&both[i], "TimeZone").await?, zones[i]);
            same!("application_name", setting(&both[i], "application_name").await?, schemas[i].as_str());
            same!("noon", one(&both[i], "select '2020-01-01 12:00'::timestamptz::text").await?, noons[i]);
        }
        both[0].batch_execute("begin; set timezone = 'UTC'; rollback").await?;
        both[0].batch_execute("begin; set local timezone = 'UTC'; commit").await?;
    }
    for i in 0..2 {
        both[i].batch_execute(&format!("drop schema {} cascade", schemas[i])).await?;
    }
    Ok(())
}

/// A query of one client is cancelled, and never one of another. A cancel that comes before its query has
/// reached a server cancels nothing.
pub async fn cancel() -> Outcome {
    let busy = Busy::start(1);
    let c = Arc::new(dial().await?);
    let token = c.cancel_token();
    let sleeper = c.clone();
    let mut sleep = tokio::spawn(async move { sleeper.execute("select pg_sleep($1)", &[&150f64]).await });
    loop {
        token.cancel_query(NoTls).await?;
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(50), &mut sleep).await {
            fails("57014", ended?)?;
            break;
        }
    }
    for _ in 0..10 {
        token.cancel_query(NoTls).await?;
    }
    // The driver does not wait until a cancel has been taken, so a late one may meet this client's next query.
    loop {
        match c.query_one("select $1::int", &[&3i32]).await {
            Ok(row) => {
                same!("the next query", row.get::<_, i32>(0), 3);
                break;
            }
            late => fails("57014", late)?,
        }
    }
    busy.end().await
}

pub async fn listen() -> Outcome {
    let (ear, mut connection) = config().connect(NoTls).await?;
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(n) = message {
                tell.send(format!("{} {}", n.channel(), n.payload())).ok();
            }
        }
    });
    let mouth = dial().await?;
    let channel = own("news");
    ear.batch_execute(&format!("listen {channel}")).await?;
    for i in 0..3 {
        mouth.execute("select pg_notify($1, $2)", &[&channel, &format!("it rains ({i})")]).await?;
        same!("heard", heard.recv().await, Some(format!("{channel} it rains ({i})")));
        let got: i32 = ear.query_one("select $1::int", &[&i]).await?.get(0);
        same!("in between", got, i);
    }
    ear.batch_execute(&format!("unlisten {channel}")).await?;
    Ok(())
}

pub async fn reconnect() -> Outcome {
    for i in 0..20 {
        let got: i32 = dial().await?.query_one("select $1::int", &[&i]).await?.get(0);
        same!("select", got, i);
    }
    let all = future::try_join_all((0..10).map(|_| dial())).await?;
    let got = future::try_join_all(all.iter().map(|c| one(c, "select 'all at once'"))).await?;
    same!("answers", got, vec!["all at once".to_string(); 10]);
    let c = dial().await?;
    fails("57P01", c.execute("select pg_terminate_backend(pg_backend_pid())", &[]).await)?;
    same!("after the server's end", c.execute("select 1", &[]).await.is_err_and(|e| e.is_closed()), true);
    same!("again", one(&dial().await?, "select 'again'").await?, "again");
    Ok(())
}
