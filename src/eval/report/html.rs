//! The measurements as one HTML file: no external requests, readable on a phone.

use super::drawn::{Drawn, ROWS};
use super::{CLASS_HEAD, MEANING, boxes, others};
use crate::error::Result;
use crate::eval::compare::Comparison;
use crate::eval::measure::Measured;
use crate::eval::page::{Page, escape};
use crate::eval::table::shown;
use crate::labels::shown as plain;
use base64::Engine as _;
use std::fmt::Write as _;

impl Measured {
    /// Returns an HTML page with all numbers, curves, kinds of error, and the worst pictures.
    ///
    /// # Errors
    /// If a picture is too large for a JPEG.
    pub fn html(&self, title: &str, against: Option<&Comparison>) -> Result<String> {
        let mut page = Page::new(&plain(title));
        self.sections(&mut page, against)?;
        Ok(page.finish())
    }

    /// Adds the same to a page.
    ///
    /// # Errors
    /// As [`Measured::html`].
    pub fn sections(&self, page: &mut Page, against: Option<&Comparison>) -> Result<()> {
        page.raw(STYLE);
        page.text(&self.head());
        if let Some(comparison) = against {
            page.heading("Against the earlier run");
            page.text(&comparison.text());
        }
        if let Some(detection) = &self.detection {
            let summary = detection.coco.summary.named();
            let rows: Vec<Vec<String>> = summary
                .into_iter()
                .zip(MEANING)
                .map(|((name, value), meaning)| vec![name.to_owned(), shown(value), meaning.to_owned()])
                .collect();
            page.heading("Average precision (COCO)");
            page.table(&["", "", "meaning"], &rows);
            page.heading("Class by class");
            page.table(&CLASS_HEAD, &detection.rows().into_iter().take(ROWS).collect::<Vec<_>>());
            boxes::errors(detection, page);
        }
        others::sections(self, page);
        self.gallery(page);
        if let Some(detection) = &self.detection {
            boxes::curves(detection, page);
        }
        self.all_pictures(page);
        page.heading("Where this comes from");
        let rows: Vec<Vec<String>> =
            self.provenance.iter().map(|(what, value)| vec![what.clone(), plain_long(value)]).collect();
        page.table(&["", ""], &rows);
        page.raw(SCRIPT);
        Ok(())
    }

    /// The pictures with the most errors, with what is there and what was found drawn on them.
    fn gallery(&self, page: &mut Page) {
        if self.shots.is_empty() {
            return;
        }
        page.heading(&format!("The worst {} pictures", self.shots.len()));
        let mut figures = Vec::new();
        for shot in &self.shots {
            let title = self.records.get(shot.image).map_or("", |record| record.name.as_str());
            let drawn = match &self.detection {
                Some(detection) => boxes::overlay(detection, shot, &self.words(shot.image)),
                None => others::overlay(self, shot),
            };
            figures.push((title, drawn, shot));
        }
        page.raw(&filters(&figures.iter().map(|(_, drawn, _)| drawn).collect::<Vec<_>>()));
        page.raw("<div class=\"shots\">");
        for (title, drawn, shot) in figures {
            let list =
                |words: &[String]| words.iter().map(|word| format!("|{}", escape(word))).collect::<String>() + "|";
            let mut html = format!(
                "<figure class=\"shot\" data-c=\"{}\" data-k=\"{}\"><div class=\"v\">",
                list(&drawn.classes),
                list(&drawn.kinds)
            );
            for jpeg in &shot.jpegs {
                let data = base64::engine::general_purpose::STANDARD.encode(jpeg);
                let _ = write!(
                    html,
                    "<img loading=\"lazy\" decoding=\"async\" alt=\"\" width=\"{}\" height=\"{}\" src=\"data:image/jpeg;base64,{data}\">",
                    shot.size.width, shot.size.height
                );
            }
            let _ = write!(
                html,
                "{}</div><figcaption><b>{}</b>\n{}</figcaption></figure>\n",
                drawn.svg,
                escape(&plain(title)),
                escape(&drawn.caption)
            );
            page.raw(&html);
        }
        page.raw("</div>\n");
    }

    /// The names of all pictures with errors, worst first.
    fn all_pictures(&self, page: &mut Page) {
        let mut wrong: Vec<_> = self.records.iter().filter(|r| r.wrong + r.missed as f64 > 0.0).collect();
        wrong.sort_by(|a, b| (b.wrong + b.missed as f64).total_cmp(&(a.wrong + a.missed as f64)));
        if wrong.len() <= self.shots.len() {
            return;
        }
        page.heading(&format!("All {} pictures with errors", wrong.len()));
        let number = |v: f64| if v.fract() == 0.0 { format!("{v:.0}") } else { format!("{v:.4}") };
        let row = |r: &&crate::eval::records::Record| vec![plain(&r.name), number(r.wrong), r.missed.to_string()];
        page.fold(
            "names and numbers of errors",
            &["picture", "wrong", "missed"],
            &wrong.iter().map(row).collect::<Vec<_>>(),
        );
    }
}

/// Menus that choose pictures by class and by kind of error.
fn filters(all: &[&Drawn]) -> String {
    let menu = |id: &str, any: &str, words: Vec<&String>| {
        let mut words = words;
        words.sort();
        words.dedup();
        let options: String = words
            .iter()
            .take(2000)
            .map(|w| format!("<option value=\"{}\">{}</option>", escape(w), escape(&plain(w))))
            .collect();
        if words.len() < 2 {
            return String::new();
        }
        format!("<label>{any} <select id=\"{id}\"><option value=\"\">all</option>{options}</select></label> ")
    };
    let classes = menu("fc", "class", all.iter().flat_map(|drawn| &drawn.classes).collect());
    let kinds = menu("fk", "error", all.iter().flat_map(|drawn| &drawn.kinds).collect());
    format!("<p class=\"menus\">{classes}{kinds}<span id=\"fn\"></span></p>\n")
}

/// Control characters shown; long texts may stay long.
fn plain_long(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

const STYLE: &str = "<style>.shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26em),1fr));gap:1em}\
.shot{margin:0;content-visibility:auto;contain-intrinsic-size:auto 20em}.v{position:relative;line-height:0}.v img{width:100%;height:auto}\
.v svg{position:absolute;inset:0;width:100%;height:100%}.v svg text{paint-order:stroke;stroke:#000;stroke-width:.25em;font-family:system-ui,sans-serif}\
.shot figcaption{overflow-wrap:anywhere}.menus select{font:inherit;max-width:16em}.m td{text-align:center;min-width:2.2em}.m .d{outline:2px solid #888}\
.key{display:inline-block;width:1em;height:1em;vertical-align:-.15em;border:3px solid}</style>\n";

const SCRIPT: &str = "<script>(()=>{const c=document.getElementById('fc'),k=document.getElementById('fk'),n=document.getElementById('fn'),\
s=[...document.querySelectorAll('.shot')],f=()=>{let t=0;for(const e of s){const on=(!c||!c.value||e.dataset.c.includes('|'+c.value+'|'))&&(!k||!k.value||e.dataset.k.includes('|'+k.value+'|'));\
e.hidden=!on;t+=on}if(n)n.textContent=t+' of '+s.length};for(const e of[c,k])if(e)e.onchange=f;if(s.length)f()})()</script>\n";
