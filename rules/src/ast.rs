//! Conditions as a tree. Falco's and Sigma's rules both become this; lists and macros are names in it until they are
//! resolved.

use std::ops::Range;

use crate::field::Field;

/// Bytes of the condition's text, for problems.
pub type Bytes = Range<usize>;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All hold. Of none: true.
    And(Vec<Expr>),
    /// One holds. Of none: false.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// One question to the event.
    Check(Check),
    /// A macro, by name.
    Macro(String, Bytes),
}

/// One question to the event.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is asked for.
    pub left: Term,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub right: Right,
    /// Where it stands.
    pub bytes: Bytes,
}

/// Something that has values: none, one, or many.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A field of the event.
    Field(Field),
    /// A text.
    Text(String),
    /// Something made of others.
    Call(Function, Vec<Term>),
    /// Several, one after the other.
    List(Vec<Term>),
}

/// What may be made of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Small letters (ASCII).
    ToLower,
    /// Capital letters (ASCII).
    ToUpper,
    /// What a base64 text stands for.
    B64,
    /// What follows the last slash.
    Basename,
    /// Bytes of a text; of a field that is a list, its elements.
    Len,
    /// All values of the first, with the second between them.
    Join,
    /// All of them, one behind the other.
    Concat,
    /// The options, a letter each, that a command line has.
    GetOpt,
    /// The value itself; marks a field where a text could stand.
    Val,
}

impl Function {
    /// All, by name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("tolower", Self::ToLower),
        ("toupper", Self::ToUpper),
        ("b64", Self::B64),
        ("basename", Self::Basename),
        ("len", Self::Len),
        ("join", Self::Join),
        ("concat", Self::Concat),
        ("getopt", Self::GetOpt),
        ("val", Self::Val),
    ];

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

/// What a check compares with.
#[derive(Clone, Debug, PartialEq)]
pub enum Right {
    /// Nothing: `exists`.
    Nothing,
    /// A text.
    Text(String),
    /// Several. A name that is a list's stands for its items once it is resolved.
    List(Vec<Item>, Quantifier),
    /// A list, by name.
    Named(String, Bytes, Quantifier),
    /// What the event says elsewhere.
    Term(Term),
}

/// One of several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The text.
    pub text: String,
    /// It stands without quotes, and may be a list's name.
    pub is_bare: bool,
}

/// How many of several values a check must hold for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// All.
    All,
    /// Exactly one.
    One,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// There is a value.
    Exists,
    /// Equal.
    Eq,
    /// There is a value, and it is another.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Has the text in it.
    Contains,
    /// The same without regard to ASCII case.
    IContains,
    /// Has these bytes, written in hexadecimal, in it.
    BContains,
    /// Begins with it.
    StartsWith,
    /// Begins with these bytes, written in hexadecimal.
    BStartsWith,
    /// Ends with it.
    EndsWith,
    /// A pattern with `*`, `?` and `[…]` for the whole.
    Glob,
    /// The same without regard to case.
    IGlob,
    /// A regular expression for the whole.
    Regex,
    /// All values are among several.
    In,
    /// One value is among several.
    Intersects,
    /// A path that begins with one of several, whole components.
    PMatch,
    /// Sigma's: there is a value, and not `null`.
    HasValue,
    /// Sigma's: a pattern with `*` and `?` for the whole.
    Like(Case),
    /// Sigma's: a regular expression for a part.
    Search(SearchFlags),
    /// Sigma's: an address in a network.
    Cidr,
    /// Sigma's: numbers.
    Number(Ordering),
    /// Sigma's `fieldref`: equal to, or with a part equal to, another field's value.
    SameAs(Part),
}

/// Whether case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// It does.
    Sensitive,
    /// It does not.
    Ignored,
}

/// Which part of a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Any part.
    Any,
    /// Its beginning.
    Start,
    /// Its end.
    End,
}

/// Flags of a regular expression in Sigma.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchFlags {
    /// Without regard to case.
    pub ignores_case: bool,
    /// `^` and `$` stand for lines.
    pub is_multi_line: bool,
    /// `.` stands for the end of a line, too.
    pub dot_is_all: bool,
}

/// An order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

