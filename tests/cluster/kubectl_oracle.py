"""The real kubectl as an oracle: what it makes of an object, and the patch that it sends for an apply.

`apply_as_kubectl` runs kubectl against a server on the loopback interface that knows one object and keeps the patch.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

KUBECTL = shutil.which("kubectl")

_KINDS = {
    "/api/v1": [
        ("pods", "Pod", True),
        ("nodes", "Node", False),
        ("persistentvolumes", "PersistentVolume", False),
        ("persistentvolumeclaims", "PersistentVolumeClaim", True),
        ("services", "Service", True),
    ],
    "/apis/apps/v1": [("statefulsets", "StatefulSet", True)],
    "/apis/policy/v1": [("poddisruptionbudgets", "PodDisruptionBudget", True)],
}


def patch_as_kubectl(folder: Path, obj: Mapping[str, Any], patch: Mapping[str, Any], kind: str = "strategic") -> Any:
    """What ``kubectl patch --local`` makes of an object."""
    path = folder / "object.json"
    path.write_text(json.dumps(obj))
    done = subprocess.run(
        [str(KUBECTL), "patch", "--local", "-f", str(path), "--type", kind, "-p", json.dumps(patch), "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def apply_as_kubectl(
    folder: Path, current: Mapping[str, Any], manifest: Mapping[str, Any], last: Mapping[str, Any] | None
) -> Any:
    """What ``kubectl apply`` of a manifest makes of an object that exists."""
    live = json.loads(json.dumps(current))
    if last is not None:
        annotations = live["metadata"].setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = json.dumps(last)
    patches: list[Any] = []
    server = HTTPServer(("127.0.0.1", 0), _handler(live, patches))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        path = folder / "manifest.json"
        path.write_text(json.dumps(manifest))
        subprocess.run(
            [
                str(KUBECTL),
                "apply",
                "--server",
                f"http://127.0.0.1:{server.server_port}",
                "--validate=false",
                "--cache-dir",
                str(folder / "cache"),
                "-f",
                str(path),
            ],
            capture_output=True,
            text=True,
            check=True,
            env={"HOME": str(folder), "PATH": ""},
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    after = live
    for patch in patches:
        after = patch_as_kubectl(folder, after, patch)
    annotations = after["metadata"].get("annotations") or {}
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if not annotations:
        after["metadata"].pop("annotations", None)
    return after


def _handler(live: Mapping[str, Any], patches: list[Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *parts: Any) -> None:
            pass

        def _answer(self, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._answer(_discovery(self.path.partition("?")[0]) or live)

        def do_PATCH(self) -> None:
            assert self.headers["Content-Type"] == "application/strategic-merge-patch+json"
            patches.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(live)

    return Handler


def _discovery(path: str) -> Any:
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [name.removeprefix("/apis/").split("/") for name in _KINDS if name.startswith("/apis/")]
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {
                    "name": group,
                    "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                    "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
                }
                for group, version in groups
            ],
        }
    if path in _KINDS:
        verbs = ["get", "list", "create", "update", "patch", "delete"]
        return {
            "kind": "APIResourceList",
            "groupVersion": path.removeprefix("/apis/").removeprefix("/api/"),
            "resources": [
                {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs}
                for plural, kind, namespaced in _KINDS[path]
            ],
        }
    return None
