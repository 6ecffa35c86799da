//! Reads labels of any format from a path.

use super::dataset::{self, DataYaml, is_split, labels_of};
use super::guess::{self, Guess};
use super::keys::Key;
use super::names::Names;
use super::notes::Notes;
use super::tree::{Entry, Tree};
use super::{Format, Labels, Picture, Truth, classes, coco, folders, masks, text, voc, yolo};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Labels {
    /// Reads labels; their format follows from what is at the path, unless the user says it.
    ///
    /// # Errors
    /// [`Error::Data`] with the file and the place, or [`Error::Io`].
    pub fn read(truth: &Truth) -> Result<Self> {
        let given = match Truth::read(&truth.path)? {
            Some(inner) => inner.with(truth),
            None => truth.clone(),
        };
        let path = given.path.clone();
        if !path.exists() {
            return Err(Error::Data(format!("{}: no such file or folder of labels", path.display())));
        }
        let mut labels = Self { truth: given, ..Self::default() };
        if path.is_dir() {
            labels.read_folder(&path)?;
        } else {
            labels.read_file(&path)?;
        }
        if labels.pictures.is_empty() {
            return Err(Error::Data(format!("{}: no labelled pictures in it ({})", path.display(), labels.why)));
        }
        if labels.truth.names.is_some() && matches!(labels.format, Format::Coco | Format::Voc) {
            let form = labels.format.name();
            return Err(Error::Config(format!(
                "`names` has no effect on {form} labels, which name their classes; leave it out, or rename classes with `map`"
            )));
        }
        if labels.truth.strict {
            labels.notes.refuse(&path.display().to_string())?;
        }
        Ok(labels)
    }

    /// What was read, in one line.
    #[must_use]
    pub fn about(&self) -> String {
        let named = if self.named_by.is_empty() { String::new() } else { format!(", names from {}", self.named_by) };
        format!("{} pictures, {} ({}){named}", self.pictures.len(), self.format.name(), self.why)
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.why = format!("the file is called {name}");
        let own = match ending.as_str() {
            "xml" => Format::Voc,
            "png" => Format::Masks,
            "yaml" | "yml" | "data" => Format::Yolo,
            "json" => Format::Coco,
            _ => self.truth.format.unwrap_or_default(),
        };
        if let Some(said) = self.truth.format.filter(|said| *said != own) {
            let (said, own) = (said.name(), own.name());
            return Err(Error::Config(format!(
                "{}: a .{ending} file is {own}, not {said}; leave `format` out",
                path.display()
            )));
        }
        match ending.as_str() {
            "yaml" | "yml" | "data" => self.read_set(path, &Tree::of(folder)?),
            "xml" => voc::read(&[(name, path.to_path_buf(), None)], self),
            "png" => {
                let mut tree = Tree::default();
                tree.files.push(Entry { name, path: path.to_path_buf(), ending });
                masks::read(folder, &tree, self)
            }
            "txt" => self.read_list(path, folder),
            _ => {
                let split = name.split(['_', '.', '-']).find(|word| is_split(word)).map(Into::into);
                let read = coco::read(path, split.as_ref(), self);
                read.map_err(|error| match error {
                    Error::Data(message) if ending != "json" => {
                        Error::Data(format!("{message}; expected a COCO .json, a data.yaml, or a folder of labels"))
                    }
                    other => other,
                })
            }
        }
    }

    /// A list of pictures: VOC's `ImageSets/Main/val.txt`, YOLO's `val.txt`, or the labels of one picture.
    fn read_list(&mut self, path: &Path, folder: &Path) -> Result<()> {
        let set = folder.ancestors().find(|above| above.ends_with("ImageSets")).and_then(Path::parent);
        if let Some(root) = set {
            self.read_folder(if root.as_os_str().is_empty() { Path::new(".") } else { root })?;
            let words = text::read(path, &mut self.notes)?;
            let first = |line: &str| Some(Key::of(line.split_whitespace().next()?).stem);
            let listed: HashSet<String> = words.lines().filter_map(first).collect();
            self.pictures.retain(|picture| listed.contains(&Key::of(&picture.path).stem));
            return Ok(());
        }
        let words = text::read(path, &mut Notes::default())?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if matches!(file.as_str(), "classes.txt" | "labelmap.txt") {
            // The list of names stands for the set that it lies in.
            return self.read_folder(folder);
        }
        if yolo::is_one(&words) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            yolo::read(&[(name, path.to_path_buf(), None)], None, self)?;
            let found = Names::near(folder, self.highest(), &mut self.notes)?;
            return classes::name_numbers(self, found);
        }
        let mut files = Vec::new();
        listed(path, folder, None, &mut files, &mut self.notes)?;
        yolo::read(&files, None, self)?;
        let found = Names::near(folder, self.highest(), &mut self.notes)?;
        classes::name_numbers(self, found)
    }

    fn read_folder(&mut self, root: &Path) -> Result<()> {
        let tree = Tree::of(root)?;
        for folder in &tree.unread {
            self.notes.add("folders that cannot be read", || folder.clone());
        }
        for link in &tree.dangling {
            self.notes.add("links to files that are not there", || link.clone());
            self.unread.insert(Key::of_label_file(link).stem);
        }
        let guess = match self.truth.format {
            Some(format) => {
                let set = tree.ending(&["yaml", "yml"]).find(|e| format == Format::Yolo && DataYaml::is_one(&e.path));
                Guess { format, why: "as given".into(), set: set.map(|e| e.path.clone()) }
            }
            None => guess::guess(root, &tree)?,
        };
        self.why.clone_from(&guess.why);
        match guess.format {
            Format::Coco => self.read_cocos(root, &tree),
            Format::Voc => self.read_voc(root, &tree),
            Format::Yolo => match guess.set {
                Some(set) => self.read_set(&set, &tree),
                None => {
                    let files = |e: &Entry| (e.name.clone(), e.path.clone(), split_of(e));
                    let files: Vec<yolo::File> =
                        tree.ending(&["txt"]).filter(|e| !guess::is_list(e)).map(files).collect();
                    yolo::read(&files, None, self)?;
                    let mut found = Names::near(root, self.highest(), &mut self.notes)?;
                    if found.is_none() {
                        // In a folder beside them.
                        let list = tree.files.iter().find(|e| e.ending == "names" || e.file() == "classes.txt");
                        let list = list.map(|e| Names::read(&e.path, self.highest(), &mut self.notes));
                        found = list.transpose()?;
                    }
                    classes::name_numbers(self, found)
                }
            },
            Format::Masks => {
                let own = root.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
                if own == "segmentationobject" {
                    return Err(Error::Data(format!(
                        "{}: these maps number objects, not classes; give SegmentationClass",
                        root.display()
                    )));
                }
                masks::read(root, &tree, self)
            }
            Format::Folders => {
                folders::read(root, &tree, self)?;
                folders::name_numbers(root, self)?;
                classes::name_numbers(self, None)
            }
        }
    }

    /// Several COCO files are the parts of one set.
    fn read_cocos(&mut self, root: &Path, tree: &Tree) -> Result<()> {
        let mut files = guess::coco_files(tree);
        // Of COCO's own annotations, those of objects have boxes and classes.
        let objects = |e: &&Entry| e.file().starts_with("instances");
        if files.iter().any(objects) {
            files.retain(objects);
        }
        if files.is_empty() {
            return Err(Error::Data(format!("{}: no COCO .json file in it", root.display())));
        }
        for entry in tree.ending(&["json"]).filter(|e| !files.iter().any(|own| own.path == e.path)) {
            // Other tools' files are objects, too; what is not even one was meant to be something.
            let head = entry.head(64);
            let first = head.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xEF\xBB\xBF".contains(byte));
            if first != Some(&b'{') {
                self.notes.add("JSON files that are empty, damaged or not COCO's, left out", || entry.name.clone());
            }
        }
        let several = files.len() > 1;
        for entry in files {
            let part = entry.folders().next_back().filter(|folder| is_split(folder)).map(str::to_owned);
            let in_name = entry.file().split(['_', '.', '-']).find(|word| is_split(word)).map(str::to_owned);
            let split: Option<Arc<str>> = part.or(in_name).map(Into::into);
            let first = self.pictures.len();
            coco::read(&entry.path, split.as_ref(), self)?;
            // The same name may be in each part.
            if let (true, Some(split)) = (several, &split) {
                let bare = |picture: &&mut Picture| !picture.path.contains(['/', '\\']);
                self.pictures[first..].iter_mut().filter(bare).for_each(|p| p.path = format!("{split}/{}", p.path));
            }
        }
        Ok(())
    }

    fn read_voc(&mut self, root: &Path, tree: &Tree) -> Result<()> {
        let parts = dataset::image_sets(root, &mut self.notes)?;
        let mut files = Vec::new();
        for entry in tree.ending(&["xml"]) {
            let stem = entry.file().rsplit_once('.').map_or(entry.file(), |(stem, _)| stem);
            let head = entry.head(2000);
            let utf16 = head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]);
            if !head.is_empty() && !utf16 && !voc::is_one(&String::from_utf8_lossy(&head)) {
                self.notes.add("XML files that are not VOC annotations, left out", || entry.name.clone());
                continue;
            }
            let split = parts.get(stem).cloned().or_else(|| split_of(entry));
            files.push((entry.name.clone(), entry.path.clone(), split));
        }
        voc::read(&files, self)
    }

    /// A set as `data.yaml` or `obj.data` describes it.
    fn read_set(&mut self, path: &Path, tree: &Tree) -> Result<()> {
        let darknet = path.extension().is_some_and(|ending| ending == "data");
        let mut set = if darknet {
            DataYaml::read_darknet(path, &mut self.notes)?
        } else {
            DataYaml::read(path, &mut self.notes)?
        };
        if let Some(list) = &set.list {
            set.names = Names::read(list, None, &mut self.notes)?.by_number;
        }
        if set.names.is_empty() && set.splits.is_empty() {
            let message = "neither a set (`names`, `train`, `val`) nor a truth file (`labels:`)";
            return Err(Error::Data(format!("{}: {message}", path.display())));
        }
        let root = path.parent().unwrap_or(Path::new(""));
        let mut files: Vec<yolo::File> = Vec::new();
        for (split, place) in &set.splits {
            if place.is_file() {
                listed(place, root, Some(split), &mut files, &mut self.notes)?;
                continue;
            }
            let folder = labels_of(place).filter(|folder| folder.is_dir()).unwrap_or_else(|| place.clone());
            for entry in Tree::of(&folder)?.ending(&["txt"]).filter(|e| !guess::is_list(e)) {
                files.push((below(&entry.path, root), entry.path.clone(), Some(Arc::clone(split))));
            }
        }
        for (part, value) in &set.absent {
            self.notes.say(format!("{}: `{part}` is {value}, which does not exist", path.display()));
        }
        if files.is_empty() {
            let all = tree.ending(&["txt"]).filter(|e| !guess::is_list(e));
            files.extend(all.map(|e| (below(&e.path, root), e.path.clone(), split_of(e))));
        }
        let mut seen = HashSet::new();
        files.retain(|(_, path, _)| seen.insert(path.clone()));
        if files.is_empty() {
            let message = "no label files in the folders that it names; expected `labels/…/NAME.txt` beside `images/…`";
            return Err(Error::Data(format!("{}: {message}", path.display())));
        }
        yolo::read(&files, set.key_points, self)?;
        let names = Names { by_number: set.names, from: path.display().to_string() };
        classes::name_numbers(self, (!names.by_number.is_empty()).then_some(names))
    }

    fn highest(&self) -> Option<u32> {
        let boxes = self.pictures.iter().flat_map(|picture| &picture.boxes);
        boxes
            .filter_map(|labelled| match labelled.class {
                super::ClassName::Number(number) => Some(u32::from(number)),
                super::ClassName::Name(_) => None,
            })
            .max()
    }
}

