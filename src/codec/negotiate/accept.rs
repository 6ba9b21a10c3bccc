//! Accept -> how the answer is written: which form, pretty or not, as a table, as metadata alone.

use smallvec::SmallVec;

use super::{Media, joined, offered};
use crate::model::names::GroupVersionKind;
use crate::model::status::{Result, Status};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Representation {
    pub media: Media,
    /// JSON with line breaks.
    pub pretty: bool,
    pub view: Shown,
}

/// What is shown of an object or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// All of it.
    Whole,
    /// Rows of a `Table`.
    Table(MetaVersion),
    /// `PartialObjectMetadata`, of an object only.
    Metadata(MetaVersion),
    /// `PartialObjectMetadataList`, of a list only.
    MetadataList(MetaVersion),
}

/// A version of the group `meta.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaVersion {
    V1,
    V1beta1,
}

impl MetaVersion {
    pub fn api_version(self) -> &'static str {
        match self {
            MetaVersion::V1 => "meta.k8s.io/v1",
            MetaVersion::V1beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// What an endpoint can answer in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer {
    /// Custom resources have no protobuf of their own.
    pub custom: bool,
    /// Objects can be shown as rows.
    pub table: bool,
    /// Lists and watches.
    pub watch: bool,
    /// CBOR is switched on.
    pub cbor: bool,
    /// Media types of the endpoint beside the usual ones; a pod's log is `text/plain`.
    pub own: &'static [&'static str],
}

/// Clauses of an Accept header read at most; others are as if they were not there.
const MAX_CLAUSES: usize = 64;

/// The headers and the query that say how an answer is to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The Accept header, empty when there is none.
    pub accept: &'a str,
    /// The query's `pretty`, empty when there is none.
    pub pretty: &'a str,
    pub user_agent: &'a str,
}

impl Offer {
    /// The best that the client accepts: by its order of preference, then the server's. Fails with 406.
    pub fn choose(&self, asked: Asked<'_>) -> Result<Representation> {
        if !self.custom && !self.routed(asked.accept) {
            return Err(unroutable(self.routes()));
        }
        let allowed = |media: Media, options: &Options<'_>| self.allows(media, options);
        choose(asked, self.cbor, allowed)
            .ok_or_else(|| only(joined(offered(self.cbor).iter().map(|m| m.content_type()))))
    }

    /// The media type of a watch in this representation. Fails with 406 where there is none.
    pub fn watch(&self, representation: Representation) -> Result<&'static str> {
        let streams = || joined(offered(self.cbor).iter().filter_map(|m| m.stream_type()));
        representation.media.watch_type().ok_or_else(|| only(streams()))
    }

    fn allows(&self, media: Media, options: &Options<'_>) -> bool {
        match options.view() {
            None => false,
            Some(Shown::Whole) => !(self.custom && media == Media::Protobuf),
            Some(Shown::Table(_)) => self.table && matches!(media, Media::Json | Media::Yaml),
            Some(Shown::Metadata(_) | Shown::MetadataList(_)) => true,
        }
    }

    /// Everything that the endpoint's route says it produces.
    fn routes(&self) -> impl Iterator<Item = &'static str> {
        let media = offered(self.cbor);
        let streams = media.iter().filter_map(|m| m.stream_type()).filter(|_| self.watch);
        self.own.iter().copied().chain(media.iter().map(|m| m.content_type())).chain(streams)
    }

    /// Before anything else the route looks whether it produces one of the types, by their exact names.
    fn routed(&self, accept: &str) -> bool {
        accept.is_empty() || routable(accept, || self.routes())
    }
}

/// Whether a route that produces these types fits an Accept header; preferences and parameters do not count.
pub fn routable<'a, I: Iterator<Item = &'a str>>(accept: &str, produced: impl Fn() -> I) -> bool {
    accept.split(',').any(|clause| {
        let name = clause.split(';').next().unwrap_or("").trim_matches(' ');
        name == "*/*" || produced().any(|known| known == name)
    })
}

/// 406 of a route that produces none of the accepted types.
pub fn unroutable<'a>(produced: impl Iterator<Item = &'a str>) -> Status {
    let mut status =
        Status::not_acceptable(format!("406: Not Acceptable\n\nAvailable representations: {}", joined(produced)));
    status.details = Some(Box::default());
    status
}

fn only(types: String) -> Status {
    Status::not_acceptable(format!("only the following media types are accepted: {types}"))
}

