//! Tokens to a document: scalars, sequences, mappings and aliases, each with its line.

use std::collections::HashMap;

use super::cursor::{Mark, Problem, Result};
use super::scan::{Kind, Scanner};

/// The first document of a text.
#[derive(Debug, Default)]
pub struct Document {
    /// Of all nodes; a node is named by its place.
    nodes: Vec<Node>,
    root: Option<usize>,
}

/// A part of a document.
#[derive(Debug)]
pub struct Node {
    pub content: Content,
    /// Counted from 1.
    pub line: usize,
}

#[derive(Debug)]
pub enum Content {
    Scalar {
        text: String,
        /// Empty when there is none.
        tag: String,
        /// What it is shows from its text: it is plain and has no tag.
        implicit: bool,
    },
    Sequence(Vec<usize>),
    Mapping(Vec<(usize, usize)>),
    /// The name and the node that had it when it was used.
    Alias(String, usize),
}

impl Document {
    /// `None` when there is nothing in the text.
    pub fn root(&self) -> Option<usize> {
        self.root
    }

    pub fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }
}

/// Collections within one another at most: as in JSON.
const MAX_DEPTH: usize = crate::codec::json::MAX_DEPTH;

/// Reads the first document; what follows it is not looked at.
pub fn compose(text: &str) -> Result<Document> {
    let mut composer = Composer {
        scanner: Scanner::new(text),
        document: Document::default(),
        anchors: HashMap::new(),
        tags: Vec::new(),
        open: Vec::new(),
    };
    composer.document()?;
    Ok(composer.document)
}

struct Composer<'t> {
    scanner: Scanner<'t>,
    document: Document,
    anchors: HashMap<String, usize>,
    /// (handle, prefix)
    tags: Vec<(String, String)>,
    /// The collections that are being read, each within the one before.
    open: Vec<Open>,
}

/// A collection that is being read.
struct Open {
    node: usize,
    form: Form,
    /// Its items, or its keys and values by turns.
    children: Vec<usize>,
    /// Nothing but a key stands in this entry.
    bare: bool,
}

/// How a collection is written.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Sequence,
    /// At the column of its own key.
    IndentlessSequence,
    FlowSequence,
    Mapping,
    FlowMapping,
    /// `[key: value]` is a mapping of one entry.
    Pair,
}

/// What is to be done next in a collection.
enum Next {
    /// Read a node; it may be lines further in, or a sequence at its key's column.
    Node {
        block: bool,
        indentless: bool,
    },
    /// A node stands there already.
    Child(usize),
    /// A pair of keys begins within a sequence.
    Pair(Mark),
    Close,
}

const IN_BLOCK: Next = Next::Node { block: true, indentless: false };
const IN_MAPPING: Next = Next::Node { block: true, indentless: true };
const IN_FLOW: Next = Next::Node { block: false, indentless: false };

/// What stands before a node's content.
#[derive(Default)]
struct Properties {
    anchor: Option<String>,
    tag: String,
    start: Mark,
}

impl<'t> Composer<'t> {
    fn next(&mut self) -> Result<&Kind> {
        self.scanner.peek().map(|token| &token.kind)
    }

    fn mark(&mut self) -> Result<Mark> {
        self.scanner.peek().map(|token| token.start)
    }

    /// Takes the next token if it is this one.
    fn take(&mut self, kind: &Kind) -> Result<bool> {
        let found = self.next()? == kind;
        if found {
            self.scanner.take()?;
        }
        Ok(found)
    }

    /// What is wrong with the grammar at the next token.
    fn problem(&mut self, what: &str) -> Problem {
        self.mark().map_or_else(|error| error, |mark| Problem::grammar(what, mark))
    }

    fn add(&mut self, content: Content, mark: Mark) -> usize {
        self.document.nodes.push(Node { content, line: mark.line + 1 });
        self.document.nodes.len() - 1
    }

    fn empty(&mut self, mark: Mark) -> usize {
        self.add(Content::Scalar { text: String::new(), tag: String::new(), implicit: true }, mark)
    }

    fn document(&mut self) -> Result<()> {
        let explicit = matches!(self.next()?, Kind::Version(..) | Kind::TagDirective(..) | Kind::DocumentStart);
        if self.next()? == &Kind::StreamEnd {
            return Ok(());
        }
        self.directives()?;
        if explicit && !self.take(&Kind::DocumentStart)? {
            return Err(self.problem("did not find expected <document start>"));
        }
        let nothing = matches!(
            self.next()?,
            Kind::Version(..) | Kind::TagDirective(..) | Kind::DocumentStart | Kind::DocumentEnd | Kind::StreamEnd
        );
        let mark = self.mark()?;
        let root = if explicit && nothing { self.empty(mark) } else { self.whole()? };
        self.document.root = Some(root);
        // The end of the document is looked for, and so is what is wrong there.
        self.next()?;
        Ok(())
    }

