//! A condition made ready to run: questions to the event, each with two ways on.
//!
//! `and`, `or` and `not` are in the ways: a question's `yes` and `no` name the next question, or the end. Questions
//! about what an event knows alone ([`Known`]) have one answer for all events that know the same, which the index makes
//! use of.

use crate::ast::{Case, Check, Expr, Item, Op, Part, Quantifier, Right, Term};
use crate::event::{Event, Known, Lookup, SHAPE};
use crate::field::{Field, Kind, Made, Place};
use crate::matcher::{Matcher, NotReady};
use crate::values::{self, Value};

/// Where a program goes next.
pub type At = u32;
/// The condition holds.
pub const MET: At = u32::MAX;
/// It does not.
pub const UNMET: At = u32::MAX - 1;

/// A condition made ready.
#[derive(Clone, Debug)]
pub struct Program {
    steps: Vec<Step>,
    /// The first question.
    pub entry: At,
}

#[derive(Clone, Debug)]
struct Step {
    question: Question,
    yes: At,
    no: At,
    /// What the event knows on which it depends, a bit each; none if it depends on anything else.
    known: Option<u32>,
}

#[derive(Clone, Debug)]
enum Question {
    Exists(Term),
    HasValue(Term),
    /// A value matches.
    Any(Term, Matcher),
    /// There are values, and all match.
    All(Term, Matcher),
    /// There are values, and none matches.
    None(Term, Matcher),
    /// Exactly one of these matches a value.
    One(Term, Vec<Matcher>),
    /// A value of one stands to a value of the other so.
    Same(Term, Term, Relation),
}

/// How a value stands to another.
#[derive(Clone, Copy, Debug)]
enum Relation {
    /// By a Falco operator.
    Falco(Op),
    /// As part of it, whatever its ASCII case.
    Sigma(Part),
}

/// A condition can't be made ready: at these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Where.
    pub bytes: crate::ast::Bytes,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Step {
    fn next<E: Event>(&self, event: &E) -> At {
        if self.question.holds(event) { self.yes } else { self.no }
    }

    fn is_decided_by(&self, known: u32) -> bool {
        self.known.is_some_and(|own| own & !known == 0)
    }
}

impl Program {
    /// Makes a condition ready. All lists and macros are in place.
    ///
    /// # Errors
    /// All values that are not what their operator or field takes.
    pub fn compile(condition: &Expr) -> Result<Self, Vec<CompileError>> {
        let mut compiler = Compiler::default();
        let entry = compiler.emit(condition, MET, UNMET);
        if compiler.errors.is_empty() {
            Ok(Self { steps: compiler.steps, entry })
        } else {
            Err(compiler.errors)
        }
    }

    /// Whether the event meets the condition, from one of its questions on.
    pub fn is_met<E: Event>(&self, from: At, event: &E) -> bool {
        let mut at = from;
        while let Some(step) = self.steps.get(at as usize) {
            at = step.next(event);
        }
        at == MET
    }

    /// From this question on, the first that is open once it is decided what depends on nothing but these of [`Known`];
    /// none if the condition can't be met any more.
    pub fn narrowed<E: Event>(&self, from: At, known: u32, event: &E) -> Option<At> {
        let mut at = from;
        while let Some(step) = self.steps.get(at as usize).filter(|step| step.is_decided_by(known)) {
            at = step.next(event);
        }
        self.may_be_met(at, known, event).then_some(at)
    }

    /// Whether the end can be reached from here, if everything but these of [`Known`] may be anything.
    fn may_be_met<E: Event>(&self, from: At, known: u32, event: &E) -> bool {
        let (mut seen, mut waiting) = (vec![false; self.steps.len()], vec![from]);
        while let Some(at) = waiting.pop() {
            let Some(step) = self.steps.get(at as usize) else {
                if at == MET {
                    return true;
                }
                continue;
            };
            if std::mem::replace(&mut seen[at as usize], true) {
                continue;
            }
            if step.is_decided_by(known) {
                waiting.push(step.next(event));
            } else {
                waiting.extend([step.yes, step.no]);
            }
        }
        false
    }

    /// From this question on, a text that the event must know for the condition to be met: which, and which ones.
    pub fn required(&self, from: At) -> Option<(Known, Vec<&str>)> {
        let mut at = from;
        // Questions whose `no` is the end are all required.
        while let Some(step) = self.steps.get(at as usize).filter(|step| step.no == UNMET) {
            if let Question::Any(Term::Field(field), matcher) | Question::All(Term::Field(field), matcher) =
                &step.question
                && !step.is_decided_by(SHAPE)
                && let Some(known) = field.known().filter(|_| field.kind() == Kind::Text)
                && let Some(texts) = matcher.texts()
            {
                return Some((known, texts));
            }
            at = step.yes;
        }
        None
    }

