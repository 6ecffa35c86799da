//! Labels made by people: COCO's JSON, Pascal VOC's XML, YOLO's text files, class maps as PNG, folders of classes.

use crate::error::{Error, Result};
use crate::types::Size;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is known about pictures, by file name without extension.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// The pictures.
    pub pictures: BTreeMap<String, Picture>,
    /// The names of class numbers, if the labels have numbers and come with names.
    pub names: Vec<String>,
    /// The format that was read.
    pub form: &'static str,
}

/// What is known about a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// The objects in it.
    pub boxes: Vec<Labelled>,
    /// The class of each pixel, as a PNG whose values are class numbers.
    pub mask: Option<PathBuf>,
    /// The class of the picture as a whole.
    pub class: Option<String>,
}

/// An object in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The class.
    pub class: ClassName,
    /// Its box.
    pub place: Place,
    /// Area in pixels, if it is not that of the box.
    pub area: Option<f64>,
    /// A crowd: any number of detections in it are neither right nor wrong.
    pub crowd: bool,
    /// Marked as difficult: does not count as missed if it is not found.
    pub difficult: bool,
}

/// A class by name, or by its number in the order of the model's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassName {
    /// Its name.
    Name(String),
    /// Its number.
    Number(u16),
}

/// A box in the coordinates of its format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// x1, y1, x2, y2 in pixels; x2 and y2 exclusive.
    Pixels([f64; 4]),
    /// Centre x, centre y, width, height, as fractions of the picture.
    Parts([f64; 4]),
}

impl Place {
    /// Returns x1, y1, x2, y2 in pixels of a picture of this size.
    #[must_use]
    pub fn corners(&self, size: Size) -> [f64; 4] {
        let (w, h) = (f64::from(size.width), f64::from(size.height));
        match *self {
            Self::Pixels(corners) => corners,
            Self::Parts([x, y, wide, high]) => {
                [(x - wide / 2.0) * w, (y - high / 2.0) * h, (x + wide / 2.0) * w, (y + high / 2.0) * h]
            }
        }
    }
}

/// The format that has one text file per picture.
const YOLO: &str = "YOLO";

/// Returns the name without its extension, which a picture and its labels have in common.
#[must_use]
pub fn stem(name: &str) -> String {
    Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending)))
        .collect();
    found.sort();
    Ok(found)
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

impl Labels {
    /// Reads labels; their format follows from what is at the path.
    ///
    /// # Errors
    /// [`Error::Data`] with the file and the place, or [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_file() {
            return coco(path);
        }
        let folders = || {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
        };
        let found = |ending| files(path, ending).map(|found| (!found.is_empty()).then_some(found));
        if let Some(found) = found("xml")? {
            return voc(&found);
        }
        if let Some(found) = found("txt")? {
            return yolo(&found, path);
        }
        if let Some(found) = found("png")? {
            return Ok(masks(&found));
        }
        let folders = folders();
        if folders.is_empty() {
            let message = "no labels there; expected a COCO .json file, or a folder of VOC .xml, YOLO .txt, .png class maps, or one folder per class";
            return Err(Error::Data(format!("{}: {message}", path.display())));
        }
        classes(&folders)
    }

    /// Returns what is known about a picture.
    #[must_use]
    pub fn picture(&self, name: &str) -> Option<Picture> {
        let known = self.pictures.get(&stem(name)).cloned();
        // YOLO has no file for a picture without objects.
        known.or_else(|| (self.form == YOLO).then(Picture::default))
    }
}

/// Pictures and labels are matched by name, so names must be unique.
fn twice(name: &str, path: &Path) -> Error {
    Error::Data(format!("{}: two pictures are called `{name}`; give every picture its own name", path.display()))
}

