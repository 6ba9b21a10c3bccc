//! What a person does with kubectl to a custom resource, and definitions in wide use.

use std::path::PathBuf;
use std::process::Command;

use super::rig::{Server, told};

const WELLS: &str = include_str!("../data/wells.yaml");

/// A well; its spec is written as YAML within braces.
fn well(name: &str, spec: &str) -> String {
    format!("apiVersion: water.example.com/v1\nkind: Well\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

/// What kubectl says of a manifest.
fn feed(server: &Server, line: &str, manifest: &str) -> String {
    told(&server.feed(line, manifest))
}

/// The words of each line after the first.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn a_person_defines_a_resource() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::start(folder.path(), &["--scheduler=false"]);
    assert!(feed(&server, "apply -f -", WELLS).contains("wells.water.example.com created"));
    server.run("wait --for=condition=Established crd/wells.water.example.com --timeout=30s");
    writes(&server);
    reads(&server);
    applies(&server);
    assert!(server.terminate().success());

    let server = Server::start(folder.path(), &["--scheduler=false"]);
    assert_eq!(rows(&server.run("get wells")).len(), 2, "they are there after a restart");
    server.run("create namespace town");
    server.run("delete namespace town --timeout=60s");
    server.run("delete crd wells.water.example.com --timeout=60s");
    let gone = server.refused("get --raw /apis/water.example.com/v1/wells");
    assert!(gone.contains("could not find the requested resource"), "{gone}");
}

fn writes(server: &Server) {
    let made = feed(server, "create -f - --validate=warn", &well("a", "depth: 7, color: red"));
    assert!(
        made.contains("unknown field \"spec.color\"") && made.contains("well.water.example.com/a created"),
        "{made}"
    );
    let deep = feed(server, "create -f -", &well("b", "depth: 7, lining: none"));
    assert!(deep.contains("The Well \"b\" is invalid: spec: Invalid value: a deep well is lined"), "{deep}");
    let wide = feed(server, "create -f -", &well("b", "depth: 700"));
    assert!(
        wide.contains("spec.depth: Invalid value: 700: spec.depth in body should be less than or equal to 90"),
        "{wide}"
    );
    feed(server, "create -f -", &well("b", "depth: 3, lining: none, buckets: 1"));
    server.run("scale wells/b --replicas=2");
    server.run("patch well b --subresource=status --type=merge -p {\"status\":{\"level\":\"low\"}}");
    assert_eq!(server.run("get well b -o jsonpath={.spec.buckets}-{.status.level}-{.metadata.generation}"), "2-low-2");
}

fn reads(server: &Server) {
    let listed = server.run("get wl");
    assert_eq!(listed.split_whitespace().take(3).collect::<Vec<_>>(), ["NAME", "DEPTH", "LINING"]);
    assert_eq!(rows(&listed), [["a", "7", "brick"], ["b", "3", "none"]]);
    assert_eq!(rows(&server.run("get wells --field-selector spec.lining=none")), [["b", "3", "none"]]);
    assert!(server.run("get all").contains("well.water.example.com/a"));
    let told = server.run("explain wells.spec");
    assert!(told.contains("What the well is to be.") && told.contains("depth\t<integer> -required-"), "{told}");
    assert!(server.run("api-resources --api-group=water.example.com").contains("wl"));
}

fn applies(server: &Server) {
    let apply = |manager: &str, users: &str| {
        let line = format!("apply --server-side --field-manager={manager} -f -");
        feed(server, &line, &well("a", &format!("depth: 7, users: [{users}]")))
    };
    assert!(apply("mill", "{name: mill, share: 1}").contains("serverside-applied"));
    assert!(apply("farm", "{name: farm, share: 2}").contains("serverside-applied"));
    assert_eq!(
        server.run("get well a -o jsonpath={.spec.users[*].name}"),
        "mill farm",
        "items have owners of their own"
    );
    assert!(apply("farm", "{name: mill, share: 3}").contains("conflict with \"mill\""));
    assert!(apply("mill", "").contains("serverside-applied"));
    assert_eq!(server.run("get well a -o jsonpath={.spec.users[*].name}"), "farm");
}

/// Definitions as their projects publish them, beside the repository; says so where they are not at hand.
fn published() -> Vec<(String, String)> {
    let beside = |up: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(up).join("shared/crds");
    let Some(folder) = ["..", "../.."].map(beside).into_iter().find(|folder| folder.is_dir()) else {
        eprintln!("SKIPPED: no definitions in ../shared/crds");
        return Vec::new();
    };
    let files = std::fs::read_dir(folder).expect("a folder").flatten().map(|file| file.path());
    let zipped = files.filter(|path| path.extension().is_some_and(|extension| extension == "gz"));
    let text = |path: &PathBuf| Command::new("gzip").arg("-dc").arg(path).output().expect("gzip").stdout;
    zipped.map(|path| (path.display().to_string(), String::from_utf8(text(&path)).expect("UTF-8"))).collect()
}

#[test]
fn definitions_in_wide_use_are_served() {
    let files = published();
    if files.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::start(folder.path(), &["--scheduler=false"]);
    for (name, text) in &files {
        let created = server.feed("create -f -", text);
        assert!(created.status.success(), "{name}: {}", told(&created));
    }
    server.run("wait --for=condition=Established crd --all --timeout=30s");
    let established = server.run("get crd -o name");
    let defined: usize = files.iter().map(|(_, text)| text.matches("\nkind: CustomResourceDefinition").count()).sum();
    assert_eq!(established.lines().count(), defined);
    for name in established.lines() {
        let resource = name.split('/').nth(1).expect("a name");
        server.run(&format!("get {resource} -A"));
        assert!(server.run(&format!("explain {resource}")).contains("FIELDS:"), "{resource}");
    }
}
