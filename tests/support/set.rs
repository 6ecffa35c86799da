//! A rendered set of pictures with its labels, to be written in any form.

use super::eval::{Given, copy, eval, ocelli, pipeline};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A rendered set: pictures in `images`, COCO's labels.
pub struct Set {
    /// Its folder.
    pub root: tempfile::TempDir,
    /// COCO's labels.
    pub coco: Value,
}

/// An object: picture, class from 0, left, top, right, bottom.
pub type Object = (usize, usize, [f64; 4]);

pub const SIZE: [f64; 2] = [320.0, 180.0];

impl Set {
    pub fn render() -> Self {
        let root = tempfile::tempdir().unwrap();
        let args = ["scene", "--export", "coco", "--out", "set", "--frames", "6", "--size", "320x180", "--every", "3"];
        let given = ocelli(root.path(), &args);
        assert_eq!(given.status, 0, "{}", given.text);
        let text = std::fs::read_to_string(root.path().join("set/annotations.json")).unwrap();
        Self { root, coco: serde_json::from_str(&text).unwrap() }
    }

    pub fn images(&self) -> PathBuf {
        self.root.path().join("set/images")
    }

    pub fn names(&self) -> Vec<String> {
        let list = self.coco["categories"].as_array().unwrap();
        list.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    }

    pub fn objects(&self) -> Vec<Object> {
        let list = self.coco["annotations"].as_array().unwrap();
        let object = |a: &Value| {
            let number = |at: usize| a["bbox"][at].as_f64().unwrap();
            let (x, y) = (number(0), number(1));
            let image = a["image_id"].as_u64().unwrap() as usize - 1;
            (image, a["category_id"].as_u64().unwrap() as usize - 1, [x, y, x + number(2), y + number(3)])
        };
        list.iter().map(object).collect()
    }

    /// A folder with the pictures in one of its folders, and a pipeline over them.
    pub fn folder(&self, pictures: &str, pattern: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(&self.images(), &folder.path().join(pictures));
        std::fs::write(folder.path().join("p.yaml"), pipeline("detect", pattern)).unwrap();
        folder
    }

    /// The lines of a picture in YOLO's form.
    pub fn yolo(&self, image: usize) -> String {
        let mut text = String::new();
        for (_, class, [x1, y1, x2, y2]) in self.objects().into_iter().filter(|(at, ..)| *at == image) {
            let (x, y) = (f64::midpoint(x1, x2) / SIZE[0], f64::midpoint(y1, y2) / SIZE[1]);
            let _ = writeln!(text, "{class} {x:.6} {y:.6} {:.6} {:.6}", (x2 - x1) / SIZE[0], (y2 - y1) / SIZE[1]);
        }
        text
    }

    /// A picture's labels in VOC's form.
    pub fn voc(&self, image: usize) -> String {
        let mut text = format!(
            "<annotation>\n<folder>images</folder><filename>{image:06}.jpg</filename>\n<size><width>320</width><height>180</height><depth>3</depth></size>\n"
        );
        for (_, class, [x1, y1, x2, y2]) in self.objects().into_iter().filter(|(at, ..)| *at == image) {
            let name = &self.names()[class];
            let _ = writeln!(
                text,
                "<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>",
                x1 + 1.0,
                y1 + 1.0
            );
        }
        text + "</annotation>\n"
    }
}

pub fn write(root: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub fn run(folder: &Path, labels: &str, more: &[&str]) -> Given {
    eval(folder, &[&["p.yaml", "--labels", labels], more].concat())
}

pub fn both(given: &Given) -> [f64; 2] {
    ["coco.AP", "coco.AP50"].map(|path| given.number(path).unwrap_or_else(|| panic!("{}", given.text)))
}

/// Changes each member of a list of a COCO file.
pub fn each(coco: &mut Value, list: &str, change: impl Fn(usize, &mut Value)) {
    coco[list].as_array_mut().unwrap().iter_mut().enumerate().for_each(|(at, value)| change(at, value));
}

/// Renames the classes of a COCO file.
pub fn renamed(coco: &mut Value, name: impl Fn(&str) -> String) {
    each(coco, "categories", |_, c| c["name"] = name(c["name"].as_str().unwrap()).into());
}