impl Truth {
    /// What a truth file says, with what the command adds.
    fn with(self, command: &Self) -> Self {
        let mut map = self.map;
        map.extend(command.map.clone());
        Self {
            path: self.path,
            format: command.format.or(self.format),
            names: command.names.clone().or(self.names),
            map,
            ignore: command.ignore.or(self.ignore),
            offset: if command.offset > 0 { command.offset } else { self.offset },
            scale: command.scale || self.scale,
            strict: command.strict || self.strict,
        }
    }
}

/// The part of the set that a file lies in.
fn split_of(entry: &Entry) -> Option<Arc<str>> {
    entry.folders().rfind(|folder| is_split(folder)).map(Into::into)
}

/// A path below a folder, with `/`.
fn below(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Adds the label files of the pictures that a file lists.
fn listed(
    list: &Path,
    root: &Path,
    split: Option<&Arc<str>>,
    files: &mut Vec<yolo::File>,
    notes: &mut Notes,
) -> Result<()> {
    let folder = list.parent().unwrap_or(Path::new(""));
    for line in text::read(list, notes)?.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let label = |folder: &Path, picture: &Path| -> Vec<PathBuf> {
            let picture = folder.join(picture);
            let beside = picture.with_extension("txt");
            labels_of(&picture).map(|path| path.with_extension("txt")).into_iter().chain([beside]).collect()
        };
        let line = line.replace('\\', "/");
        let parts: Vec<&str> = line.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
        // A list may have been written in another folder: fewer and fewer parts of its paths count.
        let shorter = (0..parts.len()).map(|from| parts[from..].iter().collect::<PathBuf>());
        let tried = [PathBuf::from(&line)].into_iter().chain(shorter);
        let found =
            tried.flat_map(|path| [label(folder, &path), label(root, &path)].concat()).find(|path| path.is_file());
        match found {
            Some(path) => files.push((below(&path, root), path, split.cloned())),
            None => {
                notes.add("listed pictures without a label file, taken to have nothing in them", || text::shown(&line));
            }
        }
    }
    Ok(())
}
