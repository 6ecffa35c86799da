//! A single HTML file that contains tables, charts and pictures: nothing to install, nothing to download.

use crate::error::Result;
use crate::media::jpeg;
use crate::types::Image;
use base64::Engine as _;
use std::fmt::Write as _;

/// A page that grows from top to bottom.
pub struct Page(String);

/// A curve of a chart: its name and its points.
pub type Series = (String, Vec<(f64, f64)>);

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#222;background:#fff}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child,.l{text-align:left}th{background:#f4f4f4}img{max-width:100%;display:block}\
.w{overflow-x:auto}svg{max-width:100%;height:auto}figure{margin:1.5em 0}figcaption,pre{font:13px/1.5 ui-monospace,monospace;white-space:pre-wrap}svg text{font:12px system-ui,sans-serif}";

/// Eight colours that colour-blind people can tell apart (Okabe and Ito 2008).
const COLORS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f"];

/// Escapes text for HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    /// Creates a page with a title and nothing below it.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        Self(format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>\n"
        ))
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.0, "<h2>{}</h2>", escape(text));
    }

    /// Adds HTML as it is.
    pub fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// Adds a paragraph.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p>{}</p>", escape(text));
    }

    /// Adds a table that opens on demand.
    pub fn fold(&mut self, title: &str, head: &[&str], rows: &[Vec<String>]) {
        let _ = write!(self.0, "<details><summary>{}</summary>", escape(title));
        self.table(head, rows);
        self.0.push_str("</details>\n");
    }

    /// Adds a table of counts; the larger a count's share of its row, the darker it is. The diagonal is framed.
    pub fn matrix(&mut self, head: &[String], rows: &[(String, Vec<u64>)]) {
        self.0.push_str("<div class=\"w\"><table class=\"m\"><tr><th></th>");
        head.iter().for_each(|name| _ = write!(self.0, "<th>{}</th>", escape(name)));
        self.0.push_str("</tr>\n");
        for (at, (name, counts)) in rows.iter().enumerate() {
            let all = counts.iter().sum::<u64>().max(1) as f64;
            let _ = write!(self.0, "<tr><td>{}</td>", escape(name));
            for (column, count) in counts.iter().enumerate() {
                let share = *count as f64 / all;
                let (hue, own) = if column == at { (150, " class=\"d\"") } else { (20, "") };
                let shown = if *count == 0 { String::new() } else { count.to_string() };
                let _ =
                    write!(self.0, "<td{own} style=\"background:hsl({hue} 80% 45%/{:.2})\">{shown}</td>", share * 0.8);
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</table></div>\n");
    }

    /// Adds preformatted text.
    pub fn text(&mut self, text: &str) {
        let _ = writeln!(self.0, "<pre>{}</pre>", escape(text));
    }

    /// Adds a table; the first column names the rows.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        // Words stand on the left, numbers on the right.
        let is_number = |cell: &str| {
            cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) || cell.is_empty()
        };
        let words = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|cell| !is_number(cell)));
        let left: Vec<bool> = (0..head.len()).map(words).collect();
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            let class = |at: usize| if left.get(at) == Some(&true) { " class=\"l\"" } else { "" };
            cells
                .enumerate()
                .map(|(at, cell)| format!("<{tag}{}>{}</{tag}>", class(at), escape(cell)))
                .collect::<String>()
        };
        let _ = writeln!(self.0, "<div class=\"w\"><table><tr>{}</tr>", cells("th", &mut head.iter().copied()));
        for row in rows {
            let _ = writeln!(self.0, "<tr>{}</tr>", cells("td", &mut row.iter().map(String::as_str)));
        }
        self.0.push_str("</table></div>\n");
    }

    /// Adds a picture, as a JPEG within the page.
    ///
    /// # Errors
    /// If it is too large for a JPEG.
    pub fn picture(&mut self, picture: &Image, caption: &str) -> Result<()> {
        let mut bytes = Vec::new();
        jpeg::encode(picture, 85, &mut bytes)?;
        let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let caption = escape(caption);
        let _ = writeln!(
            self.0,
            "<figure><img loading=\"lazy\" alt=\"{caption}\" src=\"data:image/jpeg;base64,{data}\"><figcaption>{caption}</figcaption></figure>"
        );
        Ok(())
    }

    /// Adds a line chart with the given ranges of both axes.
    pub fn chart(&mut self, (across, up): (&str, &str), series: &[Series], ranges: [(f64, f64); 2]) {
        const WIDE: f64 = 640.0;
        const HIGH: f64 = 360.0;
        const EDGE: f64 = 56.0;
        let [(x1, x2), (y1, y2)] = ranges.map(|(from, to)| if to > from { (from, to) } else { (from, from + 1.0) });
        let x = |value: f64| EDGE + (value - x1) / (x2 - x1) * WIDE;
        let y = |value: f64| 16.0 + (1.0 - (value - y1) / (y2 - y1)) * HIGH;
        let (full_w, full_h) = (WIDE + EDGE + 180.0, HIGH + EDGE);
        let out = &mut self.0;
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 {full_w} {full_h}\" width=\"{full_w}\" height=\"{full_h}\" role=\"img\" aria-label=\"{} over {}\">",
            escape(up),
            escape(across)
        );
        for step in 0..=5 {
            let part = f64::from(step) / 5.0;
            let (vx, vy) = (x1 + part * (x2 - x1), y1 + part * (y2 - y1));
            let (px, py, bottom, right) = (x(vx), y(vy), y(y1), x(x2));
            let _ = write!(
                out,
                "<path d=\"M{EDGE} {py:.1}H{right:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                EDGE - 6.0,
                py + 4.0,
                tick(vy)
            );
            let _ = write!(
                out,
                "<path d=\"M{px:.1} 16V{bottom:.1}\" stroke=\"#eee\"/><text x=\"{px:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                tick(vx)
            );
        }
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(f64::midpoint(x1, x2)),
            HIGH + 48.0,
            escape(across)
        );
        let _ = write!(out, "<text x=\"4\" y=\"12\">{}</text>", escape(up));
        for (at, (name, points)) in series.iter().enumerate() {
            let color = COLORS[at % COLORS.len()];
            let path: Vec<String> = points.iter().map(|(px, py)| format!("{:.1} {:.1}", x(*px), y(*py))).collect();
            let _ =
                write!(out, "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>", path.join("L"));
            let place = 28.0 + 18.0 * at as f64;
            let left = x(x2) + 14.0;
            let _ = write!(
                out,
                "<path d=\"M{left} {place}h18\" stroke=\"{color}\" stroke-width=\"3\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                left + 24.0,
                place + 4.0,
                escape(name)
            );
        }
        out.push_str("</svg>\n");
    }

    /// Returns the whole page.
    #[must_use]
    pub fn finish(self) -> String {
        self.0 + "</html>\n"
    }
}

/// Formats a number on an axis.
fn tick(value: f64) -> String {
    if value.abs() >= 10.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_stands_for_itself() {
        let mut page = Page::new("a<b");
        page.table(&["x"], &[vec!["<script>".into()]]);
        page.chart(("recall", "precision"), &[("\"dog\"".into(), vec![(0.0, 1.0), (1.0, 0.0)])], [(0.0, 1.0); 2]);
        let text = page.finish();
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;") && text.contains("&quot;dog&quot;"));
        assert!(text.contains("M56.0 16.0L696.0 376.0"), "{text}");
    }
}
