//! The engine behind `benches/peers/run.py`: loads cards, then runs and profiles on request, one line in, one line out.
//!
//! `ready NAME load_ms`, then for each line `run NAME` the CPU and wall time of a run in microseconds; `profile NAME` prints
//! each step with its share; `picture:FILE NAME` takes another picture, RGB in bytes; `dump:FILE NAME` writes the outputs as
//! floats, `lengths NAME` says how many each has; `peak floats` and `peak bytes` say how many billions of products a core
//! computes in a second.
#![allow(clippy::unwrap_used, missing_docs, unsafe_code)]

mod peak;

use ocelli::internals::infer::{Card, Extra, Plan, Session};
use ocelli::internals::types::{Image, PixelFormat};
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// CPU time of the process.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some((threads, cards)) = arguments.split_first() else {
        println!("usage: peers THREADS CARD_FOLDER…; run it by benches/peers/run.py");
        return;
    };
    let threads: usize = threads.parse().unwrap();
    let mut sessions = Vec::new();
    for folder in cards {
        let start = Instant::now();
        let card = Card::read(Path::new(folder)).unwrap();
        let plan = Arc::new(Plan::load(&card, &Extra::default()).unwrap());
        let threads = if plan.is_tiny() { 1 } else { threads };
        let mut session = Session::of(&card, Arc::clone(&plan), threads).unwrap();
        let mut image = Image::new(card.fields.input.size, PixelFormat::Rgb8);
        image.data.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 31 % 251) as u8);
        session.run(&Arc::from(""), &image).unwrap();
        println!("ready {} {:.1}", card.name, start.elapsed().as_secs_f64() * 1e3);
        sessions.push((card.name.clone(), session, image));
    }
    std::io::stdout().flush().unwrap();
    let source: Arc<str> = Arc::from("");
    for line in std::io::stdin().lock().lines().map(Result::unwrap) {
        let (verb, name) = line.split_once(' ').unwrap();
        if verb == "peak" {
            println!("{:.1}", if name == "bytes" { peak::bytes() } else { peak::floats() });
            std::io::stdout().flush().unwrap();
            continue;
        }
        let Some((_, session, image)) = sessions.iter_mut().find(|(of, ..)| of == name) else { continue };
        if let Some(file) = verb.strip_prefix("dump:") {
            session.run(&source, image).unwrap();
            let mut all = Vec::new();
            for at in 0..session.plan().outputs.len() {
                let mut values = Vec::new();
                session.output(at).unwrap().read(1.0, 0, &mut values).unwrap();
                all.extend(values.into_iter().flat_map(f32::to_le_bytes));
            }
            std::fs::write(file, all).unwrap();
            println!("dumped");
        } else if let Some(file) = verb.strip_prefix("picture:") {
            image.data.copy_from_slice(&std::fs::read(file).unwrap());
            println!("taken");
        } else if verb == "lengths" {
            session.run(&source, image).unwrap();
            let length = |at: usize| {
                let mut values = Vec::new();
                session.output(at).unwrap().read(1.0, 0, &mut values).unwrap();
                values.len().to_string()
            };
            println!("{}", (0..session.plan().outputs.len()).map(length).collect::<Vec<_>>().join(" "));
        } else if let Some(times) = verb.strip_prefix("profile:") {
            profile(session, times.parse().unwrap());
        } else if verb == "profile" {
            profile(session, 20);
        } else {
            let (start, before) = (Instant::now(), cpu());
            session.run(&source, image).unwrap();
            println!("{:.1} {:.1}", cpu() - before, start.elapsed().as_secs_f64() * 1e6);
        }
        std::io::stdout().flush().unwrap();
    }
}

/// Each step of each block: the least of so many runs, and billions of multiplications in a second.
fn profile(session: &Session, times: usize) {
    for block in &session.plan().compiled.blocks {
        let mut memory = block.program.memory(1);
        let mut least = block.program.profile(&mut memory);
        for _ in 0..times {
            for (best, new) in least.iter_mut().zip(block.program.profile(&mut memory)) {
                best.2 = best.2.min(new.2);
            }
        }
        let all: u128 = least.iter().map(|(.., time)| time).sum();
        println!("block of {} nodes, {} steps, {:.2} ms", block.nodes, least.len(), all as f64 / 1e6);
        for (name, macs, time) in least {
            println!(
                "{:40} {:8.1} us {:5.1} % {:6.1} GMAC/s",
                name,
                time as f64 / 1e3,
                time as f64 * 100.0 / all as f64,
                macs as f64 / time.max(1) as f64
            );
        }
    }
    for ((op, reason), count) in &session.plan().compiled.left {
        println!("left to tract: {count} {op}: {reason}");
    }
    println!("end");
}
