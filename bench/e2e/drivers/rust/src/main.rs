//! The common paths of tokio-postgres.

mod connect;
mod data;
mod paths;
mod query;

use std::process::exit;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut good = true;
    macro_rules! run {
        ($($name:literal: $path:path),* $(,)?) => { $(good &= paths::run($name, $path()).await;)* };
    }
    run! {
        "connect": connect::connect,
        "tls-verify-full": connect::tls_verify_full,
        "startup": connect::startup,
        "simple": query::simple,
        "parameters": query::parameters,
        "prepared": query::prepared,
        "many-statements": query::many_statements,
        "close-statement": query::close_statement,
        "schema-change": query::schema_change,
        "pipeline": query::pipeline,
        "pipeline-error": query::pipeline_error,
        "transaction": query::transaction,
        "copy-in": data::copy_in,
        "copy-out": data::copy_out,
        "copy-error": data::copy_error,
        "cancel": connect::cancel,
        "cursor": query::cursor,
        "settings": connect::settings,
        "listen": connect::listen,
        "types": data::types,
        "large": data::large,
        "reconnect": connect::reconnect,
    }
    exit(if good { 0 } else { 1 });
}
