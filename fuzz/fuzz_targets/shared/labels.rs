//! Reads bytes as labels, compares them with a model, and looks for their pictures.

use ocelli::internals::labels::{ClassFit, Counts, Labels, MaskRules, Matching, Notes, Played, Truth};
use std::path::Path;

/// The files that stand for labels: the name and the bytes of each. Labels are read from `path`.
pub fn read(files: &[(&str, &[u8])], path: &str) {
    super::only_what_gets_out();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("the temporary folder");
    }
    look(&folder.path().join(path));
}

fn look(path: &Path) {
    let Ok(labels) = Labels::read(&Truth::at(path)) else { return };
    let model: Vec<String> = ["background", "person", "car"].map(str::to_owned).to_vec();
    let mut notes = Notes::default();
    let _ = ClassFit::new(&labels, &Counts::of(&labels), &model, &mut notes);
    if let Ok(rules) = MaskRules::find(&labels, &model, &mut notes) {
        for mask in labels.pictures.iter().filter_map(|picture| picture.mask.as_deref()) {
            let _ = rules.read(mask);
        }
    }
    let played = ["a.jpg", "b/a.png", "c.jpg"];
    let played = played.map(|name| Played { source: "s".into(), name: name.into(), path: name.into() });
    let _ = Matching::new(&labels).resolve(&labels, &played);
}
