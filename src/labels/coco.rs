//! COCO's JSON, read as pycocotools reads it, one annotation at a time.
//!
//! <https://cocodataset.org/#format-data>. Boxes are left, top, width and height in pixels, counted from 0.

use super::loose::{Id, Loose};
use super::notes::Notes;
use super::text::{self, shown};
use super::{ClassName, Format, Labelled, Labels, Picture, Place};
use crate::error::{Error, Result};
use crate::types::Size;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// A file. Its annotations are [`Member`]s or, if one of them is odd, texts to be read one by one.
#[derive(Deserialize)]
#[serde(bound(deserialize = "A: Deserialize<'de>"))]
struct File<'a, A = Member<'a>> {
    #[serde(borrow)]
    images: Option<Vec<&'a RawValue>>,
    annotations: Option<Vec<A>>,
    #[serde(borrow)]
    categories: Option<&'a RawValue>,
}

/// An annotation; `None` if it is not a JSON object, or has a key twice.
struct Member<'a>(Option<Compact<'a>>);

/// What is needed of an annotation.
struct Compact<'a> {
    image: Option<Id>,
    category: Option<Id>,
    bbox: Option<[f64; 4]>,
    area: Option<f64>,
    crowd: bool,
    segmentation: Option<&'a RawValue>,
}

impl<'a> From<Annotation<'a>> for Compact<'a> {
    fn from(a: Annotation<'a>) -> Self {
        let bbox = match &a.bbox {
            Loose::List(list) if list.len() == 4 && list.iter().all(Option::is_some) => {
                let mut values = list.iter().flatten().copied();
                Some([(); 4].map(|()| values.next().unwrap_or_default()))
            }
            _ => None,
        };
        Self {
            image: a.image_id.id(),
            category: a.category_id.id(),
            bbox,
            area: a.area.number(),
            crowd: a.iscrowd.is_true(),
            segmentation: a.segmentation,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Annotation::deserialize(deserializer).map(|annotation| Self(Some(annotation.into())))
    }
}

impl<'a> File<'a> {
    fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        if let Ok(file) = serde_json::from_str(text) {
            return Ok(file);
        }
        let odd: File<'a, &'a RawValue> = serde_json::from_str(text)?;
        let member =
            |raw: &'a RawValue| Member(serde_json::from_str::<Annotation<'a>>(raw.get()).ok().map(Compact::from));
        let annotations = odd.annotations.map(|list| list.into_iter().map(member).collect());
        Ok(Self { images: odd.images, annotations, categories: odd.categories })
    }
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow, default)]
    id: Loose<'a>,
    #[serde(borrow, default)]
    file_name: Loose<'a>,
    #[serde(borrow, default)]
    coco_url: Loose<'a>,
    #[serde(borrow, default)]
    width: Loose<'a>,
    #[serde(borrow, default)]
    height: Loose<'a>,
}

#[derive(Deserialize)]
struct Annotation<'a> {
    #[serde(borrow, default)]
    image_id: Loose<'a>,
    #[serde(borrow, default)]
    category_id: Loose<'a>,
    #[serde(borrow, default)]
    bbox: Loose<'a>,
    #[serde(borrow, default)]
    area: Loose<'a>,
    #[serde(borrow, default)]
    iscrowd: Loose<'a>,
    /// Looked into only if there is no box.
    #[serde(borrow, default)]
    segmentation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Category<'a> {
    #[serde(borrow, default)]
    id: Loose<'a>,
    #[serde(borrow, default)]
    name: Loose<'a>,
}

/// Returns whether a text is COCO's: judged by its first part, since such files are large.
#[must_use]
pub fn is_one(head: &str) -> bool {
    let has = |key: &str| head.contains(key);
    head.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).starts_with('{')
        && (has("\"images\"") || has("\"annotations\"") || has("\"categories\"") || has("\"info\""))
        && !has("\"shapes\"")
}

