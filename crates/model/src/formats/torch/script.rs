//! `TorchScript` programs: their source is evaluated on values of a graph. What is static folds, methods are inlined,
//! and what depends on data or on sizes becomes part of the graph.

mod builtins;
mod flow;

use super::super::LoadError;
use super::super::error::{invalid, malformed};
use super::archive::Files;
use super::aten::{self, Args};
use super::objects::Objects;
use super::site::Site;
use super::source::{self, Call, Class, Expr, Function, Name, Statement};
use super::value::{Kind, Lowered, Object, Tensor, Value, unable};
use std::collections::HashMap;
use std::rc::Rc;

/// Statements that an evaluation runs.
const MAX_STEPS: usize = 1_000_000;
/// Calls, blocks and expressions nest no deeper.
const MAX_DEPTH: usize = 260;

/// Variables of a function.
pub(super) type Scope = HashMap<Name, Value>;

/// What a block ends with.
enum Flow {
    Next,
    Return(Value),
}

/// A program of a file.
pub(super) struct Script<'f> {
    files: &'f Files,
    /// Files of source by their path, read when a name in them is first met.
    sources: HashMap<String, Rc<Source>>,
    constants: Vec<Value>,
    steps: usize,
    depth: usize,
}

#[derive(Default)]
struct Source {
    classes: HashMap<String, Rc<Class>>,
    functions: HashMap<String, Rc<Function>>,
}

impl<'f> Script<'f> {
    /// The program of an archive, its constants among it.
    pub(super) fn open(files: &'f Files, site: &mut Site<'_, '_>) -> Result<Self, LoadError> {
        let mut script =
            Self { files, sources: HashMap::new(), constants: Vec::new(), steps: 0, depth: 0 };
        if let Some(constants) = files.contents("constants.pkl")? {
            let root = script.objects("constants", &constants, site)?;
            script.constants = root.members().unwrap_or_default();
            for (at, constant) in script.constants.iter().enumerate() {
                if let Value::Stored(stored) = constant {
                    stored.name.replace(format!("CONSTANTS.c{at}").into());
                    site.state.stored.push(stored.clone());
                }
            }
        }
        Ok(script)
    }

    /// The module that the file holds.
    pub(super) fn module(&mut self, site: &mut Site<'_, '_>) -> Result<Rc<Object>, LoadError> {
        let data = self.files.needed("data.pkl")?;
        match self.objects("data", &data, site)? {
            Value::Object(object) => {
                name(&object, "", 0, site);
                Ok(object)
            }
            _ => Err(malformed(super::NAME, "it holds no module")),
        }
    }

    /// The values of a pickle; classes take the state of their objects.
    fn objects(
        &mut self,
        folder: &'static str,
        pickle: &[u8],
        site: &mut Site<'_, '_>,
    ) -> Result<Value, LoadError> {
        let pickle = super::pickle::read(pickle)?;
        let mut objects = Objects::of(self.files, folder, &pickle);
        let root = objects.root()?;
        for (object, state) in objects.pending {
            if let Some(method) = self.method(&object.class, "__setstate__")? {
                let arguments = vec![Value::Object(object.clone()), state];
                self.call(site, &method, Args::of(arguments)).map_err(|e| e.at(&object.class))?;
            }
        }
        Ok(root)
    }

    fn source(&mut self, path: &str) -> Result<Rc<Source>, LoadError> {
        if let Some(known) = self.sources.get(path) {
            return Ok(known.clone());
        }
        let mut found = Source::default();
        if let Some(text) = self.files.contents(&format!("code/{}.py", path.replace('.', "/")))? {
            let source = source::parse(&text)?;
            for class in source.classes {
                found.classes.insert(class.name.clone(), Rc::new(class));
            }
            for function in source.functions {
                found.functions.insert(function.name.to_string(), function);
            }
        }
        let found = Rc::new(found);
        self.sources.insert(path.to_owned(), found.clone());
        Ok(found)
    }

    fn class(&mut self, name: &str) -> Result<Option<Rc<Class>>, LoadError> {
        let Some((file, class)) = name.rsplit_once('.') else { return Ok(None) };
        Ok(self.source(file)?.classes.get(class).cloned())
    }

