//! A JSON value as fields and envelopes are found in it, whichever reader keeps it.

/// What a value is, by its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// An object.
    Object,
    /// An array.
    Array,
    /// A number, `true`, `false` or `null`.
    Scalar,
}

/// A value within a text of lifetime `'a`, as far as it says something itself.
pub trait Leaf<'a>: Copy {
    /// What it is.
    fn form(self) -> Form;
    /// The text of a string.
    fn text(self) -> Option<&'a str>;
    /// Whether it is `true`.
    fn is_true(self) -> bool;
}

/// A value with all that is in it.
pub trait Node<'a>: Leaf<'a> {
    /// Hands the members of an object to `visit`, until it says false.
    fn each_member(self, visit: impl FnMut(&'a str, Self) -> bool);
    /// Hands the elements of an array to `visit`.
    fn each_element(self, visit: impl FnMut(Self));

    /// The member `key`; of several the last, as most readers of JSON take it.
    fn member(self, key: &str) -> Option<Self> {
        let mut last = None;
        self.each_member(|name, value| {
            if name == key {
                last = Some(value);
            }
            true
        });
        last
    }
}
