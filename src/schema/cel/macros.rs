//! Calls that are short for something longer: `has`, `all`, `map`, ...

use super::ast::{ACCUMULATOR, Call, Expr, Fold, List, Literal, Node, Select, op};
use super::parse::{Parser, call};

const UNUSED: &str = "#unused";
const SORTED: &str = "@__sortBy_input__";

/// What the call is short for; or its parts again, when it is no macro.
pub fn expand(
    parser: &mut Parser<'_>,
    position: u32,
    function: &str,
    target: Option<Expr>,
    args: Vec<Expr>,
) -> Result<Expr, (Option<Expr>, Vec<Expr>)> {
    let mut make = Make { parser, position };
    let Some(target) = target else {
        return match (function, args.len()) {
            ("has", 1) => Ok(make.has(args)),
            _ => Err((None, args)),
        };
    };
    match (function, args.len()) {
        ("all", 2 | 3) => Ok(make.quantifier(Quantifier::All, target, args)),
        ("exists", 2 | 3) => Ok(make.quantifier(Quantifier::Exists, target, args)),
        ("exists_one", 2 | 3) | ("existsOne", 3) => Ok(make.quantifier(Quantifier::One, target, args)),
        ("map", 2 | 3) => Ok(make.map(target, args)),
        ("filter", 2) => Ok(make.filter(target, args)),
        ("transformList", 3 | 4) => Ok(make.transform(Transform::List, target, args)),
        ("transformMap", 3 | 4) => Ok(make.transform(Transform::Map, target, args)),
        ("transformMapEntry", 3 | 4) => Ok(make.transform(Transform::Entries, target, args)),
        ("optMap" | "optFlatMap", 2) => Ok(make.opt_map(function, target, args)),
        ("sortBy", 2) => Ok(make.sort_by(target, args)),
        ("bind", 3) if make.parser.binds && target.ident() == Some("cel") => Ok(make.bind(args)),
        _ => Err((Some(target), args)),
    }
}

#[derive(Clone, Copy)]
enum Quantifier {
    All,
    Exists,
    One,
}

#[derive(Clone, Copy)]
enum Transform {
    List,
    Map,
    Entries,
}

/// Makes nodes at the place of the call.
struct Make<'a, 'b> {
    parser: &'a mut Parser<'b>,
    position: u32,
}

impl Make<'_, '_> {
    fn node(&mut self, node: Node) -> Expr {
        self.parser.node(self.position, node)
    }

    fn literal(&mut self, literal: Literal) -> Expr {
        self.node(Node::Literal(literal))
    }

    fn accumulator(&mut self) -> Expr {
        self.ident(ACCUMULATOR)
    }

    fn ident(&mut self, name: &str) -> Expr {
        self.node(Node::Ident(name.into()))
    }

    fn list(&mut self, items: Vec<Expr>) -> Expr {
        self.node(Node::List(List { items, optional: Vec::new() }))
    }

    fn call(&mut self, function: &str, args: Vec<Expr>) -> Expr {
        self.node(call(function, args))
    }

    fn method(&mut self, target: Expr, function: &str, args: Vec<Expr>) -> Expr {
        self.node(Node::Call(Call { target: Some(target.into()), function: function.into(), args }))
    }

    /// The same tree with nodes of its own.
    fn copy(&mut self, expr: &Expr) -> Expr {
        let mut copied = expr.clone();
        renumber(self.parser, &mut copied);
        copied
    }

