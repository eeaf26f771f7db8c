"""Checks that pipe and the Python library huggingface_hub read what the other pulled: a hub on this machine serves one model, each pulls it, and
the other finds it offline, with the same links and blobs. Prints what it found; ends with an error if something differs.

    pip install huggingface_hub && go build -o /tmp/pipe ./cmd/pipe
    python testdata/golden/hub.py /tmp/pipe
"""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading

COMMIT = "0123456789abcdef0123456789abcdef01234567"
root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
source = os.path.join(root, "models", "tiny-llama")
files = {n: open(os.path.join(source, n), "rb").read() for n in sorted(os.listdir(source)) if os.path.isfile(os.path.join(source, n))}
files["sub/notes.txt"] = b"a file in a folder\n"


def lfs(name):
    return name.endswith(".safetensors")


def tag(name):
    data = files[name]
    return hashlib.sha256(data).hexdigest() if lfs(name) else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path in ("/api/models/some/model/revision/main", "/api/models/some/model/revision/" + COMMIT, "/api/models/some/model"):
            return self.answer(200, json.dumps({"id": "some/model", "sha": COMMIT, "siblings": [{"rfilename": n} for n in files]}).encode(), Content_Type="application/json")
        if path == "/api/models/some/model/tree/" + COMMIT or path == "/api/models/some/model/tree/main":
            tree = []
            for n, data in files.items():
                e = {"type": "file", "path": n, "size": len(data), "oid": tag(n) if not lfs(n) else "0" * 40}
                if lfs(n):
                    e["lfs"] = {"oid": tag(n), "size": len(data), "pointerSize": 134}
                tree.append(e)
            return self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
        for prefix in ("/some/model/resolve/" + COMMIT + "/", "/some/model/resolve/main/"):
            if path.startswith(prefix):
                n = path[len(prefix):]
                if n not in files:
                    return self.answer(404, X_Error_Code="EntryNotFound")
                if lfs(n):
                    return self.answer(302, Location=f"http://localhost:{port}/cdn/{n}", X_Repo_Commit=COMMIT, X_Linked_Etag=f'"{tag(n)}"', X_Linked_Size=str(len(files[n])))
                return self.answer(200, files[n], X_Repo_Commit=COMMIT, ETag=f'"{tag(n)}"', Accept_Ranges="bytes")
        if path.startswith("/cdn/"):
            data = files[path[5:]]
            wants = self.headers.get("Range", "")
            if wants.startswith("bytes=") and wants.split("-")[0][6:]:
                start = int(wants.split("-")[0][6:])
                return self.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
            return self.answer(200, data)
        self.answer(404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
port = server.server_address[1]
threading.Thread(target=server.serve_forever, daemon=True).start()
endpoint = f"http://127.0.0.1:{port}"
os.environ["HF_ENDPOINT"] = endpoint
os.environ["HF_HUB_DISABLE_XET"] = "1"

import huggingface_hub  # noqa: E402


def layout(cache):
    """Every file and link below the cache but locks and the library's notes."""
    out = {}
    for folder, _, names in os.walk(os.path.join(cache, "models--some--model")):
        for n in names:
            p = os.path.join(folder, n)
            key = os.path.relpath(p, cache)
            out[key] = "-> " + os.readlink(p) if os.path.islink(p) else hashlib.sha256(open(p, "rb").read()).hexdigest()
    return out


def pipe(cache, *args, offline=False):
    env = dict(os.environ, HF_HUB_CACHE=cache, HF_HUB_OFFLINE="1" if offline else "0")
    return subprocess.run([sys.argv[1], *args], env=env, check=True, capture_output=True, text=True).stdout.strip()


with tempfile.TemporaryDirectory() as mine, tempfile.TemporaryDirectory() as theirs:
    ours = pipe(mine, "pull", "some/model")
    found = huggingface_hub.snapshot_download("some/model", cache_dir=mine, local_files_only=True)
    assert found == ours, (found, ours)
    again = huggingface_hub.snapshot_download("some/model", cache_dir=mine)
    assert again == ours, (again, ours)
    for n in files:
        p = huggingface_hub.hf_hub_download("some/model", n, cache_dir=mine, local_files_only=True)
        assert open(p, "rb").read() == files[n], n
    info = huggingface_hub.scan_cache_dir(mine)
    assert not info.warnings and info.repos and next(iter(info.repos)).nb_files == len(files), info

    folder = huggingface_hub.snapshot_download("some/model", cache_dir=theirs)
    assert pipe(theirs, "pull", "some/model", offline=True) == folder
    report = json.loads(pipe(theirs, "pull", "some/model", "--json"))
    assert report["fetched"] == 0 and report["folder"] == folder, report
    assert json.loads(pipe(theirs, "inspect", "some/model", "--json", offline=True))["parameters"] > 0

    a, b = layout(mine), layout(theirs)
    assert a == b, {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}
print(f"huggingface_hub {huggingface_hub.__version__}: {len(files)} files pulled by either are found by the other; the caches are equal")
