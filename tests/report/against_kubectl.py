"""Ask the real kubectl for its tables, and keep what it prints as golden files.

Not a test: run it by hand, with a kubectl on the PATH, when columns or stories change:

    python -m tests.report.against_kubectl

A server on the loopback interface answers kubectl's requests with the objects of a story: as a `Table` where kubectl
asks for one (columns are made by the server, in Kubernetes too), else as plain lists. So the cells are ours, and all of
the layout is kubectl's own: padding, prefixes, separators, cutting, messages, YAML and JSON.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from simulator.api.kinds import KINDS, RESOURCES, plural
from simulator.api.meta import Object
from simulator.report.columns import COLUMNS
from simulator.report.kubectl import Wanted, select
from simulator.report.manifest import printed
from simulator.report.state import State, state_at
from tests.report.clusters import MOMENT, WATCH_FROM, columns_story, watch_story

GOLDEN = Path(__file__).parent / "kubectl"
ALL = {"Pod", "Service", "StatefulSet"}


def table(state: State, objects: list[Object], kind: str, plain: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Table as the API server makes it: narrow columns have priority 0."""
    columns = COLUMNS[kind]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "1"},
        "columnDefinitions": [
            {
                "name": name.title(),
                "type": "string",
                "format": "name" if name == "NAME" else "",
                "description": "",
                "priority": 0 if name in columns.narrow else 1,
            }
            for name in columns.wide
        ],
        "rows": [
            {
                "cells": columns.row(obj, state.time, True),
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": printed(plain or state.plain(obj.key) or {})["metadata"],
                },
            }
            for obj in objects
        ],
    }


class Server(BaseHTTPRequestHandler):
    """Answers discovery, lists, single objects and watches."""

    state: State
    stream: list[tuple[str, dict[str, Any], dict[str, Any]]]  # event, as a Table of one row, and plain

    def do_GET(self) -> None:
        """One request of kubectl."""
        url = urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        if parts == ["api"]:
            return self._send({"kind": "APIVersions", "versions": ["v1"]})
        if parts == ["apis"]:
            return self._send({"kind": "APIGroupList", "apiVersion": "v1", "groups": list(self._groups())})
        version = "v1" if parts[0] == "api" else "/".join(parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if not rest:
            return self._send(
                {
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": version,
                    "resources": list(self._resources(version)),
                }
            )
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = KINDS[RESOURCES[rest[0]]]
        query = parse_qs(url.query)
        as_table = "as=Table" in self.headers.get("Accept", "")
        name = rest[1] if len(rest) > 1 else query.get("fieldSelector", ["="])[0].partition("=")[2]
        if query.get("watch"):
            return self._watch(kind.KIND, name, namespace, as_table)
        found = select(self.state, Wanted(kind.KIND, name), namespace)
        if len(rest) > 1 and not found:
            resource = plural(kind.KIND)
            group = version.partition("/")[0] if "/" in version else ""
            return self._send(
                {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": "Failure",
                    "reason": "NotFound",
                    "code": 404,
                    "message": f'{resource}{"." + group if group else ""} "{name}" not found',
                    "details": {"name": name, "kind": resource, "group": group},
                },
                404,
            )
        if as_table:
            return self._send(table(self.state, found, kind.KIND))
        plain = [printed(self.state.plain(obj.key) or {}) for obj in found]
        if len(rest) > 1:
            return self._send(plain[0])
        return self._send(
            {"kind": f"{kind.KIND}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": plain}
        )

    def _watch(self, kind: str, name: str, namespace: str | None, as_table: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        first = [
            ("ADDED", table(self.state, [obj], kind), printed(self.state.plain(obj.key) or {}))
            for obj in select(self.state, Wanted(kind, name), namespace)
            if name
        ]  # a watch of one object begins with it
        for number, (event, rows, plain) in enumerate(
            (event, rows, plain)
            for event, rows, plain in [*first, *self.stream]
            if plain["kind"] == kind
            and namespace in (None, plain["metadata"]["namespace"])
            and name in ("", plain["metadata"]["name"])
        ):
            body = {**rows, "columnDefinitions": rows["columnDefinitions"] if number == 0 else None}
            self.wfile.write(json.dumps({"type": event, "object": body if as_table else plain}).encode() + b"\n")
        self.wfile.flush()

    def _groups(self) -> Iterator[dict[str, Any]]:
        for version in dict.fromkeys(kind.API_VERSION for kind in KINDS.values()):
            if "/" in version:
                entry = {"groupVersion": version, "version": version.partition("/")[2]}
                yield {"name": version.partition("/")[0], "versions": [entry], "preferredVersion": entry}

    def _resources(self, version: str) -> Iterator[dict[str, Any]]:
        for kind in sorted(KINDS.values(), key=lambda kind: plural(kind.KIND)):
            if version == kind.API_VERSION:
                names = [name for name, of in RESOURCES.items() if of == kind.KIND]
                yield {
                    "name": plural(kind.KIND),
                    "singularName": kind.KIND.lower(),
                    "namespaced": kind.NAMESPACED,
                    "kind": kind.KIND,
                    "verbs": ["get", "list", "watch"],
                    "shortNames": names[2:],
                    "categories": ["all"] if kind.KIND in ALL else [],
                }

    def _send(self, body: dict[str, Any], code: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def ask(port: int, query: str, seconds: float = 20) -> str:
    """What kubectl prints, with its exit code and, marked, what goes to stderr."""
    with tempfile.TemporaryDirectory() as home:
        command = ["kubectl", f"--server=http://127.0.0.1:{port}", f"--cache-dir={home}", "get", *query.split()]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={"HOME": home, "PATH": "/usr/local/bin:/usr/bin:/bin", "KUBECONFIG": f"{home}/none"},
        )
    errors = "".join(f"[stderr] {line}\n" for line in done.stderr.splitlines())
    return f"$ kubectl get {query}\n{done.stdout}{errors}[exit {done.returncode}]\n"


def queries(name: str) -> list[str]:
    """Command lines after ``kubectl get``; golden file NAME-NN.txt holds what the NNth prints."""
    lines = (GOLDEN / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def stream() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """What a watch of `watch_story` is sent after its start."""
    state = State()
    for entry in watch_story().log.entries:
        before = state.find(entry.key)
        last = state.plain(entry.key)
        key = state.apply(entry)
        if key is None or entry.time <= WATCH_FROM:
            continue
        after = state.find(key)
        again = (entry.detail or {}).get("count", 1) > 1 if entry.verb == "event" else before is not None
        event = "DELETED" if after is None else "MODIFIED" if again else "ADDED"
        obj, plain = (after, state.plain(key)) if after is not None else (before, last)
        assert obj is not None and plain is not None
        yield event, table(state, [obj], key.kind, plain), printed(plain)


def main() -> None:
    """Write all golden files."""
    Server.stream = list(stream())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stories = {"tables": state_at(columns_story().log, MOMENT), "watch": state_at(watch_story().log, WATCH_FROM)}
    for name, state in stories.items():
        Server.state = state
        for number, query in enumerate(queries(name)):
            (GOLDEN / f"{name}-{number:02}.txt").write_text(ask(server.server_port, query))
    server.shutdown()


if __name__ == "__main__":
    main()