/// Reads a file into `labels`.
///
/// # Errors
/// [`Error::Data`] with the place, if it is no COCO file, or if its ids are ambiguous.
pub fn read(path: &Path, split: Option<&Arc<str>>, labels: &mut Labels) -> Result<()> {
    let text = text::read(path, &mut labels.notes)?;
    parse(&text, path, split, labels).map_err(|e| e.at(path.display()))
}

/// Reads a text into `labels`.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, path: &Path, split: Option<&Arc<str>>, labels: &mut Labels) -> Result<()> {
    labels.format = Format::Coco;
    let plain;
    let file = match File::read(text) {
        Ok(file) => file,
        Err(error) => {
            // Python writes numbers that JSON does not have.
            plain = without_nan(text);
            let again = plain.as_deref().map(File::read);
            again.and_then(Result::ok).ok_or_else(|| refuse(text, &error))?
        }
    };
    if let (true, Some(why)) = (file.images.is_none() || file.categories.is_none(), foreign(text)) {
        return Err(Error::Data(format!("not COCO labels but {why}")));
    }
    let categories = categories(file.categories, &mut labels.notes)?;
    let Some(images) = file.images else {
        return Err(Error::Data("no `images` in it, so nothing says which pictures are labelled".into()));
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let pictures = pictures(&images, path, split, labels)?;
    if file.annotations.is_none() {
        labels.notes.say(format!("{name} has no `annotations`, so its pictures count as empty"));
    }
    let (mut read, mut notes) = (0, Notes::default());
    for (index, member) in file.annotations.unwrap_or_default().into_iter().enumerate() {
        let at = || format!("{name}: annotations[{index}]");
        match object(member, &categories, &pictures) {
            Ok((picture, labelled, odd)) => {
                if let Some(kind) = odd {
                    notes.add(kind, at);
                }
                read += 1;
                labels.pictures[picture].boxes.push(labelled);
            }
            Err((kind, which)) => notes.left_out(kind, || format!("{}{which}", at())),
        }
    }
    notes.most_are_sound("COCO", read)?;
    labels.notes.extend(notes);
    let own: HashSet<usize> = pictures.into_values().collect();
    for (_, picture) in labels.pictures.iter().enumerate().filter(|(at, _)| own.contains(at)) {
        twice(picture, &mut labels.notes);
    }
    Ok(())
}

/// Notes objects that are there twice.
fn twice(picture: &Picture, notes: &mut Notes) {
    let key = |labelled: &Labelled| match (&labelled.class, labelled.place) {
        (ClassName::Name(class), Place::Pixels(place)) => Some((Arc::clone(class), place.map(f64::to_bits))),
        _ => None,
    };
    let mut seen = HashSet::with_capacity(picture.boxes.len());
    for labelled in &picture.boxes {
        if key(labelled).is_some_and(|key| !seen.insert(key)) {
            notes.add("the same object twice (both count; remove one)", || shown(&picture.path));
        }
    }
}

/// Says what a file is that is not COCO's.
fn refuse(text: &str, error: &serde_json::Error) -> Error {
    let place = format!("{}:{}", error.line(), error.column());
    let start = text.trim_start();
    match foreign(text) {
        Some(why) => Error::Data(format!("not COCO labels but {why}")),
        None if start.starts_with(['{', '[']) => Error::Data(format!("{place}: not COCO labels: {error}")),
        None => {
            let head: String = start.chars().take(40).collect();
            let hint = if head.starts_with("version https://git-lfs") {
                "; it is a Git LFS pointer: run `git lfs pull`"
            } else {
                ""
            };
            Error::Data(format!("not JSON: it begins with `{}`{hint}", shown(&head)))
        }
    }
}

