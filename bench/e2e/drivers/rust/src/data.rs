//! The paths that are about data: COPY, values of many types, large ones.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::Client;

use crate::paths::{dial, fails, own, table, Busy, Outcome};
use crate::same;

async fn count(c: &Client, rest: &str) -> Outcome<i64> {
    Ok(c.query_one(&format!("select count(*) from {rest}"), &[]).await?.get(0))
}

/// Rows are copied in as text and in binary.
pub async fn copy_in() -> Outcome {
    let busy = Busy::start(2);
    let c = dial().await?;
    let name = table(&c, "goods", "id int, name text").await?;
    let mut text = pin!(c.copy_in(&format!("copy {name} from stdin")).await?);
    for i in 0..2000 {
        text.send(Bytes::from(format!("{i}\tname {i}\n"))).await?;
    }
    same!("text", text.finish().await?, 2000);
    let sink = c.copy_in(&format!("copy {name} from stdin (format binary)")).await?;
    let mut binary = pin!(BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]));
    for i in 2000..4000i32 {
        binary.as_mut().write(&[&i, &format!("name {i}")]).await?;
    }
    same!("binary", binary.finish().await?, 2000);
    same!("rows", count(&c, &format!("{name} where name = 'name ' || id")).await?, 4000);
    c.batch_execute(&format!("drop table {name}")).await?;
    drop(c);
    busy.end().await
}

pub async fn copy_out() -> Outcome {
    let busy = Busy::start(2);
    let c = dial().await?;
    let query = "select i, 'name ' || i from generate_series(1, 3000) i";
    let text: BytesMut = c.copy_out(&format!("copy ({query}) to stdout")).await?.try_fold(BytesMut::new(), joined).await?;
    let want: String = (1..=3000).map(|i| format!("{i}\tname {i}\n")).collect();
    same!("text", text == want.as_bytes(), true);
    let stream = c.copy_out(&format!("copy ({query}) to stdout (format binary)")).await?;
    let rows: Vec<_> = BinaryCopyOutStream::new(stream, &[Type::INT4, Type::TEXT]).try_collect().await?;
    same!("rows", rows.len(), 3000);
    for (i, row) in rows.iter().enumerate() {
        same!("row", (row.get::<i32>(0), row.get::<String>(1)), (i as i32 + 1, format!("name {}", i + 1)));
    }
    drop(c);
    busy.end().await
}

async fn joined(mut all: BytesMut, next: Bytes) -> Result<BytesMut, tokio_postgres::Error> {
    all.extend_from_slice(&next);
    Ok(all)
}

/// Copies fail by the server's will and by the client's.
pub async fn copy_error() -> Outcome {
    let c = dial().await?;
    let name = table(&c, "spoilt", "id int").await?;
    for _ in 0..3 {
        let mut bad = pin!(c.copy_in(&format!("copy {name} from stdin")).await?);
        bad.send(Bytes::from("1\n2\nx\n")).await?;
        fails("22P02", bad.finish().await)?;
        {
            let mut given_up = Box::pin(c.copy_in::<_, Bytes>(&format!("copy {name} from stdin")).await?);
            given_up.send(Bytes::from("1\n")).await?;
            given_up.flush().await?;
        }
        let out = c.copy_out("copy (select 1/(3-i) from generate_series(1, 5) i) to stdout").await?;
        fails("22012", out.try_collect::<Vec<Bytes>>().await)?;
        same!("rows", count(&c, &name).await?, 0);
    }
    c.batch_execute(&format!("drop table {name}")).await?;
    Ok(())
}

/// Values go in binary; of a type of the user's own the driver asks the server first.
pub async fn types() -> Outcome {
    let c = dial().await?;
    let all: Vec<u8> = (0..=255).collect();
    round(&c, "int2", i16::MIN).await?;
    round(&c, "int8", i64::MIN).await?;
    round(&c, "float8", -0.1f64).await?;
    round(&c, "bool", true).await?;
    round(&c, "text", "Zürich, Ελλάδα, 東京, 🦊 '\"\\".to_string()).await?;
    round(&c, "text", String::new()).await?;
    round(&c, "bytea", all).await?;
    round(&c, "int4[]", vec![Some(1), Some(-2), None]).await?;
    round(&c, "text[]", ["a", "", "{\"b\",}", "NULL"].map(String::from).to_vec()).await?;
    round(&c, "jsonb", serde_json::json!({"a": [1.5, null, "ü"]})).await?;
    round(&c, "timestamptz", SystemTime::UNIX_EPOCH + Duration::from_micros(1_772_323_199_999_999)).await?;
    round(&c, "int4", None::<i32>).await?;

    let number: String = c.query_one("select ($1::text::numeric * 2)::text", &[&"12345678901234567890.12345"]).await?.get(0);
    same!("numeric", number, "24691357802469135780.24690");
    let mood = own("mood");
    c.batch_execute(&format!("drop type if exists {mood}; create type {mood} as enum ('sad', 'glad')")).await?;
    let statement = c.prepare(&format!("select $1::text::{mood}")).await?;
    same!("its type", statement.columns()[0].type_().name(), mood.as_str());
    c.batch_execute(&format!("drop type {mood}")).await?;
    Ok(())
}

async fn round<T>(c: &Client, name: &str, value: T) -> Outcome
where
    T: ToSql + Sync + PartialEq + std::fmt::Debug + for<'a> FromSql<'a>,
{
    let got: T = c.query_one(&format!("select $1::{name}"), &[&value]).await?.get(0);
    same!(name, got, value);
    Ok(())
}

pub async fn large() -> Outcome {
    let c = dial().await?;
    let value: Vec<u8> = (0..1u32 << 20).map(|i| (i.wrapping_mul(7919) >> 5) as u8).collect();
    for _ in 0..3 {
        let got: Vec<u8> = c.query_one("select $1::bytea", &[&value]).await?.get(0);
        same!("bytea", got == value, true);
    }
    let text = "0123456789abcdef".repeat(1 << 16);
    let got: String = c.query_one(&format!("select '{text}'"), &[]).await?.get(0);
    same!("in the text", got == text, true);
    Ok(())
}
