//! The program as a user sees it: verbs, exit codes, help, pipes, signals.
// The shipped pipelines use every part.
#![cfg(feature = "h264")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

fn ocelli(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ocelli")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn every_verb_explains_itself_with_examples() {
    let _limit = limit::within(300);
    let verbs = ["init", "run", "check", "schema", "scene", "models", "completions", "man"];
    for verb in std::iter::once(&[][..]).chain(verbs.iter().map(std::slice::from_ref)) {
        let output = ocelli(&[verb, &["--help"]].concat());
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Examples:\n  ocelli "), "{verb:?} has no examples");
    }
}

#[test]
fn exit_codes_say_who_must_act() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let bad = file(&folder, "bad.yaml", "pipeline:\n- zebra\n");
    let torn = file(&folder, "torn.y4m", "YUV4MPEG2 W16 H16 F10:1\nFRAME\nabc");
    let data = file(&folder, "data.yaml", &format!("pipeline:\n- video: {{ path: '{torn}' }}\n- jsonl\n"));
    let full = file(&folder, "full.yaml", "pipeline:\n- scene: { frames: 400 }\n- jsonl: { path: /dev/full }\n");
    for (args, code) in [
        (vec!["check", "pipelines/quickstart.yaml"], 0),
        (vec!["check", &bad], 2),
        (vec!["run", &bad], 2),
        (vec!["fly"], 2),
        (vec!["models", "info", "nobody"], 3),
        (vec!["run", &data], 5),
        (vec!["run", "no-such-file.yaml"], 74),
        (vec!["run", &full], 74),
    ] {
        let output = ocelli(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        assert!(code == 0 || !output.stderr.is_empty(), "{args:?} failed without a message");
    }
}

#[test]
fn faults_of_models_are_told_apart() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("m");
    std::fs::create_dir(&home).unwrap();
    let card = std::fs::read_to_string("models/scene/card.yaml").unwrap();
    let models = folder.path().display().to_string();
    let good = ocelli(&["models", "verify", "scene"]);
    assert!(text(&good.stdout).contains("all 5 objects of the golden picture"), "{}", text(&good.stderr));
    let verify = || {
        let output = ocelli(&["models", "verify", "m", "--models", &models]);
        assert_eq!(output.status.code(), Some(3));
        text(&output.stderr)
    };
    std::fs::write(home.join("card.yaml"), &card).unwrap();
    assert!(verify().contains("labels"), "missing labels");
    std::fs::copy("models/scene/labels.txt", home.join("labels.txt")).unwrap();
    assert!(verify().contains("model.onnx: No such file"), "missing weights");
    let weights = std::fs::read("models/scene/model.onnx").unwrap();
    std::fs::write(home.join("model.onnx"), &weights[..1000]).unwrap();
    assert!(verify().contains("has sha256"), "wrong hash");
    std::fs::write(home.join("model.onnx"), &weights).unwrap();
    std::fs::write(home.join("card.yaml"), card.replace("[320, 192]", "[320, 320]")).unwrap();
    assert!(verify().contains("the graph takes [1, 3, 192, 320], but the card says [1, 3, 320, 320]"), "wrong size");
    std::fs::write(home.join("card.yaml"), card.replace("dtype: f32", "dtype: u8")).unwrap();
    assert!(verify().contains("put the right `dtype` in the card"), "wrong type");
    std::fs::write(home.join("card.yaml"), card.replace("family:", "famly:")).unwrap();
    assert!(verify().contains("unknown field `famly`; did you mean `family`?"), "no family");
    std::fs::copy("models/scene/golden.jpg", home.join("golden.jpg")).unwrap();
    std::fs::write(home.join("card.yaml"), card.replace(", scores: logit", "")).unwrap();
    assert!(verify().contains("its answers cannot be right: a score is"), "logits taken for probabilities");
    std::fs::write(home.join("card.yaml"), card.replace("yolo:", "yollo:")).unwrap();
    assert!(verify().contains("did you mean `yolo`?"), "unknown family");
    std::fs::write(home.join("labels.txt"), "one\ntwo\n").unwrap();
    std::fs::write(home.join("card.yaml"), &card).unwrap();
    assert!(verify().contains("has shape [1, 1260, 11], but the card says [1, 1260, 7]"), "wrong labels");
}