    fn function(&mut self, name: &str) -> Result<Option<Rc<Function>>, LoadError> {
        let Some((file, function)) = name.rsplit_once('.') else { return Ok(None) };
        Ok(self.source(file)?.functions.get(function).cloned())
    }

    /// A method of a class, by the class's whole name.
    pub(super) fn method(
        &mut self,
        class: &str,
        name: &str,
    ) -> Result<Option<Rc<Function>>, LoadError> {
        let Some(class) = self.class(class)? else { return Ok(None) };
        Ok(class.methods.iter().find(|method| &*method.name == name).cloned())
    }

    /// The methods of a class that a user may choose.
    pub(super) fn methods(&mut self, class: &str) -> Result<Vec<String>, LoadError> {
        let class = self.class(class)?;
        let methods = class.iter().flat_map(|class| &class.methods);
        let names = methods.map(|method| method.name.to_string());
        Ok(names.filter(|name| !name.starts_with("__")).collect())
    }

    fn step(&mut self) -> Lowered<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            let message = format!("its program runs more than {MAX_STEPS} statements");
            return Err(invalid("program", message).into());
        }
        Ok(())
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Lowered<T>) -> Lowered<T> {
        if self.depth >= MAX_DEPTH {
            return Err(invalid("program", "its calls nest too deep").into());
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// Runs a function.
    pub(super) fn call(
        &mut self,
        site: &mut Site<'_, '_>,
        function: &Rc<Function>,
        arguments: Args,
    ) -> Lowered<Value> {
        let mut scope = Scope::new();
        let mut given = arguments.positional.into_iter();
        for parameter in &function.parameters {
            let named = arguments.named.iter().find(|(name, _)| **name == *parameter.name);
            let value = match (given.next(), named, &parameter.default) {
                (Some(value), ..) => value,
                (None, Some((_, value)), _) => value.clone(),
                (None, None, Some(default)) => self.expression(site, &scope, default)?,
                (None, None, None) => {
                    let why = format!("`{}` has no argument `{}`", function.name, parameter.name);
                    return unable(why);
                }
            };
            scope.insert(parameter.name.clone(), value);
        }
        self.deeper(|script| match script.block(site, &mut scope, &function.body)? {
            Flow::Return(value) => Ok(value),
            Flow::Next => Ok(Value::None),
        })
    }

    /// Runs a method of an object; nodes that it makes are named by where the object is.
    fn call_method(
        &mut self,
        site: &mut Site<'_, '_>,
        object: &Rc<Object>,
        method: &Rc<Function>,
        mut arguments: Args,
    ) -> Lowered<Value> {
        arguments.positional.insert(0, Value::Object(object.clone()));
        let path = object.path.borrow().clone();
        if path.is_empty() {
            return self.call(site, method, arguments);
        }
        let outer = site.draft.leave();
        site.draft.enter(format!("{}{}/", site.state.prefix(), path.replace('.', "/")));
        let result = self.call(site, method, arguments);
        site.draft.enter(outer);
        result
    }

    fn block(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        statements: &[Statement],
    ) -> Lowered<Flow> {
        for statement in statements {
            self.step()?;
            if let Flow::Return(value) = self.statement(site, scope, statement)? {
                return Ok(Flow::Return(value));
            }
        }
        Ok(Flow::Next)
    }

    fn statement(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        statement: &Statement,
    ) -> Lowered<Flow> {
        match statement {
            Statement::Assign(target, value) => {
                let value = self.expression(site, scope, value)?;
                self.assign(site, scope, target, value)?;
            }
            Statement::Do(value) => {
                self.expression(site, scope, value)?;
            }
            Statement::If(condition, yes, no) => {
                return self.deeper(|script| script.branch(site, scope, condition, yes, no));
            }
            Statement::For(target, list, body) => {
                return self.deeper(|script| script.count(site, scope, target, list, body));
            }
            Statement::While(condition, body) => {
                return self.deeper(|script| script.repeat(site, scope, condition, body));
            }
            Statement::Block(body) => {
                return self.deeper(|script| script.block(site, scope, body));
            }
            Statement::Return(value) => {
                return Ok(Flow::Return(self.expression(site, scope, value)?));
            }
        }
        Ok(Flow::Next)
    }

    fn assign(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &mut Scope,
        target: &Expr,
        value: Value,
    ) -> Lowered<()> {
        match target {
            Expr::Name(name) => {
                scope.insert(name.clone(), value);
                Ok(())
            }
            Expr::Tuple(targets) | Expr::List(targets) => {
                let values = Self::parts(site, &value, targets.len())?;
                for (target, value) in targets.iter().zip(values) {
                    self.assign(site, scope, target, value)?;
                }
                Ok(())
            }
            Expr::Attribute(base, name) => match self.expression(site, scope, base)? {
                Value::Object(object) => {
                    object.set(name, value);
                    Ok(())
                }
                other => unable(format!("an attribute of {} is set", other.what())),
            },
            Expr::Index(base, index) => {
                let base = self.expression(site, scope, base)?;
                let [index] = &index[..] else {
                    return unable("an element is set in a way not known");
                };
                let index = self.expression(site, scope, index)?;
                let arguments = Args::of(vec![base, index, value]);
                Self::builtin(site, "_set_item", &arguments).map(drop)
            }
            _ => unable("what is assigned to is no variable"),
        }
    }

    /// A value as so many.
    fn parts(site: &mut Site<'_, '_>, value: &Value, count: usize) -> Lowered<Vec<Value>> {
        match value {
            Value::Pieces(pieces) => {
                let made = aten::pieces(site, pieces, count)?;
                Ok(made.into_iter().map(Value::Tensor).collect())
            }
            Value::Numbers(list) => {
                let mut all = Vec::new();
                for at in 0..count {
                    all.push(flow::pick(site, list, at)?);
                }
                Ok(all)
            }
            Value::Tensor(whole) => {
                let made = site.foreign("aten", "unpack", std::slice::from_ref(whole), count)?;
                Ok(made.into_iter().map(Value::Tensor).collect())
            }
            Value::Object(object) => {
                Ok(object.names().iter().filter_map(|n| object.get(n)).collect())
            }
            other => match other.members() {
                Some(members) if members.len() == count => {
                    members.into_iter().map(|member| site.present(member)).collect()
                }
                Some(members) => {
                    unable(format!("{} values go to {count} variables", members.len()))
                }
                None => unable(format!("{} goes to {count} variables", other.what())),
            },
        }
    }

    /// The value of an expression.
    fn expression(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &Scope,
        expression: &Expr,
    ) -> Lowered<Value> {
        self.deeper(|script| script.evaluate(site, scope, expression))
    }

    fn evaluate(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &Scope,
        expression: &Expr,
    ) -> Lowered<Value> {
        Ok(match expression {
            Expr::None => Value::None,
            Expr::Bool(truth) => Value::Bool(*truth),
            Expr::Int(number) => Value::Int(*number),
            Expr::Float(number) => Value::Float(*number),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Name(name) => match scope.get(name) {
                Some(value) => value.clone(),
                None => Value::Path(name.clone()),
            },
            Expr::List(members) => Value::list(self.all(site, scope, members)?),
            Expr::Tuple(members) => Value::tuple(self.all(site, scope, members)?),
            Expr::Dict(entries) => {
                let mut all = Vec::new();
                for (key, value) in entries {
                    all.push(self.expression(site, scope, key)?);
                    all.push(self.expression(site, scope, value)?);
                }
                Value::dict(all)
            }
            Expr::Attribute(base, name) => {
                let base = self.expression(site, scope, base)?;
                self.attribute(site, base, name)?
            }
            Expr::Index(base, index) => {
                let base = self.expression(site, scope, base)?;
                let [index] = &index[..] else {
                    // A type, such as `Dict[str, Tensor]`.
                    return Ok(Value::None);
                };
                if matches!(base, Value::Path(_)) {
                    return Ok(Value::None);
                }
                let index = self.expression(site, scope, index)?;
                Self::builtin(site, "__getitem__", &Args::of(vec![base, index]))?
            }
            Expr::Call(call) => self.called(site, scope, call)?,
        })
    }

    fn all(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &Scope,
        expressions: &[Expr],
    ) -> Lowered<Vec<Value>> {
        expressions.iter().map(|each| self.expression(site, scope, each)).collect()
    }

    fn attribute(&mut self, site: &mut Site<'_, '_>, base: Value, name: &Name) -> Lowered<Value> {
        match base {
            Value::Path(path) if &*path == "CONSTANTS" => {
                let at = name.strip_prefix('c').and_then(|at| at.parse::<usize>().ok());
                let constant = at.and_then(|at| self.constants.get(at).cloned());
                match constant {
                    Some(constant) => site.present(constant),
                    None => unable(format!("the file has no constant `{name}`")),
                }
            }
            Value::Path(path) => Ok(Value::Path(format!("{path}.{name}").into())),
            Value::Object(object) => self.member(site, &object, name),
            Value::Tensor(tensor) => Self::of_tensor(site, &tensor, name),
            Value::Tuple(items) => {
                // A named tuple, which the file keeps as a plain one.
                let at = name.strip_prefix('_').and_then(|at| at.parse().ok());
                match at.and_then(|at| items.at(at)) {
                    Some(value) => Ok(value),
                    None => unable(format!("a tuple has no member `{name}`")),
                }
            }
            other => unable(format!("{} has no attribute `{name}`", other.what())),
        }
    }

    /// An attribute of an object, or a constant of its class.
    fn member(
        &mut self,
        site: &mut Site<'_, '_>,
        object: &Rc<Object>,
        name: &str,
    ) -> Lowered<Value> {
        if let Some(value) = object.get(name) {
            return site.present(value);
        }
        if let Some(class) = self.class(&object.class)?
            && let Some((_, value)) = class.constants.iter().find(|(known, _)| &**known == name)
        {
            return self.expression(site, &Scope::new(), value);
        }
        unable(format!("an object of `{}` has no attribute `{name}`", object.class))
    }

    fn called(&mut self, site: &mut Site<'_, '_>, scope: &Scope, call: &Call) -> Lowered<Value> {
        if let Expr::Name(name) = &call.callee
            && !scope.contains_key(name)
            && let Some(value) = self.special(site, scope, name, call)?
        {
            return Ok(value);
        }
        if let Expr::Attribute(base, method) = &call.callee
            && let Value::Object(object) = self.base(site, scope, base)?
        {
            let arguments = self.arguments(site, scope, call)?;
            return self.of_object(site, &object, method, arguments);
        }
        let callee = self.expression(site, scope, &call.callee)?;
        let arguments = self.arguments(site, scope, call)?;
        match callee {
            Value::Path(path) => self.named(site, &path, arguments),
            Value::Object(object) => self.of_object(site, &object, "forward", arguments),
            other => unable(format!("{} is called", other.what())),
        }
    }

    /// What a method is called on; none where it is only the start of a path.
    fn base(&mut self, site: &mut Site<'_, '_>, scope: &Scope, base: &Expr) -> Lowered<Value> {
        let path = base.path().is_some_and(|path| {
            let root = path.split('.').next().unwrap_or_default();
            !scope.contains_key(root)
        });
        if path { Ok(Value::None) } else { self.expression(site, scope, base) }
    }

    fn of_object(
        &mut self,
        site: &mut Site<'_, '_>,
        object: &Rc<Object>,
        method: &str,
        arguments: Args,
    ) -> Lowered<Value> {
        if let Some(function) = self.method(&object.class, method)? {
            return self.call_method(site, object, &function, arguments);
        }
        if method == "unpack" {
            let part = |name: &str| object.get(name).unwrap_or(Value::None);
            return Ok(Value::tuple(vec![part("weight"), part("bias")]));
        }
        if matches!(method, "__init__" | "__enter__" | "__exit__") {
            // Of a class that only says whether gradients are kept.
            return Ok(Value::None);
        }
        unable(format!("`{}` has no method `{method}`", object.class))
    }

    fn arguments(&mut self, site: &mut Site<'_, '_>, scope: &Scope, call: &Call) -> Lowered<Args> {
        let positional = self.all(site, scope, &call.arguments)?;
        let mut named = Vec::new();
        for (name, value) in &call.named {
            named.push((name.clone(), self.expression(site, scope, value)?));
        }
        Ok(Args { positional, named })
    }

    /// Functions of the language itself.
    fn special(
        &mut self,
        site: &mut Site<'_, '_>,
        scope: &Scope,
        name: &str,
        call: &Call,
    ) -> Lowered<Option<Value>> {
        let last = |script: &mut Self, site: &mut Site<'_, '_>| match call.arguments.last() {
            Some(argument) => script.expression(site, scope, argument),
            None => Ok(Value::None),
        };
        Ok(Some(match name {
            "annotate" | "unchecked_cast" | "unwrap_optional" => last(self, site)?,
            "uninitialized" => Value::Absent("a variable that was not set is read"),
            "getattr" => {
                let [object, name] = &call.arguments[..] else {
                    return unable("getattr of no attribute");
                };
                let object = self.expression(site, scope, object)?;
                let name = match name {
                    Expr::Text(name) => name.clone(),
                    _ => return unable("an attribute is chosen while the model runs"),
                };
                self.attribute(site, object, &name)?
            }
            "isinstance" => {
                let value = match call.arguments.first() {
                    Some(value) => self.expression(site, scope, value)?,
                    None => Value::None,
                };
                Value::Bool(flow::is_of(&value, call.arguments.get(1)))
            }
            _ => return Ok(None),
        }))
    }

    /// A function by its whole name.
    fn named(&mut self, site: &mut Site<'_, '_>, path: &str, arguments: Args) -> Lowered<Value> {
        if path.starts_with("__torch__.") {
            if let Some(function) = self.function(path)? {
                return self.call(site, &function, arguments);
            }
            if let Some(class) = path.strip_suffix(".__new__") {
                return Ok(Value::Object(Rc::new(Object::new(class))));
            }
            return self.construct(site, path, arguments);
        }
        if let Some(name) = path.strip_prefix("torch.") {
            return Self::builtin(site, name, &arguments);
        }
        let name = path.strip_prefix("ops.").unwrap_or(path);
        match name.split_once('.') {
            Some(("prim" | "aten", name)) => Self::builtin(site, name, &arguments),
            Some((domain, name)) => Self::lower(site, &format!("{domain}::{name}"), &arguments),
            None => Self::builtin(site, name, &arguments),
        }
    }

    /// A new object of a class.
    fn construct(
        &mut self,
        site: &mut Site<'_, '_>,
        path: &str,
        arguments: Args,
    ) -> Lowered<Value> {
        let Some(class) = self.class(path)? else {
            return unable(format!("`{path}` is called, which the file does not hold"));
        };
        let object = Rc::new(Object::new(path));
        if let Some(init) = self.method(path, "__init__")? {
            let mut all = vec![Value::Object(object.clone())];
            all.extend(arguments.positional);
            self.call(site, &init, Args { positional: all, named: arguments.named })?;
        } else {
            for (name, value) in class.attributes.iter().zip(arguments.positional) {
                object.set(name, value);
            }
            for (name, value) in arguments.named {
                object.set(&name, value);
            }
        }
        Ok(Value::Object(object))
    }

    /// An operator of the graph; where it is not understood, an unknown node stands for it.
    fn lower(site: &mut Site<'_, '_>, name: &str, arguments: &Args) -> Lowered<Value> {
        let mut present = Vec::new();
        for value in &arguments.positional {
            present.push(site.present(value.clone())?);
        }
        let arguments = Args { positional: present, named: arguments.named.clone() };
        aten::call(site, name, &arguments)
    }
}

/// Names objects and what they store by where they are.
fn name(object: &Rc<Object>, path: &str, depth: usize, site: &mut Site<'_, '_>) {
    if depth > 64 || (depth > 0 && !object.path.borrow().is_empty()) {
        return;
    }
    object.path.replace(path.into());
    for attribute in object.names() {
        let path =
            if path.is_empty() { attribute.to_string() } else { format!("{path}.{attribute}") };
        match object.get(&attribute) {
            Some(Value::Object(inner)) => name(&inner, &path, depth + 1, site),
            Some(Value::Stored(stored)) => {
                if stored.name.borrow().is_empty() {
                    stored.name.replace(path.as_str().into());
                }
                site.state.stored.push(stored);
            }
            _ => {}
        }
    }
}

/// A number of the graph.
fn whole(tensor: Tensor) -> Value {
    Value::Number(tensor, Kind::Int)
}