/// Other tools' own formats, by the keys that only they have.
fn foreign(text: &str) -> Option<&'static str> {
    let has = |key: &str| text.contains(key);
    let list = text.trim_start().starts_with('[');
    let known = [
        ("\"shapes\"", "labelme's own format; convert it to COCO"),
        ("\"_via_img_metadata\"", "VIA's own format; export COCO from VIA"),
        ("\"regions\"", "VIA's own format; export COCO from VIA"),
        ("\"classTitle\"", "Supervisely's own format; export COCO from it"),
        ("\"completed_by\"", "Label Studio's own format; export COCO or YOLO from it"),
        ("\"annotation_id\"", "Label Studio's own format; export COCO or YOLO from it"),
        ("\"box2d\"", "BDD100K's own format; convert it to COCO"),
        ("\"coordinates\"", "CreateML's own format; export COCO"),
    ];
    let found = known.iter().find(|(key, _)| has(key)).map(|(_, why)| *why);
    let results =
        "a list, as of detections (results); expected labels: an object with `images`, `annotations` and `categories`";
    found.or_else(|| list.then_some(results))
}

/// Replaces `NaN` and `Infinity` outside texts by `null`; `None` if there are none.
fn without_nan(text: &str) -> Option<String> {
    let (mut out, mut rest, mut found) = (String::with_capacity(text.len()), text, false);
    while let Some(at) = rest.find(['"', 'N', 'I']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('"') {
            let bytes = rest.as_bytes();
            let mut end = 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += 1 + usize::from(bytes[end] == b'\\');
            }
            let end = (end + 1).min(rest.len());
            let end = (end..=rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        match ["NaN", "Infinity"].into_iter().find(|word| rest.starts_with(word)) {
            Some(word) => {
                if out.ends_with('-') {
                    out.pop();
                }
                out.push_str("null");
                rest = &rest[word.len()..];
                found = true;
            }
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    found.then_some(out)
}

/// Reads the classes: a list, or a map of ids to names.
fn categories(raw: Option<&RawValue>, notes: &mut Notes) -> Result<HashMap<Id, Arc<str>>> {
    let none = || Error::Data("no `categories` in it, so nothing names the classes".into());
    let raw = raw.ok_or_else(none)?;
    let mut known: HashMap<Id, Arc<str>> = HashMap::new();
    let mut add = |id: Id, name: String| -> Result<()> {
        match known.get(&id) {
            Some(other) if **other != name => Err(Error::Data(format!(
                "two categories have the id {id}: `{}` and `{}`; give each its own",
                shown(other),
                shown(&name)
            ))),
            _ => {
                known.insert(id, name.into());
                Ok(())
            }
        }
    };
    if let Ok(map) = serde_json::from_str::<BTreeMap<String, Loose<'_>>>(raw.get()) {
        for (id, name) in map {
            let id = Loose::Text(id.into()).id().ok_or_else(none)?;
            add(id, name.text().unwrap_or_default())?;
        }
        return Ok(known);
    }
    let list: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Error::Data("`categories` is neither a list nor a map of ids to names".into()))?;
    for (index, raw) in list.into_iter().enumerate() {
        let category = serde_json::from_str::<Category<'_>>(raw.get()).ok();
        let named = category.and_then(|c| Some((c.id.id()?, c.name.text().filter(|name| !name.trim().is_empty())?)));
        match named {
            Some((id, name)) => add(id, name)?,
            None => notes.add("a category without an id or a name, left out", || format!("categories[{index}]")),
        }
    }
    Ok(known)
}

/// Reads the pictures into `labels`; returns their places there by id.
fn pictures(
    images: &[&RawValue],
    path: &Path,
    split: Option<&Arc<str>>,
    labels: &mut Labels,
) -> Result<HashMap<Id, usize>> {
    let (mut by_id, mut by_name) = (HashMap::with_capacity(images.len()), HashMap::with_capacity(images.len()));
    for (index, raw) in images.iter().enumerate() {
        let at = || format!("images[{index}]");
        let Ok(image) = serde_json::from_str::<Image<'_>>(raw.get()) else {
            labels.notes.add("a picture that is not a JSON object, left out", at);
            continue;
        };
        let Some(name) = image.file_name.text().or_else(|| image.coco_url.text()).filter(|name| !name.is_empty())
        else {
            labels.notes.add("a picture without `file_name`, left out", at);
            continue;
        };
        let Some(id) = image.id.id() else {
            labels.notes.add("a picture without an id, left out", at);
            continue;
        };
        let side = |side: &Loose<'_>| side.number().filter(|v| (1.0..1e6).contains(v)).map(|v| v as u32);
        let size = side(&image.width).zip(side(&image.height)).map(|(w, h)| Size::new(w, h));
        let next = labels.pictures.len();
        let place = *by_name.entry(name.clone()).or_insert(next);
        if place < next {
            labels.notes.add("a picture listed twice (its annotations are put together)", || shown(&name));
        } else {
            let (file, split) = (path.to_path_buf(), split.cloned());
            labels.pictures.push(Picture { path: name.clone(), file, size, split, ..Picture::default() });
        }
        if let Some(other) = by_id.insert(id.clone(), place)
            && other != place
        {
            let other = &labels.pictures[other].path;
            return Err(Error::Data(format!(
                "two pictures have the id {id}: `{}` and `{}`; give each its own",
                shown(other),
                shown(&name)
            )));
        }
    }
    Ok(by_id)
}

