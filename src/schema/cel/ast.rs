//! A CEL expression as parsed: a tree whose nodes have numbers, and where each stands in its text.

use super::source::Source;

/// Names of the operators, as cel-spec and error texts call them.
pub mod op {
    pub const AND: &str = "_&&_";
    pub const OR: &str = "_||_";
    pub const NOT: &str = "!_";
    pub const NEGATE: &str = "-_";
    pub const CONDITIONAL: &str = "_?_:_";
    pub const EQUALS: &str = "_==_";
    pub const NOT_EQUALS: &str = "_!=_";
    pub const ADD: &str = "_+_";
    pub const INDEX: &str = "_[_]";
    pub const OPT_INDEX: &str = "_[?_]";
    pub const OPT_SELECT: &str = "_?._";
    pub const NOT_STRICTLY_FALSE: &str = "@not_strictly_false";
}

/// The hidden variable in which a macro gathers its result.
pub const ACCUMULATOR: &str = "@result";

/// The number of a node, unique in its expression.
pub type Id = u32;

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub id: Id,
    pub node: Node,
    /// Nodes on the longest way down as the author wrote it; macros count once.
    pub height: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Literal(Literal),
    Ident(Box<str>),
    Select(Select),
    Call(Call),
    List(List),
    Map(Vec<Entry>),
    Struct(Struct),
    Fold(Box<Fold>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Bytes(Box<[u8]>),
}

/// `operand.field`, or the question whether it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub operand: Box<Expr>,
    pub field: Box<str>,
    pub test: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub target: Option<Box<Expr>>,
    pub function: Box<str>,
    pub args: Vec<Expr>,
}

/// `[a, ?b]`.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    pub items: Vec<Expr>,
    pub optional: Vec<usize>,
}

/// `key: value` of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: Expr,
    pub value: Expr,
    pub optional: bool,
}

/// `Name{field: value}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    pub name: Box<str>,
    pub fields: Vec<StructField>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StructField {
    pub id: Id,
    pub name: Box<str>,
    pub value: Expr,
    pub optional: bool,
}

/// What the macros over lists and maps become: a loop that gathers.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    pub range: Expr,
    pub var: Box<str>,
    pub second: Option<Box<str>>,
    pub accumulator: Box<str>,
    pub init: Expr,
    pub condition: Expr,
    pub step: Expr,
    pub result: Expr,
}

/// An expression and where its nodes stand.
#[derive(Clone, Debug)]
pub struct Ast {
    pub root: Expr,
    pub source: Source,
    /// By node, in code points from the start.
    pub positions: Vec<u32>,
}

impl Ast {
    pub fn position(&self, id: Id) -> u32 {
        self.positions.get(id as usize).copied().unwrap_or(0)
    }
}

impl Expr {
    pub fn new(id: Id, node: Node) -> Self {
        let height = 1 + node.children().map(|child| child.height).max().unwrap_or(0);
        Self { id, node, height }
    }

    pub fn ident(&self) -> Option<&str> {
        match &self.node {
            Node::Ident(name) => Some(name),
            _ => None,
        }
    }

    /// `a.b.c` where that is all there is.
    pub fn qualified_name(&self) -> Option<String> {
        match &self.node {
            Node::Ident(name) => Some(name.to_string()),
            Node::Select(select) if !select.test => Some(select.operand.qualified_name()? + "." + &select.field),
            _ => None,
        }
    }

    /// Calls `see` with this node and each below it.
    pub fn walk<'a>(&'a self, see: &mut impl FnMut(&'a Expr)) {
        see(self);
        for child in self.node.children() {
            child.walk(see);
        }
    }
}

impl Node {
    /// In the order in which they are evaluated.
    pub fn children(&self) -> impl Iterator<Item = &Expr> {
        let mut found: smallvec::SmallVec<[&Expr; 4]> = smallvec::SmallVec::new();
        match self {
            Node::Literal(_) | Node::Ident(_) => {}
            Node::Select(select) => found.push(&select.operand),
            Node::Call(call) => {
                found.extend(call.target.as_deref());
                found.extend(&call.args);
            }
            Node::List(list) => found.extend(&list.items),
            Node::Map(entries) => found.extend(entries.iter().flat_map(|entry| [&entry.key, &entry.value])),
            Node::Struct(object) => found.extend(object.fields.iter().map(|field| &field.value)),
            Node::Fold(fold) => {
                found.extend([&fold.range, &fold.init, &fold.condition, &fold.step, &fold.result]);
            }
        }
        found.into_iter()
    }
}