#[test]
fn check_compares_models_with_their_cards_and_looks_where_sinks_write() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().display().to_string();
    let copy = |model: &str, old: &str, new: &str| {
        let home = folder.path().join("m");
        std::fs::create_dir_all(&home).unwrap();
        for entry in std::fs::read_dir(format!("models/{model}")).unwrap().flatten() {
            std::fs::copy(entry.path(), home.join(entry.file_name())).unwrap();
        }
        let card = std::fs::read_to_string(home.join("card.yaml")).unwrap();
        assert!(old.is_empty() || card.contains(old), "{card}");
        std::fs::write(home.join("card.yaml"), card.replace(old, new)).unwrap();
    };
    let text_of = |word: &str| {
        format!("pipeline:\n- scene: {{ frames: 1 }}\n- resize: {{ for: m }}\n- {word}: {{ model: m }}\n- jsonl\n")
    };
    let detect = file(&folder, "detect.yaml", &text_of("detect"));
    let says = |pipeline: &str, code: i32, fast: bool| {
        let mut words = vec!["check", pipeline, "--models", &models];
        words.extend(fast.then_some("--fast"));
        let output = ocelli(&words);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    };
    copy("scene", "", "");
    assert!(says(&detect, 0, false).contains("`detect`: `jsonl` gets its boxes without `nms`"));
    copy("scene", "dtype: f32", "dtype: u8");
    assert!(says(&detect, 3, false).contains("detect: model `m`: the graph takes F32, but the card says U8"));
    says(&detect, 0, true);
    copy("scene", "", "");
    std::fs::write(folder.path().join("m/model.onnx"), "not a model").unwrap();
    assert!(says(&detect, 3, false).contains("has sha256"));
    copy("scene_tags", "person", "person, dog");
    let classify = file(&folder, "classify.yaml", &text_of("classify"));
    assert!(says(&classify, 3, false).contains("an output has shape [1, "));
    // A folder in the place of a file, and a file in the place of a folder.
    for path in ["m", "m/card.yaml/rows.jsonl"] {
        let lines = format!("pipeline:\n- scene: {{ frames: 1 }}\n- jsonl: {{ path: '{models}/{path}' }}\n");
        let said = says(&file(&folder, "sink.yaml", &lines), 74, false);
        assert!(said.contains("jsonl: ") && said.contains("directory"), "{said}");
    }
    // From standard input, and several at once.
    let base = folder.path().join("base");
    let good =
        file(&folder, "a.yaml", "pipeline:\n- scene: { frames: 3, size: [64, 48] }\n- jsonl: { path: a.jsonl }\n");
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(["run", &good, "-", "--out-base", &base.display().to_string()])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let piped = "pipeline:\n- scene: { frames: 4, size: [64, 48] }\n- jsonl: { path: deep/b.jsonl }\n";
    child.stdin.take().unwrap().write_all(piped.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("a.yaml\n") && text(&output.stderr).contains("\n-\n"));
    for (path, rows) in [("a.jsonl", 3), ("deep/b.jsonl", 4)] {
        assert_eq!(std::fs::read_to_string(base.join(path)).unwrap().lines().count(), rows);
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_fault() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let endless = file(&folder, "p.yaml", "pipeline:\n- scene: { size: [64, 48] }\n- jsonl\n");
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(["run", "--quiet", &endless])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"source\":\"scene\",\"seq\":0,"));
    // The pipe is closed now; the endless run must end quietly.
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    let long = Command::new("sh")
        .args(["-c", &format!("{} schema | head -1", env!("CARGO_BIN_EXE_ocelli"))])
        .output()
        .unwrap();
    assert_eq!((text(&long.stdout).trim(), text(&long.stderr).as_str()), ("{", ""));
}

#[test]
fn a_signal_ends_the_run_in_order() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let out = folder.path().join("found.jsonl");
        let movie = folder.path().join("m.avi");
        let endless = file(
            &folder,
            "p.yaml",
            &format!(
                "pipeline:\n- scene: {{ size: [64, 48] }}\n- jsonl\n- {{ from: scene, id: kept, jsonl: {{ path: '{}' }} }}\n- {{ from: scene, record: {{ path: '{}' }} }}\n",
                out.display(),
                movie.display()
            ),
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_ocelli"))
            .args(["run", "--quiet", &endless])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        support::send(signal, &child);
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal:?}");
        let kept = std::fs::read_to_string(&out).unwrap();
        assert!(kept.ends_with("}\n"), "the last row is complete");
        let frames = ocelli::internals::media::video::open(&movie).unwrap().count().unwrap();
        assert_eq!(frames as usize, kept.lines().count(), "the video was closed properly");
    }
}

