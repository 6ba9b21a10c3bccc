//! Reviews and tokens: objects that are answered and forgotten.

use http::Response;

use super::bodies::Expected;
use super::exchange::{Exchange, json as json_answer, text};
use super::options;
use super::respond::Body;
use crate::auth::authorizer::{Attributes, Decision, Resource as Asked, Target};
use crate::auth::identity::{Identity, User};
use crate::auth::selected::{of_field_attributes, of_label_attributes};
use crate::auth::token::claims::Reference;
use crate::auth::token::discovery;
use crate::auth::token::issue::{Bound, Issuer, Lifetime, Wanted};
use crate::model::names::{GroupResource, GroupVersionKind};
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Map, Value, json};
use crate::pki::folder::TokenKeys;
use crate::registry::request::Address;
use crate::schema::resource::Shape;
use crate::schema::table::{API_AUTHENTICATION_V1_TOKENREQUEST, Message};

/// Issues tokens of service accounts, and tells how they are verified.
pub struct Tokens {
    issuer: Option<Issuer>,
    url: String,
    audiences: Vec<String>,
    keys: TokenKeys,
    policy: Policy,
}

/// How tokens are made and told of, where flags say so.
pub struct Policy {
    /// Where the keys are; `None`: at this server.
    pub keys_uri: Option<String>,
    /// The longest that a token may live; 0: as long as is asked for.
    pub most_seconds: i64,
    /// Whether tokens of pods live on for a year.
    pub extend: bool,
}

impl Tokens {
    /// `audiences` are this server's own; `url` is the issuer.
    pub fn new(keys: &TokenKeys, url: &str, audiences: Vec<String>, policy: Policy) -> Self {
        let issuer = keys.signing.clone().map(|key| Issuer::new(key, url));
        Self { issuer, url: url.to_owned(), audiences, keys: keys.clone(), policy }
    }

    pub fn configuration(&self, address: &str) -> Response<Body> {
        let own = || format!("https://{address}{}", discovery::KEYS_PATH);
        let uri = self.policy.keys_uri.clone().unwrap_or_else(own);
        match discovery::configuration(&self.url, &uri, &self.keys.public) {
            Ok(document) => json_answer(200, &document),
            Err(_) => text(404, "404 page not found\n"),
        }
    }

    pub fn keys(&self) -> Response<Body> {
        let mut response = json_answer(200, &discovery::keys(&self.keys.public));
        let kind = http::HeaderValue::from_static("application/jwk-set+json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        response
    }
}

impl Exchange<'_> {
    /// A resource that is not kept: the answer is the object with its status.
    pub async fn review(&mut self, at: &Address) -> Result<Response<Body>> {
        let options = options::write(&self.query);
        let kind = at.resource.kind.kind.as_str();
        if kind == "Binding" {
            return self.bind(at).await;
        }
        if !matches!(
            kind,
            "TokenReview"
                | "SubjectAccessReview"
                | "LocalSubjectAccessReview"
                | "SelfSubjectAccessReview"
                | "SelfSubjectRulesReview"
                | "SelfSubjectReview"
        ) {
            return Err(Status::not_implemented(format!("{} is not served yet", at.resource.name)));
        }
        let message = at.resource.shape.message().ok_or_else(Status::no_such_resource)?;
        let value = self.object(&Expected::of(&at.resource), &options).await?;
        let registry = self.server.registry.clone();
        let mut value = registry.begin_review(&mut self.caller, at, value, &options).await?;
        let status = match kind {
            "TokenReview" if value["spec"]["token"].as_str().is_none_or(str::is_empty) => {
                return Err(Status::bad_request("token is required for TokenReview in authentication"));
            }
            "TokenReview" => self.review_token(&value).await,
            "SelfSubjectReview" => {
                value = json!({"metadata": {"creationTimestamp": self.now().to_text().as_str()}});
                json!({"userInfo": self.caller.user.to_value()})
            }
            "SelfSubjectRulesReview" => {
                let namespace = value["spec"]["namespace"].as_str().unwrap_or("").to_owned();
                if namespace.is_empty() {
                    return Err(Status::bad_request("no namespace on request"));
                }
                value = json!({});
                registry.authorizer.rules(&self.caller.user, &namespace).to_value()
            }
            "SelfSubjectAccessReview" => self.review_access(&value["spec"], &self.caller.user).await,
            _ => {
                if kind == "LocalSubjectAccessReview" {
                    local_namespace(at, &value)?;
                }
                self.review_access(&value["spec"], &subject(&value["spec"])).await
            }
        };
        value["status"] = status;
        let version = at.resource.group_version().to_string();
        self.plain(201, &version, message, &value)
    }