    fn directives(&mut self) -> Result<()> {
        let mut version = false;
        loop {
            let mark = self.mark()?;
            match self.next()? {
                Kind::Version(..) if version => {
                    return Err(Problem::grammar("found duplicate %YAML directive", mark));
                }
                Kind::Version(1, 1) => version = true,
                Kind::Version(..) => return Err(Problem::grammar("found incompatible YAML document", mark)),
                Kind::TagDirective(handle, prefix) => {
                    let tag = (handle.clone(), prefix.clone());
                    if self.tags.iter().any(|(known, _)| *known == tag.0) {
                        return Err(Problem::grammar("found duplicate %TAG directive", mark));
                    }
                    self.tags.push(tag);
                }
                _ => break,
            }
            self.scanner.take()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            if !self.tags.iter().any(|(known, _)| known == handle) {
                self.tags.push((handle.into(), prefix.into()));
            }
        }
        Ok(())
    }

    /// A node with everything in it.
    fn whole(&mut self) -> Result<usize> {
        let mut next = IN_BLOCK;
        loop {
            let mut done = match next {
                Next::Node { block, indentless } => self.begin(block, indentless)?,
                Next::Child(node) => Some(node),
                Next::Pair(mark) => {
                    let node = self.add(Content::Mapping(Vec::new()), mark);
                    self.push(node, Form::Pair)?;
                    None
                }
                Next::Close => self.close(),
            };
            if let Some(node) = done.take() {
                match self.open.last_mut() {
                    Some(open) => open.children.push(node),
                    None => return Ok(node),
                }
            }
            next = self.advance()?;
        }
    }

    fn push(&mut self, node: usize, form: Form) -> Result<()> {
        self.open.push(Open { node, form, children: Vec::new(), bare: false });
        if self.open.len() > MAX_DEPTH { Err(Problem::plain("exceeded max depth")) } else { Ok(()) }
    }

    fn close(&mut self) -> Option<usize> {
        let open = self.open.pop()?;
        let content = &mut self.document.nodes[open.node].content;
        match content {
            Content::Mapping(entries) => {
                *entries = open.children.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
            }
            _ => *content = Content::Sequence(open.children),
        }
        Some(open.node)
    }

    /// Begins a node: all of it when it is no collection, else `None`.
    fn begin(&mut self, block: bool, indentless: bool) -> Result<Option<usize>> {
        if let Kind::Alias(_) = self.next()? {
            return self.alias().map(Some);
        }
        let properties = self.properties()?;
        let named = properties.anchor.is_some() || !properties.tag.is_empty();
        let mark = if named { properties.start } else { self.mark()? };
        let form = match self.next()? {
            Kind::Scalar { .. } => return self.scalar(properties, mark).map(Some),
            Kind::Entry if indentless => Form::IndentlessSequence,
            Kind::FlowSequenceStart => Form::FlowSequence,
            Kind::FlowMappingStart => Form::FlowMapping,
            Kind::SequenceStart if block => Form::Sequence,
            Kind::MappingStart if block => Form::Mapping,
            _ if named => {
                let Properties { anchor, tag, .. } = properties;
                let node = self.add(Content::Scalar { text: String::new(), implicit: tag.is_empty(), tag }, mark);
                self.name(anchor, node);
                return Ok(Some(node));
            }
            _ => return Err(self.problem("did not find expected node content")),
        };
        let mapping = matches!(form, Form::Mapping | Form::FlowMapping);
        let empty = if mapping { Content::Mapping(Vec::new()) } else { Content::Sequence(Vec::new()) };
        let node = self.add(empty, mark);
        self.name(properties.anchor, node);
        if form != Form::IndentlessSequence {
            self.scanner.take()?;
        }
        self.push(node, form)?;
        Ok(None)
    }

    fn alias(&mut self) -> Result<usize> {
        let token = self.scanner.take()?;
        let Kind::Alias(name) = token.kind else { return Err(self.problem("did not find expected node content")) };
        match self.anchors.get(&name) {
            Some(node) => {
                let node = *node;
                Ok(self.add(Content::Alias(name, node), token.start))
            }
            None => Err(Problem::plain(format!("unknown anchor '{name}' referenced"))),
        }
    }

