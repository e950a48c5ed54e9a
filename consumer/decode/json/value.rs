//! A value as rules ask it, whichever reader keeps it.

use trailmeter_rules::event::{Json, JsonKind};

use super::view::View;
use super::{tape, unparsed};

/// A value of an event's JSON.
#[derive(Clone, Copy)]
pub struct Value<'a>(Kept<'a>);

#[derive(Clone, Copy)]
enum Kept<'a> {
    Parsed(tape::Value<'a>),
    Filled(View<'a>),
    Unparsed(&'a dyn unparsed::Event),
}

impl<'a> From<tape::Value<'a>> for Value<'a> {
    fn from(value: tape::Value<'a>) -> Self {
        Self(Kept::Parsed(value))
    }
}

impl<'a> From<View<'a>> for Value<'a> {
    fn from(view: View<'a>) -> Self {
        Self(Kept::Filled(view))
    }
}

impl<'a> From<&'a dyn unparsed::Event> for Value<'a> {
    fn from(event: &'a dyn unparsed::Event) -> Self {
        Self(Kept::Unparsed(event))
    }
}

impl<'a> Json<'a> for Value<'a> {
    fn kind(self) -> JsonKind<'a> {
        match self.0 {
            Kept::Parsed(value) => value.kind(),
            Kept::Filled(view) => Json::kind(view),
            Kept::Unparsed(event) => event.event().kind(),
        }
    }

    fn member(self, key: &str) -> Option<Self> {
        match self.0 {
            Kept::Parsed(value) => Json::member(value, key).map(Self::from),
            Kept::Filled(view) => Json::member(view, key).map(Self::from),
            Kept::Unparsed(event) => Json::member(event.event(), key).map(Self::from),
        }
    }

    fn any_element(self, visit: &mut dyn FnMut(Self) -> bool) -> bool {
        match self.0 {
            Kept::Parsed(value) => value.any_element(&mut |element| visit(element.into())),
            Kept::Filled(view) => view.any_element(&mut |element| visit(element.into())),
            Kept::Unparsed(event) => event.event().any_element(&mut |element| visit(element.into())),
        }
    }

    fn each_member(self, visit: &mut dyn FnMut(&'a str, Self)) {
        match self.0 {
            Kept::Parsed(value) => Json::each_member(value, &mut |key, value| visit(key, value.into())),
            Kept::Filled(view) => Json::each_member(view, &mut |key, value| visit(key, value.into())),
            Kept::Unparsed(event) => {
                Json::each_member(event.event(), &mut |key, value| visit(key, value.into()));
            }
        }
    }
}
