//! From the text of a CEL expression to its tree, macros expanded.
//!
//! A recursive descent over the grammar of cel-spec. What it cannot read is read again by the `syntax` module, which
//! words the errors as the original's generated parser does.

use super::ast::{Ast, Call, Entry, Expr, Id, List, Literal, Node, Select, Struct, StructField, op};
use super::source::{Issue, Source};
use super::token::{Kind, Token, tokens};
use super::{literal, macros, stack, syntax};

/// In code points.
pub const MOST_LETTERS: usize = 100_000;
/// How deep an expression may nest.
pub const MOST_DEPTH: u16 = 250;

/// Names that are no variables.
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
];

/// From weak to strong; those of one row are equally strong.
const BINARY: [&[&str]; 5] =
    [&["||"], &["&&"], &["<", "<=", ">=", ">", "==", "!=", "in"], &["+", "-"], &["*", "/", "%"]];

/// The tree of an expression, or all that is wrong with its text. `binds`: `cel.bind` is a macro.
pub fn parse(text: &str, binds: bool) -> Result<Ast, (Source, Vec<Issue>)> {
    stack::with_room(stack::nesting(text), || parse_here(text, binds))
}

fn parse_here(text: &str, binds: bool) -> Result<Ast, (Source, Vec<Issue>)> {
    let source = Source::new(text);
    let letters = source.chars().len();
    if letters > MOST_LETTERS {
        let message = format!("expression code point size exceeds limit: size: {letters}, limit {MOST_LETTERS}");
        return Err((source, vec![Issue { position: None, message }]));
    }
    let Ok(tokens) = tokens(source.chars()) else {
        let issues = syntax::issues(text, &source);
        return Err((source, issues));
    };
    let mut parser = Parser { source: &source, tokens, at: 0, positions: vec![0], issues: Vec::new(), depth: 0, binds };
    let parsed = parser.whole();
    let (positions, mut issues) = (parser.positions, parser.issues);
    match parsed {
        Ok(root) if issues.is_empty() => return Ok(Ast { root, source, positions }),
        Ok(_) => {}
        Err(Stop::Syntax) => issues = syntax::issues(text, &source),
        Err(Stop::Deep(message)) => issues = vec![Issue { position: None, message }],
    }
    Err((source, issues))
}

/// Why reading ended early.
enum Stop {
    Syntax,
    Deep(String),
}

type Parsed<T = Expr> = Result<T, Stop>;

/// The state of reading; macros make their nodes with it.
pub struct Parser<'a> {
    source: &'a Source,
    tokens: Vec<Token>,
    at: usize,
    positions: Vec<u32>,
    issues: Vec<Issue>,
    depth: u16,
    pub binds: bool,
}