/// A second signal ends a run that cannot shut down cleanly because nobody reads its output.
#[test]
fn a_second_signal_ends_the_run_at_once() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let endless = file(&folder, "p.yaml", "pipeline:\n- scene: { size: [64, 48] }\n- jsonl\n");
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(["run", "--quiet", &endless])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    // Nobody reads more than the first byte. The run hangs once the pipe is full.
    out.read_exact(&mut [0; 1]).unwrap();
    let mut waiting = 0;
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = rustix::io::ioctl_fionread(&out).unwrap();
        if now == waiting {
            break;
        }
        waiting = now;
    }
    support::send(Signal::INT, &child);
    // Two within half a second count as one.
    std::thread::sleep(std::time::Duration::from_millis(100));
    support::send(Signal::INT, &child);
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(child.try_wait().unwrap(), None);
    support::send(Signal::INT, &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn the_log_can_be_json() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let noted =
        file(&folder, "p.yaml", "pipeline:\n- scene: { frames: 1, size: [64, 48] }\n- { jsonl: {}, deadline: 1s }\n");
    let output = ocelli(&["run", "--quiet", "--log", "json", &noted]);
    let line: serde_json::Value = serde_json::from_str(text(&output.stderr).lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "WARN");
}

#[test]
fn the_graph_can_be_drawn() {
    let _limit = limit::within(300);
    let svg = text(&ocelli(&["check", "--svg", "pipelines/quickstart.yaml"]).stdout);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains(">detect<"));
    let dot = text(&ocelli(&["check", "--dot", "pipelines/quickstart.yaml"]).stdout);
    assert!(dot.starts_with("digraph") && dot.contains("n2 -> n3 [label=\"frame 640x360, input, detections, truth\"]"));
    let table = text(&ocelli(&["check", "pipelines/quickstart.yaml"]).stdout);
    assert!(table.contains("MiB") && table.contains("block 2"));
}

/// What a run measures beside the YAML is asked for, and stands in the table as a line of its own.
#[test]
fn truth_is_measured_where_it_is_asked_for() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let scene =
        "pipeline:\n- scene: { frames: 8 }\n- resize: { for: scene }\n- detect: { model: scene }\n- nms\n- jsonl\n";
    let known = file(&folder, "known.yaml", scene);
    let plain = ocelli(&["run", &known]);
    assert!(plain.status.success() && !text(&plain.stderr).contains("mAP"), "{}", text(&plain.stderr));
    assert!(!text(&plain.stderr).contains("truth"), "no line is added that nobody asked for");
    let measured = ocelli(&["run", &known, "--truth"]);
    let said = text(&measured.stderr);
    assert!(measured.status.success() && said.contains("mAP 0.") && said.contains("8 frames"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("truth ")), "the line is in the table:\n{said}");
    assert_eq!(plain.stdout, measured.stdout);
    let unknown = file(&folder, "unknown.yaml", "pipeline:\n- scene: { frames: 8 }\n- jsonl\n");
    let refused = ocelli(&["run", &unknown, "--truth"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("`--truth` needs detections"), "{}", text(&refused.stderr));
}

#[test]
fn ffmpeg_missing_is_said_clearly() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let strange = file(&folder, "x.webm", "\x1aE\u{df}nonsense that no reader knows");
    let pipeline = file(&folder, "p.yaml", &format!("pipeline:\n- video: {{ path: '{strange}' }}\n- jsonl\n"));
    let output = Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .env("PATH", "/nonexistent")
        .args(["run", &pipeline])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = text(&output.stderr);
    assert!(
        said.contains("is read through `ffmpeg`, which cannot be started") && said.contains("apt install ffmpeg"),
        "{said}"
    );
}

