//! Two of every process at once.

use futures_util::future::try_join_all;
use kassa::stack::Name;
use platform_tests::{Client, Platform};

pub(crate) async fn two_of_every_process_give_the_same_result(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("two", 10, "100.00").await?;
    for name in Name::SERVICES {
        platform.stack.add_replica(name)?;
    }
    platform.all_ready().await?;
    // Each front is asked directly too: the second copies of the APIs have no gateway before them.
    let fronts = [Name::Gateway, Name::OrdersApi]
        .into_iter()
        .flat_map(|name| [0, 1].map(|replica| platform.stack.port(name, replica)))
        .map(|port| Client::new(format!("http://127.0.0.1:{port}")))
        .collect::<Result<Vec<_>, _>>()?;
    // 400 orders of 10 from 10 users with money for 10 each, round the fronts.
    let place = |number: usize| {
        let (front, user) = (&fronts[number % fronts.len()], &users[number % users.len()]);
        async move { anyhow::Ok((user, front.order(user, "10.00").await?)) }
    };
    let mut placed = Vec::new();
    for round in 0..10 {
        placed.extend(try_join_all((round * 40..(round + 1) * 40).map(place)).await?);
    }
    let placed: Vec<_> = placed
        .into_iter()
        .map(|(user, id)| platform_tests::Placed { user: user.clone(), id })
        .collect();
    assert_eq!(platform.all_terminal(&placed).await?, 100);
    for user in &users {
        assert_eq!(platform.client.balance(user).await?, "0.00");
    }
    for name in Name::SERVICES {
        platform.stack.remove_replica(name);
    }
    platform.all_ready().await?;
    platform.tables.check().await
}
