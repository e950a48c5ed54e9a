//! Comparisons with what a rule names, made ready once so that each is quick.

use std::cmp::Ordering;

use aho_corasick::AhoCorasick;
use hashbrown::HashSet;
use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use regex_syntax::ast;
use regex_syntax::hir::{Hir, HirKind};

use crate::ast::{Case, Op, SearchFlags};
use crate::field::Kind;
use crate::network::Network;
use crate::pattern::{Pattern, Shape};
use crate::values::Value;
use crate::version;

/// A compiled expression beyond this is refused: it would be slow to make ready, and to run.
const MAX_REGEX_BYTES: usize = 512 << 10;
/// Texts that one automaton looks for; what it takes to build one grows with their square.
const MOST_TOGETHER: usize = 2000;
/// Fewer than this are compared one by one.
const HASHED_FROM: usize = 9;

/// A comparison of one value.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Any text.
    Anything,
    /// This text.
    Equal(Box<str>),
    /// This text, whatever its ASCII case.
    EqualIgnoringCase(Box<str>),
    /// One of these.
    Among(HashSet<Box<str>>),
    /// One of these (in small letters), whatever its ASCII case.
    AmongIgnoringCase(HashSet<Box<str>>),
    /// These bytes are in it.
    Contains(Box<Finder<'static>>),
    /// One of some texts is in it.
    ContainsOne(AhoCorasick),
    /// It begins so.
    StartsWith(Box<[u8]>),
    /// It begins so, whatever its ASCII case.
    StartsWithIgnoringCase(Box<[u8]>),
    /// It ends so.
    EndsWith(Box<[u8]>),
    /// It ends so, whatever its ASCII case.
    EndsWithIgnoringCase(Box<[u8]>),
    /// An expression.
    Regex(Box<Expression>),
    /// It is this path, or lies below it.
    Below(Box<str>),
    /// Its order towards a text.
    TextOrder(Orders, Box<str>),
    /// Its order towards a version.
    VersionOrder(Orders, Box<str>),
    /// Its order towards a number.
    NumberOrder(Orders, f64),
    /// It lies in this network.
    Network(Network),
    /// One of these holds.
    OneOf(Vec<Matcher>),
}

/// A regular expression, and a text without which it does not match.
#[derive(Clone, Debug)]
pub struct Expression {
    needed: Option<Finder<'static>>,
    regex: Regex,
}

impl Expression {
    fn matches(&self, text: &str) -> bool {
        // Looking for a text is many times quicker than running the expression, which seldom matches.
        let may_match = self.needed.as_ref().is_none_or(|needed| needed.find(text.as_bytes()).is_some());
        may_match && self.regex.is_match(text)
    }
}

/// The longest text that must stand in whatever matches.
fn needed_text(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Capture(capture) => needed_text(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed_text(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(needed_text).max_by_key(Vec::len),
        _ => None,
    }
}

/// The orders that satisfy a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Orders {
    const EQUAL: Self = Self { less: false, equal: true, greater: false };

    /// Of an operator that orders.
    fn of(op: Op) -> Option<Self> {
        use crate::ast::Ordering as Number;
        let (less, equal, greater) = match op {
            Op::Eq | Op::In | Op::Intersects => (false, true, false),
            Op::Lt | Op::Number(Number::Lt) => (true, false, false),
            Op::Le | Op::Number(Number::Le) => (true, true, false),
            Op::Gt | Op::Number(Number::Gt) => (false, false, true),
            Op::Ge | Op::Number(Number::Ge) => (false, true, true),
            _ => return None,
        };
        Some(Self { less, equal, greater })
    }

    fn hold(self, order: Ordering) -> bool {
        match order {
            Ordering::Less => self.less,
            Ordering::Equal => self.equal,
            Ordering::Greater => self.greater,
        }
    }
}

/// A comparison that can't be made ready: what is wrong and what to do.
pub type NotReady = (String, String);

impl Matcher {
    /// A comparison with one value.
    ///
    /// # Errors
    /// The value is not what the operator, or the field, takes.
    pub fn new(op: Op, kind: Kind, text: &str) -> Result<Self, NotReady> {
        match (kind, op) {
            (_, Op::Number(_)) => number(op, text),
            (Kind::Number, _) => number(op, text),
            (Kind::Version, _) if Orders::of(op).is_some() => {
                Ok(Self::VersionOrder(Orders::of(op).unwrap_or(Orders::EQUAL), text.into()))
            }
            (Kind::Network, Op::Eq | Op::In | Op::Intersects) | (_, Op::Cidr) => network(text),
            (Kind::Network, _) => {
                Err(("a network is compared with `=`, `!=` and `in` only".to_owned(), String::new()))
            }
            _ => of_text(op, text),
        }
    }

