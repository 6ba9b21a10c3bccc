//! The text form of a label selector: `a=b,c in (d,e),!f`.

use compact_str::CompactString;
use smallvec::{SmallVec, smallvec};

use super::super::field::Path;
use super::label::{Operator, Requirement, Selector, check_key};

/// Reads a selector; the error is stock's text.
pub fn parse(text: &str) -> Result<Selector, String> {
    let mut parser = Parser { lexer: Lexer { text, at: 0 }, ahead: None };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Not => {}
            Token::End => break,
            other => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
        }
        let requirement = parser.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?;
        requirements.push(requirement);
        match parser.next() {
            Token::End => break,
            Token::Comma => match parser.peek() {
                Token::Word(_) | Token::Not => {}
                other => return Err(format!("found '{}', expected: identifier after ','", other.text())),
            },
            other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
    }
    Ok(Selector::new(requirements))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    End,
    Open,
    Close,
    Comma,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
    /// Also the words `in` and `notin`, which are operators only where one is expected.
    Word(&'a str),
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Token::End => "",
            Token::Open => "(",
            Token::Close => ")",
            Token::Comma => ",",
            Token::Not => "!",
            Token::Equals => "=",
            Token::DoubleEquals => "==",
            Token::NotEquals => "!=",
            Token::Greater => ">",
            Token::Less => "<",
            Token::Word(word) => word,
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Token<'a> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|b| is_space(*b)) {
            self.at += 1;
        }
        let Some(first) = bytes.get(self.at) else { return Token::End };
        let doubled = bytes.get(self.at + 1) == Some(&b'=');
        let token = match first {
            // A zero byte reads as the end of the text.
            0 => Token::End,
            b'(' => Token::Open,
            b')' => Token::Close,
            b',' => Token::Comma,
            b'>' => Token::Greater,
            b'<' => Token::Less,
            b'=' if doubled => Token::DoubleEquals,
            b'=' => Token::Equals,
            b'!' if doubled => Token::NotEquals,
            b'!' => Token::Not,
            _ => return self.word(),
        };
        self.at += token.text().len().max(1);
        self.skip_zero();
        token
    }

    fn word(&mut self) -> Token<'a> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(ends_word).unwrap_or(rest.len());
        self.at += length;
        self.skip_zero();
        Token::Word(&rest[..length])
    }

    /// A zero byte that ends a token is gone with it.
    fn skip_zero(&mut self) {
        self.at += usize::from(self.text.as_bytes().get(self.at) == Some(&0));
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn ends_word(byte: u8) -> bool {
    is_space(byte) || matches!(byte, 0 | b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

type Values = SmallVec<[CompactString; 1]>;

struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Option<Token<'a>>,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Token<'a> {
        let token = self.next();
        self.ahead = Some(token);
        token
    }

    fn next(&mut self) -> Token<'a> {
        self.ahead.take().unwrap_or_else(|| self.lexer.next())
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let negated = token == Token::Not;
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        let mut wrong = Vec::new();
        check_key(&Path::Root, key, &mut wrong);
        if let Some(error) = wrong.first() {
            return Err(error.to_string());
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Values::new());
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, Values::new());
        }
        let operator = self.operator()?;
        let mut values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => self.exact_value()?,
        };
        values.sort_unstable();
        values.dedup();
        Requirement::new(key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        Ok(match self.next() {
            Token::Word("in") => Operator::In,
            Token::Word("notin") => Operator::NotIn,
            Token::Equals => Operator::Equals,
            Token::DoubleEquals => Operator::DoubleEquals,
            Token::NotEquals => Operator::NotEquals,
            Token::Greater => Operator::GreaterThan,
            Token::Less => Operator::LessThan,
            other => return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        })
    }

    /// `(a,b)`; an empty place between commas is the empty value.
    fn values(&mut self) -> Result<Values, String> {
        let open = self.next();
        if open != Token::Open {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        match self.peek() {
            Token::Word(_) | Token::Comma => self.list(),
            Token::Close => {
                self.next();
                Ok(smallvec![CompactString::default()])
            }
            other => Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
    }

    fn list(&mut self) -> Result<Values, String> {
        let mut values = Values::new();
        loop {
            match self.next() {
                Token::Word(word) => {
                    values.push(word.into());
                    match self.peek() {
                        Token::Comma => {}
                        Token::Close => break,
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Comma => {
                    let after = self.peek();
                    if values.is_empty() || matches!(after, Token::Comma | Token::Close) {
                        values.push(CompactString::default());
                    }
                    if after == Token::Close {
                        break;
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
        self.next();
        Ok(values)
    }

    fn exact_value(&mut self) -> Result<Values, String> {
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok(smallvec![CompactString::default()]);
        }
        match self.next() {
            Token::Word(word) => Ok(smallvec![word.into()]),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn selectors_are_read_as_stock_reads_them() {
        for (text, read) in [
            ("", Ok("")),
            (" a = b , c in ( e,d,e ) ,!f", Ok("a=b,c in (d,e),!f")),
            ("z,y==x", Ok("y==x,z")),
            ("in in (in)", Ok("in in (in)")),
            ("a=,b!=", Ok("a=,b!=")),
            ("a in (),b in (,c)", Ok("a in (),b in (,c)")),
            ("a>1,b<2", Ok("a>1,b<2")),
            ("a\0junk", Err("unable to parse requirement: found 'junk', expected: in, notin, =, ==, !=, gt, lt")),
            (",", Err("found ',', expected: !, identifier, or 'end of string'")),
            ("a,", Err("found '', expected: identifier after ','")),
            ("a=b c", Err("found 'c', expected: ',' or 'end of string'")),
            ("!", Err("unable to parse requirement: found '', expected: identifier")),
            ("a b", Err("unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt")),
            ("a in b", Err("unable to parse requirement: found 'b' expected: '('")),
            ("a in (b", Err("unable to parse requirement: found '', expected: ',' or ')'")),
            ("a in (b,", Err("unable to parse requirement: found '', expected: ',', or identifier")),
            ("a in (", Err("unable to parse requirement: found '', expected: ',', ')' or identifier")),
            ("a=(", Err("unable to parse requirement: found '(', expected: identifier")),
            (
                "a>b",
                Err(
                    "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be \
                     an integer",
                ),
            ),
        ] {
            let found = parse(text).map(|s| s.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), read, "{text:?}");
        }
    }

    #[test]
    fn bad_keys_and_values_are_told_with_their_place() {
        let error = parse("a_=b").expect_err("a key that ends in _");
        assert!(
            error.starts_with("unable to parse requirement: <nil>: Invalid value: \"a_\": name part must"),
            "{error}"
        );
        let error = parse("a in (b,$)").expect_err("a value of $");
        assert!(
            error.starts_with("unable to parse requirement: values[0][a]: Invalid value: \"$\": a valid"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,20}|[a-z!=<>(), \\x00]{0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_printed_is_read_again(text in "(!?[a-z]{1,3}|[a-z](=|==|!=)[a-z]{0,2}|[a-z] (not)?in \\([a-c,]{0,4}\\))(,[d-z]{1,2}[<>][0-9]{1,2}){0,2}") {
            let Ok(first) = parse(&text) else { return Ok(()) };
            prop_assert_eq!(parse(&first.to_string()), Ok(first));
        }
    }
}