impl Op {
    /// Falco's operators, by name.
    pub const FALCO: [(&'static str, Self); 20] = [
        ("exists", Self::Exists),
        ("==", Self::Eq),
        ("=", Self::Eq),
        ("!=", Self::Ne),
        ("<=", Self::Le),
        ("<", Self::Lt),
        (">=", Self::Ge),
        (">", Self::Gt),
        ("contains", Self::Contains),
        ("icontains", Self::IContains),
        ("bcontains", Self::BContains),
        ("startswith", Self::StartsWith),
        ("bstartswith", Self::BStartsWith),
        ("endswith", Self::EndsWith),
        ("glob", Self::Glob),
        ("iglob", Self::IGlob),
        ("regex", Self::Regex),
        ("in", Self::In),
        ("intersects", Self::Intersects),
        ("pmatch", Self::PMatch),
    ];

    /// Falco's operator of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::FALCO.iter().find(|(known, _)| *known == name).map(|(_, op)| *op)
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Like(Case::Ignored) => "like",
            Self::Like(Case::Sensitive) => "like-cased",
            Self::Search(_) => "matches",
            Self::HasValue => "has-value",
            Self::Cidr => "in-network",
            Self::Number(Ordering::Lt) => "<",
            Self::Number(Ordering::Le) => "<=",
            Self::Number(Ordering::Gt) => ">",
            Self::Number(Ordering::Ge) => ">=",
            Self::SameAs(Part::Whole) => "same-as",
            Self::SameAs(Part::Any) => "contains",
            Self::SameAs(Part::Start) => "startswith",
            Self::SameAs(Part::End) => "endswith",
            _ => Self::FALCO.iter().rev().find(|(_, op)| *op == self).map_or("", |(name, _)| name),
        }
    }

    /// Whether it takes several values.
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::PMatch)
    }
}

impl Expr {
    /// How many parts it has, itself included.
    pub fn parts(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => 1 + parts.iter().map(Self::parts).sum::<usize>(),
            Self::Not(inner) => 1 + inner.parts(),
            Self::Check(_) | Self::Macro(..) => 1,
        }
    }

    /// Hands the names of all macros in it to `visit`.
    pub fn each_macro<'e>(&'e self, visit: &mut dyn FnMut(&'e str)) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.each_macro(visit)),
            Self::Not(inner) => inner.each_macro(visit),
            Self::Check(_) => {}
            Self::Macro(name, _) => visit(name),
        }
    }
}

/// Shows a condition as it is judged: for `rules explain`.
impl std::fmt::Display for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::And(parts) if parts.is_empty() => f.write_str("true"),
            Self::Or(parts) if parts.is_empty() => f.write_str("false"),
            Self::And(parts) => joined(f, parts, " and "),
            Self::Or(parts) => joined(f, parts, " or "),
            // Two in a row are none.
            Self::Not(inner) if matches!(**inner, Self::Not(_)) => write!(f, "not ({inner})"),
            Self::Not(inner) => write!(f, "not {}", Nested(inner)),
            Self::Check(check) => write!(f, "{check}"),
            Self::Macro(name, _) => f.write_str(name),
        }
    }
}

struct Nested<'e>(&'e Expr);

impl std::fmt::Display for Nested<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Expr::And(parts) | Expr::Or(parts) if parts.len() > 1 => write!(f, "({})", self.0),
            other => write!(f, "{other}"),
        }
    }
}

fn joined(f: &mut std::fmt::Formatter<'_>, parts: &[Expr], between: &str) -> std::fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        write!(f, "{}", Nested(part))?;
    }
    Ok(())
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.left, self.op.name())?;
        match &self.right {
            Right::Nothing => Ok(()),
            Right::Text(text) => write!(f, " {}", quoted(text)),
            Right::Term(term @ Term::Field(_)) => write!(f, " val({term})"),
            Right::Term(term) => write!(f, " {term}"),
            Right::Named(name, _, quantifier) => write!(f, " {}{name}", quantified(self.op, *quantifier)),
            Right::List(items, quantifier) => {
                let texts: Vec<String> = items.iter().map(|item| quoted(&item.text)).collect();
                write!(f, " {}({})", quantified(self.op, *quantifier), texts.join(", "))
            }
        }
    }
}

fn quantified(op: Op, quantifier: Quantifier) -> &'static str {
    match quantifier {
        _ if op.takes_list() => "",
        Quantifier::Any => "anyof ",
        Quantifier::All => "allof ",
        Quantifier::One => "oneof ",
    }
}

/// A text as a condition has it: in quotes where it needs them.
fn quoted(text: &str) -> String {
    let is_bare = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "()\"'=,".contains(c));
    // Where a value is expected these are words of the language.
    let is_word = matches!(text, "anyof" | "allof" | "oneof");
    if is_bare && !is_word { text.to_owned() } else { in_quotes(text) }
}

/// A text in quotes, so that it is read as itself.
pub fn in_quotes(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = |terms: &[Self]| terms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Field(field) => write!(f, "{field}"),
            Self::Text(text) => f.write_str(&in_quotes(text)),
            Self::Call(function, terms) => write!(f, "{}({})", function.name(), all(terms)),
            Self::List(terms) => write!(f, "({})", all(terms)),
        }
    }
}
