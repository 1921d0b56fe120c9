//! The source in `TorchScript` files: the subset of Python that torch writes, as a tree.

mod tokens;

use super::super::LoadError;
use super::super::error::malformed;
use std::rc::Rc;
use tokens::{Token, tokenize};

/// Expressions and blocks nest no deeper.
const MAX_NESTING: usize = 100;

/// Arguments of a call, by position and by name.
type Arguments = (Vec<Expr>, Vec<(Name, Expr)>);

/// A name in a source.
pub(super) type Name = Rc<str>;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// No value.
    None,
    /// Truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Name),
    /// A variable, or the first part of a path.
    Name(Name),
    /// `base.name`.
    Attribute(Box<Self>, Name),
    /// `base[…]`.
    Index(Box<Self>, Vec<Self>),
    /// `callee(…)`.
    Call(Box<Call>),
    /// `[…]`.
    List(Vec<Self>),
    /// `(…)`.
    Tuple(Vec<Self>),
    /// `{…}`.
    Dict(Vec<(Self, Self)>),
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// What is called.
    pub(super) callee: Expr,
    /// Arguments by position.
    pub(super) arguments: Vec<Expr>,
    /// Arguments by name.
    pub(super) named: Vec<(Name, Expr)>,
}

impl Expr {
    /// `a.b.c`, where this is nothing but names.
    pub(super) fn path(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.to_string()),
            Self::Attribute(base, name) => Some(format!("{}.{name}", base.path()?)),
            _ => None,
        }
    }
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// `a, b = value`; the targets are names, attributes, elements or tuples of these.
    Assign(Expr, Expr),
    /// A call for what it does.
    Do(Expr),
    /// Both branches.
    If(Expr, Vec<Self>, Vec<Self>),
    /// `for name in list:`.
    For(Expr, Expr, Vec<Self>),
    /// `while condition:`.
    While(Expr, Vec<Self>),
    /// What stands in a `with`.
    Block(Vec<Self>),
    /// The result.
    Return(Expr),
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: Name,
    /// Its type, as it is written.
    pub(super) kind: Option<Expr>,
    /// What it is where no argument is given.
    pub(super) default: Option<Expr>,
}

/// A function or method.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: Name,
    /// Its parameters, `self` among them.
    pub(super) parameters: Vec<Parameter>,
    /// What it does.
    pub(super) body: Vec<Statement>,
}

/// A class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Class {
    /// Its name.
    pub(super) name: String,
    /// The class that it extends: `Module`, `NamedTuple`, `Enum`; empty where there is none.
    pub(super) base: String,
    /// Its attributes in order, with their types.
    pub(super) attributes: Vec<Name>,
    /// Attributes with a value.
    pub(super) constants: Vec<(Name, Expr)>,
    /// Its methods.
    pub(super) methods: Vec<Rc<Function>>,
}

/// A file of source.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    /// Its classes.
    pub(super) classes: Vec<Class>,
    /// Its functions.
    pub(super) functions: Vec<Rc<Function>>,
}

fn broken(line: usize, why: &str) -> LoadError {
    malformed(super::NAME, format!("line {line} of a source in it: {why}"))
}

/// Reads a file of source.
pub(super) fn parse(text: &[u8]) -> Result<Source, LoadError> {
    let text = std::str::from_utf8(text).map_err(|_| broken(1, "is no text"))?;
    let mut parser = Parser { tokens: tokenize(text)?, at: 0, depth: 0 };
    let mut source = Source::default();
    while !parser.ended() {
        if parser.word("class") {
            source.classes.push(parser.class()?);
        } else if parser.word("def") {
            source.functions.push(Rc::new(parser.function()?));
        } else {
            // Imports of early versions.
            parser.rest_of_line();
        }
    }
    Ok(source)
}