#[test]
fn a_scene_is_written_as_coco() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let made = ocelli(&["scene", "--export", "masks", "--out", &out, "--frames", "3", "--size", "160x96"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let coco: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("annotations.json")).unwrap()).unwrap();
    assert_eq!(coco["images"].as_array().unwrap().len(), 3);
    assert_eq!(coco["categories"].as_array().unwrap().len(), 6);
    let mut mask = ocelli::internals::types::Image::default();
    ocelli::internals::media::png::decode(&std::fs::read(folder.path().join("masks/000001.png")).unwrap(), &mut mask)
        .unwrap();
    for annotation in coco["annotations"].as_array().unwrap().iter().filter(|a| a["image_id"] == 2) {
        // Inside each box, the mask contains the box's class.
        let b: Vec<u32> = annotation["bbox"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as u32).collect();
        let class = annotation["category_id"].as_u64().unwrap() as u8;
        let seen = (b[1]..b[1] + b[3]).any(|y| (b[0]..b[0] + b[2]).any(|x| mask.row(y)[x as usize * 3] == class));
        assert!(seen, "{annotation}");
    }
}

/// An installed program, in a folder of someone who has nothing else: no models, no repository.
#[test]
fn the_bundled_pipelines_run_from_any_folder() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let ocelli = |within: &str, args: &[&str]| {
        let place = folder.path().join(within);
        std::fs::create_dir_all(&place).unwrap();
        Command::new(env!("CARGO_BIN_EXE_ocelli"))
            .args(args)
            .current_dir(place)
            .env_remove("OCELLI_MODELS")
            .env("XDG_DATA_HOME", folder.path().join("data"))
            .output()
            .unwrap()
    };
    // From the repository, to compare with.
    let quickstart = std::path::absolute("pipelines/quickstart.yaml").unwrap().display().to_string();
    let expected = ocelli("repository", &["run", &quickstart, "--quiet"]).stdout;
    assert_eq!(text(&expected).lines().count(), 150);

    let run = ocelli("a", &["run", "quickstart", "--quiet"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(run.stdout == expected, "other rows than in the repository");
    assert!(folder.path().join("a/out/street.mp4").is_file());

    let init = ocelli("b", &["init", "why", "door"]);
    assert!(init.status.success() && text(&init.stdout).contains("ocelli run why.yaml"), "{}", text(&init.stderr));
    let again = ocelli("b", &["init", "why", "door"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
    let run = ocelli("b/door", &["run", "why.yaml", "--quiet"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(folder.path().join("b/door/out/why.jsonl").is_file());

    // A pipeline of one's own may use a bundled model; one's own model of that name comes first.
    let own = "pipeline:\n- scene: { frames: 3 }\n- resize: { for: scene }\n- detect: { model: scene }\n- jsonl\n";
    std::fs::create_dir_all(folder.path().join("c/models")).unwrap();
    std::fs::write(folder.path().join("c/own.yaml"), own).unwrap();
    let run = ocelli("c", &["run", "own.yaml", "--quiet"]);
    assert_eq!(text(&run.stdout).lines().count(), 3, "{}", text(&run.stderr));
    std::fs::create_dir_all(folder.path().join("data/ocelli/models/scene")).unwrap();
    std::fs::write(folder.path().join("data/ocelli/models/scene/card.yaml"), "nonsense").unwrap();
    let run = ocelli("c", &["run", "own.yaml", "--quiet"]);
    assert!(!run.status.success(), "{}", text(&run.stderr));
    assert!(text(&run.stderr).contains("data/ocelli/models/scene/card.yaml"), "{}", text(&run.stderr));
}

#[test]
fn completions_and_manual_pages_name_every_verb() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1").display().to_string();
    assert!(ocelli(&["man", &pages]).status.success());
    let (bash, top) = (text(&ocelli(&["completions", "bash"]).stdout), text(&ocelli(&["man"]).stdout));
    for verb in ["init", "run", "record", "replay", "check", "models", "completions"] {
        assert!(bash.contains(verb) && top.contains(&format!("ocelli\\-{verb}")), "{verb}: {top}");
        let page = std::fs::read_to_string(folder.path().join(format!("man1/ocelli-{verb}.1"))).unwrap();
        assert!(page.contains("Examples:") || verb == "models", "{verb}: {page}");
    }
    // The shell itself reads the script.
    let script = folder.path().join("ocelli.bash");
    std::fs::write(&script, bash).unwrap();
    let read = Command::new("bash").args(["-n"]).arg(&script).output().unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
}
