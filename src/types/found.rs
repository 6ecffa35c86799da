//! An answer and who gave it.

use std::ops::Deref;
use std::sync::Arc;

/// Who gave an answer: a model, or a scene that knows what it shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// Name of the model.
    pub model: Arc<str>,
    /// Names of its classes, in the order of their numbers; may be empty.
    pub labels: Arc<[String]>,
}

impl Maker {
    /// Creates a maker that all its answers share.
    #[must_use]
    pub fn new(model: &str, labels: impl Into<Arc<[String]>>) -> Arc<Self> {
        Arc::new(Self { model: Arc::from(model), labels: labels.into() })
    }

    /// The name of a class; `None` if it has none.
    #[must_use]
    pub fn label(&self, class: u16) -> Option<&str> {
        self.labels.get(usize::from(class)).map(String::as_str).filter(|label| !label.is_empty())
    }
}

/// What was found, and by whom. Its class numbers refer to the labels of this maker only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found<T> {
    /// What was found.
    pub items: T,
    /// Who found it.
    pub by: Arc<Maker>,
}

impl<T> Found<T> {
    /// Creates an answer of a maker.
    #[must_use]
    pub fn new(items: T, by: &Arc<Maker>) -> Self {
        Self { items, by: Arc::clone(by) }
    }
}

impl<T> Deref for Found<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.items
    }
}