    async fn review_access(&self, spec: &Value, user: &User) -> Value {
        let text = |part: &'static str, field: &'static str| spec[part][field].as_str().unwrap_or("");
        let of = |field| text("resourceAttributes", field);
        let selected = |field: &'static str| &spec["resourceAttributes"][field];
        let fields = of_field_attributes(selected("fieldSelector"));
        let labels = of_label_attributes(selected("labelSelector"));
        let (verb, target) = if spec.get("resourceAttributes").is_some_and(|a| !a.is_null()) {
            let version = if of("version").is_empty() { "*" } else { of("version") };
            let asked = Asked {
                group: of("group"),
                version,
                resource: of("resource"),
                subresource: of("subresource"),
                namespace: of("namespace"),
                name: of("name"),
                fields: &fields,
                labels: &labels,
            };
            (of("verb"), Target::Resource(asked))
        } else {
            (text("nonResourceAttributes", "verb"), Target::Path(text("nonResourceAttributes", "path")))
        };
        let verdict = self.server.registry.authorizer.authorize(&Attributes { user, verb, target }).await;
        let mut status = Map::new();
        status.insert("allowed".into(), verdict.is_allowed().into());
        if verdict.decision == Decision::Deny {
            status.insert("denied".into(), true.into());
        }
        if !verdict.reason.is_empty() {
            status.insert("reason".into(), verdict.reason.to_string().into());
        }
        if let Some(error) = &verdict.error {
            status.insert("evaluationError".into(), (&**error).into());
        }
        status.into()
    }