type Read = (usize, Labelled, Option<&'static str>);

/// Reads an annotation: its picture, itself, and what is odd about it. The error says why it is left out.
fn object(
    member: Member<'_>,
    classes: &HashMap<Id, Arc<str>>,
    pictures: &HashMap<Id, usize>,
) -> Result<Read, (&'static str, String)> {
    let no = |what: &'static str| Err((what, String::new()));
    let Some(a) = member.0 else { return no("an annotation that is not a JSON object or has a key twice, left out") };
    let Some(image) = a.image else { return no("an annotation without `image_id`, left out") };
    let Some(&picture) = pictures.get(&image) else {
        return Err(("an annotation of a picture that is not listed, left out", format!(" (`image_id` {image})")));
    };
    let Some(category) = a.category else { return no("an annotation without `category_id`, left out") };
    let Some(class) = classes.get(&category) else {
        return Err(("an annotation of a class that is not listed, left out", format!(" (`category_id` {category})")));
    };
    let mut odd = None;
    let [mut x, mut y, mut w, mut h] = match a.bbox {
        Some(given) => given,
        None => match a.segmentation.and_then(|raw| outline(raw.get())) {
            Some(place) => {
                odd = Some("polygons without a box, read as their bounding boxes");
                place
            }
            None => return no("an annotation without a box, left out"),
        },
    };
    if w < 0.0 || h < 0.0 {
        odd = Some("boxes of negative size, read with their corners swapped");
        (x, w) = (x + w.min(0.0), w.abs());
        (y, h) = (y + h.min(0.0), h.abs());
    }
    if w < 1e-6 || h < 1e-6 {
        return no("a box without width or height, left out");
    }
    if [x, y, w, h].iter().any(|v| v.abs() > 1e7) {
        return no("a box beyond all pictures, left out");
    }
    if a.area.is_some_and(|area| area < 0.0) {
        odd = odd.or(Some("objects with a negative `area`, which pycocotools does not count either"));
    }
    let labelled = Labelled {
        class: ClassName::Name(Arc::clone(class)),
        place: Place::Pixels([x, y, x + w, y + h]),
        area: a.area,
        crowd: a.crowd,
        difficult: false,
    };
    Ok((picture, labelled, odd))
}

/// The box around the polygons of an annotation.
fn outline(raw: &str) -> Option<[f64; 4]> {
    let many = serde_json::from_str::<Vec<Vec<f64>>>(raw).ok();
    let polygons = many.or_else(|| serde_json::from_str::<Vec<f64>>(raw).ok().map(|one| vec![one]))?;
    super::fit::around(polygons.iter().flat_map(|p| p.as_chunks::<2>().0))
        .map(|[x1, y1, x2, y2]| [x1, y1, x2 - x1, y2 - y1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(annotations: &str) -> Result<Labels> {
        let text = format!(
            "{{\"images\":[{{\"id\":\"7\",\"file_name\":\"a.jpg\",\"width\":100,\"height\":50}}],\
             \"annotations\":[{annotations}],\"categories\":[{{\"id\":3.0,\"name\":\"dog\"}}]}}"
        );
        let mut labels = Labels::default();
        parse(&text, Path::new("l.json"), None, &mut labels).map(|()| labels)
    }

    const GOOD: &str = r#"{"image_id":7,"category_id":"3","bbox":[10,"20",30,40.0],"iscrowd":false}"#;

    #[test]
    fn an_odd_annotation_costs_only_itself() {
        for odd in [
            r#"{"image_id":4711,"category_id":3,"bbox":[1,1,2,2]}"#,
            r#"{"image_id":7,"category_id":null,"bbox":[1,1,2,2]}"#,
            r#"{"image_id":7,"category_id":3,"bbox":[]}"#,
            r#"{"image_id":7,"category_id":3,"bbox":[1,NaN,3,4]}"#,
            r#"{"image_id":7,"category_id":3,"bbox":[1,2,3,-Infinity]}"#,
            r#"{"image_id":7,"image_id":7,"category_id":3,"bbox":[1,2,3,4]}"#,
            "null",
            "[3]",
        ] {
            let labels = parse_all(&format!("{GOOD},{odd}")).unwrap();
            assert_eq!(labels.pictures[0].boxes.len(), 1, "{odd}");
            assert_eq!(labels.pictures[0].boxes[0].place, Place::Pixels([10.0, 20.0, 40.0, 60.0]));
            assert_eq!(labels.notes.lost(), 1, "{odd}");
            assert!(labels.notes.lines()[0].contains("l.json: annotations[1]"), "{odd}");
        }
    }

    #[test]
    fn polygons_and_negative_sizes_give_boxes_with_a_note() {
        let polygon = r#"{"image_id":7,"category_id":3,"segmentation":[[1,2,5,2,5,9]]}"#;
        let backwards = r#"{"image_id":7,"category_id":3,"bbox":[5,9,-4,-7]}"#;
        for odd in [polygon, backwards] {
            let labels = parse_all(&format!("{GOOD},{odd}")).unwrap();
            assert_eq!(labels.pictures[0].boxes[1].place, Place::Pixels([1.0, 2.0, 5.0, 9.0]), "{odd}");
            assert_eq!(labels.notes.lines().len(), 1);
        }
        let twice = parse_all(&format!("{GOOD},{GOOD}")).unwrap();
        assert!(twice.notes.lines()[0].contains("twice"), "{:?}", twice.notes);
    }

    #[test]
    fn what_is_no_coco_file_is_told() {
        let told = |text: &str| parse(text, Path::new("l.json"), None, &mut Labels::default()).unwrap_err().to_string();
        assert!(told("[{\"image_id\":1}]").contains("results"));
        assert!(told("{\"images\": 3}").starts_with("1:12"));
        assert!(told("{\"images\": []}").contains("no `categories`"));
        let two = r#"{"images":[],"categories":[{"id":1,"name":"car"},{"id":1,"name":"dog"}]}"#;
        assert!(told(two).contains("`car` and `dog`"));
        let ids = r#"{"images":[{"id":1,"file_name":"a"},{"id":1,"file_name":"b"}],"categories":[]}"#;
        assert!(told(ids).contains("two pictures have the id 1: `a` and `b`"));
        assert_eq!(without_nan("{\"a\":\"NaN \\\" N\",\"b\":-Infinity}").unwrap(), "{\"a\":\"NaN \\\" N\",\"b\":null}");
        assert_eq!(without_nan("[\"NaN\"]"), None);
    }
}
