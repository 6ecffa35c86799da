//! Shows the graph as text, for Graphviz, and as SVG.

use super::config::{Pipeline, WhenFull};
use super::graph::Graph;
use super::settings::Settings;
use crate::host::decimal_bytes;
use crate::stage::Disk;
use std::fmt::Write as _;

impl Graph {
    /// Returns a table of the lines: what each reads, its queue, and what its packets carry; then the memory bound.
    #[must_use]
    pub fn text(&self, pipeline: &Pipeline) -> String {
        let mut out = String::new();
        let id_width = pipeline.lines.iter().map(|line| line.id.chars().count()).max().unwrap_or(2).max(4);
        let from_width =
            (0..self.nodes.len()).map(|at| self.from_text(pipeline, at).chars().count()).max().unwrap_or(4);
        for (index, (line, node)) in pipeline.lines.iter().zip(&self.nodes).enumerate() {
            let kind = match line.settings {
                Settings::Source(_) if node.live => "live source",
                Settings::Source(_) => "recorded source",
                Settings::Stage(_) => "stage",
                Settings::Sink(_) => "sink",
            };
            let from = self.from_text(pipeline, index);
            let queue = if node.inputs.is_empty() {
                String::new()
            } else {
                format!("{} {}", when_text(node.when_full), node.capacity)
            };
            let carries = if matches!(line.settings, Settings::Sink(_)) {
                String::new()
            } else {
                format!("→ {}", self.carries_text(index))
            };
            let _ = writeln!(out, "  {:id_width$}  {kind:15}  {from:from_width$}  {queue:13}  {carries}", line.id);
        }
        let frames = self.frames_bound();
        let memory = self.memory_bound_bytes().map_or_else(
            || "their size is not known until the source is open".to_owned(),
            |bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        );
        let _ = writeln!(out, "  at most {frames} frames queued or being processed: {memory}");
        for (line, node) in pipeline.lines.iter().zip(&self.nodes) {
            let Settings::Sink(sink) = &line.settings else { continue };
            let most = match sink.disk(node.live) {
                Disk::None => continue,
                Disk::OneFile => "one file".to_owned(),
                Disk::Most(bytes) => format!("at most {}", decimal_bytes(bytes)),
                Disk::Unbounded(_) if node.live => "no bound".to_owned(),
                Disk::Unbounded(_) => "as much as its frames need".to_owned(),
            };
            let _ = writeln!(out, "  disk space of `{}`: {most}", line.id);
        }
        for note in &self.notes {
            let _ = writeln!(out, "  note: {note}");
        }
        out
    }

    fn from_text(&self, pipeline: &Pipeline, index: usize) -> String {
        let ids: Vec<&str> = self.nodes[index].inputs.iter().map(|&input| pipeline.lines[input].id.as_str()).collect();
        if ids.is_empty() { String::new() } else { format!("← {}", ids.join(", ")) }
    }

    fn carries_text(&self, index: usize) -> String {
        let node = &self.nodes[index];
        let frame = node.frame.map_or_else(|| "frame".to_owned(), |size| format!("frame {size}"));
        let words = node.carries.words();
        if words.is_empty() { frame } else { format!("{frame}, {words}") }
    }

    /// Returns the graph in Graphviz's DOT language.
    #[must_use]
    pub fn dot(&self, pipeline: &Pipeline) -> String {
        let mut out = String::from("digraph pipeline {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for (index, line) in pipeline.lines.iter().enumerate() {
            let shape = match line.settings {
                Settings::Source(_) => "cds",
                Settings::Stage(_) => "box",
                Settings::Sink(_) => "note",
            };
            let _ = writeln!(out, "  n{index} [label=\"{}\", shape={shape}];", line.id);
            for &input in &self.nodes[index].inputs {
                let _ = writeln!(out, "  n{input} -> n{index} [label=\"{}\"];", self.carries_text(input));
            }
        }
        out.push_str("}\n");
        out
    }

    /// Returns the graph as SVG, in columns by distance from the source.
    #[must_use]
    pub fn svg(&self, pipeline: &Pipeline) -> String {
        let (wide, high, gap_x, gap_y) = (150_usize, 44_usize, 60_usize, 26_usize);
        let mut column = vec![0; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            column[index] = node.inputs.iter().map(|&input| column[input] + 1).max().unwrap_or(0);
        }
        let mut used = vec![0; column.iter().max().map_or(1, |max| max + 1)];
        let place: Vec<(usize, usize)> = column
            .iter()
            .map(|&c| {
                used[c] += 1;
                (20 + c * (wide + gap_x), 20 + (used[c] - 1) * (high + gap_y))
            })
            .collect();
        let width = 20 + used.len() * (wide + gap_x);
        let height = 20 + used.iter().max().unwrap_or(&1) * (high + gap_y);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#555\"/></marker></defs>\n"
        );
        for (index, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                let (x1, y1) = (place[input].0 + wide, place[input].1 + high / 2);
                let (x2, y2) = (place[index].0, place[index].1 + high / 2);
                let middle = usize::midpoint(x1, x2);
                let _ = writeln!(
                    out,
                    "<path d=\"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#555\" stroke-width=\"1.5\" marker-end=\"url(#head)\"><title>{}</title></path>",
                    self.carries_text(input)
                );
            }
        }
        for (line, (x, y)) in pipeline.lines.iter().zip(&place) {
            let fill = match line.settings {
                Settings::Source(_) => "#cfe8ff",
                Settings::Stage(_) => "#e9e4ff",
                Settings::Sink(_) => "#d9f2d0",
            };
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" rx=\"8\" fill=\"{fill}\" stroke=\"#555\"/>"
            );
            let (cx, cy) = (x + wide / 2, y + high / 2 + 5);
            let (id, label) = (&line.id, short(&line.id, 17));
            let _ =
                writeln!(out, "<text x=\"{cx}\" y=\"{cy}\" text-anchor=\"middle\"><title>{id}</title>{label}</text>");
        }
        out.push_str("</svg>\n");
        out
    }
}

/// A name that fits: cut where a word in it ends, if it is too long.
fn short(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let head: String = name.chars().take(most - 1).collect();
    let end = head.rfind(['_', '-', ' ', '.']).filter(|end| *end >= most / 2).unwrap_or(head.len());
    format!("{}…", &head[..end])
}

const fn when_text(when: WhenFull) -> &'static str {
    match when {
        WhenFull::Block => "block",
        WhenFull::DropOldest => "drop_oldest",
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn long_names_are_cut_where_a_word_ends() {
        assert_eq!(short("front_door", 17), "front_door");
        assert_eq!(short("people_at_the_front_door", 17), "people_at_the…");
        assert_eq!(short("überwachungskamera", 17), "überwachungskame…");
    }
}