    async fn review_token(&self, value: &Value) -> Value {
        let token = value["spec"]["token"].as_str().unwrap_or("");
        let audiences: Vec<_> = value["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|audience| audience.as_str().map(Into::into))
            .collect();
        match self.server.authenticator.review(token, &audiences).await {
            Ok(accepted) => {
                let mut status = json!({"authenticated": true, "user": accepted.user.to_value()});
                if !accepted.audiences.is_empty() {
                    status["audiences"] = accepted.audiences.iter().map(|a| a.as_str()).collect();
                }
                status
            }
            Err(why) if why.is_empty() => json!({"user": {}}),
            Err(why) => json!({"user": {}, "error": why}),
        }
    }

    /// `POST serviceaccounts/NAME/token`.
    pub async fn token_request(&mut self, at: &Address) -> Result<Response<Body>> {
        let options = options::write(&self.query);
        let kind = GroupVersionKind::new("authentication.k8s.io", "v1", "TokenRequest");
        let shape = Shape::Builtin(&API_AUTHENTICATION_V1_TOKENREQUEST);
        let mut request = self
            .object(&Expected { kind: &kind, shape: &shape, kept: &kind, read_too: &[], definition: None }, &options)
            .await?;
        options.validate("Create", false)?;
        let registry = self.server.registry.clone();
        registry.admit_posted(&mut self.caller, at, &mut request, &options).await?;
        let account_at = Address { subresource: Default::default(), ..at.clone() };
        let account = self.server.registry.get(&account_at, "").await?;
        let account = Reference { name: at.name.to_string(), uid: account.uid().into_owned() };
        named_alike(&request, at)?;
        if request["spec"]["audiences"].as_array().is_none_or(Vec::is_empty) {
            request["spec"]["audiences"] = self.server.tokens.audiences.iter().map(String::as_str).collect();
        }
        if request["spec"]["expirationSeconds"].as_i64().unwrap_or(0) == 0 {
            request["spec"]["expirationSeconds"] = 3600.into();
        }
        check_request(&kind, &request)?;
        registry.validate_posted(&mut self.caller, at, &request, &options).await?;
        let bound = self.bound(at, &request["spec"]["boundObjectRef"]).await?;
        self.sign(at, account, bound, &mut request)?;
        self.plain(201, "authentication.k8s.io/v1", message(), &request)
    }

    fn sign(&mut self, at: &Address, account: Reference, bound: Bound, request: &mut Value) -> Result<()> {
        let tokens = &self.server.tokens;
        let Some(issuer) = &tokens.issuer else { return Err(Status::internal("no key to sign tokens with")) };
        let (mut seconds, most) =
            (request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600), tokens.policy.most_seconds);
        if most > 0 && seconds > most {
            self.caller.warn(format!("requested expiration of {seconds} seconds shortened to {most} seconds"));
            seconds = most;
            request["spec"]["expirationSeconds"] = most.into();
        }
        let audiences: Vec<String> = request["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|a| a.as_str().map(str::to_owned))
            .collect();
        let lifetime = Lifetime::of(seconds, &bound, &audiences, &tokens.audiences, tokens.policy.extend);
        let wanted = Wanted { namespace: &at.namespace, account, audiences: &audiences, lifetime, bound };
        let (registry, now) = (&self.server.registry, self.now());
        let issued = issuer.issue(&wanted, registry.clock.now(), &registry.entropy).map_err(Status::internal)?;
        self.caller.annotations.add("authentication.kubernetes.io/issued-credential-id", issued.credential_id.as_str());
        let end = Time { seconds: now.seconds + seconds, nanos: 0 };
        object::set_meta(request, "name", at.name.as_str().into());
        object::set_meta(request, "namespace", at.namespace.as_str().into());
        object::set_meta(request, "creationTimestamp", now.to_text().as_str().into());
        request["status"] = json!({"token": issued.token, "expirationTimestamp": end.to_text().as_str()});
        Ok(())
    }

    /// The object that the token's life is tied to: it must be there, and be the one that is meant.
    async fn bound(&self, at: &Address, reference: &Value) -> Result<Bound> {
        if reference.is_null() {
            return Ok(Bound::Nothing);
        }
        let text = |field: &str| reference[field].as_str().unwrap_or("");
        let (plural, namespace) = match (text("apiVersion"), text("kind")) {
            ("v1", "Pod") => ("pods", at.namespace.as_str()),
            ("v1", "Secret") => ("secrets", at.namespace.as_str()),
            ("v1", "Node") => ("nodes", ""),
            (version, kind) => {
                let group = version.split_once('/').map_or("", |(group, _)| group);
                let version = version.rsplit('/').next().unwrap_or("");
                let named = if group.is_empty() {
                    format!("/{version}, Kind={kind}")
                } else {
                    format!("{group}/{version}, Kind={kind}")
                };
                return Err(Status::bad_request(format!("cannot bind token to object of type {named}")));
            }
        };
        let name = GroupResource::new("", plural);
        let resource =
            self.server.registry.catalog.load().preferred(&name).cloned().ok_or_else(Status::no_such_resource)?;
        let found = self.server.registry.get(&Address::new(&resource, namespace, text("name")), "").await?;
        let (given, own) = (text("uid"), found.uid().into_owned());
        if !given.is_empty() && given != own {
            let why = format!(
                "the UID in the bound object reference ({given}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(Status::conflict(&name, text("name"), why));
        }
        let reference = Reference { name: text("name").to_owned(), uid: own };
        Ok(match plural {
            "pods" => {
                let value = found.to_value(&resource.shape).map_err(Status::internal)?;
                let account = value["spec"]["serviceAccountName"].as_str().unwrap_or("");
                if account != at.name {
                    let why = format!(
                        "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                        at.name.as_str()
                    );
                    return Err(Status::bad_request(why));
                }
                let node = value["spec"]["nodeName"].as_str().filter(|node| !node.is_empty());
                Bound::Pod(reference, node.map(|name| self.node(name)))
            }
            "secrets" => Bound::Secret(reference),
            _ => Bound::Node(reference),
        })
    }

    /// A node by name; its UID is empty when it is not there.
    fn node(&self, name: &str) -> Reference {
        let found = self.server.registry.cache.get(&GroupResource::new("", "nodes"), "", name).ok().flatten();
        Reference { name: name.to_owned(), uid: found.map(|node| node.uid().into_owned()).unwrap_or_default() }
    }
}

fn message() -> &'static Message {
    &API_AUTHENTICATION_V1_TOKENREQUEST
}

/// The user that an access review asks about.
fn subject(spec: &Value) -> User {
    let text = |field: &str| spec[field].as_str().unwrap_or("").into();
    let list =
        |value: &Value| value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(Into::into)).collect();
    let mut identity =
        Identity { name: text("user"), uid: text("uid"), groups: list(&spec["groups"]), ..Identity::default() };
    for (key, values) in spec["extra"].as_object().into_iter().flatten() {
        identity.extra.insert(key.to_lowercase(), list(values));
    }
    identity.into()
}

fn local_namespace(at: &Address, value: &Value) -> Result<()> {
    let asked = value["spec"]["resourceAttributes"]["namespace"].as_str().unwrap_or("");
    if asked != at.namespace {
        let why = format!("spec.resourceAttributes.namespace must match namespace: {}", at.namespace);
        return Err(Status::bad_request(why));
    }
    Ok(())
}

/// A token request may name its account, and then the right one.
fn named_alike(request: &Value, at: &Address) -> Result<()> {
    let (name, namespace) = (object::name(request), object::namespace(request));
    if !name.is_empty() && name != at.name {
        let why = format!("must match the service account name: {}", at.name);
        return Err(Status::bad_request(why));
    }
    if !namespace.is_empty() && namespace != at.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

fn check_request(kind: &GroupVersionKind, request: &Value) -> Result<()> {
    use crate::model::field::{FieldError, Path};
    let root = Path::Root;
    let spec = root.name("spec");
    let field = spec.name("expirationSeconds");
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(0);
    let mut errors = Vec::new();
    if seconds < 10 * 60 {
        errors.push(FieldError::invalid(&field, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        errors.push(FieldError::invalid(&field, seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(kind, object::name(request), &errors)) }
}