#[derive(Deserialize)]
struct CocoFile {
    images: Vec<CocoImage>,
    #[serde(default)]
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    #[serde(default)]
    area: Option<f64>,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct CocoCategory {
    id: u64,
    name: String,
}

fn coco(path: &Path) -> Result<Labels> {
    let file: CocoFile = serde_json::from_str(&read_text(path)?)
        .map_err(|e| Error::Data(format!("{}:{}:{}: not COCO labels: {e}", path.display(), e.line(), e.column())))?;
    let names: BTreeMap<u64, &str> = file.categories.iter().map(|c| (c.id, c.name.as_str())).collect();
    let images: BTreeMap<u64, String> = file.images.iter().map(|image| (image.id, stem(&image.file_name))).collect();
    let mut labels = Labels { form: "COCO", ..Labels::default() };
    for name in images.values() {
        if labels.pictures.insert(name.clone(), Picture::default()).is_some() {
            return Err(twice(name, path));
        }
    }
    for (index, a) in file.annotations.iter().enumerate() {
        let at = |what: String| Error::Data(format!("{}: annotations[{index}]: {what}", path.display()));
        let name = names.get(&a.category_id).ok_or_else(|| at(format!("no category has the id {}", a.category_id)))?;
        let image = images.get(&a.image_id).ok_or_else(|| at(format!("no image has the id {}", a.image_id)))?;
        let [x, y, w, h] = a.bbox;
        labels.pictures.entry(image.clone()).or_default().boxes.push(Labelled {
            class: ClassName::Name((*name).to_owned()),
            place: Place::Pixels([x, y, x + w, y + h]),
            area: a.area,
            crowd: a.iscrowd != 0,
            difficult: false,
        });
    }
    Ok(labels)
}

#[derive(Deserialize)]
struct VocFile {
    #[serde(default)]
    filename: String,
    #[serde(default, rename = "object")]
    objects: Vec<VocObject>,
}

#[derive(Deserialize)]
struct VocObject {
    name: String,
    #[serde(default)]
    difficult: u8,
    bndbox: VocBox,
}

#[derive(Deserialize)]
struct VocBox {
    xmin: f64,
    ymin: f64,
    xmax: f64,
    ymax: f64,
}

fn voc(files: &[PathBuf]) -> Result<Labels> {
    let mut labels = Labels { form: "Pascal VOC", ..Labels::default() };
    for path in files {
        let file: VocFile = quick_xml::de::from_str(&read_text(path)?)
            .map_err(|e| Error::Data(format!("{}: not VOC labels: {e}", path.display())))?;
        let object = |o: VocObject| Labelled {
            class: ClassName::Name(o.name),
            // VOC counts pixels from 1, and includes the last one.
            place: Place::Pixels([o.bndbox.xmin - 1.0, o.bndbox.ymin - 1.0, o.bndbox.xmax, o.bndbox.ymax]),
            area: None,
            crowd: false,
            difficult: o.difficult != 0,
        };
        let picture = Picture { boxes: file.objects.into_iter().map(object).collect(), ..Picture::default() };
        // The name inside often has another extension, or predates a renaming: the file's own name counts.
        let own = stem(&path.to_string_lossy());
        let inside = stem(&file.filename);
        if !inside.is_empty() && inside != own {
            labels.pictures.entry(inside).or_insert_with(|| picture.clone());
        }
        labels.pictures.insert(own, picture);
    }
    Ok(labels)
}

fn yolo(files: &[PathBuf], folder: &Path) -> Result<Labels> {
    let mut labels = Labels { form: YOLO, ..Labels::default() };
    let lists = [folder.join("classes.txt"), folder.join("../classes.txt")];
    if let Some(list) = lists.iter().find(|list| list.is_file()) {
        labels.names = read_text(list)?.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    }
    for path in files.iter().filter(|path| path.file_name().is_none_or(|name| name != "classes.txt")) {
        let mut picture = Picture::default();
        for (index, line) in read_text(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let bad = || {
                let shown = format!("{}:{}", path.display(), index + 1);
                Error::Data(format!(
                    "{shown}: found `{line}`, expected a class number and x y width height, each 0 to 1"
                ))
            };
            let numbers: Option<Vec<f64>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
            // A sixth number is a score; more are a polygon.
            let sound = |n: &Vec<f64>| matches!(n.len(), 5 | 6) && n[1..5].iter().all(|v| (-0.01..=1.01).contains(v));
            let numbers = numbers.filter(sound).ok_or_else(bad)?;
            let class = line.split_whitespace().next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
            picture.boxes.push(Labelled {
                class: ClassName::Number(class),
                place: Place::Parts([numbers[1], numbers[2], numbers[3], numbers[4]]),
                area: None,
                crowd: false,
                difficult: false,
            });
        }
        labels.pictures.insert(stem(&path.to_string_lossy()), picture);
    }
    Ok(labels)
}

fn masks(files: &[PathBuf]) -> Labels {
    let picture = |path: &PathBuf| Picture { mask: Some(path.clone()), ..Picture::default() };
    let pictures = files.iter().map(|path| (stem(&path.to_string_lossy()), picture(path))).collect();
    Labels { pictures, names: Vec::new(), form: "class maps" }
}

fn classes(folders: &[PathBuf]) -> Result<Labels> {
    let mut labels = Labels { form: "folders of classes", ..Labels::default() };
    for folder in folders {
        let class = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?.flatten() {
            let name = stem(&entry.file_name().to_string_lossy());
            let picture = Picture { class: Some(class.clone()), ..Picture::default() };
            if labels.pictures.insert(name.clone(), picture).is_some() {
                return Err(twice(&name, folder));
            }
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Labels> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let path = folder.path().join(files[0].0);
        Labels::read(if files[0].0 == "l.json" { &path } else { folder.path() })
    }

    fn only(labels: &Labels) -> Labelled {
        labels.picture("x/a.jpg").unwrap().boxes[0].clone()
    }

    #[test]
    fn one_box_in_three_forms_is_one_box() {
        let coco = read(&[(
            "l.json",
            r#"{"images":[{"id":7,"file_name":"a.jpg"}],"annotations":[{"image_id":7,"category_id":3,"bbox":[10,20,30,40]}],"categories":[{"id":3,"name":"dog"}]}"#,
        )])
        .unwrap();
        let voc = read(&[(
            "a.xml",
            "<annotation><filename>a.png</filename><object><name>dog</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object></annotation>",
        )])
        .unwrap();
        let yolo = read(&[("a.txt", "1 0.25 0.4 0.3 0.4\n"), ("classes.txt", "cat\ndog\n")]).unwrap();
        let size = Size::new(100, 100);
        for labels in [&coco, &voc, &yolo] {
            let corners = only(labels).place.corners(size);
            assert!(corners.iter().zip([10.0, 20.0, 40.0, 60.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{corners:?}");
        }
        assert_eq!(only(&voc).class, ClassName::Name("dog".into()));
        assert_eq!((only(&yolo).class.clone(), yolo.names.len()), (ClassName::Number(1), 2));
    }

    #[test]
    fn bad_labels_name_their_place() {
        let told = |files: &[(&str, &str)]| read(files).unwrap_err().to_string();
        assert!(told(&[("a.txt", "0 0.5 0.5 0.1 0.1\nx 1 2\n")]).contains("a.txt:2: found `x 1 2`"));
        assert!(told(&[("a.txt", "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n")]).contains("a.txt:1"), "a polygon");
        assert!(told(&[("a.txt", "0 320 200 40 40\n")]).contains("each 0 to 1"), "pixels");
        assert!(told(&[("a/1.jpg", ""), ("b/1.jpg", "")]).contains("two pictures are called `1`"));
        assert!(told(&[("l.json", "{\"images\": 3}")]).contains("l.json:1:12"));
        assert!(told(&[("a.xml", "<annotation><object></object></annotation>")]).contains("a.xml"));
        assert!(told(&[("readme.md", "")]).contains("no labels there"));
        let folders = read(&[("cats/1.jpg", ""), ("dogs/2.jpg", "")]).unwrap();
        assert_eq!(folders.picture("2.png").unwrap().class.as_deref(), Some("dogs"));
    }
}
