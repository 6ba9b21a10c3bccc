//! The operations that are on no resource: discovery, the version, the keys of service accounts' tokens.

use super::definition;
use super::operation::{Model, Naming, Operation, root};
use super::parameter::meta;
use super::resource::OBJECTS;
use crate::schema::table::message;

/// Its path under `/openapi/v3/` is the API's own, without slashes around.
pub struct Fixed {
    pub path: String,
    pub operation: Operation<'static>,
}

/// Those that any server has.
pub fn everywhere() -> Vec<Fixed> {
    let version =
        message("k8s.io.apimachinery.pkg.version.Info").map_or(Model::Text, |m| Model::Named(definition::name(m)));
    let json: &[&str] = &["application/json"];
    vec![
        fixed(
            "version",
            "version",
            "getCodeVersion",
            "get the version information for this server",
            version,
            json,
            json,
        ),
        fixed(
            ".well-known/openid-configuration",
            "WellKnown",
            "getServiceAccountIssuerOpenIDConfiguration",
            "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
            Model::Text,
            &[],
            json,
        ),
        fixed(
            "openid/v1/jwks",
            "openid",
            "getServiceAccountIssuerOpenIDKeyset",
            "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
            Model::Text,
            &[],
            &["application/jwk-set+json"],
        ),
        discovery("api", "core", "getCoreAPIVersions", "get available API versions", "APIVersions"),
        discovery("apis", "apis", "getAPIVersions", "get available API versions", "APIGroupList"),
    ]
}

/// The document of a group.
pub fn group(group: &str) -> Fixed {
    let naming = Naming::new(group, "");
    let id = naming.id("get", "APIGroup");
    discovery(&format!("apis/{group}"), &naming.tag, &id, "get information of a group", "APIGroup")
}

/// The document of a group version.
pub fn version(group: &str, version: &str) -> Fixed {
    let naming = Naming::new(group, version);
    let id = naming.id("get", "APIResources");
    discovery(&root(group, version)[1..], &naming.tag, &id, "get available resources", "APIResourceList")
}

fn discovery(path: &str, tag: &str, id: &str, about: &str, kind: &str) -> Fixed {
    let model = Model::Named(definition::name(meta(kind)));
    fixed(path, tag, id, about, model, OBJECTS, OBJECTS)
}

fn fixed(
    path: &str,
    tag: &str,
    id: &str,
    about: &str,
    answer: Model,
    consumes: &'static [&'static str],
    produces: &'static [&'static str],
) -> Fixed {
    let operation = Operation {
        path: format!("/{path}/"),
        method: "get",
        id: id.into(),
        tag: tag.into(),
        about: about.into(),
        action: None,
        parameters: Vec::new(),
        body: None,
        answers: vec![(200, answer)],
        consumes,
        produces,
    };
    Fixed { path: path.into(), operation }
}
