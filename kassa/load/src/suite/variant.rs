//! The same load on a platform that is set up another way, and runs beside the usual one: replicas, partitions.

use anyhow::Context as _;

use super::{Bar, Bench, Row};
use crate::books::lowest_id_from_now;
use crate::say;
use crate::server::Server;
use crate::system::{ClosedLoop, System};
use crate::users::Users;

/// The program is called like the variant.
pub(super) async fn measure(
    bench: &mut Bench<'_>,
    name: &'static str,
    what: &str,
    bar: Bar,
) -> anyhow::Result<Vec<Row>> {
    let mut variants = bench.args.variants.iter();
    let (_, platform) = variants
        .find(|(variant, _)| variant == name)
        .with_context(|| format!("no platform of this kind runs: cargo kassa bench --only {name}"))?;
    let (server, other) = (Server::connect(platform).await?, System::prepare(platform).await?);
    let users = Users::open(other.books.payments()).await?;
    let since = lowest_id_from_now();
    let there = |load: ClosedLoop| ClosedLoop {
        urls: platform.gateways.clone(),
        users: users.clone(),
        ..load
    };
    say("warming the other one up");
    other.run(&there(bench.warm_up())).await?;
    let (mut usual, mut varied, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.args.pairs {
        bench.server.settle().await?;
        let one = bench.system.run(&bench.closed_loop()).await?.rates.completed_per_second;
        server.settle().await?;
        let two = other.run(&there(bench.closed_loop())).await?.rates.completed_per_second;
        say(&format!("as usual {one:.0}/s, the other {two:.0}/s"));
        usual.push(one);
        varied.push(two);
        ratio.push(two / one);
    }
    other.books.audit(since).await?;
    Ok(vec![
        Row::new(name, "as usual", "orders/s", usual),
        Row::new(name, "the other", "orders/s", varied),
        Row::new(name, what, "×", ratio).with_bar(bar),
    ])
}