/// How an error is written: never as a table; as indented JSON when nothing else is accepted.
pub fn of_error(asked: Asked<'_>, cbor: bool) -> Representation {
    let plain =
        |_: Media, options: &Options<'_>| options.view() == Some(Shown::Whole) && options.server_version.is_empty();
    let fallback = Representation { media: Media::Json, pretty: true, view: Shown::Whole };
    choose(asked, cbor, plain).unwrap_or(fallback)
}

fn choose(asked: Asked<'_>, cbor: bool, allowed: impl Fn(Media, &Options<'_>) -> bool) -> Option<Representation> {
    let wants = pretty(asked.pretty, asked.user_agent);
    let made = |media, wants, view| Representation { media, pretty: wants && media == Media::Json, view };
    if asked.accept.is_empty() {
        return Some(made(Media::Json, wants, Shown::Whole));
    }
    for clause in clauses(asked.accept) {
        for media in offered(cbor).iter().copied().filter(|media| clause.names(*media)) {
            let options = Options::read(clause.parameters);
            let streams = options.stream.is_empty() || (options.stream == "watch" && media.watch_type().is_some());
            let version = options.server_version.is_empty() || options.server_version == "v1";
            if streams && version && allowed(media, &options) {
                return Some(made(media, wants || options.pretty, options.view()?));
            }
        }
    }
    None
}

/// Whether the client would like line breaks: it says so, or it looks like a person's tool.
fn pretty(query: &str, user_agent: &str) -> bool {
    if !query.is_empty() {
        return matches!(query, "1" | "t" | "T" | "TRUE" | "true" | "True");
    }
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|tool| user_agent.starts_with(tool))
}

/// One clause of an Accept header: `type/subtype;name=value;q=0.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
    parameters: &'a str,
}

/// The clauses in order of preference.
fn clauses(header: &str) -> SmallVec<[Clause<'_>; 4]> {
    let mut sorted: SmallVec<[Clause<'_>; 4]> = header.split(',').filter_map(Clause::parse).take(MAX_CLAUSES).collect();
    // Being preferred is no order (quality does not go before a wildcard), so what comes out depends on how it is sorted:
    // by insertion.
    for at in 1..sorted.len() {
        let mut place = at;
        while place > 0 && sorted[place].is_before(&sorted[place - 1]) {
            sorted.swap(place, place - 1);
            place -= 1;
        }
    }
    sorted
}

impl<'a> Clause<'a> {
    /// `None`: it is none, and is skipped.
    fn parse(text: &'a str) -> Option<Self> {
        let (name, parameters) = text.trim_matches(' ').split_once(';').unwrap_or((text.trim_matches(' '), ""));
        let (kind, subtype) = name.split_once('/').unwrap_or((name, ""));
        let kind = kind.trim_matches(' ');
        let subtype = match subtype.split_once('/') {
            None if subtype.is_empty() && kind == "*" => "*",
            None if subtype.is_empty() => return None,
            None => subtype,
            Some((subtype, "")) => subtype,
            Some(_) => return None,
        };
        let quality = self::parameters(parameters).filter(|(name, _)| *name == "q").last();
        // A quality that is no number is the least.
        let quality = quality.map_or(1.0, |(_, value)| value.parse().unwrap_or(0.0));
        Some(Self { kind, subtype: subtype.trim_matches(' '), quality, parameters })
    }

    fn is_before(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.kind != "*" && other.kind == "*")
            || (self.subtype != "*" && other.subtype == "*")
    }

    fn names(&self, media: Media) -> bool {
        match (self.kind, self.subtype) {
            ("*", "*") | ("application", "*") => true,
            (kind, subtype) => kind == "application" && subtype == media.subtype(),
        }
    }
}

/// `name=value` pairs; what is none is skipped.
fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = match value.split_once('=') {
            None => value,
            Some((value, "")) => value,
            Some(_) => return None,
        };
        let name = name.trim_matches(' ');
        // A quality with spaces around it is no number.
        (!value.is_empty()).then(|| (name, if name == "q" { value } else { value.trim_matches(' ') }))
    })
}

/// The parameters that say something.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    kind: Option<&'a str>,
    group: Option<&'a str>,
    version: Option<&'a str>,
    stream: &'a str,
    server_version: &'a str,
    pretty: bool,
}

impl<'a> Options<'a> {
    fn read(text: &'a str) -> Self {
        let mut options = Self::default();
        for (name, value) in parameters(text) {
            match name {
                "as" => options.kind = Some(value),
                "g" => options.group = Some(value),
                "v" => options.version = Some(value),
                "stream" => options.stream = value,
                "sv" => options.server_version = value,
                "pretty" => options.pretty = value == "1",
                _ => {}
            }
        }
        options
    }