    /// Whether a value satisfies it.
    pub fn matches(&self, value: Value<'_>) -> bool {
        match value {
            Value::Text(text) => self.matches_text(text),
            Value::Number(number) => match self {
                // Numbers are not so large that a float confuses two of them where it matters.
                Self::NumberOrder(orders, wanted) => {
                    (number as f64).partial_cmp(wanted).is_some_and(|order| orders.hold(order))
                }
                Self::OneOf(matchers) => matchers.iter().any(|matcher| matcher.matches(value)),
                _ => self.matches_text(&number.to_string()),
            },
            Value::Address(address) => match self {
                Self::Network(network) => network.contains(address),
                Self::OneOf(matchers) => matchers.iter().any(|matcher| matcher.matches(value)),
                _ => false,
            },
        }
    }

    /// Whether a text satisfies it.
    pub fn matches_text(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Equal(wanted) => text == &**wanted,
            Self::EqualIgnoringCase(wanted) => text.eq_ignore_ascii_case(wanted),
            Self::Among(wanted) => wanted.contains(text),
            Self::AmongIgnoringCase(wanted) => with_small_letters(text, |small| wanted.contains(small)),
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::ContainsOne(finder) => finder.is_match(text),
            Self::StartsWith(wanted) => text.as_bytes().starts_with(wanted),
            Self::EndsWith(wanted) => text.as_bytes().ends_with(wanted),
            Self::StartsWithIgnoringCase(wanted) => {
                text.as_bytes().get(..wanted.len()).is_some_and(|part| part.eq_ignore_ascii_case(wanted))
            }
            Self::EndsWithIgnoringCase(wanted) => {
                let begin = text.len().checked_sub(wanted.len());
                begin.is_some_and(|begin| text.as_bytes()[begin..].eq_ignore_ascii_case(wanted))
            }
            Self::Regex(expression) => expression.matches(text),
            Self::Below(path) => is_below(text, path),
            Self::TextOrder(orders, wanted) => orders.hold(text.cmp(wanted)),
            Self::VersionOrder(orders, wanted) => orders.hold(version::compare(text, wanted)),
            Self::NumberOrder(orders, wanted) => {
                let number = text.trim().parse::<f64>().ok();
                number.and_then(|number| number.partial_cmp(wanted)).is_some_and(|order| orders.hold(order))
            }
            Self::Network(network) => text.parse().is_ok_and(|address| network.contains(address)),
            Self::OneOf(matchers) => matchers.iter().any(|matcher| matcher.matches_text(text)),
        }
    }

    /// One of these holds: many texts are looked up together.
    pub fn one_of(matchers: Vec<Self>) -> Self {
        let (mut equal, mut equal_ignoring_case, mut others) = (HashSet::new(), HashSet::new(), Vec::new());
        for matcher in matchers {
            match matcher {
                Self::Equal(text) => {
                    equal.insert(text);
                }
                Self::EqualIgnoringCase(text) => {
                    equal_ignoring_case.insert(text.to_ascii_lowercase().into());
                }
                other => others.push(other),
            }
        }
        if equal.len() >= HASHED_FROM {
            others.push(Self::Among(equal));
        } else {
            others.extend(equal.into_iter().map(Self::Equal));
        }
        if equal_ignoring_case.len() >= HASHED_FROM {
            others.push(Self::AmongIgnoringCase(equal_ignoring_case));
        } else {
            others.extend(equal_ignoring_case.into_iter().map(Self::EqualIgnoringCase));
        }
        if others.len() == 1 { others.remove(0) } else { Self::OneOf(others) }
    }

    /// One of these texts is in it.
    ///
    /// # Errors
    /// There are too many.
    pub fn contains_one(texts: &[&str], case: Case) -> Result<Self, NotReady> {
        let finder = |texts| {
            let finder = AhoCorasick::builder().ascii_case_insensitive(case == Case::Ignored).build(texts);
            finder
                .map(Self::ContainsOne)
                .map_err(|error| (format!("the values are too many ({error})"), String::new()))
        };
        if texts.len() <= MOST_TOGETHER {
            return finder(texts);
        }
        Ok(Self::OneOf(texts.chunks(MOST_TOGETHER).map(finder).collect::<Result<_, _>>()?))
    }
}

