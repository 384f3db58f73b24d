//! The paths that are about queries: each way of asking, pipelines, transactions, cursors.

use std::collections::HashSet;

use futures_util::future;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, SimpleQueryMessage};

use crate::paths::{dial, fails, shared, table, Busy, Outcome};
use crate::same;

pub async fn simple() -> Outcome {
    let c = dial().await?;
    let answers = c.simple_query("select 1; select 'two', 2; ; select 3 where false").await?;
    let rows: Vec<&str> = answers.iter().filter_map(|m| if let SimpleQueryMessage::Row(r) = m { r.get(0) } else { None }).collect();
    same!("rows", rows, ["1", "two"]);
    fails("22012", c.batch_execute("select 1; select 1/0; select 2").await)?;
    same!("after an error", c.simple_query("select 4").await?.len(), 3);
    Ok(())
}

pub async fn parameters() -> Outcome {
    let busy = Busy::start(2);
    let c = dial().await?;
    for i in 0..60i32 {
        let text = "select coalesce($1::text, 'none') || $2::int";
        let got: String = c.query_one(text, &[&format!("x{i}"), &i]).await?.get(0);
        same!("text", got, format!("x{i}{i}"));
        let got: String = c.query_one(text, &[&None::<String>, &i]).await?.get(0);
        same!("null", got, format!("none{i}"));
        // Without a name, and without a question for the types.
        let rows = c.query_typed("select $1::int * 2", &[(&i, tokio_postgres::types::Type::INT4)]).await?;
        same!("typed", rows[0].get::<_, i32>(0), 2 * i);
    }
    drop(c);
    busy.end().await
}

/// A statement is used again and again, in transactions and outside, while others keep servers busy.
pub async fn prepared() -> Outcome {
    let busy = Busy::start(3);
    let mut c = dial().await?;
    let sum = c.prepare("select $1::int8 + $2::int8, pg_backend_pid()").await?;
    let mut pids = HashSet::new();
    let mut i = 0i64;
    while i < 60 || (shared() && pids.len() < 2) {
        let t = c.transaction().await?;
        for j in [i, -i] {
            let row = t.query_one(&sum, &[&j, &(j * j)]).await?;
            same!("sum", row.get::<_, i64>(0), j + j * j);
            pids.insert(row.get::<_, i32>(1));
        }
        t.commit().await?;
        let row = c.query_one(&sum, &[&i, &1i64]).await?;
        same!("sum", row.get::<_, i64>(0), i + 1);
        i += 1;
    }
    drop(c);
    busy.end().await
}

pub async fn many_statements() -> Outcome {
    let busy = Busy::start(1);
    let c = dial().await?;
    let texts: Vec<String> = (0..60).map(|i| format!("select $1::int + {i}")).collect();
    let all = future::try_join_all(texts.iter().map(|t| c.prepare(t))).await?;
    for turn in 0..3i32 {
        for (i, statement) in all.iter().enumerate() {
            let got: i32 = c.query_one(statement, &[&turn]).await?.get(0);
            same!("number", got, turn + i as i32);
        }
    }
    drop(c);
    busy.end().await
}

/// A statement that is dropped is closed, while the next ones are on their way already.
pub async fn close_statement() -> Outcome {
    let c = dial().await?;
    for i in 0..100i32 {
        let statement = c.prepare(&format!("select $1::int * {}", i % 7)).await?;
        let got: i32 = c.query_one(&statement, &[&i]).await?.get(0);
        same!("product", got, i * (i % 7));
    }
    let kept = c.prepare("select $1::int * 11").await?;
    c.batch_execute("deallocate all").await?;
    fails("26000", c.query_one(&kept, &[&1i32]).await)
}

/// The driver reads rows by what it was told of a statement when it was new: a change has to be told it.
pub async fn schema_change() -> Outcome {
    let (c, other) = (dial().await?, dial().await?);
    let name = table(&other, "changing", "a int").await?;
    other.batch_execute(&format!("insert into {name} values (1)")).await?;
    for i in 0..4 {
        let all = c.prepare(&format!("select * from {name}")).await?;
        same!("columns", all.columns().len(), i + 1);
        same!("columns of the row", c.query_one(&all, &[]).await?.len(), i + 1);
        other.batch_execute(&format!("alter table {name} add column b{i} int")).await?;
        fails("0A000", c.query_one(&all, &[]).await)?;
    }
    other.batch_execute(&format!("drop table {name}")).await?;
    Ok(())
}