    /// `None`: there is nothing of that name.
    fn view(&self) -> Option<Shown> {
        let version = match (self.kind, self.group, self.version) {
            (None, None, None) => return Some(Shown::Whole),
            (_, Some("meta.k8s.io"), Some("v1")) => MetaVersion::V1,
            (_, Some("meta.k8s.io"), Some("v1beta1")) => MetaVersion::V1beta1,
            _ => return None,
        };
        match self.kind? {
            "Table" => Some(Shown::Table(version)),
            "PartialObjectMetadata" => Some(Shown::Metadata(version)),
            "PartialObjectMetadataList" => Some(Shown::MetadataList(version)),
            _ => None,
        }
    }
}

impl Representation {
    /// The apiVersion and kind that the answer has in place of the object's (or the list's) own.
    pub fn kind(self) -> Option<(&'static str, &'static str)> {
        match self.view {
            Shown::Whole => None,
            Shown::Table(version) => Some((version.api_version(), "Table")),
            Shown::Metadata(version) => Some((version.api_version(), "PartialObjectMetadata")),
            Shown::MetadataList(version) => Some((version.api_version(), "PartialObjectMetadataList")),
        }
    }

    /// An object cannot be shown as a list of metadata, nor a list as an object's. Fails with 406.
    ///
    /// `stored` is the kind that is kept (of a list: its items' kind), `None` for custom resources.
    pub fn check(self, list: bool, stored: Option<&GroupVersionKind>) -> Result<()> {
        let name = || go_type(list, stored);
        match self.view {
            Shown::Metadata(_) if list => Err(Status::not_acceptable(format!(
                "you requested PartialObjectMetadata, but the requested object is a list ({})",
                name()
            ))),
            Shown::MetadataList(_) if !list => Err(Status::not_acceptable(format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list ({})",
                name()
            ))),
            _ => Ok(()),
        }
    }
}

