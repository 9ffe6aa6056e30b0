//! Plots as SVG: what one would rather look at than read.

use std::fmt::Write as _;

use super::row::number;

/// One measured point; `low` is a second curve's value at the same place.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: Option<f64>,
}

/// What is drawn.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// The names of the curves: of `y`, and of `low`.
    pub(crate) curves: [&'a str; 2],
    /// Whether x doubles from tick to tick.
    pub(crate) is_log: bool,
    pub(crate) points: &'a [Point],
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const COLORS: [&str; 2] = ["#b4483f", "#2f6f9f"];

impl Plot<'_> {
    /// The picture; grey on nothing, so that it reads on light and dark pages.
    pub(crate) fn svg(&self) -> String {
        let mut points = self.points.to_vec();
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        let x_max = points.iter().map(|point| point.x).fold(1.0, f64::max);
        let y_max = points.iter().map(|point| point.y).fold(0.001, f64::max) * 1.1;
        let along = |x: f64| {
            let part = if self.is_log {
                x.max(1.0).log2() / x_max.max(2.0).log2()
            } else {
                x / x_max
            };
            LEFT + part * (WIDTH - LEFT - RIGHT)
        };
        let up = |y: f64| HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#808080\">\n",
            self.title
        );
        text(&mut svg, WIDTH / 2.0, 20.0, "middle", self.title);
        text(&mut svg, WIDTH / 2.0, HEIGHT - 8.0, "middle", self.x);
        text(&mut svg, LEFT, TOP - 8.0, "end", self.y);
        for step in 0..=4 {
            let y = y_max * f64::from(step) / 4.0;
            line(&mut svg, (LEFT, up(y)), (WIDTH - RIGHT, up(y)));
            text(&mut svg, LEFT - 6.0, up(y) + 4.0, "end", &number(y));
        }
        for point in &points {
            text(
                &mut svg,
                along(point.x),
                HEIGHT - BOTTOM + 16.0,
                "middle",
                &format!("{:.0}", point.x),
            );
        }
        let high: Vec<(f64, f64)> = points.iter().map(|point| (along(point.x), up(point.y))).collect();
        let low: Vec<(f64, f64)> = points
            .iter()
            .filter_map(|point| Some((along(point.x), up(point.low?))))
            .collect();
        for (index, curve) in [high, low]
            .into_iter()
            .enumerate()
            .filter(|(_, curve)| !curve.is_empty())
        {
            draw(&mut svg, &curve, COLORS[index]);
            let (x, y) = (LEFT + 12.0 + 110.0 * index as f64, TOP + 14.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{:.0}\" width=\"10\" height=\"10\" fill=\"{}\"/>",
                y - 9.0,
                COLORS[index]
            );
            text(&mut svg, x + 14.0, y, "start", self.curves[index]);
        }
        svg + "</svg>\n"
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#808080\" stroke-opacity=\"0.3\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn draw(svg: &mut String, curve: &[(f64, f64)], color: &str) {
    let path: Vec<String> = curve.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
        path.join(" ")
    );
    for (x, y) in curve {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_values_are_drawn_higher_and_all_of_them_inside() {
        let point = |x, y| Point {
            x,
            y,
            low: Some(y / 2.0),
        };
        let points = [point(64.0, 3_000.0), point(1.0, 400.0)];
        let plot = Plot {
            title: "throughput",
            x: "connections",
            y: "orders/s",
            curves: ["p99", "p50"],
            is_log: true,
            points: &points,
        };
        let svg = plot.svg();
        let centers: Vec<f64> = svg
            .split("cy=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(centers.len(), 4);
        assert!(centers[1] < centers[0], "3,000 is above 400: {centers:?}");
        assert!(
            centers.iter().all(|y| (TOP..=HEIGHT - BOTTOM).contains(y)),
            "{centers:?}"
        );
        assert_eq!(svg.matches("<polyline").count(), 2);
    }
}