    /// The names of the loop's variables, or an error in place of the whole.
    fn variables<'e>(&mut self, args: &'e [Expr], two: bool, text: &str) -> Result<Vec<&'e str>, Expr> {
        let mut names: Vec<&str> = Vec::new();
        for arg in &args[..if two { 2 } else { 1 }] {
            let position = self.parser.position(arg);
            let Some(name) = arg.ident() else { return Err(self.parser.wrong(position, text)) };
            if names.contains(&name) {
                return Err(self.parser.wrong(position, format!("duplicate variable name: {name}")));
            }
            names.push(name);
        }
        for (arg, name) in args.iter().zip(&names) {
            if [ACCUMULATOR, "__result__"].contains(name) {
                let position = self.parser.position(arg);
                return Err(self.parser.wrong(position, "iteration variable overwrites accumulator variable"));
            }
        }
        Ok(names)
    }

    fn has(&mut self, mut args: Vec<Expr>) -> Expr {
        let arg = args.remove(0);
        match arg.node {
            Node::Select(Select { operand, field, .. }) => {
                self.node(Node::Select(Select { operand, field, test: true }))
            }
            _ => {
                let position = self.parser.position(&arg);
                self.parser.wrong(position, "invalid argument to has() macro")
            }
        }
    }

    fn quantifier(&mut self, kind: Quantifier, range: Expr, mut args: Vec<Expr>) -> Expr {
        let two = args.len() == 3;
        let names = match self.variables(&args, two, "argument must be a simple name") {
            Ok(names) => names.into_iter().map(Box::from).collect(),
            Err(wrong) => return wrong,
        };
        let predicate = args.remove(args.len() - 1);
        let gathered = self.accumulator();
        let (init, condition, step, result) = match kind {
            Quantifier::All => {
                let condition = self.call(op::NOT_STRICTLY_FALSE, vec![gathered]);
                let gathered = self.accumulator();
                let step = self.call(op::AND, vec![gathered, predicate]);
                (Literal::Bool(true), condition, step, self.accumulator())
            }
            Quantifier::Exists => {
                let not = self.call(op::NOT, vec![gathered]);
                let condition = self.call(op::NOT_STRICTLY_FALSE, vec![not]);
                let gathered = self.accumulator();
                let step = self.call(op::OR, vec![gathered, predicate]);
                (Literal::Bool(false), condition, step, self.accumulator())
            }
            Quantifier::One => {
                let one = self.literal(Literal::Int(1));
                let more = self.call(op::ADD, vec![gathered, one]);
                let same = self.accumulator();
                let step = self.call(op::CONDITIONAL, vec![predicate, more, same]);
                let (gathered, one) = (self.accumulator(), self.literal(Literal::Int(1)));
                let result = self.call(op::EQUALS, vec![gathered, one]);
                (Literal::Int(0), self.literal(Literal::Bool(true)), step, result)
            }
        };
        let init = self.literal(init);
        self.fold(range, names, init, condition, step, result)
    }

    fn map(&mut self, range: Expr, mut args: Vec<Expr>) -> Expr {
        let names = match self.variables(&args, false, "argument is not an identifier") {
            Ok(names) => names.into_iter().map(Box::from).collect(),
            Err(wrong) => return wrong,
        };
        let transform = args.remove(args.len() - 1);
        let filter = (args.len() == 2).then(|| args.remove(1));
        self.gather(range, names, filter, transform)
    }

    fn filter(&mut self, range: Expr, mut args: Vec<Expr>) -> Expr {
        let names = match self.variables(&args, false, "argument is not an identifier") {
            Ok(names) => names.into_iter().map(Box::from).collect(),
            Err(wrong) => return wrong,
        };
        let filter = args.remove(1);
        self.gather(range, names, Some(filter), args.remove(0))
    }

    /// A list of what `item` gives, for those that the filter lets through.
    fn gather(&mut self, range: Expr, names: Vec<Box<str>>, filter: Option<Expr>, item: Expr) -> Expr {
        let (gathered, items) = (self.accumulator(), self.list(vec![item]));
        let step = self.call(op::ADD, vec![gathered, items]);
        let step = self.filtered(filter, step);
        let (init, condition) = (self.list(Vec::new()), self.literal(Literal::Bool(true)));
        let result = self.accumulator();
        self.fold(range, names, init, condition, step, result)
    }

    fn filtered(&mut self, filter: Option<Expr>, step: Expr) -> Expr {
        let Some(filter) = filter else { return step };
        let same = self.accumulator();
        self.call(op::CONDITIONAL, vec![filter, step, same])
    }

    fn transform(&mut self, kind: Transform, range: Expr, mut args: Vec<Expr>) -> Expr {
        let names: Vec<Box<str>> = match self.variables(&args, true, "argument must be a simple name") {
            Ok(names) => names.into_iter().map(Box::from).collect(),
            Err(wrong) => return wrong,
        };
        let transform = args.remove(args.len() - 1);
        let filter = (args.len() == 3).then(|| args.remove(2));
        let step = match kind {
            Transform::List => return self.gather(range, names, filter, transform),
            Transform::Map => {
                let (gathered, key) = (self.accumulator(), self.ident(&names[0]));
                self.call("cel.@mapInsert", vec![gathered, key, transform])
            }
            Transform::Entries => {
                let gathered = self.accumulator();
                self.call("cel.@mapInsert", vec![gathered, transform])
            }
        };
        let step = self.filtered(filter, step);
        let (init, condition) = (self.node(Node::Map(Vec::new())), self.literal(Literal::Bool(true)));
        let result = self.accumulator();
        self.fold(range, names, init, condition, step, result)
    }

    fn opt_map(&mut self, function: &str, target: Expr, mut args: Vec<Expr>) -> Expr {
        let Some(name) = args[0].ident().map(str::to_owned) else {
            let position = self.parser.position(&args[0]);
            let text = format!("{function}() variable name must be a simple identifier");
            return self.parser.wrong(position, text);
        };
        let inner = args.remove(1);
        let copied = self.copy(&target);
        let value = self.method(copied, "value", Vec::new());
        let mut bound = self.bound(&name, value, inner);
        if function == "optMap" {
            bound = self.call("optional.of", vec![bound]);
        }
        let has = self.method(target, "hasValue", Vec::new());
        let none = self.call("optional.none", Vec::new());
        self.call(op::CONDITIONAL, vec![has, bound, none])
    }

    fn sort_by(&mut self, target: Expr, args: Vec<Expr>) -> Expr {
        if matches!(target.node, Node::Literal(_) | Node::Map(_) | Node::Struct(_)) {
            let position = self.parser.position(&target);
            let text = "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
            return self.parser.wrong(position, text);
        }
        let range = self.ident(SORTED);
        let keys = self.map(range, args);
        let sorted = self.ident(SORTED);
        let result = self.method(sorted, "@sortByAssociatedKeys", vec![keys]);
        self.bound(SORTED, target, result)
    }

    fn bind(&mut self, mut args: Vec<Expr>) -> Expr {
        let Some(name) = args[0].ident().map(str::to_owned) else {
            let position = self.parser.position(&args[0]);
            return self.parser.wrong(position, "cel.bind() variable names must be simple identifiers");
        };
        let result = args.remove(2);
        self.bound(&name, args.remove(1), result)
    }

    /// `result` with the name standing for the value: a loop over nothing.
    fn bound(&mut self, name: &str, value: Expr, result: Expr) -> Expr {
        let range = self.list(Vec::new());
        let condition = self.literal(Literal::Bool(false));
        let step = self.ident(name);
        let (var, accumulator) = (UNUSED.into(), name.into());
        let fold = Fold { range, var, second: None, accumulator, init: value, condition, step, result };
        self.node(Node::Fold(fold.into()))
    }

    fn fold(
        &mut self,
        range: Expr,
        names: Vec<Box<str>>,
        init: Expr,
        condition: Expr,
        step: Expr,
        result: Expr,
    ) -> Expr {
        let mut names = names.into_iter();
        let (var, second) = (names.next().unwrap_or_default(), names.next());
        let fold = Fold { range, var, second, accumulator: ACCUMULATOR.into(), init, condition, step, result };
        self.node(Node::Fold(fold.into()))
    }
}

fn renumber(parser: &mut Parser<'_>, expr: &mut Expr) {
    let position = parser.position(expr);
    expr.id = parser.id(position);
    match &mut expr.node {
        Node::Literal(_) | Node::Ident(_) => {}
        Node::Select(select) => renumber(parser, &mut select.operand),
        Node::Call(call) => {
            call.target.iter_mut().for_each(|target| renumber(parser, target));
            call.args.iter_mut().for_each(|arg| renumber(parser, arg));
        }
        Node::List(list) => list.items.iter_mut().for_each(|item| renumber(parser, item)),
        Node::Map(entries) => {
            for entry in entries {
                renumber(parser, &mut entry.key);
                renumber(parser, &mut entry.value);
            }
        }
        Node::Struct(object) => object.fields.iter_mut().for_each(|field| renumber(parser, &mut field.value)),
        Node::Fold(fold) => {
            for part in [&mut fold.range, &mut fold.init, &mut fold.condition, &mut fold.step, &mut fold.result] {
                renumber(parser, part);
            }
        }
    }
}
