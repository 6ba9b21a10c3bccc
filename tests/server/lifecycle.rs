//! Starting, stopping and starting again.

use std::os::unix::fs::PermissionsExt as _;

use super::rig::{Server, ends};

#[test]
fn it_starts_on_nothing_and_again_on_what_it_left() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    for file in ["ca.crt", "ca.key", "front-proxy-ca.crt", "sa.key", "sa.pub", "apiserver.crt", "apiserver.key"] {
        let file = data.join("pki").join(file);
        let mode = file.metadata().unwrap_or_else(|error| panic!("{}: {error}", file.display())).permissions().mode();
        let secret = file.extension().is_some_and(|extension| extension == "key");
        assert!(!secret || mode & 0o077 == 0, "{} is for its owner alone: {mode:o}", file.display());
    }
    assert_eq!(server.run("create configmap kept --from-literal=a=b"), "configmap/kept created\n");
    let authority = std::fs::read(data.join("pki/ca.crt")).expect("a certificate");
    assert!(server.terminate().success());

    let server = Server::start(&data, &[]);
    assert_eq!(server.run("get configmap kept -o jsonpath={.data.a}"), "b");
    assert_eq!(std::fs::read(data.join("pki/ca.crt")).expect("a certificate"), authority);
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let _first = Server::start(folder.path(), &[]);
    let (status, complaint) = ends(folder.path(), &[]);
    assert!(!status.success());
    assert!(complaint.contains("in use"), "{complaint}");
}

#[test]
fn a_directory_that_cannot_be_written_is_said_so() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    let (status, complaint) = ends(&file.join("data"), &[]);
    assert!(!status.success());
    assert!(complaint.contains("Not a directory"), "{complaint}");
}

#[test]
fn what_flags_cannot_mean_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    for (flag, why) in [
        ("--controllers=nonsense", "\"nonsense\" is not in the list of known controllers"),
        ("--enable-admission-plugins=Nonsense", "enable-admission-plugins plugin \"Nonsense\" is unknown"),
        ("--authorization-mode=Nonsense", "\"Nonsense\""),
        ("--service-cluster-ip-range=nonsense", "invalid CIDR address: nonsense"),
        ("--event-ttl=nonsense", "--event-ttl"),
    ] {
        let (status, complaint) = ends(folder.path(), &[flag]);
        assert!(!status.success(), "{flag}");
        assert!(complaint.contains(why), "{flag}: {complaint}");
    }
}
