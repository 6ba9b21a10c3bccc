//! Tokens in a file (`--token-auth-file`): lines of token, user name, user UID and, perhaps, groups.

use std::collections::HashMap;

use super::remembered::{Digest, digest_of};
use crate::auth::identity::{Identity, User};

/// Found by digest, so that looking one up tells nothing about another.
#[derive(Default)]
pub struct FileTokens {
    users: HashMap<Digest, User>,
}

impl FileTokens {
    /// From comma-separated values (RFC 4180). Records without a token are left out; of two with the same the last
    /// counts. An error says in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut users = HashMap::new();
        for (line, record) in records(text)? {
            let [token, name, uid, ..] = record.as_slice() else {
                let found = record.len();
                return Err(format!(
                    "line {line}: must have at least 3 columns (token, user name, user uid), found {found}"
                ));
            };
            if token.is_empty() {
                continue;
            }
            let groups = record.get(3).map(|groups| groups.split(',').map(Into::into).collect()).unwrap_or_default();
            let identity = Identity { name: name.into(), uid: uid.into(), groups, ..Identity::default() };
            users.insert(digest_of(token), identity.authenticated().into());
        }
        Ok(Self { users })
    }

    pub(in crate::auth) fn user(&self, token: &str) -> Option<&User> {
        self.users.get(&digest_of(token))
    }
}

/// The records with the numbers of their first lines; empty lines are none.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut all, mut rest, mut line) = (Vec::new(), text, 1);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")) {
            rest = after;
            line += 1;
            continue;
        }
        let (record, after) = record(rest).map_err(|why| format!("line {line}: {why}"))?;
        all.push((line, record));
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    Ok(all)
}

/// One record and what follows it.
fn record(text: &str) -> Result<(Vec<String>, &str), &'static str> {
    let (mut fields, mut rest) = (Vec::new(), text);
    loop {
        let (field, after) =
            if let Some(quoted) = rest.strip_prefix('"') { quoted_field(quoted)? } else { field(rest)? };
        fields.push(field);
        let Some(more) = after.strip_prefix(',') else {
            let end = after.strip_prefix('\n').or_else(|| after.strip_prefix("\r\n"));
            return Ok((fields, end.unwrap_or(after)));
        };
        rest = more;
    }
}

fn field(text: &str) -> Result<(String, &str), &'static str> {
    let end = text.find([',', '\n']).unwrap_or(text.len());
    let (mut field, mut after) = text.split_at(end);
    if after.starts_with('\n')
        && let Some(without) = field.strip_suffix('\r')
    {
        (field, after) = (without, &text[end - 1..]);
    }
    if field.contains('"') { Err("a quote in a field that is not quoted") } else { Ok((field.to_owned(), after)) }
}

/// After the opening quote; two quotes stand for one.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let end = rest.find('"').ok_or("a quote is not closed")?;
        field.push_str(&rest[..end]);
        let after = &rest[end + 1..];
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None if after.is_empty() || after.starts_with([',', '\n']) || after.starts_with("\r\n") => {
                return Ok((field, after));
            }
            None => return Err("something follows a closing quote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(file: &str, token: &str) -> String {
        match FileTokens::parse(file) {
            Err(error) => error,
            Ok(tokens) => {
                tokens.user(token).map_or("nobody".into(), |u| format!("{} {} {:?}", u.name, u.uid, u.groups))
            }
        }
    }

    #[test]
    fn a_token_of_the_file_names_a_user() {
        let file = "t1,jane,7,\"dev,ops\"\r\n\nt2,joe,8\n,nobody,9\n\"t\"\"3\",\"two\nlines\",,\nt2,last,10,g\n";
        assert_eq!(who(file, "t1"), r#"jane 7 ["dev", "ops", "system:authenticated"]"#);
        assert_eq!(who(file, "t2"), r#"last 10 ["g", "system:authenticated"]"#);
        assert_eq!(who(file, "t\"3"), "two\nlines  [\"\", \"system:authenticated\"]");
        assert_eq!(who(file, ""), "nobody");
        assert_eq!(who(file, "t"), "nobody");
    }

    #[test]
    fn a_wrong_line_is_named() {
        let short = "line 2: must have at least 3 columns (token, user name, user uid), found 2";
        assert_eq!(who("a,b,c\nd,e\n", ""), short);
        assert_eq!(who("a,b\"c,d", ""), "line 1: a quote in a field that is not quoted");
        assert_eq!(who("a,b,c\n\n\"d,e,f", ""), "line 3: a quote is not closed");
        assert_eq!(who("\"a\"b,c,d", ""), "line 1: something follows a closing quote");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_file_or_an_error(text in "[a,\"\r\nü]{0,60}") {
            let _ = FileTokens::parse(&text);
        }

        #[test]
        fn what_is_quoted_comes_back(fields in proptest::collection::vec("[a,\"\r\nü]{0,8}", 3..6)) {
            let quoted: Vec<_> = fields.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
            let text = quoted.join(",") + "\n";
            proptest::prop_assert_eq!(records(&text), Ok(vec![(1, fields)]));
        }
    }
}