fn of_text(op: Op, text: &str) -> Result<Matcher, NotReady> {
    let bytes = || text.as_bytes().into();
    Ok(match op {
        Op::Eq | Op::In | Op::Intersects => Matcher::Equal(text.into()),
        Op::Contains => contains(text.as_bytes()),
        Op::IContains => Matcher::contains_one(&[text], Case::Ignored)?,
        Op::BContains => contains(&from_hexadecimal(text)?),
        Op::StartsWith => Matcher::StartsWith(bytes()),
        Op::BStartsWith => Matcher::StartsWith(from_hexadecimal(text)?.into()),
        Op::EndsWith => Matcher::EndsWith(bytes()),
        Op::Glob => glob(text, Case::Sensitive)?,
        Op::IGlob => glob(text, Case::Ignored)?,
        Op::Regex => regex(&format!(r"\A(?:{})\z", with_ascii_classes(text)), SearchFlags::default())?,
        Op::Search(flags) => regex(text, flags)?,
        Op::PMatch => Matcher::Below(text.trim_end_matches('/').into()),
        Op::Like(case) => like(&Pattern::parse(text), case)?,
        op => match Orders::of(op) {
            Some(orders) => Matcher::TextOrder(orders, text.into()),
            None => return Err((format!("`{}` takes no value", op.name()), String::new())),
        },
    })
}

fn contains(bytes: &[u8]) -> Matcher {
    Matcher::Contains(Box::new(Finder::new(bytes).into_owned()))
}

fn number(op: Op, text: &str) -> Result<Matcher, NotReady> {
    let orders = Orders::of(op).ok_or_else(|| {
        (
            format!("`{}` is for text, the field is a number", op.name()),
            "compare it with = != < <= > >= or in".to_owned(),
        )
    })?;
    let hexadecimal = || i64::from_str_radix(text.strip_prefix("0x").or(text.strip_prefix("0X"))?, 16).ok();
    let number = hexadecimal().map(|number| number as f64).or_else(|| text.parse().ok());
    let number = number.filter(|number: &f64| number.is_finite());
    let wrong = || (format!("`{text}` is no number"), "write a number, such as 10 or 0x1f".to_owned());
    number.map(|number| Matcher::NumberOrder(orders, number)).ok_or_else(wrong)
}

fn network(text: &str) -> Result<Matcher, NotReady> {
    let wrong = || {
        (format!("`{text}` is no network"), "write it as 10.0.0.0/8, 2001:db8::/32 or one address".to_owned())
    };
    Network::parse(text).map(Matcher::Network).ok_or_else(wrong)
}

fn from_hexadecimal(text: &str) -> Result<Vec<u8>, NotReady> {
    let wrong =
        || (format!("`{text}` are no hexadecimal bytes"), "write two digits a byte, such as cafe".to_owned());
    if !text.is_ascii() || text.len() % 2 == 1 || text.is_empty() {
        return Err(wrong());
    }
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    bytes.collect::<Option<Vec<u8>>>().ok_or_else(wrong)
}

fn regex(text: &str, flags: SearchFlags) -> Result<Matcher, NotReady> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(MAX_REGEX_BYTES).dfa_size_limit(MAX_REGEX_BYTES).nest_limit(64);
    builder
        .case_insensitive(flags.ignores_case)
        .multi_line(flags.is_multi_line)
        .dot_matches_new_line(flags.dot_is_all);
    let regex = builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            ("the expression is too large".to_owned(), "make repetitions smaller".to_owned())
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            (
                format!("not a regular expression: {last}"),
                "look-around and back-references are not supported".to_owned(),
            )
        }
    })?;
    let mut parser = regex_syntax::ParserBuilder::new();
    parser
        .case_insensitive(flags.ignores_case)
        .multi_line(flags.is_multi_line)
        .dot_matches_new_line(flags.dot_is_all);
    let hir = parser.nest_limit(64).build().parse(text).ok();
    let needed = hir.as_ref().and_then(needed_text).map(|text| Finder::new(&text).into_owned());
    Ok(Matcher::Regex(Box::new(Expression { needed, regex })))
}

/// An expression in which `\d`, `\s` and `\w` are of ASCII alone, as RE2 has them.
fn with_ascii_classes(text: &str) -> String {
    let Ok(ast) = ast::parse::ParserBuilder::new().nest_limit(64).build().parse(text) else {
        // What is wrong is told by whoever compiles it.
        return text.to_owned();
    };
    let Ok(classes) = ast::visit(&ast, PerlClasses::default());
    let (mut rewritten, mut end) = (String::with_capacity(text.len()), 0);
    for (span, class) in classes {
        rewritten.push_str(&text[end..span.start.offset]);
        rewritten.push_str(class);
        end = span.end.offset;
    }
    rewritten + &text[end..]
}

