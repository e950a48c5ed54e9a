//! Reads a condition of Falco's language.
//!
//! ```text
//! condition   := and ("or" and)*
//! and         := not ("and" not)*
//! not         := "not"* primary
//! primary     := "(" condition ")" | macro | check
//! check       := term "exists"
//!              | term compare (number | text | right)
//!              | term textop (text | right | quantifier list)
//!              | term listop (list | right)
//! compare     := "<" | "<=" | ">" | ">="
//! textop      := "=" | "==" | "!=" | "contains" | "icontains" | "bcontains" | "startswith" | "bstartswith"
//!              | "endswith" | "glob" | "iglob" | "regex"
//! listop      := "in" | "intersects" | "pmatch"
//! quantifier  := "anyof" | "allof" | "oneof"
//! list        := "(" [text ("," text)*] ")" | name
//! right       := "val" "(" field ")" | call
//! term        := field | call
//! call        := function "(" argument ("," argument)* ")"
//! argument    := term | quoted | "(" argument ("," argument)* ")"
//! function    := "tolower" | "toupper" | "b64" | "basename" | "len" | "join" | "concat" | "getopt"
//! field       := name ("." name)+ ["[" (quoted | [^][\"'\s]+) "]"]
//! text        := quoted | [^()"'\s=,]+
//! quoted      := "…" or '…', with \" \' \\ \/ \b \f \n \r \t; \ before anything else is itself
//! name, macro := [a-zA-Z][a-zA-Z0-9_]*
//! ```
//!
//! Words (`and`, `in` …) need no blank before a parenthesis. Nesting is bounded.

use crate::ast::{Bytes, Check, Expr, Function, Item, Op, Quantifier, Right, Term};
use crate::field::{Field, FieldError};

/// Deeper than anyone nests by hand.
const MAX_DEPTH: usize = 64;

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where.
    pub bytes: Bytes,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// It is a field that there is not: `skip-if-unknown-filter` forgives that.
    pub is_unknown_field: bool,
}

/// Reads a condition.
///
/// # Errors
/// All fields that there are not, and the first thing that is no condition.
pub fn condition(text: &str) -> Result<Expr, Vec<ParseError>> {
    let mut parser = Parser { text, at: 0, depth: 0, unknown: Vec::new() };
    let parsed = parser.whole_condition();
    let mut errors = parser.unknown;
    match parsed {
        Ok(expr) if errors.is_empty() => Ok(expr),
        Ok(_) => Err(errors),
        Err(error) => {
            errors.push(error);
            Err(errors)
        }
    }
}

/// Reads a field, or something made of fields, at the beginning of `text`: the longest that is one. Returns its bytes.
pub fn leading_term(text: &str) -> Result<(Term, usize), ParseError> {
    let mut parser = Parser { text, at: 0, depth: 0, unknown: Vec::new() };
    if parser.is_call() {
        let term = parser.term()?;
        return match parser.unknown.pop() {
            Some(error) => Err(error),
            None => Ok((term, parser.at)),
        };
    }
    let name = parser.field_name().unwrap_or_default();
    // `%ct.region.` ends a sentence, `%ct.user.arn` is one field: names are tried from the longest on.
    let mut end = name.len();
    let mut first_error = None;
    loop {
        parser.at = end;
        let argument = parser.field_argument()?;
        match Field::named(&name[..end], argument.as_deref()) {
            Ok(field) => return Ok((Term::Field(field), parser.at)),
            Err(error) => first_error.get_or_insert(parser.field_error(&error, name, 0..name.len())),
        };
        match name[..end].rfind('.') {
            Some(dot) if name[..dot].contains('.') => end = dot,
            _ => break,
        }
    }
    parser.at = 0;
    let nothing = || parser.error(format!("expected a field before {}", parser.next_shown()), "");
    Err(first_error.filter(|_| !name.is_empty()).unwrap_or_else(nothing))
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Fields that there are not; reading goes on behind them.
    unknown: Vec<ParseError>,
}

type Parsed<T> = Result<T, ParseError>;

