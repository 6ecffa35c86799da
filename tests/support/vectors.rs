//! Reads the golden vectors: `<topic>.json` with the cases, `<topic>.npz` with the arrays.

use super::npz::{Element, Npz};
use serde_json::Value;
use std::cell::Cell;

/// One case, with access to its arrays.
pub struct Case<'a> {
    pub name: String,
    pub op: String,
    pub params: Value,
    tol: Value,
    input: Value,
    output: Value,
    npz: &'a Npz,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Untouched,
    Checked,
    Left,
}

/// Runs `check` on each case of a topic. Fails if a case was neither checked nor explicitly left out.
pub fn cases(topic: &str, check: impl Fn(&Case<'_>)) {
    let Some(folder) = super::folder("OCELLI_VECTORS") else { return };
    let text = std::fs::read_to_string(folder.join(format!("{topic}.json"))).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let npz = Npz::read(&folder.join(format!("{topic}.npz")));
    let (mut checked, mut left) = (0, 0);
    for value in document["cases"].as_array().unwrap() {
        let case = Case {
            name: format!("{topic}/{}", value["name"].as_str().unwrap()),
            op: value["op"].as_str().unwrap().into(),
            params: value["params"].clone(),
            tol: value["tol"].clone(),
            input: value["in"].clone(),
            output: value["out"].clone(),
            npz: &npz,
            state: Cell::new(State::Untouched),
        };
        check(&case);
        match case.state.get() {
            State::Checked => checked += 1,
            State::Left => left += 1,
            State::Untouched => {
                assert_eq!(case.op, "policy", "{}: nothing was compared", case.name);
                checked += 1;
            }
        }
    }
    eprintln!("{topic}: {checked} cases equal within tolerance, {left} left out");
    assert!(checked > 0, "{topic}: no case was checked");
}

impl Case<'_> {
    fn array<T: Element>(&self, entry: &Value, name: &str) -> Vec<T> {
        let key = entry[name]["key"].as_str().unwrap_or_else(|| panic!("{}: no array {name}", self.name));
        self.npz.array(key)
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.array(&self.input, name)
    }

    pub fn f64(&self, name: &str) -> Vec<f64> {
        self.array(&self.input, name)
    }

    pub fn i64(&self, name: &str) -> Vec<i64> {
        self.array(&self.input, name)
    }

    pub fn u8(&self, name: &str) -> Vec<u8> {
        self.array(&self.input, name)
    }

    pub fn out_u8(&self, name: &str) -> Vec<u8> {
        self.array(&self.output, name)
    }

    pub fn out_f32(&self, name: &str) -> Vec<f32> {
        self.array(&self.output, name)
    }

    pub fn out_i64(&self, name: &str) -> Vec<i64> {
        self.array(&self.output, name)
    }

    /// Whether the case has an input of this name.
    pub fn takes(&self, name: &str) -> bool {
        self.input.get(name).is_some()
    }

    pub fn has(&self, name: &str) -> bool {
        self.output.get(name).is_some()
    }

    pub fn shape(&self, name: &str) -> Vec<u32> {
        shape_of(&self.input[name])
    }

    pub fn out_shape(&self, name: &str) -> Vec<u32> {
        shape_of(&self.output[name])
    }

    pub fn tolerance_abs(&self) -> f64 {
        self.tol["abs"].as_f64().unwrap_or(0.0)
    }

    pub fn checked(&self) {
        self.state.set(State::Checked);
    }

    pub fn leave(&self, _why: &str) {
        self.state.set(State::Left);
    }

    pub fn close(&self, name: &str, found: &[f32]) {
        let expect: Vec<f32> = self.array(&self.output, name);
        self.compare(name, found.iter().map(|&v| f64::from(v)), expect.iter().map(|&v| f64::from(v)));
    }

    pub fn close64(&self, name: &str, found: &[f64]) {
        let expect: Vec<f64> = self.array(&self.output, name);
        self.compare(name, found.iter().copied(), expect.into_iter());
    }

    fn compare(
        &self,
        name: &str,
        found: impl ExactSizeIterator<Item = f64>,
        expect: impl ExactSizeIterator<Item = f64>,
    ) {
        assert_eq!(found.len(), expect.len(), "{}: {name}: length", self.name);
        let (abs, rel) = (self.tolerance_abs(), self.tol["rel"].as_f64().unwrap_or(0.0));
        for (at, (a, b)) in found.zip(expect).enumerate() {
            // If the reference divides 0 by 0, our contract is a finite number.
            assert!(
                if b.is_nan() { a.is_finite() } else { (a - b).abs() <= abs + rel * b.abs() },
                "{}: {name}[{at}]: {a}, reference {b}",
                self.name
            );
        }
        self.checked();
    }

    pub fn close_u8(&self, name: &str, found: &[u8], tolerance: u8) {
        let expect = self.out_u8(name);
        assert_eq!(found.len(), expect.len(), "{}: {name}: length", self.name);
        let worst = found.iter().zip(&expect).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        assert!(worst <= tolerance, "{}: {name}: off by {worst} levels", self.name);
        self.checked();
    }

    pub fn equal(&self, name: &str, found: &[i64]) {
        let expect: Vec<i64> = self.array(&self.output, name);
        assert_eq!(found, expect, "{}: {name}", self.name);
        self.checked();
    }
}

fn shape_of(entry: &Value) -> Vec<u32> {
    entry["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}
