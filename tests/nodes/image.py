"""image.py OUT.tar ROOT REFERENCE[,REFERENCE...]: packs a directory as an OCI image of one layer, under these names."""

import argparse
import hashlib
import io
import json
import os
import platform
import tarfile

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("root")
    parser.add_argument("references")
    parser.add_argument("--user", default="")
    parser.add_argument("--entrypoint", default="")
    parser.add_argument("--cmd", nargs=argparse.REMAINDER, default=[])
    return parser.parse_args()


def owned_by_root(entry):
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def layer(root):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(os.listdir(root)):
            tar.add(os.path.join(root, name), arcname=name, filter=owned_by_root)
    return out.getvalue()


def main():
    given = options()
    blobs = {}

    def blob(media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    def document(media_type, value):
        return blob(media_type, json.dumps(value).encode())

    files = blob("application/vnd.oci.image.layer.v1.tar", layer(given.root))
    config = {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "WorkingDir": "/",
        "User": given.user,
        "Entrypoint": [given.entrypoint] if given.entrypoint else None,
        "Cmd": given.cmd or None,
    }
    about = document("application/vnd.oci.image.config.v1+json", {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [files["digest"]]},
        "history": [{"created": "2020-01-01T00:00:00Z"}],
    })
    manifest = document(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": [files]})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {**manifest, "annotations": {"io.containerd.image.name": reference}}
        for reference in given.references.split(",")
    ]}
    with tarfile.open(given.out, "w") as tar:
        parts = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
        parts |= {"blobs/sha256/" + digest: data for digest, data in blobs.items()}
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


main()
