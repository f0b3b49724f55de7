"""A stand-in for a W&B server on the loopback: what `wandb.init`, resuming and `wandb sync` talk to, and no more.

It keeps what it is sent for a test to look at, and answers an operation that it does not know with an error, which
`unknown` lists. It shows that the client sends complete, well-formed data, not that the hosted service renders it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

PROJECT = {"id": "p1", "name": "hardneg", "entity": {"id": "e1", "name": "tester"}}


@dataclass
class Run:
    name: str  # the run's id; what people read is `shown`
    shown: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def id(self) -> str:
        return base64.b64encode(f"Run:v1:{self.name}".encode()).decode()

    @property
    def history(self) -> list[dict[str, Any]]:
        return [self.lines[number] for number in sorted(self.lines)]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.RLock()
        self.runs: dict[str, Run] = {}
        self.views: list[dict[str, Any]] = []  # saved workspaces and reports
        self.artifacts: list[dict[str, Any]] = []
        self.again: list[str] = []  # uploaded although it was there
        self.unknown: list[str] = []
        self.alerts: list[dict[str, Any]] = []


@contextmanager
def serving():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.body() or "{}") if not self.path.startswith("/sdk/otel/") else self.body() and {}
        stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
        with self.server.lock:
            if self.path == "/graphql":
                self.answer(body)
            elif stream:
                self.stream(self.server.runs.setdefault(stream[1], Run(stream[1])), body)
                self.reply({"exitcode": None, "limits": {}})
            elif self.path.startswith("/sdk/otel/"):  # the client's own telemetry
                self.reply({})
            else:
                self.refuse(self.path)

    def do_GET(self):
        self.refuse(self.path)

    def do_PUT(self):
        data, (_, kind, owner, name) = self.body(), unquote(self.path).split("/", 3)
        digest = base64.b64encode(hashlib.md5(data).digest()).decode()
        with self.server.lock:
            if self.headers.get("Content-MD5", digest) != digest:
                return self.refuse(f"{self.path}: another MD5")
            files = self.server.runs[owner].files if kind == "run" else self.server.artifacts[int(owner)]["files"]
            if kind == "artifact" and self.server.artifacts[int(owner)].get("committed"):
                self.server.again.append(self.path)
            files[name] = data
        return self.reply({})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def reply(self, value: Any, code: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, what: str) -> None:
        self.server.unknown.append(what)
        self.reply({"errors": [{"message": f"the stand-in does not know {what}"}]}, 400)

    def stream(self, run: Run, sent: dict[str, Any]) -> None:
        for name, chunk in (sent.get("files") or {}).items():
            if name == "wandb-history.jsonl":
                run.lines |= {chunk["offset"] + i: json.loads(line) for i, line in enumerate(chunk["content"])}
            elif name == "wandb-summary.json":
                run.summary = json.loads(chunk["content"][-1])
            elif name == "output.log":
                run.output += chunk["content"]
        if sent.get("complete"):
            run.exit_code = sent["exitcode"]

    def answer(self, request: dict[str, Any]) -> None:
        operation = re.search(r"\b(?:query|mutation)\s+(\w+)", request["query"])
        name = operation[1] if operation else "?"
        known = getattr(self, f"op_{name}", None)
        if known is None:
            self.refuse(name)
        else:
            self.reply({"data": known(request.get("variables") or {})})

    def op_UpsertView2(self, given):  # a workspace
        self.server.views.append({**given, "spec": json.loads(given["spec"])})
        dates = {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
        owner = {"user": {"name": "tester", "username": "tester", "userInfo": {}}}
        project = {"project": {"id": PROJECT["id"], "name": PROJECT["name"], "entityName": "tester"}}
        view = {key: given.get(key) for key in ("type", "name", "displayName", "description", "spec")}
        view |= {"id": f"v{len(self.server.views)}", "previewUrl": None, "coverUrl": None, "locked": False}
        return {"upsertView": {"view": view | dates | owner | project, "inserted": True}}

    op_upsertView = op_UpsertView2  # a report

    def op_GetProjects(self, given):
        node = {"__typename": "Project", "id": PROJECT["id"], "name": PROJECT["name"], "entityName": given["entity"]}
        node |= {"createdAt": "2026-01-01T00:00:00Z", "isBenchmark": False, "user": None}
        page = {"hasNextPage": False, "endCursor": None, "__typename": "PageInfo"}
        return {"models": {"pageInfo": page, "edges": [{"node": node}]}}

    def op_NotifyScriptableRunAlert(self, given):
        self.server.alerts.append(given)
        return {"notifyScriptableRunAlert": {"success": True}}

    def op_Viewer(self, _):
        return {"viewer": {"id": "v1", "entity": "tester", "username": "tester", "flags": "{}", "teams": {"edges": []}}}

    def op_GetDefaultEntity(self, _):
        return {"viewer": {"id": "v1", "entity": "tester"}}

    def op_ProjectInternalId(self, _):
        return {"project": {"id": PROJECT["id"], "internalId": "1"}}

    def op_ServerFeaturesQuery(self, _):
        return {"serverInfo": {"features": []}}

    def op_OrganizationCoreWeaveOrganizationID(self, _):
        return {"entity": {"organization": None}}

    def op_XXHashDigestsEnabled(self, _):
        return {"entity": {"xxhashDigestsEnabled": False}}

    def op_FetchArtifactDigestAlgorithm(self, _):
        return {"project": {"artifactType": None}}

    def op_UpsertBucket(self, given):
        name = given.get("name") or base64.b64decode(given["id"]).decode().split(":")[2]
        new = name not in self.server.runs
        run = self.server.runs.setdefault(name, Run(name))
        run.shown, run.group = given.get("displayName") or run.shown, given.get("groupName") or run.group
        run.job_type, run.tags = given.get("jobType") or run.job_type, given.get("tags") or run.tags
        run.config |= {key: value["value"] for key, value in json.loads(given.get("config") or "{}").items()}
        run.summary |= json.loads(given.get("summaryMetrics") or "{}")
        bucket = {"id": run.id, "name": name, "displayName": run.shown, "description": "", "config": "{}"}
        bucket |= {"sweepName": None, "historyLineCount": len(run.lines), "project": PROJECT}
        return {"upsertBucket": {"inserted": new, "bucket": bucket}}

    def op_RunResumeStatus(self, given):
        run = self.server.runs.get(given["name"])
        bucket = run and {
            "id": run.id, "name": run.name, "displayName": run.shown, "tags": run.tags, "notes": "",
            "summaryMetrics": json.dumps(run.summary), "wandbConfig": json.dumps({"t": 1}),
            "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
            "historyLineCount": len(run.lines), "historyTail": json.dumps([json.dumps(r) for r in run.history[-1:]]),
            "logLineCount": len(run.output), "eventsLineCount": 0, "eventsTail": "[]",
        }  # fmt: skip
        return {"model": {**PROJECT, "bucket": bucket}}

    def op_CreateRunFiles(self, given):
        urls = [{"name": f, "uploadUrl": f"{self.server.url}/run/{given['run']}/{f}"} for f in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": urls}}

    def op_MarkRunFilesUploaded(self, _):
        return {"markRunFilesUploaded": {"success": True}}

    def op_ArtifactType(self, _):  # whether the artifact exists
        return {"project": {"artifact": None}}

    def op_CreateArtifact(self, given):
        given, artifacts = given.get("input", given), self.server.artifacts
        name, digest = given["artifactCollectionName"], given["digest"]
        # what is there with the same content is not uploaded again
        same = [i for i, one in enumerate(artifacts) if (one["name"], one["digest"]) == (name, digest)]
        committed = bool(same) and artifacts[same[0]].get("committed", False)
        number = same[0] if same else len(artifacts)
        if not same:
            aliases = sorted(alias["alias"] for alias in given.get("aliases") or ())
            metadata = json.loads(given.get("metadata") or "{}")
            made = {"name": name, "type": given["artifactTypeName"], "digest": digest, "made_by": given["runName"]}
            artifacts.append({**made, "used_by": [], "aliases": aliases, "metadata": metadata, "files": {}})
        sequence = {"id": f"s{number}", "latestArtifact": {"id": str(number), "versionIndex": 0} if committed else None}
        state = "COMMITTED" if committed else "PENDING"
        made = {"id": str(number), "digest": digest, "state": state, "artifactSequence": sequence}
        return {"createArtifact": {"artifact": made}}

    def op_UseArtifact(self, given):
        given = given["input"]
        artifact = self.server.artifacts[int(given["artifactID"])]
        artifact["used_by"].append(given["runName"])
        return {"useArtifact": {"artifact": {"id": given["artifactID"]}}}

    def op_CreateArtifactManifest(self, given):
        return {"createArtifactManifest": {"artifactManifest": self.manifest(given["artifactID"])}}

    def op_UpdateArtifactManifest(self, given):
        return {"updateArtifactManifest": {"artifactManifest": self.manifest(given["artifactManifestID"])}}

    def manifest(self, number: str) -> dict[str, Any]:
        url = f"{self.server.url}/artifact/{number}/manifest"
        return {"id": number, "file": {"id": "f1", "uploadUrl": url, "uploadHeaders": []}}

    def op_CreateArtifactFiles(self, given):
        nodes = [
            {
                "id": f"f{i}", "name": one["name"], "displayName": one["name"], "uploadHeaders": [],
                "storagePath": f"{one['artifactID']}/{one['name']}", "artifact": {"id": one["artifactID"]},
                "uploadUrl": f"{self.server.url}/artifact/{one['artifactID']}/{one['name']}",
                "uploadMultipartUrls": None,
            }
            for i, one in enumerate(given.get("input", given)["artifactFiles"])
        ]  # fmt: skip
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def op_CommitArtifact(self, given):
        artifact = self.server.artifacts[int(given["artifactID"])]
        artifact["committed"] = True
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": artifact["digest"]}}}