/// Collects Perl's classes with what they stand for, in their order.
#[derive(Default)]
struct PerlClasses {
    found: Vec<(ast::Span, &'static str)>,
}

impl PerlClasses {
    fn add(&mut self, class: &ast::ClassPerl) {
        let text = match (&class.kind, class.negated) {
            (ast::ClassPerlKind::Digit, false) => "[0-9]",
            (ast::ClassPerlKind::Digit, true) => "[^0-9]",
            (ast::ClassPerlKind::Space, false) => r"[\t\n\f\r\x20]",
            (ast::ClassPerlKind::Space, true) => r"[^\t\n\f\r\x20]",
            (ast::ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ast::ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.found.push((class.span, text));
    }
}

impl ast::Visitor for PerlClasses {
    type Output = Vec<(ast::Span, &'static str)>;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<Self::Output, Self::Err> {
        Ok(self.found)
    }

    fn visit_pre(&mut self, ast: &ast::Ast) -> Result<(), Self::Err> {
        if let ast::Ast::ClassPerl(class) = ast {
            self.add(class);
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), Self::Err> {
        if let ast::ClassSetItem::Perl(class) = item {
            self.add(class);
        }
        Ok(())
    }
}

/// A shell's pattern: `*` any text, `?` a character, `[…]` one of some, `\` takes the next one as it is.
fn glob(text: &str, case: Case) -> Result<Matcher, NotReady> {
    let mut expression = String::from(r"\A");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '\\' => expression.push_str(&regex::escape(&rest.next().unwrap_or('\\').to_string())),
            '[' => match class(&mut rest.clone()) {
                Some((class, taken)) => {
                    expression.push_str(&class);
                    rest.nth(taken - 1);
                }
                None => expression.push_str(r"\["),
            },
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push_str(r"\z");
    let flags =
        SearchFlags { ignores_case: case == Case::Ignored, dot_is_all: true, ..SearchFlags::default() };
    regex(&expression, flags)
}

/// A class of characters behind its `[`, as an expression, and how many characters it takes.
fn class(rest: &mut impl Iterator<Item = char>) -> Option<(String, usize)> {
    let (mut expression, mut taken) = (String::from("["), 0);
    let mut is_begin = true;
    loop {
        let c = rest.next()?;
        taken += 1;
        match c {
            '!' | '^' if is_begin && taken == 1 => {
                expression.push('^');
                continue;
            }
            ']' if !is_begin => {
                expression.push(']');
                return Some((expression, taken));
            }
            '-' => expression.push('-'),
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
        is_begin = false;
    }
}

fn like(pattern: &Pattern, case: Case) -> Result<Matcher, NotReady> {
    let ignores_case = case == Case::Ignored;
    let shape = pattern.shape();
    let is_simple = !ignores_case || shape.literal().is_some_and(str::is_ascii);
    Ok(match shape {
        Shape::Anything => Matcher::Anything,
        Shape::Equal(text) if is_simple && ignores_case => Matcher::EqualIgnoringCase(text.into()),
        Shape::Equal(text) if is_simple => Matcher::Equal(text.into()),
        Shape::StartsWith(text) if is_simple && ignores_case => {
            Matcher::StartsWithIgnoringCase(text.as_bytes().into())
        }
        Shape::StartsWith(text) if is_simple => Matcher::StartsWith(text.as_bytes().into()),
        Shape::EndsWith(text) if is_simple && ignores_case => {
            Matcher::EndsWithIgnoringCase(text.as_bytes().into())
        }
        Shape::EndsWith(text) if is_simple => Matcher::EndsWith(text.as_bytes().into()),
        Shape::Contains(text) if is_simple => match case {
            Case::Ignored => Matcher::contains_one(&[text], case)?,
            Case::Sensitive => contains(text.as_bytes()),
        },
        _ => {
            let flags = SearchFlags { ignores_case, dot_is_all: true, ..SearchFlags::default() };
            regex(&pattern.expression(), flags)?
        }
    })
}

/// Whether a path is this one or lies below it, by whole components.
fn is_below(path: &str, wanted: &str) -> bool {
    path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn with_small_letters<T>(text: &str, then: impl FnOnce(&str) -> T) -> T {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        then(&text.to_ascii_lowercase())
    } else {
        then(text)
    }
}
