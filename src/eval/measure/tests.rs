//! Cases small enough to count by hand.

use super::*;
use crate::labels::{ClassName, Labelled, Labels, Picture, Place};
use crate::media::png;
use crate::types::{Detection as Object, Found, Frame, Image, Maker, Mask, PixelFormat, Size};
use std::sync::Arc;

const SIZE: Size = Size::new(100, 100);

fn packet(name: &str, found: &[(u16, f32, [f32; 4])]) -> Packet {
    let image = Image::new(SIZE, PixelFormat::Rgb8);
    let mut packet = Packet::new(Arc::new(Frame { name: name.into(), image, ..Frame::default() }));
    let object = |(class, score, [x1, y1, x2, y2]): &(u16, f32, [f32; 4])| {
        Object::new(BBox::new(*x1, *y1, *x2, *y2), *class, *score)
    };
    let by = Maker::new("pets", ["cat".to_owned(), "dog".to_owned()]);
    packet.detections = Some(Found::new(found.iter().map(object).collect::<Vec<_>>().into(), &by));
    packet
}

fn label(class: &str, corners: [f64; 4], crowd: bool, difficult: bool) -> Labelled {
    Labelled { class: ClassName::Name(class.into()), place: Place::Pixels(corners), area: None, crowd, difficult }
}

fn labels(boxes: Vec<Labelled>) -> Labels {
    let picture = Picture { path: "a".into(), boxes, ..Picture::default() };
    Labels { pictures: vec![picture], ..Labels::default() }
}

fn counts(labels: Labels, found: &[(u16, f32, [f32; 4])]) -> Counts {
    let mut tally = Tally::new(Some(labels.into()), &[], 4);
    tally.add(&packet("a.jpg", found)).unwrap();
    tally.finish().unwrap().detection.unwrap().total
}

#[test]
fn each_object_is_found_once_and_the_rest_is_wrong_or_missed() {
    let real = || {
        vec![label("cat", [10.0, 10.0, 50.0, 50.0], false, false), label("dog", [60.0, 60.0, 90.0, 90.0], false, false)]
    };
    let cat = (0, 0.9, [10.0, 10.0, 50.0, 50.0]);
    assert_eq!(counts(labels(real()), &[cat]), Counts { right: 1, wrong: 0, missed: 1 });
    // The same cat twice, and a cat where the dog is.
    let found = [cat, (0, 0.8, [11.0, 10.0, 50.0, 50.0]), (0, 0.7, [60.0, 60.0, 90.0, 90.0])];
    assert_eq!(counts(labels(real()), &found), Counts { right: 1, wrong: 2, missed: 1 });
}

#[test]
fn difficult_objects_and_crowds_count_for_nothing() {
    let large = [0.0, 0.0, 100.0, 100.0];
    let small = [(0, 0.9, [5.0, 5.0, 15.0, 15.0]), (0, 0.8, [50.0, 50.0, 60.0, 60.0])];
    // A crowd excuses all that is inside; a difficult object only what covers it.
    assert_eq!(counts(labels(vec![label("cat", large, true, false)]), &small), Counts::default());
    let wrong = Counts { right: 0, wrong: 2, missed: 0 };
    assert_eq!(counts(labels(vec![label("cat", large, false, true)]), &small), wrong);
    let whole = [(0, 0.9, [0.0, 0.0, 100.0, 95.0])];
    assert_eq!(counts(labels(vec![label("cat", large, false, true)]), &whole), Counts::default());
}

#[test]
fn what_was_not_played_or_is_not_labelled_is_told() {
    let mut all = labels(vec![label("cat", [10.0, 10.0, 50.0, 50.0], false, false)]);
    all.pictures.push(Picture { path: "never".into(), ..Picture::default() });
    let mut tally = Tally::new(Some(all.into()), &[], 0);
    tally.add(&packet("a.png", &[])).unwrap();
    tally.add(&packet("other.png", &[])).unwrap();
    let measured = tally.finish().unwrap();
    assert_eq!((measured.frames, measured.unlabelled, measured.unseen), (1, 1, 1));
    let nothing = Tally::new(None, &[], 0);
    assert!(nothing.finish().unwrap_err().to_string().contains("give --labels"));
    let mut nobody = Tally::new(Some(labels(Vec::new()).into()), &["bird".into()], 0);
    nobody.add(&packet("a.png", &[(0, 0.9, [0.0, 0.0, 9.0, 9.0])])).unwrap();
    assert!(nobody.finish().unwrap_err().to_string().contains("no `bird`"));
}

fn masks(real: &[&[u8]], found: &[&[u8]]) -> Result<Measured> {
    let folder = tempfile::tempdir().unwrap();
    let (mut pictures, size) = (Vec::new(), Size::new(2, 2));
    for (index, values) in real.iter().enumerate() {
        let path = folder.path().join(format!("{index}.png"));
        let image = Image { size, format: PixelFormat::Gray8, data: values.to_vec() };
        png::encode(&image, std::fs::File::create(&path).unwrap()).unwrap();
        pictures.push(Picture { path: index.to_string(), mask: Some(path), ..Picture::default() });
    }
    let mut tally = Tally::new(Some(Labels { pictures, ..Labels::default() }.into()), &[], 2);
    for (index, classes) in found.iter().enumerate() {
        let mut packet = packet(&format!("{index}.jpg"), &[]);
        packet.detections = None;
        let by = Maker::new("roads", ["nothing".to_owned(), "road".to_owned()]);
        packet.mask = Some(Found::new(Arc::new(Mask { size, classes: classes.to_vec() }), &by));
        tally.add(&packet)?;
    }
    tally.finish()
}

#[test]
fn unlabelled_pixels_do_not_count_and_unknown_values_end_the_run() {
    let measured = masks(&[&[0, 0, 1, 255], &[0, 1, 1, 1]], &[&[0, 1, 1, 1], &[0, 1, 1, 1]]).unwrap();
    let confusion = measured.segmentation.unwrap().confusion;
    // 7 labelled pixels, of which 6 are right.
    assert!((confusion.pixel_accuracy().unwrap() - 6.0 / 7.0).abs() < 1e-12);
    assert!(measured.info.iter().any(|line| line == "not labelled: 12.5 % of the pixels"), "{:?}", measured.info);
    // The second picture has a class that the model does not know.
    let error = masks(&[&[0, 0, 1, 1], &[7, 7, 1, 1]], &[&[0, 1, 1, 1], &[0, 1, 1, 1]]).unwrap_err().to_string();
    assert!(error.contains("contain 7, beyond the 2 classes"), "{error}");
    let binary = masks(&[&[0, 255, 255, 0]], &[&[0, 1, 1, 0]]).unwrap();
    assert_eq!(binary.segmentation.unwrap().confusion.mean_iou(), Some(1.0));
    let error = masks(&[&[1, 2, 2, 1]], &[&[0, 1, 1, 0]]).unwrap_err().to_string();
    assert!(error.contains("--offset 1"), "{error}");
}
