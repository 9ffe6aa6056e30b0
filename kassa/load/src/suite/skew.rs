//! P7: all orders of one user, and users by Zipf's law, beside all users alike.

use super::{Bar, Bench, Row};
use crate::say;
use crate::system::ClosedLoop;
use crate::users::Users;

const NAME: &str = "skew";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let (mut one, mut zipf) = (Vec::new(), Vec::new());
    for _ in 0..bench.args.pairs {
        let even = completed(bench, bench.users.clone()).await?;
        let of_one = completed(bench, bench.users.one()).await?;
        let of_few = completed(bench, bench.users.zipf()).await?;
        say(&format!(
            "all alike {even:.0}/s, one user {of_one:.0}/s, Zipf {of_few:.0}/s"
        ));
        one.push(of_one / even);
        zipf.push(of_few / even);
    }
    let bar = Bar::AtLeast(0.9, 1.0);
    Ok(vec![
        Row::new(NAME, "one user, over all alike", "×", one).with_bar(bar),
        Row::new(NAME, "Zipf 1.0, over all alike", "×", zipf).with_bar(bar),
    ])
}

async fn completed(bench: &Bench<'_>, users: Users) -> anyhow::Result<f64> {
    bench.server.settle().await?;
    let load = ClosedLoop {
        users,
        ..bench.closed_loop()
    };
    Ok(bench.system.run(&load).await?.rates.completed_per_second)
}