impl<'t> Parser<'t> {
    fn whole_condition(&mut self) -> Parsed<Expr> {
        self.blank();
        if self.is_at_end() {
            return Err(self.error("the condition is empty", ""));
        }
        let expr = self.or()?;
        self.blank();
        if !self.is_at_end() {
            let message = format!("expected `and` or `or` before {}", self.next_shown());
            return Err(self.error(message, ""));
        }
        Ok(expr)
    }

    fn or(&mut self) -> Parsed<Expr> {
        self.nested(|parser| {
            let mut parts = vec![parser.and()?];
            while parser.word("or") {
                parts.push(parser.and()?);
            }
            Ok(one_or(parts, Expr::Or))
        })
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.not()?];
        while self.word("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn not(&mut self) -> Parsed<Expr> {
        let mut is_negated = false;
        while self.word("not") {
            is_negated = !is_negated;
        }
        let inner = self.primary()?;
        Ok(if is_negated { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        if self.symbol("(") {
            let inner = self.or()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let begin = self.at;
        if self.is_call() || self.field_name().is_some() {
            self.at = begin;
            return self.check();
        }
        match self.name() {
            Some(name) if !matches!(name, "and" | "or" | "not") => {
                Ok(Expr::Macro(name.to_owned(), begin..self.at))
            }
            _ => {
                self.at = begin;
                let message = format!("expected a field, a macro or `(` before {}", self.next_shown());
                Err(self.error(message, ""))
            }
        }
    }

    fn check(&mut self) -> Parsed<Expr> {
        self.blank();
        let begin = self.at;
        let left = self.term()?;
        let op = self.operator()?;
        let right = self.right(op)?;
        Ok(Expr::Check(Check { left, op, right, bytes: begin..self.at }))
    }

    fn operator(&mut self) -> Parsed<Op> {
        self.blank();
        let rest = &self.text[self.at..];
        for symbol in ["==", "=", "!=", "<=", "<", ">=", ">"] {
            if rest.starts_with(symbol) {
                self.at += symbol.len();
                return Ok(Op::named(symbol).unwrap_or(Op::Eq));
            }
        }
        let begin = self.at;
        let word = self.name().unwrap_or_default();
        if let Some(op) = Op::named(word) {
            return Ok(op);
        }
        self.at = begin;
        // A letter is like every operator of one.
        let names = Op::FALCO.iter().map(|(name, _)| *name).filter(|_| word.len() > 1);
        let help = crate::diagnostic::did_you_mean(word, names);
        let message = format!("expected an operator before {}", self.next_shown());
        let names =
            "one of exists = != < <= > >= contains startswith endswith glob regex in intersects pmatch …";
        Err(self.error(message, if help.is_empty() { names.to_owned() } else { help }))
    }

    fn right(&mut self, op: Op) -> Parsed<Right> {
        if op == Op::Exists {
            return Ok(Right::Nothing);
        }
        if op.takes_list() {
            return self.list_or_term(Quantifier::Any);
        }
        for (word, quantifier) in
            [("anyof", Quantifier::Any), ("allof", Quantifier::All), ("oneof", Quantifier::One)]
        {
            let begin = self.at;
            if !self.is_order(op) && self.word(word) {
                self.blank();
                if self.rest().starts_with('(') || self.rest().starts_with(|c: char| c.is_ascii_alphabetic())
                {
                    return self.list_or_term(quantifier);
                }
                self.at = begin;
            }
        }
        self.blank();
        if self.is_call() {
            return Ok(Right::Term(self.term()?));
        }
        match self.text_value()? {
            Some(item) => Ok(Right::Text(item.text)),
            None => Err(self.error(format!("expected a value before {}", self.next_shown()), "")),
        }
    }

    fn is_order(&self, op: Op) -> bool {
        matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge)
    }

    fn list_or_term(&mut self, quantifier: Quantifier) -> Parsed<Right> {
        self.blank();
        if self.symbol("(") {
            return Ok(Right::List(self.list_items()?, quantifier));
        }
        if self.is_call() {
            return Ok(Right::Term(self.term()?));
        }
        let begin = self.at;
        // A list may be called anything that stands without quotes.
        match self.text_value()? {
            Some(Item { text, is_bare: true }) => Ok(Right::Named(text, begin..self.at, quantifier)),
            _ => {
                self.at = begin;
                let message = format!("expected `(` or a list's name before {}", self.next_shown());
                Err(self.error(message, "write the values as (a, b)"))
            }
        }
    }

    fn list_items(&mut self) -> Parsed<Vec<Item>> {
        let mut items = Vec::new();
        self.blank();
        if self.symbol(")") {
            return Ok(items);
        }
        loop {
            match self.text_value()? {
                Some(item) => items.push(item),
                None => return Err(self.error(format!("expected a value before {}", self.next_shown()), "")),
            }
            if self.symbol(")") {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    fn term(&mut self) -> Parsed<Term> {
        self.blank();
        let begin = self.at;
        if self.is_call() {
            return self.nested(Self::call);
        }
        let Some(name) = self.field_name() else {
            return Err(self.error(format!("expected a field before {}", self.next_shown()), ""));
        };
        let argument = self.field_argument()?;
        match Field::named(name, argument.as_deref()) {
            Ok(field) => Ok(Term::Field(field)),
            Err(error) => {
                self.unknown.push(self.field_error(&error, name, begin..begin + name.len()));
                Ok(Term::Text(String::new()))
            }
        }
    }

    fn call(&mut self) -> Parsed<Term> {
        let begin = self.at;
        let name = self.name().unwrap_or_default();
        let Some(function) = Function::named(name) else {
            return Err(self.error(format!("`{name}` is no function"), ""));
        };
        self.expect("(")?;
        let arguments = self.arguments()?;
        let (least, most) = match function {
            Function::Join | Function::GetOpt => (2, 2),
            Function::Concat => (1, usize::MAX),
            _ => (1, 1),
        };
        if arguments.len() < least || arguments.len() > most {
            let message = format!("`{name}` takes {least} argument{}", if least == 1 { "" } else { "s" });
            let bytes = begin..self.at;
            return Err(ParseError { bytes, message, help: String::new(), is_unknown_field: false });
        }
        Ok(Term::Call(function, arguments))
    }

    /// Arguments up to the closing parenthesis, which is taken.
    fn arguments(&mut self) -> Parsed<Vec<Term>> {
        let mut arguments = Vec::new();
        loop {
            self.blank();
            let argument = if self.symbol("(") {
                Term::List(self.nested(Self::arguments)?)
            } else {
                match self.quoted()? {
                    Some(text) => Term::Text(text),
                    None => self.term()?,
                }
            };
            arguments.push(argument);
            if self.symbol(")") {
                return Ok(arguments);
            }
            self.expect(",")?;
        }
    }

    /// Whether a function and its parenthesis come next.
    fn is_call(&self) -> bool {
        let rest = self.rest().trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        Function::named(&rest[..end]).is_some() && rest[end..].starts_with('(')
    }

    fn field_name(&mut self) -> Option<&'t str> {
        self.blank();
        let begin = self.at;
        self.name()?;
        let mut has_dot = false;
        while self.rest().starts_with('.') {
            self.at += 1;
            if self.name().is_none() {
                self.at -= 1;
                break;
            }
            has_dot = true;
        }
        if !has_dot {
            self.at = begin;
            return None;
        }
        Some(&self.text[begin..self.at])
    }

    fn field_argument(&mut self) -> Parsed<Option<String>> {
        if !self.rest().starts_with('[') {
            return Ok(None);
        }
        self.at += 1;
        let argument = match self.quoted()? {
            Some(text) => text,
            None => {
                let rest = self.rest();
                let is_end = |c: char| c.is_whitespace() || "[]\"'".contains(c);
                let end = rest.find(is_end).unwrap_or(rest.len());
                self.at += end;
                rest[..end].to_owned()
            }
        };
        if !self.rest().starts_with(']') {
            return Err(self.error("expected `]` behind the field's argument", ""));
        }
        self.at += 1;
        Ok(Some(argument))
    }

    fn field_error(&self, error: &FieldError, name: &str, bytes: Bytes) -> ParseError {
        let (message, help) = match error {
            FieldError::Unknown(near) => (
                format!("unknown field `{name}`"),
                near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default(),
            ),
            FieldError::NeedsArgument => {
                (format!("`{name}` needs an argument"), format!("such as `{name}[/requestParameters/name]`"))
            }
            FieldError::TakesNoArgument => (format!("`{name}` takes no argument"), String::new()),
        };
        ParseError { bytes, message, help, is_unknown_field: matches!(error, FieldError::Unknown(_)) }
    }

    fn text_value(&mut self) -> Parsed<Option<Item>> {
        self.blank();
        if let Some(text) = self.quoted()? {
            return Ok(Some(Item { text, is_bare: false }));
        }
        let rest = self.rest();
        let is_end = |c: char| c.is_whitespace() || "()\"'=,".contains(c);
        let end = rest.find(is_end).unwrap_or(rest.len());
        self.at += end;
        Ok((end > 0).then(|| Item { text: rest[..end].to_owned(), is_bare: true }))
    }

    fn quoted(&mut self) -> Parsed<Option<String>> {
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += at + 1;
                    return Ok(Some(text));
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('b') => text.push('\u{8}'),
                    Some('f') => text.push('\u{c}'),
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(c @ ('"' | '\'' | '\\' | '/')) => text.push(c),
                    // As in a regular expression: \d, \.
                    c => text.extend(std::iter::once('\\').chain(c)),
                },
                c => text.push(c),
            }
        }
        Err(self.error("the quote is never closed", ""))
    }

    fn name(&mut self) -> Option<&'t str> {
        self.blank();
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        Some(&rest[..end])
    }