/// What stock's own types are called: `*core.ConfigMapList`, `*unstructured.Unstructured`.
fn go_type(list: bool, stored: Option<&GroupVersionKind>) -> String {
    let list = if list { "List" } else { "" };
    match stored {
        None => format!("*unstructured.Unstructured{list}"),
        Some(kind) => {
            let package = if kind.group.is_empty() { "core" } else { kind.group.split('.').next().unwrap_or("core") };
            format!("*{package}.{}{list}", kind.kind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUILTIN: Offer = Offer { custom: false, table: true, watch: false, cbor: false, own: &[] };
    const LIST: Offer = Offer { watch: true, ..BUILTIN };
    const CUSTOM: Offer = Offer { custom: true, ..BUILTIN };

    fn chosen(offer: Offer, accept: &str) -> String {
        match offer.choose(Asked { accept, ..Asked::default() }) {
            Ok(chosen) => {
                let pretty = if chosen.pretty { " pretty" } else { "" };
                let kind = chosen.kind().map_or(String::new(), |(version, kind)| format!(" {version} {kind}"));
                format!("{}{pretty}{kind}", chosen.media.subtype())
            }
            Err(status) => status.message.replace('\n', "|"),
        }
    }

    const THREE: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

    #[test]
    fn the_best_accepted_form_is_chosen() {
        for (accept, expected) in [
            ("", "json"),
            ("*/*", "json"),
            ("application/yaml", "yaml"),
            ("application/json;q=0.5,application/yaml;q=0.9", "yaml"),
            ("application/yaml;q=0.1,application/json", "json"),
            ("application/vnd.kubernetes.protobuf,application/json", "vnd.kubernetes.protobuf"),
            ("image/png,*/*;q=0.1", "json"),
            ("application/json;charset=utf-8", "json"),
            ("application/json;stream=watch", "json"),
            ("application/json;pretty=1", "json pretty"),
            ("application/json;q=0", "json"),
            ("*/*;q=0.1,application/yaml", "yaml"),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "json meta.k8s.io/v1 Table"),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", "json meta.k8s.io/v1beta1 Table"),
            ("application/yaml;as=Table;v=v1;g=meta.k8s.io", "yaml meta.k8s.io/v1 Table"),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
                "vnd.kubernetes.protobuf meta.k8s.io/v1 PartialObjectMetadata",
            ),
            (
                "text/plain;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io",
                "json meta.k8s.io/v1 Table",
            ),
            (
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=Table;g=meta.k8s.io;v=v1",
                "json meta.k8s.io/v1 PartialObjectMetadata",
            ),
        ] {
            assert_eq!(chosen(BUILTIN, accept), expected, "{accept}");
        }
    }

    #[test]
    fn nothing_acceptable_is_406() {
        let route = format!("406: Not Acceptable||Available representations: {THREE}");
        for accept in ["application/*", "text/html", "text/*", "application/cbor", "APPLICATION/JSON", "garbage"] {
            assert_eq!(chosen(BUILTIN, accept), route, "{accept}");
        }
        let streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        assert_eq!(chosen(LIST, "text/html"), format!("{route}, {streams}"));
        let handler = format!("only the following media types are accepted: {THREE}");
        for accept in [
            "application/json;as=Table;v=v2;g=meta.k8s.io",
            "application/json;as=Table",
            "application/json;as=Bogus;v=v1;g=meta.k8s.io",
            "application/json;as=Table;v=v1;g=other",
            "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
            "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
            "application/yaml;stream=watch",
        ] {
            assert_eq!(chosen(BUILTIN, accept), handler, "{accept}");
        }
        let review = Offer { table: false, ..BUILTIN };
        assert_eq!(chosen(review, "application/json;as=Table;v=v1;g=meta.k8s.io"), handler);
    }

    #[test]
    fn custom_resources_have_no_protobuf_but_their_metadata_has() {
        let handler = format!("only the following media types are accepted: {THREE}");
        for (accept, expected) in [
            ("application/vnd.kubernetes.protobuf", handler.as_str()),
            ("application/vnd.kubernetes.protobuf,application/json", "json"),
            ("application/*", "json"),
            ("garbage", &handler),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                "vnd.kubernetes.protobuf meta.k8s.io/v1 PartialObjectMetadataList",
            ),
        ] {
            assert_eq!(chosen(CUSTOM, accept), expected, "{accept}");
        }
    }

    #[test]
    fn cbor_is_offered_only_when_it_is_on() {
        let on = Offer { cbor: true, ..LIST };
        assert_eq!(chosen(on, "application/cbor"), "cbor");
        let yaml = on.choose(Asked { accept: "application/yaml", ..Asked::default() }).expect("yaml");
        let cbor = on.choose(Asked { accept: "application/cbor", ..Asked::default() }).expect("cbor");
        assert_eq!(on.watch(cbor), Ok("application/cbor-seq"));
        assert_eq!(
            on.watch(yaml).map_err(|s| s.message),
            Err("only the following media types are accepted: application/json;stream=watch, \
                 application/vnd.kubernetes.protobuf;stream=watch, application/cbor-seq"
                .into())
        );
    }

    #[test]
    fn people_get_line_breaks() {
        let asked = |pretty, user_agent| Asked { accept: "*/*", pretty, user_agent };
        for (asked, expected) in [
            (asked("", "curl/8"), true),
            (asked("", "Mozilla/5.0 (X11)"), true),
            (asked("false", "curl/8"), false),
            (asked("true", "kubectl"), true),
            (asked("", "kubectl/v1.36"), false),
        ] {
            assert_eq!(BUILTIN.choose(asked).map(|r| r.pretty), Ok(expected), "{asked:?}");
        }
    }

    #[test]
    fn errors_are_never_tables() {
        let of = |accept| of_error(Asked { accept, ..Asked::default() }, false);
        assert_eq!(
            (of("application/yaml").media, of("application/vnd.kubernetes.protobuf").media),
            (Media::Yaml, Media::Protobuf)
        );
        let table = of("application/yaml;as=Table;v=v1;g=meta.k8s.io");
        assert_eq!((table.media, table.pretty, table.view), (Media::Json, true, Shown::Whole));
        assert_eq!(of("text/html").media, Media::Json);
    }

    #[test]
    fn lists_and_objects_are_told_apart() {
        let of = |accept| BUILTIN.choose(Asked { accept, ..Asked::default() }).expect("a representation");
        let object = of("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
        let list = of("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
        let kind = GroupVersionKind::new("", "v1", "ConfigMap");
        let text = |checked: Result<()>| checked.map_err(|status| status.message);
        assert_eq!(text(object.check(false, Some(&kind))), Ok(()));
        assert_eq!(
            text(object.check(true, Some(&kind))),
            Err("you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)".into())
        );
        assert_eq!(
            text(list.check(false, None)),
            Err("you requested PartialObjectMetadataList, but the requested object is not a list \
                 (*unstructured.Unstructured)"
                .into())
        );
    }

    proptest! {
        #[test]
        fn never_panics(accept in r#"[a-z/*;=,.q01 +"\\é-]{0,60}"#, custom: bool, cbor: bool) {
            let offer = Offer { custom, cbor, ..LIST };
            let _ = offer.choose(Asked { accept: &accept, ..Asked::default() });
            let _ = of_error(Asked { accept: &accept, ..Asked::default() }, cbor);
        }
    }
}
