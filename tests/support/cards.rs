//! Cards of public models, with the weights in `OCELLI_FIELD`.

use std::path::Path;

/// Makes a models folder with the cards of `tests/cards` and links to the weights in `field`. Each quantised model is
/// there twice: as its card says, and with every rounding of the file (`NAME.as_is`).
pub fn models(field: &Path) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let field = field.canonicalize().unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cards")).unwrap() {
        let card = entry.unwrap().path();
        let text = std::fs::read_to_string(&card).unwrap();
        let name = card.file_stem().unwrap().to_string_lossy().into_owned();
        let as_is = text.replace("  license:", "  precision: as_is\n  license:");
        for (name, text) in [(name.clone(), text.clone()), (format!("{name}.as_is"), as_is)] {
            if text.matches("precision:").count() > 1 {
                continue;
            }
            let home = root.path().join(name);
            std::fs::create_dir(&home).unwrap();
            std::fs::write(home.join("card.yaml"), &text).unwrap();
            let named = |line: &str| {
                let file = line.trim().strip_prefix("file: ").or_else(|| line.strip_prefix("labels: "));
                let inside = line.split("path: ").nth(1).and_then(|rest| rest.split(',').next());
                file.or(inside).filter(|f| !f.starts_with('[')).map(str::to_owned)
            };
            for file in text.lines().filter_map(named) {
                std::os::unix::fs::symlink(field.join("models").join(&file), home.join(&file)).unwrap();
            }
        }
    }
    root
}