    /// Takes a word that ends there, if it comes next.
    fn word(&mut self, word: &str) -> bool {
        self.blank();
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '(');
        let is_next = self.rest().strip_prefix(word).is_some_and(ends);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.blank();
        let is_next = self.rest().starts_with(symbol);
        if is_next {
            self.at += symbol.len();
        }
        is_next
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.symbol(symbol) {
            return Ok(());
        }
        Err(self.error(format!("expected `{symbol}` before {}", self.next_shown()), ""))
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH}"), "take parts out into macros"));
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn next_shown(&self) -> String {
        match self.rest().split_whitespace().next() {
            Some(next) => format!("`{}`", next.chars().take(32).collect::<String>()),
            None => "the end".to_owned(),
        }
    }

    fn error(&self, message: impl Into<String>, help: impl Into<String>) -> ParseError {
        let rest = self.rest();
        let begin = self.at + (rest.len() - rest.trim_start().len());
        let word = self.text[begin..].split(char::is_whitespace).next().unwrap_or_default();
        ParseError {
            bytes: begin..begin + word.len(),
            message: message.into(),
            help: help.into(),
            is_unknown_field: false,
        }
    }
}

/// The only one of these, or all of them.
pub(crate) fn one_or(mut parts: Vec<Expr>, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        let parsed = condition(text).map(|expr| expr.to_string());
        assert_eq!(parsed.as_deref(), Ok(shown), "{text}");
    }

    fn fails(text: &str, at: Bytes, message: &str, help: &str) {
        let errors = condition(text).expect_err(text);
        let first = &errors[0];
        assert_eq!(
            (first.bytes.clone(), first.message.as_str(), first.help.as_str()),
            (at, message, help),
            "{text}"
        );
    }

    #[test]
    fn precedence_and_parentheses() {
        check("a or b and not c", "a or (b and not c)");
        check("(a or b)and(c or not not d)", "(a or b) and (c or d)");
        check("not(a)or(b)", "not a or b");
        check("not not not a", "not a");
    }

    #[test]
    fn values() {
        check("ct.name=ConsoleLogin", "ct.name = ConsoleLogin");
        check("ct.name  ==  \"a b\"", "ct.name = \"a b\"");
        check(r#"ct.name = 'it''s'"#.replace("''", "\\'").as_str(), "ct.name = \"it's\"");
        check("ct.name!= -", "ct.name != -");
        check("json.value[/a/b]=x", "json.value[/a/b] = x");
        check("json.value[\"/a b\"] exists", "json.value[\"/a b\"] exists");
        check("evt.num > 0 and s3.bytes <= 0x10", "evt.num > 0 and s3.bytes <= 0x10");
        check("ct.src = iam.amazonaws.com", "ct.src = iam.amazonaws.com");
    }

    #[test]
    fn lists() {
        check("ct.name in (a, 'b c', d)", "ct.name in (a, \"b c\", d)");
        check("ct.name in names", "ct.name in names");
        check("ct.name in(a)", "ct.name in (a)");
        check("ct.name in ()", "ct.name in ()");
        check("ct.name startswith anyof (Get, List)", "ct.name startswith anyof (Get, List)");
        check("ct.name contains oneof verbs", "ct.name contains oneof verbs");
        check("ct.name = anyof", "ct.name = \"anyof\"");
    }

    #[test]
    fn calls() {
        check("tolower(ct.name) = x", "tolower(ct.name) = x");
        check("tolower( b64( ct.name ) ) = x", "tolower(b64(ct.name)) = x");
        check("ct.name = val(ct.error)", "ct.name = val(ct.error)");
        check("ct.name = tolower(ct.error)", "ct.name = tolower(ct.error)");
        check("join(ec2.imageids, \"-\") = x", "join(ec2.imageids, \"-\") = x");
        check("concat(ct.user, ':', ct.name) in (a)", "concat(ct.user, \":\", ct.name) in (a)");
        check("len(ct.name) > 3", "len(ct.name) > 3");
    }

    #[test]
    fn every_problem_has_its_place() {
        fails("", 0..0, "the condition is empty", "");
        fails("ct.nam = a", 0..6, "unknown field `ct.nam`", "did you mean `ct.name`?");
        fails("ct.name = a ct.src = b", 12..18, "expected `and` or `or` before `ct.src`", "");
        fails("ct.name is a", 8..10, "expected an operator before `is`", "did you mean `in`?");
        fails("ct.name = ", 10..10, "expected a value before the end", "");
        fails("(ct.name = a", 12..12, "expected `)` before the end", "");
        fails("ct.name = \"a", 10..12, "the quote is never closed", "");
        fails("and", 0..3, "expected a field, a macro or `(` before `and`", "");
        fails(
            "json.value = a",
            0..10,
            "`json.value` needs an argument",
            "such as `json.value[/requestParameters/name]`",
        );
        fails("join(ct.name) = a", 0..13, "`join` takes 2 arguments", "");
        let deep = "(".repeat(1000);
        assert!(condition(&deep).unwrap_err()[0].message.contains("nested deeper"));
    }

    #[test]
    fn all_unknown_fields_at_once() {
        let errors = condition("ct.nam = a and ct.sr = b and").unwrap_err();
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages[..2], ["unknown field `ct.nam`", "unknown field `ct.sr`"]);
        assert_eq!(messages.len(), 3);
    }

    #[test]
    fn the_longest_field_leads() {
        let leads = |text| leading_term(text).map(|(term, bytes)| (term.to_string(), bytes));
        assert_eq!(leads("ct.region) x"), Ok(("ct.region".to_owned(), 9)));
        assert_eq!(leads("ct.user.arn. End"), Ok(("ct.user.arn".to_owned(), 11)));
        assert_eq!(leads("ct.user.x"), Ok(("ct.user".to_owned(), 7)));
        assert_eq!(leads("json.value[/a/b]c"), Ok(("json.value[/a/b]".to_owned(), 16)));
        assert_eq!(leads("tolower(ct.name)!"), Ok(("tolower(ct.name)".to_owned(), 16)));
        assert_eq!(leads("ct.nope").unwrap_err().message, "unknown field `ct.nope`");
        assert!(leads("").is_err());
    }
}
