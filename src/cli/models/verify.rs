//! `ocelli models verify`: checks that a model does what its card says.

use super::objections;
use crate::cli::global::say;
use crate::error::{Error, Result};
use crate::infer::{Card, Extra, Golden, ModelStore, Plan, Session, selfcheck};
use crate::media::still;
use crate::models::classifier::Buffer;
use crate::models::{self, Family, Seen, reconstruction::Reconstructor, segmentation::Segmenter};
use crate::ops::iou::iou;
use crate::ops::nms::{Nms, Scope};
use crate::ops::resize::{Resize, plan};
use crate::types::{BBox, Detection, Image, Mask, ModelInput, PixelFormat};
use clap::Args;
use std::sync::Arc;

/// Check the hash, plan, shapes and golden picture of models (of all if none is named), and whether their answers can be
/// right
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Names of models
    names: Vec<String>,
    /// Compare tract's plans even if they were compared before
    #[arg(long)]
    again: bool,
}

impl VerifyArgs {
    /// Checks one model after another, and reports all faults.
    ///
    /// # Errors
    /// [`Error::Model`] with all faults.
    pub fn run(&self, store: &ModelStore) -> Result<()> {
        let names = if self.names.is_empty() { store.names() } else { self.names.clone() };
        if names.is_empty() {
            return Err(Error::Config("no models found; name their folder with --models or OCELLI_MODELS".into()));
        }
        let mut faults = Vec::new();
        for name in names {
            match store.card(&name).and_then(|card| self.verify(&card)) {
                Ok(said) => say(&format!("{name}: good ({said})\n"))?,
                Err(error) => faults.push(format!("{name}: {error}")),
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Model(faults.join("\n"))) }
    }

    /// Checks the hash, the plan, the shapes (by running a grey picture), whether the answers can be right, and, if the card
    /// has one, the golden picture.
    fn verify(&self, card: &Card) -> Result<String> {
        let family = models::family(card)?;
        let loaded = Arc::new(Plan::load(card, &Extra::default())?);
        let agreement = if self.again { selfcheck::compare(card, &loaded)? } else { selfcheck::ensure(card, &loaded)? };
        let session = Session::of(card, loaded, 1)?;
        let when = if agreement.known { "measured before" } else { "measured now" };
        let plans = format!("hash, plans {:.0e} apart ({when})", agreement.difference);
        let mut run = Run { card, family, session, source: Arc::from("") };
        let input = &card.fields.input;
        let mut grey = Image::new(input.size, PixelFormat::Rgb8);
        grey.data.fill(128);
        let placement = plan(input.size, input.size, input.fit).placement;
        let grey = ModelInput { image: grey, placement };
        run.answer(&grey, 0.5)?;
        run.object(&grey, &ModelInput { image: selfcheck::test_picture(input.size), placement })?;
        let Some(golden) = &card.fields.golden else {
            return Ok(format!("{plans}, shapes; the card has no golden picture"));
        };
        let path = card.folder.join(&golden.image);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let (mut picture, mut small) = (Image::default(), Image::default());
        let _ = still::decode(&bytes, &mut picture).map_err(|e| e.at(path.display()))?;
        let plan = plan(picture.size, input.size, input.fit);
        Resize::default().apply(&picture, &plan, input.filter, input.pad, &mut small)?;
        let input = ModelInput { image: small, placement: plan.placement };
        let answer = run.answer(&input, golden.min_score)?;
        if run.family.stage() == "detect" {
            run.object(&grey, &input)?;
        }
        answer.check(card, golden).map(|said| format!("{plans}, shapes, and {said}"))
    }
}

struct Run<'a> {
    card: &'a Card,
    family: Family,
    session: Session,
    source: Arc<str>,
}

/// A model's answer for a picture.
enum Answer {
    Boxes(Vec<Detection>),
    Class(usize),
    Mask(Mask),
    Picture,
}