impl Parser<'_> {
    /// A new node at this place.
    pub fn node(&mut self, position: u32, node: Node) -> Expr {
        let id = self.id(position);
        Expr::new(id, node)
    }

    pub fn id(&mut self, position: u32) -> Id {
        self.positions.push(position);
        (self.positions.len() - 1) as Id
    }

    pub fn position(&self, expr: &Expr) -> u32 {
        self.positions[expr.id as usize]
    }

    /// Notes an error; what stands in for the node does not matter, for nothing is done with the tree.
    pub fn wrong(&mut self, position: u32, message: impl Into<String>) -> Expr {
        self.issues.push(Issue { position: Some(position), message: message.into() });
        self.node(position, Node::Literal(Literal::Null))
    }

    fn whole(&mut self) -> Parsed {
        let root = self.expr()?;
        if self.peek().kind == Kind::End { Ok(root) } else { Err(Stop::Syntax) }
    }

    fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn take(&mut self, sign: &str) -> Option<Token> {
        matches!(self.peek().kind, Kind::Sign(found) if found == sign).then(|| self.next())
    }

    fn expect(&mut self, sign: &str) -> Parsed<Token> {
        self.take(sign).ok_or(Stop::Syntax)
    }

    fn text(&self, token: Token) -> String {
        self.source.slice(token.start, token.end)
    }

    fn bounded(&self, expr: Expr) -> Parsed {
        if expr.height > MOST_DEPTH {
            return Err(Stop::Deep("max recursion depth exceeded".to_owned()));
        }
        Ok(expr)
    }

    fn expr(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(Stop::Deep(format!("expression recursion limit exceeded: {MOST_DEPTH}")));
        }
        let condition = self.binary(0)?;
        let mut whole = condition;
        if let Some(mark) = self.take("?") {
            let id = self.id(mark.start);
            let yes = self.binary(0)?;
            self.expect(":")?;
            let no = self.expr()?;
            whole = self.bounded(Expr::new(id, call(op::CONDITIONAL, vec![whole, yes, no])))?;
        }
        self.depth -= 1;
        Ok(whole)
    }

    /// Operators at least as strong as this level.
    fn binary(&mut self, weakest: usize) -> Parsed {
        let mut left = self.unary()?;
        while let Some((sign, level)) = self.operator().filter(|(_, level)| *level >= weakest) {
            if level < 2 {
                left = self.logic(left, sign, level)?;
                continue;
            }
            let token = self.next();
            let id = self.id(token.start);
            let right = self.binary(level + 1)?;
            left = self.bounded(Expr::new(id, call(function(sign), vec![left, right])))?;
        }
        Ok(left)
    }

    /// Terms of `||` or of `&&`: many of them become a balanced tree.
    fn logic(&mut self, first: Expr, sign: &str, level: usize) -> Parsed {
        let (mut terms, mut ids) = (vec![Some(first)], Vec::new());
        while let Some(token) = self.take(sign) {
            let term = self.binary(level + 1)?;
            ids.push(self.id(token.start));
            terms.push(Some(term));
        }
        let last = terms.len() - 1;
        let tree = balanced(function(sign), &mut terms, &ids, 0, last);
        self.bounded(tree)
    }

    /// The operator that comes next and its level.
    fn operator(&self) -> Option<(&'static str, usize)> {
        let sign = match self.peek().kind {
            Kind::Sign(sign) => sign,
            Kind::In => "in",
            _ => return None,
        };
        BINARY.iter().position(|level| level.contains(&sign)).map(|level| (sign, level))
    }

    fn unary(&mut self) -> Parsed {
        let number = matches!(self.tokens.get(self.at + 1).map(|t| t.kind), Some(Kind::Int | Kind::Float));
        for (sign, function) in [("!", op::NOT), ("-", op::NEGATE)] {
            if sign == "-" && number {
                continue;
            }
            let Some(first) = self.take(sign) else { continue };
            let mut count = 1;
            while self.peek().kind == Kind::Sign(if sign == "!" { "!" } else { "-" }) {
                self.next();
                count += 1;
            }
            let operand = self.member()?;
            if count % 2 == 0 {
                return Ok(operand);
            }
            let id = self.id(first.start);
            return self.bounded(Expr::new(id, call(function, vec![operand])));
        }
        self.member()
    }

    fn member(&mut self) -> Parsed {
        let mut operand = self.primary()?;
        loop {
            operand = if let Some(dot) = self.take(".") {
                self.field(operand, dot)?
            } else if let Some(bracket) = self.take("[") {
                let id = self.id(bracket.start);
                let optional = self.take("?").is_some();
                let index = self.expr()?;
                self.expect("]")?;
                let function = if optional { op::OPT_INDEX } else { op::INDEX };
                Expr::new(id, call(function, vec![operand, index]))
            } else {
                return Ok(operand);
            };
            operand = self.bounded(operand)?;
        }
    }

    /// After the dot.
    fn field(&mut self, operand: Expr, dot: Token) -> Parsed {
        let optional = self.take("?").is_some();
        let name = self.next();
        if name.kind == Kind::Escaped {
            return Ok(self.wrong(name.start, "unsupported syntax: '`'"));
        }
        if name.kind != Kind::Ident {
            return Err(Stop::Syntax);
        }
        let field = self.text(name).into_boxed_str();
        if optional {
            let id = self.id(dot.start);
            let field = self.node(name.start, Node::Literal(Literal::String(field)));
            return Ok(Expr::new(id, call(op::OPT_SELECT, vec![operand, field])));
        }
        if let Some(open) = self.take("(") {
            let args = self.args()?;
            return Ok(self.call(open, Some(operand), &field, args));
        }
        let id = self.id(dot.start);
        Ok(Expr::new(id, Node::Select(Select { operand: operand.into(), field, test: false })))
    }

    /// After the bracket, to the closing one.
    fn args(&mut self) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        if self.take(")").is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.take(",").is_none() {
                self.expect(")")?;
                return Ok(args);
            }
        }
    }

    fn call(&mut self, open: Token, target: Option<Expr>, function: &str, args: Vec<Expr>) -> Expr {
        let height = 1 + target.iter().chain(&args).map(|arg| arg.height).max().unwrap_or(0);
        let (target, args) = match macros::expand(self, open.start, function, target, args) {
            Ok(mut expanded) => {
                expanded.height = height;
                return expanded;
            }
            Err(unexpanded) => unexpanded,
        };
        let call = Call { target: target.map(Box::new), function: function.into(), args };
        self.node(open.start, Node::Call(call))
    }

    fn primary(&mut self) -> Parsed {
        let token = self.next();
        match token.kind {
            Kind::Sign("(") => {
                let inner = self.expr()?;
                self.expect(")")?;
                Ok(inner)
            }
            Kind::Sign("[") => self.list(token),
            Kind::Sign("{") => self.map(token),
            Kind::Sign(".") => {
                let name = self.next();
                if name.kind != Kind::Ident {
                    return Err(Stop::Syntax);
                }
                self.name(token.start, name, ".")
            }
            Kind::Sign("-") => {
                let number = self.next();
                Ok(self.literal(token.start, number, true))
            }
            Kind::Ident => self.name(token.start, token, ""),
            Kind::Sign(_) | Kind::End | Kind::In | Kind::Escaped => Err(Stop::Syntax),
            _ => Ok(self.literal(token.start, token, false)),
        }
    }

    fn literal(&mut self, start: u32, token: Token, negative: bool) -> Expr {
        let word = self.text(token);
        let unreadable = |kind: &str| format!("invalid {kind} literal");
        let literal = match token.kind {
            Kind::True => Ok(Literal::Bool(true)),
            Kind::False => Ok(Literal::Bool(false)),
            Kind::Null => Ok(Literal::Null),
            Kind::Int => literal::int(&word, negative).ok_or_else(|| unreadable("int")),
            Kind::Uint => literal::uint(&word).ok_or_else(|| unreadable("uint")),
            Kind::Float => literal::double(&word, negative).ok_or_else(|| unreadable("double")),
            Kind::Bytes => literal::bytes(&word),
            _ => literal::string(&word),
        };
        match literal {
            Ok(literal) => self.node(start, Node::Literal(literal)),
            Err(message) => self.wrong(start, message),
        }
    }

    /// A variable, a call or a message; `dot` stands before it or not.
    fn name(&mut self, start: u32, token: Token, dot: &str) -> Parsed {
        if let Some((name, open)) = self.message_name() {
            return self.message(format!("{dot}{name}"), open);
        }
        let word = self.text(token);
        let reserved = RESERVED.contains(&word.as_str()) || word == "while";
        if let Some(open) = self.take("(") {
            let args = self.args()?;
            if reserved {
                return Ok(self.wrong(start, format!("reserved identifier: {word}")));
            }
            return Ok(self.call(open, None, &format!("{dot}{word}"), args));
        }
        if reserved {
            return Ok(self.wrong(start, format!("reserved identifier: {word}")));
        }
        Ok(self.node(token.start, Node::Ident(format!("{dot}{word}").into())))
    }

    /// Whether the name just begun goes on as `a.b{`; then its text and the bracket, which are taken.
    fn message_name(&mut self) -> Option<(String, Token)> {
        let mut at = self.at;
        let mut name = self.text(self.tokens[at - 1]);
        while self.tokens[at].kind == Kind::Sign(".") && self.tokens[at + 1].kind == Kind::Ident {
            name = format!("{name}.{}", self.text(self.tokens[at + 1]));
            at += 2;
        }
        if self.tokens[at].kind != Kind::Sign("{") {
            return None;
        }
        let open = self.tokens[at];
        self.at = at + 1;
        Some((name, open))
    }

    fn message(&mut self, name: String, open: Token) -> Parsed {
        let id = self.id(open.start);
        let mut fields = Vec::new();
        while self.take("}").is_none() {
            let optional = self.take("?").is_some();
            let token = self.next();
            if token.kind == Kind::Escaped {
                self.wrong(token.start, "unsupported syntax: '`'");
            } else if token.kind != Kind::Ident {
                return Err(Stop::Syntax);
            }
            let colon = self.expect(":")?;
            let id = self.id(colon.start);
            let value = self.expr()?;
            fields.push(StructField { id, name: self.text(token).into(), value, optional });
            self.between("}")?;
        }
        self.bounded(Expr::new(id, Node::Struct(Struct { name: name.into(), fields })))
    }

    fn list(&mut self, open: Token) -> Parsed {
        let id = self.id(open.start);
        let mut list = List { items: Vec::new(), optional: Vec::new() };
        let mut empty = true;
        while self.take("]").is_none() {
            if empty && self.take(",").is_some() {
                self.expect("]")?;
                break;
            }
            empty = false;
            if self.take("?").is_some() {
                list.optional.push(list.items.len());
            }
            list.items.push(self.expr()?);
            self.between("]")?;
        }
        self.bounded(Expr::new(id, Node::List(list)))
    }

    fn map(&mut self, open: Token) -> Parsed {
        let id = self.id(open.start);
        let mut entries = Vec::new();
        while self.take("}").is_none() {
            if entries.is_empty() && self.take(",").is_some() {
                self.expect("}")?;
                break;
            }
            let optional = self.take("?").is_some();
            let key = self.expr()?;
            self.expect(":")?;
            let value = self.expr()?;
            entries.push(Entry { key, value, optional });
            self.between("}")?;
        }
        self.bounded(Expr::new(id, Node::Map(entries)))
    }

    /// A comma, or nothing before the closing sign.
    fn between(&mut self, close: &str) -> Parsed<()> {
        let closes = matches!(self.peek().kind, Kind::Sign(sign) if sign == close);
        if self.take(",").is_some() || closes { Ok(()) } else { Err(Stop::Syntax) }
    }
}