struct Parser<'a> {
    tokens: Vec<(Token<'a>, usize)>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token<'a> {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn ended(&self) -> bool {
        matches!(self.peek(), Token::End)
    }

    fn error(&self, why: &str) -> LoadError {
        let last = self.tokens.last().map_or(1, |(_, line)| *line);
        broken(self.tokens.get(self.at).map_or(last, |(_, line)| *line), why)
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(s) if *s == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(name) if *name == word)
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), LoadError> {
        if self.symbol(symbol) {
            return Ok(());
        }
        Err(self.error(&format!("`{symbol}` is missing")))
    }

    fn name(&mut self) -> Result<&'a str, LoadError> {
        let Token::Name(name) = *self.peek() else { return Err(self.error("a name is missing")) };
        self.at += 1;
        Ok(name)
    }

    fn line_end(&mut self) -> Result<(), LoadError> {
        match self.peek() {
            Token::Newline => {
                self.at += 1;
                Ok(())
            }
            Token::End => Ok(()),
            _ => Err(self.error("a statement does not end")),
        }
    }

    fn rest_of_line(&mut self) {
        while !matches!(self.peek(), Token::Newline | Token::End) {
            self.at += 1;
        }
        self.at += 1;
    }

    /// What is nested, one step deeper.
    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        if self.depth >= MAX_NESTING {
            return Err(self.error("it nests too deep"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn class(&mut self) -> Result<Class, LoadError> {
        let mut class = Class { name: self.name()?.to_owned(), ..Class::default() };
        if self.symbol("(") {
            class.base = self.expression()?.path().unwrap_or_default();
            self.expect(")")?;
        }
        self.expect(":")?;
        self.line_end()?;
        if !matches!(self.peek(), Token::Indent) {
            return Ok(class);
        }
        self.at += 1;
        while !matches!(self.peek(), Token::Dedent | Token::End) {
            if self.word("def") {
                class.methods.push(Rc::new(self.function()?));
            } else if self.word("pass") {
                self.line_end()?;
            } else {
                self.attribute(&mut class)?;
            }
        }
        self.at += 1;
        Ok(class)
    }

    /// `name : type`, `name : Final[type] = value`, `name = value`, `__annotations__["0"] = type`.
    fn attribute(&mut self, class: &mut Class) -> Result<(), LoadError> {
        let target = self.expression()?;
        let kind = if self.symbol(":") { Some(self.expression()?) } else { None };
        let value = if self.symbol("=") { Some(self.expression()?) } else { None };
        self.line_end()?;
        match (target, value) {
            (Expr::Name(name), Some(value)) => {
                if !name.starts_with("__") {
                    class.attributes.push(name.clone());
                }
                class.constants.push((name, value));
            }
            (Expr::Name(name), None) if kind.is_some() => class.attributes.push(name),
            (Expr::Index(_, index), _) => {
                if let Some(Expr::Text(name)) = index.first() {
                    class.attributes.push(name.clone());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn function(&mut self) -> Result<Function, LoadError> {
        let name = self.name()?.into();
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.symbol(")") {
            if self.symbol("*") {
                self.symbol(",");
                continue;
            }
            let name = self.name()?.into();
            let kind = if self.symbol(":") { Some(self.expression()?) } else { None };
            let default = if self.symbol("=") { Some(self.expression()?) } else { None };
            parameters.push(Parameter { name, kind, default });
            if !self.symbol(",") && !self.is(")") {
                return Err(self.error("a parameter does not end"));
            }
        }
        if self.symbol("->") {
            self.expression()?;
        }
        let body = self.block()?;
        Ok(Function { name, parameters, body })
    }

    /// `:` and what is indented below.
    fn block(&mut self) -> Result<Vec<Statement>, LoadError> {
        self.expect(":")?;
        self.line_end()?;
        if !matches!(self.peek(), Token::Indent) {
            return Err(self.error("a block is empty"));
        }
        self.at += 1;
        self.deeper(|parser| {
            let mut statements = Vec::new();
            while !matches!(parser.peek(), Token::Dedent | Token::End) {
                if let Some(statement) = parser.statement()? {
                    statements.push(statement);
                }
            }
            parser.at += 1;
            Ok(statements)
        })
    }

    fn statement(&mut self) -> Result<Option<Statement>, LoadError> {
        if self.word("pass") || self.word("continue") || self.word("break") {
            self.line_end()?;
            return Ok(None);
        }
        Ok(Some(if self.word("if") {
            let condition = self.expression()?;
            let yes = self.block()?;
            let no = if self.word("else") { self.block()? } else { Vec::new() };
            Statement::If(condition, yes, no)
        } else if self.word("for") {
            let target = self.targets()?;
            if !self.word("in") {
                return Err(self.error("`in` is missing"));
            }
            let list = self.expression()?;
            Statement::For(target, list, self.block()?)
        } else if self.word("while") {
            let condition = self.expression()?;
            Statement::While(condition, self.block()?)
        } else if self.word("with") {
            self.expression()?;
            if self.word("as") {
                self.name()?;
            }
            Statement::Block(self.block()?)
        } else if self.word("return") {
            let bare = matches!(self.peek(), Token::Newline | Token::End);
            let value = if bare { Expr::None } else { self.targets()? };
            self.line_end()?;
            Statement::Return(value)
        } else if self.word("assert") {
            self.rest_of_line();
            return Ok(None);
        } else {
            self.simple()?
        }))
    }

    /// An assignment, or an expression.
    fn simple(&mut self) -> Result<Statement, LoadError> {
        let target = self.targets()?;
        if self.symbol(":") {
            self.expression()?;
        }
        if !self.symbol("=") {
            self.line_end()?;
            return Ok(Statement::Do(target));
        }
        let value = self.targets()?;
        self.line_end()?;
        Ok(Statement::Assign(target, value))
    }

    /// One expression, or several with commas between them, which are a tuple.
    fn targets(&mut self) -> Result<Expr, LoadError> {
        let first = self.expression()?;
        if !self.is(",") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.symbol(",") {
            let ends = self.is("=") || self.is(":") || matches!(self.peek(), Token::Newline);
            if ends || self.is_word("in") {
                break;
            }
            all.push(self.expression()?);
        }
        Ok(Expr::Tuple(all))
    }

    fn expression(&mut self) -> Result<Expr, LoadError> {
        self.deeper(Self::postfix)
    }

    fn postfix(&mut self) -> Result<Expr, LoadError> {
        let mut base = self.atom()?;
        let mut steps = 0;
        loop {
            steps += 1;
            if steps > MAX_NESTING {
                return Err(self.error("it nests too deep"));
            }
            if self.symbol(".") {
                base = Expr::Attribute(Box::new(base), self.name()?.into());
            } else if self.symbol("(") {
                let (arguments, named) = self.arguments()?;
                base = Expr::Call(Box::new(Call { callee: base, arguments, named }));
            } else if self.symbol("[") {
                let index = self.list("]")?;
                base = Expr::Index(Box::new(base), index);
            } else {
                return Ok(base);
            }
        }
    }

    fn arguments(&mut self) -> Result<Arguments, LoadError> {
        let (mut arguments, mut named) = (Vec::new(), Vec::new());
        while !self.symbol(")") {
            let value = self.expression()?;
            if self.symbol("=") {
                let Expr::Name(name) = value else {
                    return Err(self.error("a named argument has no name"));
                };
                named.push((name, self.expression()?));
            } else {
                arguments.push(value);
            }
            if !self.symbol(",") && !self.is(")") {
                return Err(self.error("an argument does not end"));
            }
        }
        Ok((arguments, named))
    }

    /// Expressions up to the closing bracket.
    fn list(&mut self, end: &str) -> Result<Vec<Expr>, LoadError> {
        let mut members = Vec::new();
        while !self.symbol(end) {
            members.push(self.expression()?);
            if !self.symbol(",") && !self.is(end) {
                return Err(self.error("a list does not end"));
            }
        }
        Ok(members)
    }

    fn atom(&mut self) -> Result<Expr, LoadError> {
        let token = self.peek().clone();
        self.at += 1;
        Ok(match token {
            Token::Name("None") => Expr::None,
            Token::Name("True") => Expr::Bool(true),
            Token::Name("False") => Expr::Bool(false),
            Token::Name("inf") => Expr::Float(f64::INFINITY),
            Token::Name("nan") => Expr::Float(f64::NAN),
            Token::Name(name) => Expr::Name(name.into()),
            Token::Int(number) => Expr::Int(number),
            Token::Float(number) => Expr::Float(number),
            Token::Text(text) => Expr::Text(text.as_str().into()),
            Token::Symbol("-") => match self.expression()? {
                Expr::Int(number) => Expr::Int(number.wrapping_neg()),
                Expr::Float(number) => Expr::Float(-number),
                _ => return Err(self.error("a sign stands before what is no number")),
            },
            Token::Symbol("[") => Expr::List(self.list("]")?),
            Token::Symbol("(") => self.bracket()?,
            Token::Symbol("{") => {
                let mut entries = Vec::new();
                while !self.symbol("}") {
                    let key = self.expression()?;
                    self.expect(":")?;
                    entries.push((key, self.expression()?));
                    if !self.symbol(",") && !self.is("}") {
                        return Err(self.error("a dictionary does not end"));
                    }
                }
                Expr::Dict(entries)
            }
            _ => {
                self.at -= 1;
                return Err(self.error("an expression is missing"));
            }
        })
    }

    /// `(x)` is x, `(x,)` and `(x, y)` are tuples.
    fn bracket(&mut self) -> Result<Expr, LoadError> {
        if self.symbol(")") {
            return Ok(Expr::Tuple(Vec::new()));
        }
        let first = self.expression()?;
        if self.symbol(")") {
            return Ok(first);
        }
        self.expect(",")?;
        let mut members = vec![first];
        members.extend(self.list(")")?);
        Ok(Expr::Tuple(members))
    }
}