impl Run<'_> {
    /// Objects to answers that cannot be right, for a grey picture and one with edges.
    fn object(&mut self, grey: &ModelInput, edges: &ModelInput) -> Result<()> {
        let (card, session) = (self.card, &mut self.session);
        match &self.family {
            Family::Classifier(spec) => {
                let (mut first, mut second) = (Buffer::default(), Buffer::default());
                for (input, buffer) in [(grey, &mut first), (edges, &mut second)] {
                    session.run(&self.source, &input.image)?;
                    spec.scores(&*session, card.labels.len(), buffer)?;
                }
                objections::classes(&second.scores, &first.scores)
            }
            Family::Segmentation(spec) => {
                session.run(&self.source, &edges.image)?;
                objections::map(spec, &*session)
            }
            Family::Reconstruction(_) => Ok(()),
            _ => {
                let mut found = Vec::new();
                let seen = Seen { source: &self.source, input: edges };
                models::detector(card)?.detect(session, seen, 0.0, &mut found)?;
                objections::boxes(&found, &edges.placement)
            }
        }
    }

    fn answer(&mut self, input: &ModelInput, min_score: f32) -> Result<Answer> {
        let (card, session) = (self.card, &mut self.session);
        if self.family.stage() != "detect" {
            session.run(&self.source, &input.image)?;
        }
        Ok(match &self.family {
            Family::Classifier(spec) => {
                let mut buffer = Buffer::default();
                spec.scores(&*session, card.labels.len(), &mut buffer)?;
                let best = (0..buffer.scores.len()).max_by(|&a, &b| buffer.scores[a].total_cmp(&buffer.scores[b]));
                Answer::Class(best.unwrap_or(0))
            }
            Family::Segmentation(spec) => {
                let mut mask = Mask::default();
                Segmenter::new(*spec, card)?.segment(&*session, &input.placement, &mut mask)?;
                Answer::Mask(mask)
            }
            Family::Reconstruction(spec) => {
                Reconstructor::new(*spec, card)?.read(&*session)?;
                Answer::Picture
            }
            _ => {
                let mut found = Vec::new();
                let seen = Seen { source: &self.source, input };
                models::detector(card)?.detect(session, seen, min_score, &mut found)?;
                let mut nms = Nms::default();
                let keep = nms.greedy(&found, 0.5, Scope::Class, 300);
                Answer::Boxes(keep.iter().map(|&i| found[i as usize].clone()).collect())
            }
        })
    }
}

impl Answer {
    /// Compares the answer with the card's golden picture.
    fn check(&self, card: &Card, golden: &Golden) -> Result<String> {
        let wrong = |message: String| Err(Error::Model(format!("golden picture: {message}")));
        let label = |class: usize| card.labels.get(class).map_or("?", String::as_str);
        match self {
            Self::Boxes(kept) => {
                for expected in &golden.expect {
                    let [x1, y1, x2, y2] = expected.bbox;
                    let real = BBox::new(x1, y1, x2, y2);
                    let same =
                        |d: &Detection| label(d.class.into()) == expected.label && iou(&d.bbox, &real) >= golden.iou;
                    if !kept.iter().any(same) {
                        return wrong(format!("no `{}` at {:?}", expected.label, expected.bbox));
                    }
                }
                if kept.len() != golden.expect.len() {
                    return wrong(format!("{} objects found, {} expected", kept.len(), golden.expect.len()));
                }
                Ok(format!("all {} objects of the golden picture", kept.len()))
            }
            Self::Class(class) => match &golden.label {
                Some(expected) if label(*class) != expected => {
                    wrong(format!("found `{}`, expected `{expected}`", label(*class)))
                }
                _ => Ok(format!("`{}` in the golden picture", label(*class))),
            },
            Self::Mask(mask) => {
                for expected in &golden.shares {
                    let found = mask.shares().find(|(c, _)| label((*c).into()) == expected.label).map_or(0.0, |s| s.1);
                    if (found - expected.share).abs() > 0.02 {
                        return wrong(format!(
                            "`{}` covers {found:.3}, {:.3} expected",
                            expected.label, expected.share
                        ));
                    }
                }
                Ok(format!("the shares of {} classes of the golden picture", golden.shares.len()))
            }
            Self::Picture => Ok("a picture of the right size".into()),
        }
    }
}