    fn name(&mut self, anchor: Option<String>, node: usize) {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, node);
        }
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self) -> Result<Properties> {
        let mut properties = Properties { start: self.mark()?, ..Properties::default() };
        let mut tagged = None;
        for _ in 0..2 {
            let mark = self.mark()?;
            match self.next()? {
                Kind::Anchor(name) if properties.anchor.is_none() => properties.anchor = Some(name.clone()),
                Kind::Tag(handle, suffix) if tagged.is_none() => tagged = Some((handle.clone(), suffix.clone(), mark)),
                _ => break,
            }
            self.scanner.take()?;
        }
        // What is wrong with the next token comes before an unknown handle.
        self.next()?;
        if let Some((handle, suffix, mark)) = tagged {
            properties.tag = if handle.is_empty() {
                suffix
            } else {
                match self.tags.iter().find(|(known, _)| *known == handle) {
                    Some((_, prefix)) => format!("{prefix}{suffix}"),
                    None => return Err(Problem::grammar("found undefined tag handle", mark)),
                }
            };
        }
        Ok(properties)
    }

    fn scalar(&mut self, properties: Properties, mark: Mark) -> Result<usize> {
        let token = self.scanner.take()?;
        let Kind::Scalar { text, plain } = token.kind else { return Err(self.problem("did not find a scalar")) };
        let Properties { anchor, tag, .. } = properties;
        let implicit = (plain && tag.is_empty()) || tag == "!";
        let node = self.add(Content::Scalar { text, tag, implicit }, mark);
        self.name(anchor, node);
        Ok(node)
    }

    fn advance(&mut self) -> Result<Next> {
        let Some(open) = self.open.last_mut() else { return Ok(Next::Close) };
        let (form, count) = (open.form, open.children.len());
        let bare = std::mem::take(&mut open.bare);
        match form {
            Form::Sequence => self.item(true),
            Form::IndentlessSequence => self.item(false),
            Form::Mapping if count % 2 == 0 => self.key(),
            Form::Mapping => {
                let mark = self.mark()?;
                if self.take(&Kind::Value)? { self.block_part(mark) } else { Ok(Next::Child(self.empty(mark))) }
            }
            Form::FlowSequence => self.flow_item(count == 0),
            Form::Pair => self.pair_part(count),
            Form::FlowMapping if count % 2 == 0 => self.flow_key(count == 0),
            Form::FlowMapping => self.flow_value(bare, &Kind::FlowMappingEnd),
        }
    }

    /// `- item`
    fn item(&mut self, indented: bool) -> Result<Next> {
        if self.next()? != &Kind::Entry {
            return match self.next()? {
                _ if !indented => Ok(Next::Close),
                Kind::BlockEnd => {
                    self.scanner.take()?;
                    Ok(Next::Close)
                }
                _ => Err(self.problem("did not find expected '-' indicator")),
            };
        }
        let mark = self.scanner.take()?.start;
        match self.next()? {
            Kind::Entry | Kind::BlockEnd => Ok(Next::Child(self.empty(mark))),
            Kind::Key | Kind::Value if !indented => Ok(Next::Child(self.empty(mark))),
            _ => Ok(IN_BLOCK),
        }
    }

    fn key(&mut self) -> Result<Next> {
        match self.next()? {
            Kind::Key => {
                let mark = self.scanner.take()?.start;
                self.block_part(mark)
            }
            Kind::BlockEnd => {
                self.scanner.take()?;
                Ok(Next::Close)
            }
            _ => Err(self.problem("did not find expected key")),
        }
    }

    /// A key or a value of a block mapping; nothing stands for an empty one.
    fn block_part(&mut self, mark: Mark) -> Result<Next> {
        match self.next()? {
            Kind::Key | Kind::Value | Kind::BlockEnd => Ok(Next::Child(self.empty(mark))),
            _ => Ok(IN_MAPPING),
        }
    }

    fn flow_item(&mut self, first: bool) -> Result<Next> {
        if self.take(&Kind::FlowSequenceEnd)? {
            return Ok(Next::Close);
        }
        if !first && !self.take(&Kind::FlowEntry)? {
            return Err(self.problem("did not find expected ',' or ']'"));
        }
        let mark = self.mark()?;
        match self.next()? {
            Kind::FlowSequenceEnd => {
                self.scanner.take()?;
                Ok(Next::Close)
            }
            Kind::Key => Ok(Next::Pair(mark)),
            _ => Ok(IN_FLOW),
        }
    }

    fn pair_part(&mut self, count: usize) -> Result<Next> {
        match count {
            0 => {
                let mark = self.scanner.take()?.start;
                if matches!(self.next()?, Kind::FlowEntry | Kind::FlowSequenceEnd | Kind::Value) {
                    // Stock passes over the token that stands in the place of the key.
                    self.scanner.take()?;
                    return Ok(Next::Child(self.empty(mark)));
                }
                Ok(IN_FLOW)
            }
            1 => self.flow_value(false, &Kind::FlowSequenceEnd),
            _ => Ok(Next::Close),
        }
    }

    fn flow_key(&mut self, first: bool) -> Result<Next> {
        if self.take(&Kind::FlowMappingEnd)? {
            return Ok(Next::Close);
        }
        if !first && !self.take(&Kind::FlowEntry)? {
            return Err(self.problem("did not find expected ',' or '}'"));
        }
        if self.take(&Kind::FlowMappingEnd)? {
            return Ok(Next::Close);
        }
        if !self.take(&Kind::Key)? {
            if let Some(open) = self.open.last_mut() {
                open.bare = true;
            }
            return Ok(IN_FLOW);
        }
        let mark = self.mark()?;
        match self.next()? {
            Kind::Value | Kind::FlowEntry | Kind::FlowMappingEnd => Ok(Next::Child(self.empty(mark))),
            _ => Ok(IN_FLOW),
        }
    }

    /// `: value`, or nothing.
    fn flow_value(&mut self, bare: bool, end: &Kind) -> Result<Next> {
        let mark = self.mark()?;
        if bare || !self.take(&Kind::Value)? {
            return Ok(Next::Child(self.empty(mark)));
        }
        let next = self.next()?;
        if next == &Kind::FlowEntry || next == end { Ok(Next::Child(self.empty(mark))) } else { Ok(IN_FLOW) }
    }
}