    /// What is left of the condition from this question on once it is decided what depends on nothing but these of
    /// [`Known`]: appended to `left` as questions and the two ways on from each, the same for events of which the same is
    /// left. Returns what an event may know on which that depends, a bit each, and whether it depends on anything else.
    pub fn left<E: Event>(&self, from: At, known: u32, event: &E, left: &mut Vec<At>) -> (u32, bool) {
        let decided = |mut at: At| {
            while let Some(step) = self.steps.get(at as usize).filter(|step| step.is_decided_by(known)) {
                at = step.next(event);
            }
            at
        };
        let (mut seen, mut waiting) = (vec![false; self.steps.len()], vec![decided(from)]);
        let (mut depends_on, mut has_others) = (0, false);
        left.push(waiting[0]);
        while let Some(at) = waiting.pop() {
            let Some(step) = self.steps.get(at as usize) else { continue };
            if std::mem::replace(&mut seen[at as usize], true) {
                continue;
            }
            depends_on |= step.known.unwrap_or_default();
            has_others |= step.known.is_none();
            let ways = [decided(step.yes), decided(step.no)];
            left.extend([at, ways[0], ways[1]]);
            waiting.extend(ways);
        }
        (depends_on, has_others)
    }

    /// All that an event may know on which the condition depends, a bit each.
    pub fn known(&self) -> u32 {
        self.steps.iter().filter_map(|step| step.known).fold(0, |all, known| all | known)
    }
}

impl Matcher {
    /// The texts of which a value must be one, exactly; none if it is no such comparison.
    fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Equal(text) => Some(vec![text]),
            Self::Among(texts) => Some(texts.iter().map(|text| &**text).collect()),
            Self::OneOf(matchers) => {
                let each: Option<Vec<Vec<&str>>> = matchers.iter().map(Self::texts).collect();
                each.map(|each| each.concat())
            }
            _ => None,
        }
    }
}

impl Question {
    fn holds<E: Event>(&self, event: &E) -> bool {
        match self {
            Self::Exists(term) => values::exists(term, event),
            Self::HasValue(term) => values::has_value(term, event),
            Self::Any(Term::Field(field), matcher) if field.kind() != Kind::Network => {
                match values::looked_up(field, event) {
                    Lookup::Text(text) => matcher.matches_text(text),
                    Lookup::Absent => false,
                    Lookup::Elsewhere => {
                        values::any_of_field(field, event, &mut |value| matcher.matches(value))
                    }
                }
            }
            Self::Any(term, matcher) => values::any(term, event, &mut |value| matcher.matches(value)),
            Self::All(term, matcher) => {
                let mut has_value = false;
                let misses = values::any(term, event, &mut |value| {
                    has_value = true;
                    !matcher.matches(value)
                });
                has_value && !misses
            }
            Self::None(term, matcher) => {
                let mut has_value = false;
                let hits = values::any(term, event, &mut |value| {
                    has_value = true;
                    matcher.matches(value)
                });
                has_value && !hits
            }
            Self::One(term, matchers) => {
                let hits = matchers
                    .iter()
                    .filter(|matcher| values::any(term, event, &mut |value| matcher.matches(value)));
                hits.take(2).count() == 1
            }
            Self::Same(left, right, relation) => values::any(left, event, &mut |left| {
                values::any(right, event, &mut |right| relation.holds(left, right))
            }),
        }
    }
}

impl Relation {
    fn holds(self, left: Value<'_>, right: Value<'_>) -> bool {
        let (left, right) = (left.shown(), right.shown());
        match self {
            Self::Sigma(part) => {
                let (left, right) = (left.to_lowercase(), right.to_lowercase());
                match part {
                    Part::Whole => left == right,
                    Part::Any => left.contains(&right),
                    Part::Start => left.starts_with(&right),
                    Part::End => left.ends_with(&right),
                }
            }
            Self::Falco(Op::Ne) => left != right,
            Self::Falco(op) => {
                let number = left.parse::<f64>().is_ok() && right.parse::<f64>().is_ok();
                let kind = if number { Kind::Number } else { Kind::Text };
                // Of numbers only the order is numeric.
                let kind =
                    if matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Eq) { kind } else { Kind::Text };
                Matcher::new(op, kind, &right).is_ok_and(|matcher| matcher.matches_text(&left))
            }
        }
    }
}

#[derive(Default)]
struct Compiler {
    steps: Vec<Step>,
    errors: Vec<CompileError>,
}

impl Compiler {
    /// Adds what asks for a condition. Returns its first question.
    fn emit(&mut self, expr: &Expr, yes: At, no: At) -> At {
        match expr {
            Expr::And(parts) => parts.iter().rev().fold(yes, |next, part| self.emit(part, next, no)),
            Expr::Or(parts) => parts.iter().rev().fold(no, |next, part| self.emit(part, yes, next)),
            Expr::Not(inner) => self.emit(inner, no, yes),
            Expr::Check(check) => self.check(check, yes, no),
            // Resolving has reported it.
            Expr::Macro(..) => no,
        }
    }

