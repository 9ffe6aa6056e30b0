//! The timeline of an order for operators.

use anyhow::Context as _;
use chrono::SecondsFormat;
use orders::timeline::find_timeline;
use streams::service::pool;
use uuid::Uuid;

use crate::settings::ApiSettings;

/// Prints a line per stage: its name, its time, and the milliseconds since the stage before.
///
/// # Errors
/// There is no such order, or the database does not answer.
pub async fn print_timeline(settings: &ApiSettings, order_id: Uuid) -> anyhow::Result<()> {
    let pool = pool(settings.database_url.expose(), 1, "timeline")?;
    let timeline = find_timeline(&pool, None, order_id).await?;
    let timeline = timeline.with_context(|| format!("there is no order {order_id}"))?;
    let mut before = None;
    for (stage, at) in timeline {
        let passed = (at - before.unwrap_or(at)).as_seconds_f64() * 1_000.0;
        let time = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        println!("{:<10} {time}  +{passed:.1} ms", stage.as_str());
        before = Some(at);
    }
    Ok(())
}