/// A call of a function by its name.
pub fn call(function: &str, args: Vec<Expr>) -> Node {
    Node::Call(Call { target: None, function: function.into(), args })
}

fn function(sign: &str) -> &'static str {
    match sign {
        "||" => op::OR,
        "&&" => op::AND,
        "<" => "_<_",
        "<=" => "_<=_",
        ">=" => "_>=_",
        ">" => "_>_",
        "==" => op::EQUALS,
        "!=" => op::NOT_EQUALS,
        "in" => "@in",
        "+" => op::ADD,
        "-" => "_-_",
        "*" => "_*_",
        "/" => "_/_",
        _ => "_%_",
    }
}

/// The terms from `low` to `high` joined by the operators between them; the middle one is the root.
fn balanced(function: &str, terms: &mut [Option<Expr>], ids: &[Id], low: usize, high: usize) -> Expr {
    if low == high {
        return terms[low].take().unwrap_or_else(|| Expr::new(0, Node::Literal(Literal::Null)));
    }
    // Operator number n stands between the terms n and n + 1.
    let middle = (low + high) / 2;
    let left = balanced(function, terms, ids, low, middle);
    let right = balanced(function, terms, ids, middle + 1, high);
    Expr::new(ids[middle], call(function, vec![left, right]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let (source, issues) = parse(text, false).map(|ast| format!("{:?}", ast.root)).expect_err(text);
        source.print(issues)
    }

    /// The tree in prefix form.
    fn tree(expr: &Expr) -> String {
        let all = |list: &[Expr]| list.iter().map(tree).collect::<Vec<_>>().join(" ");
        match &expr.node {
            Node::Literal(literal) => format!("{literal:?}"),
            Node::Ident(name) => name.to_string(),
            Node::Select(s) => format!("{}.{}{}", tree(&s.operand), s.field, if s.test { "~" } else { "" }),
            Node::Call(c) => match &c.target {
                Some(target) => format!("({} {} {})", tree(target), c.function, all(&c.args)),
                None => format!("({} {})", c.function, all(&c.args)),
            },
            Node::List(list) => format!("[{}]", all(&list.items)),
            Node::Map(entries) => format!("{{{}}}", entries.len()),
            Node::Struct(object) => format!("{}{{{}}}", object.name, object.fields.len()),
            Node::Fold(fold) => format!("<{} {} {}>", tree(&fold.range), fold.var, tree(&fold.step)),
        }
    }

    #[test]
    fn trees() {
        for (text, expected) in [
            ("a + b * c - d", "(_-_ (_+_ a (_*_ b c)) d)"),
            ("a < b == c", "(_==_ (_<_ a b) c)"),
            ("!!a || !b && c", "(_||_ a (_&&_ (!_ b) c))"),
            ("a && b && c && d", "(_&&_ (_&&_ a b) (_&&_ c d))"),
            ("-1 - -x", "(_-_ Int(-1) (-_ x))"),
            ("a ? b : c ? d : e", "(_?_:_ a b (_?_:_ c d e))"),
            ("a.b.f(1)[2].?c[?3]", "(_[?_] (_?._ (_[_] (a.b f Int(1)) Int(2)) String(\"c\")) Int(3))"),
            ("has(a.b)", "a.b~"),
            ("a.all(x, x > 1)", "<a x (_&&_ @result (_>_ x Int(1)))>"),
            ("[1, 2,]", "[Int(1) Int(2)]"),
            ("{'a': 1, ?'b': x}", "{2}"),
            ("Object.spec{a: 1}", "Object.spec{1}"),
            (".a in b", "(@in .a b)"),
        ] {
            assert_eq!(
                parse(text, false).map(|ast| tree(&ast.root)).map_err(|(s, i)| s.print(i)),
                Ok(expected.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn errors_of_meaning() {
        for (text, expected) in [
            ("a.all(1, true)", "ERROR: <input>:1:7: argument must be a simple name\n | a.all(1, true)\n | ......^"),
            ("if == 1", "ERROR: <input>:1:1: reserved identifier: if\n | if == 1\n | ^"),
            ("has(a)", "ERROR: <input>:1:5: invalid argument to has() macro\n | has(a)\n | ....^"),
        ] {
            assert_eq!(wrong(text), expected);
        }
    }

    #[test]
    fn errors_of_syntax() {
        for (text, expected) in [
            (
                "",
                "ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
            ),
            ("a b", "ERROR: <input>:1:3: Syntax error: extraneous input 'b' expecting <EOF>\n | a b\n | ..^"),
        ] {
            assert_eq!(wrong(text), expected);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "(".repeat(300) + "a" + &")".repeat(300);
        assert_eq!(wrong(&deep).lines().next(), Some("ERROR: <input>:-1:0: expression recursion limit exceeded: 250"));
        let long = "a".to_owned() + &"+a".repeat(300);
        assert_eq!(wrong(&long).lines().next(), Some("ERROR: <input>:-1:0: max recursion depth exceeded"));
        assert!(parse(&("a".to_owned() + &"&&a".repeat(5000)), false).is_ok());
    }
}