    fn check(&mut self, check: &Check, yes: At, no: At) -> At {
        let each_alone = match &check.right {
            Right::List(items, quantifier @ Quantifier::All) if !check.op.takes_list() => {
                Some((items, quantifier))
            }
            Right::List(items, quantifier @ Quantifier::Any) if check.op == Op::Ne => {
                Some((items, quantifier))
            }
            _ => None,
        };
        if let Some((items, quantifier)) = each_alone {
            let parts = items.iter().map(|item| {
                let right = Right::Text(item.text.clone());
                Expr::Check(Check {
                    left: check.left.clone(),
                    op: check.op,
                    right,
                    bytes: check.bytes.clone(),
                })
            });
            return match quantifier {
                _ if items.is_empty() => no,
                Quantifier::All => self.emit(&Expr::And(parts.collect()), yes, no),
                _ => self.emit(&Expr::Or(parts.collect()), yes, no),
            };
        }
        match question(check) {
            Ok(question) => {
                let known = question.known();
                self.steps.push(Step { question, yes, no, known });
                (self.steps.len() - 1) as At
            }
            Err((message, help)) => {
                self.errors.push(CompileError { bytes: check.bytes.clone(), message, help });
                no
            }
        }
    }
}

fn question(check: &Check) -> Result<Question, NotReady> {
    let (left, op) = (check.left.clone(), check.op);
    let kind = kind_of(&check.left);
    Ok(match (op, &check.right) {
        (Op::Exists, _) => Question::Exists(left),
        (Op::HasValue, _) => Question::HasValue(left),
        (Op::SameAs(part), Right::Term(right)) => Question::Same(left, right.clone(), Relation::Sigma(part)),
        (_, Right::Term(right)) => Question::Same(left, right.clone(), Relation::Falco(op)),
        (Op::Ne, Right::Text(text)) => Question::None(left, Matcher::new(Op::Eq, kind, text)?),
        (_, Right::Text(text)) => Question::Any(left, Matcher::new(op, kind, text)?),
        (Op::In, Right::List(items, _)) => Question::All(left, one_of(op, kind, items)?),
        (Op::Ne, Right::List(_, Quantifier::One)) => {
            let message = "`!=` can't be asked with `oneof`".to_owned();
            return Err((message, "write `not FIELD = anyof (…)`".to_owned()));
        }
        (_, Right::List(items, Quantifier::One)) => Question::One(
            left,
            items.iter().map(|item| Matcher::new(op, kind, &item.text)).collect::<Result<_, _>>()?,
        ),
        (_, Right::List(items, _)) => Question::Any(left, one_of(op, kind, items)?),
        (_, Right::Nothing | Right::Named(..)) => Question::Any(left, Matcher::OneOf(Vec::new())),
    })
}

/// Words to look for are looked for together from this many on.
const TOGETHER_FROM: usize = 4;

fn one_of(op: Op, kind: Kind, items: &[Item]) -> Result<Matcher, NotReady> {
    let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
    match op {
        Op::Contains if kind == Kind::Text && texts.len() >= TOGETHER_FROM => {
            Matcher::contains_one(&texts, Case::Sensitive)
        }
        Op::IContains if kind == Kind::Text && texts.len() >= TOGETHER_FROM => {
            Matcher::contains_one(&texts, Case::Ignored)
        }
        _ => {
            let matchers =
                texts.iter().map(|text| Matcher::new(op, kind, text)).collect::<Result<Vec<_>, _>>()?;
            Ok(Matcher::one_of(matchers))
        }
    }
}

fn kind_of(term: &Term) -> Kind {
    match term {
        Term::Field(field) => field.kind(),
        Term::Call(crate::ast::Function::Len, _) => Kind::Number,
        Term::Call(crate::ast::Function::Val, arguments) => arguments.first().map_or(Kind::Text, kind_of),
        _ => Kind::Text,
    }
}

impl Question {
    fn known(&self) -> Option<u32> {
        match self {
            Self::Exists(term) | Self::HasValue(term) | Self::Any(term, _) | Self::All(term, _) => {
                known(term)
            }
            Self::None(term, _) | Self::One(term, _) => known(term),
            Self::Same(left, right, _) => Some(known(left)? | known(right)?),
        }
    }
}

/// What the event knows on which a term's values depend; none if they depend on anything else.
fn known(term: &Term) -> Option<u32> {
    match term {
        Term::Text(_) => Some(0),
        Term::Call(_, terms) | Term::List(terms) => {
            terms.iter().try_fold(0, |all, term| Some(all | known(term)?))
        }
        Term::Field(field) => known_of_field(field),
    }
}

/// The same, of a field.
pub fn known_of_field(field: &Field) -> Option<u32> {
    let parts: &[Known] = match (field.known(), field) {
        (Some(Known::ClientName | Known::ClientVersion | Known::ClientSignsWithSigV4), _) => {
            &[Known::UserAgent]
        }
        (Some(known), _) => return Some(known.bit()),
        (None, Field::Named(spec)) => match spec.place {
            Place::Made(Made::ShortSource) => &[Known::EventSource],
            Place::Counts(_) => &[Known::EventName],
            Place::Weakness => &[
                Known::InvokedBy,
                Known::SignatureVersion,
                Known::Presigned,
                Known::TlsVersion,
                Known::KeyKind,
            ],
            _ => return None,
        },
        _ => return None,
    };
    Some(parts.iter().fold(0, |all, part| all | part.bit()))
}