/// Queries are sent without waiting for the answers of those before.
pub async fn pipeline() -> Outcome {
    let busy = Busy::start(2);
    let c = dial().await?;
    let name = table(&c, "batch", "n int primary key").await?;
    let insert = c.prepare(&format!("insert into {name} values ($1)")).await?;
    let product = c.prepare("select $1::int * 3").await?;
    for turn in 0..5i32 {
        let numbers: Vec<i32> = (turn * 60..turn * 60 + 60).collect();
        let arguments: Vec<[&(dyn ToSql + Sync); 1]> = numbers.iter().map(|n| [n as &(dyn ToSql + Sync)]).collect();
        let inserts = future::try_join_all(arguments.iter().map(|a| c.execute(&insert, a)));
        let products = future::try_join_all(arguments.iter().map(|a| c.query_one(&product, a)));
        let (inserted, got) = future::try_join(inserts, products).await?;
        same!("inserted", inserted.iter().sum::<u64>(), 60);
        let got: Vec<i32> = got.iter().map(|r| r.get(0)).collect();
        same!("products", got, numbers.iter().map(|n| n * 3).collect::<Vec<_>>());
    }
    let count: i64 = c.query_one(&format!("select count(*) from {name}"), &[]).await?.get(0);
    same!("rows", count, 300);
    c.batch_execute(&format!("drop table {name}")).await?;
    drop(c);
    busy.end().await
}

/// Each query of this driver's pipeline is a transaction of its own, so one that fails concerns no other.
pub async fn pipeline_error() -> Outcome {
    let c = dial().await?;
    let ratio = c.prepare("select 100 / $1::int").await?;
    let numbers: Vec<i32> = (-10..=10).collect();
    let arguments: Vec<[&(dyn ToSql + Sync); 1]> = numbers.iter().map(|n| [n as &(dyn ToSql + Sync)]).collect();
    let answers = future::join_all(arguments.iter().map(|a| c.query_one(&ratio, a))).await;
    for (n, answer) in numbers.iter().zip(answers) {
        if *n == 0 {
            fails("22012", answer)?;
        } else {
            same!("ratio", answer?.get::<_, i32>(0), 100 / n);
        }
    }
    let (bad, good) = future::join(c.prepare("select no_such_column"), c.query_one("select 7", &[])).await;
    fails("42703", bad)?;
    same!("beside it", good?.get::<_, i32>(0), 7);
    Ok(())
}

pub async fn transaction() -> Outcome {
    let busy = Busy::start(2);
    let mut c = dial().await?;
    let name = table(&c, "account", "n int primary key").await?;
    let insert = c.prepare(&format!("insert into {name} values ($1)")).await?;
    let count = format!("select count(*) from {name}");

    let t = c.transaction().await?;
    t.execute(&insert, &[&1]).await?;
    t.commit().await?;

    let t = c.transaction().await?;
    t.execute(&insert, &[&2]).await?;
    same!("within", t.query_one(&count, &[]).await?.get::<_, i64>(0), 2);
    t.rollback().await?;

    let mut t = c.transaction().await?;
    t.execute(&insert, &[&3]).await?;
    let point = t.savepoint("here").await?;
    point.execute(&insert, &[&4]).await?;
    fails("23505", point.execute(&insert, &[&1]).await)?;
    fails("25P02", point.batch_execute("select 1").await)?;
    point.rollback().await?;
    same!("after the savepoint", t.query_one(&count, &[]).await?.get::<_, i64>(0), 2);
    t.commit().await?;

    let t = c.transaction().await?;
    t.execute(&insert, &[&5]).await?;
    drop(t); // rolls back, without waiting

    let t = c.build_transaction().isolation_level(IsolationLevel::Serializable).read_only(true).start().await?;
    fails("25006", t.execute(&insert, &[&6]).await)?;
    t.rollback().await?;

    let end: String = c.query_one(&format!("select string_agg(n::text, ',' order by n) from {name}"), &[]).await?.get(0);
    same!("in the end", end, "1,3");
    c.batch_execute(&format!("drop table {name}")).await?;
    drop(c);
    busy.end().await
}

/// A portal is executed for so many rows at a time.
pub async fn cursor() -> Outcome {
    let busy = Busy::start(2);
    let mut c = dial().await?;
    let t = c.transaction().await?;
    let series = t.prepare("select i from generate_series(1, $1::int) i").await?;
    let portal = t.bind(&series, &[&1000]).await?;
    let mut got: Vec<i32> = Vec::new();
    loop {
        let rows = t.query_portal(&portal, 70).await?;
        if rows.is_empty() {
            break;
        }
        got.extend(rows.iter().map(|r| r.get::<_, i32>(0)));
        let six: i32 = t.query_one("select $1::int", &[&6]).await?.get(0);
        same!("another query between", six, 6);
    }
    same!("rows", got, (1..=1000).collect::<Vec<i32>>());
    t.commit().await?;
    drop(portal);
    drop(c);
    busy.end().await
}
