//! Single stages, fed by hand.

use ocelli::internals::media::still;
use ocelli::internals::stage::{Emitter, Env, LineEnv, Stage};
use ocelli::internals::types::{Frame, Image, Packet};
use ocelli::internals::yaml::Document;
use std::path::Path;
use std::sync::Arc;

/// Builds a stage from its name and its settings in YAML.
pub fn stage(name: &str, settings: &str, env: &Env) -> Box<dyn Stage> {
    let document = Document::parse("stage.yaml", settings.to_owned(), |name| Err(format!("no {name}"))).unwrap();
    let part = ocelli::internals::stages::STAGES.iter().find(|part| part.name == name).unwrap();
    let config = (part.read)(&document.root).unwrap_or_else(|fault| panic!("{}", document.error(&[fault])));
    config.check(env).unwrap_or_else(|e| panic!("{e}"));
    config.build(&LineEnv::alone(env, name)).unwrap_or_else(|e| panic!("{e}"))
}

/// Reads a picture from a file.
pub fn picture(path: &Path) -> Image {
    let mut image = Image::default();
    still::decode(&std::fs::read(path).unwrap(), &mut image).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    image
}

/// Makes a packet that holds a picture.
pub fn packet(image: Image) -> Packet {
    Packet::new(Arc::new(Frame { image, source: Arc::from("test"), ..Frame::default() }))
}

/// Sends a packet through stages, one after another.
pub fn through(stages: &mut [Box<dyn Stage>], packet: Packet) -> Packet {
    let mut out = Emitter::default();
    stages.iter_mut().fold(packet, |packet, stage| {
        stage.process(packet, &mut out).unwrap();
        out.drain().next().unwrap()
    })
}
