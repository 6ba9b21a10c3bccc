"""registry.py ADDRESS:PORT DIRECTORY: a read-only registry over the tars of image.py.

containerd asks it in place of every registry. A repository is looked up without its registry's host:
registry.k8s.io/pause:3.10.2 is pause with the tag 3.10.2.
"""

import glob
import http.server
import json
import sys
import tarfile

TAGS = {}  # (repository, tag): digest
BLOBS = {}  # digest: (tar, offset, size, media type)


def read(path):
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            if member.name.startswith("blobs/sha256/"):
                digest = "sha256:" + member.name.rsplit("/", 1)[1]
                BLOBS[digest] = path, member.offset_data, member.size, "application/octet-stream"
        for manifest in json.load(tar.extractfile("index.json"))["manifests"]:
            reference, tag = manifest["annotations"]["io.containerd.image.name"].rsplit(":", 1)
            digest = manifest["digest"]
            TAGS[reference.split("/", 1)[1], tag] = digest
            BLOBS[digest] = *BLOBS[digest][:3], manifest["mediaType"]


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts == ["v2"]:
            return self.reply(200, b"{}", "application/json")
        name, reference = "/".join(parts[1:-2]), parts[-1]
        digest = reference if reference in BLOBS else TAGS.get((name, reference))
        if digest is None:
            return self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', "application/json")
        path, offset, size, media_type = BLOBS[digest]
        with open(path, "rb") as file:
            file.seek(offset)
            return self.reply(200, file.read(size), media_type, digest)

    do_HEAD = do_GET

    def reply(self, code, body, media_type, digest=""):
        self.send_response(code)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


host, port = sys.argv[1].rsplit(":", 1)
for tar_file in glob.glob(sys.argv[2] + "/*.tar"):
    read(tar_file)
http.server.ThreadingHTTPServer((host, int(port)), Registry).serve_forever()
