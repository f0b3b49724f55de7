"""How many queries a second does hardneg serve answer, next to bare faiss? See README.md beside this file."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median

from held_memory import mib

HERE = Path(__file__).parent
K = 10
FAISS, PEER = "bare faiss, 1 vector at a time", "embed + faiss in a loop, 1 query at a time"
CLIENTS = (1, 4, 16)
MEMORY = """
import sys
from hardneg.serving.live_index import LiveIndex
live = LiveIndex(sys.argv[1], device="cpu")
live.search(["a"] * 32, 10)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@dataclass
class Reading:
    """One arm in one round: queries a second, and the milliseconds that each took."""

    arm: str
    round: int
    rate: float
    times: list[float]
    refused: dict[str, int] = field(default_factory=dict)


def main() -> None:
    """Make an index, start the service, and have all arms answer the same queries in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in BEIR layout")
    parser.add_argument("--encoder", choices=["static", "minilm"], default="static", help="both as they ship")
    parser.add_argument("--queries", type=int, default=400, help="of each arm and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bad", type=float, default=0.1, help="share of bad requests where they are mixed in")
    parser.add_argument("--threads", type=int, default=1, help="of torch and faiss, in every arm")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for service_load*.md and .json")
    args = parser.parse_args()
    # Before torch and faiss are imported, and for the service too.
    os.environ.update(OMP_NUM_THREADS=str(args.threads), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="true")
    with tempfile.TemporaryDirectory() as folder:
        texts = make_index(args.data, args.encoder, Path(folder))[: args.queries]
        readings, memory = measure(Path(folder), texts, args)
    args.out.mkdir(parents=True, exist_ok=True)
    name = "service_load" if args.encoder == "static" else f"service_load_{args.encoder}"
    text = markdown(readings, memory, args)
    print(text)
    (args.out / f"{name}.md").write_text(text, encoding="utf-8")
    plain = [{**asdict(one), "times": [round(ms, 3) for ms in sorted(one.times)]} for one in readings]
    facts = {"machine": machine(), "memory_mb": memory, "readings": plain}
    (args.out / f"{name}.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


def make_index(path: Path, encoder: str, folder: Path) -> list[str]:
    """Index a corpus with an encoder as it ships, and return the queries."""
    import torch

    from hardneg.data.readers.beir import Beir
    from hardneg.encoders import checkpoint
    from hardneg.encoders.checkpoint import node
    from hardneg.encoders.static import Static
    from hardneg.encoders.towers import Towers
    from hardneg.encoders.transformer import Transformer
    from hardneg.serving.backends.faiss import Faiss
    from hardneg.serving.builder import Builder
    from hardneg.serving.index_folder import IndexFolder
    from hardneg.serving.text_encoder import TextEncoder

    data = Beir(path=str(path)).load()
    recipe = Static(init="minilm") if encoder == "static" else Transformer(model="minilm")
    tokenizer = recipe.tokenizer(data.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    weights = {f"{checkpoint.TOWERS}{name}": value for name, value in towers.state_dict().items()}
    card = checkpoint.card(node(recipe), recipe, tokenizer, towers)
    ckpt = folder / "model.ckpt"
    torch.save({"state_dict": weights, checkpoint.KEY: card}, ckpt)
    index = IndexFolder(folder / "index")
    with index.writing():
        builder = Builder(index, Faiss(str(index.root)), TextEncoder.load(ckpt, "cpu"))
        index.switch(builder.build(data, {"ckpt_path": str(ckpt)}))
    queries = data.queries.texts.to_pylist()
    random.Random(0).shuffle(queries)
    return queries


def measure(folder: Path, texts: list[str], args: argparse.Namespace) -> tuple[list[Reading], dict[str, float]]:
    """Run all arms round by round; every other round runs backwards."""
    from hardneg.serving.live_index import LiveIndex

    index = folder / "index"
    live = LiveIndex(index, device="cpu")
    opened = live.opened
    vectors = opened.encoder.queries(texts)
    expected = [[hit.score for hit in hits] for hits in opened.search(texts, K)]
    arms: dict[str, Callable[[], tuple[float, list[float], dict[str, int]]]] = {}
    for size in (1, 32):
        name = FAISS if size == 1 else f"bare faiss, {size} vectors at a time"
        arms[name] = lambda size=size: loop(lambda rows: opened.vectors.index.search(vectors[rows], K), texts, size)
    for size in (1, 4, 16, 32):
        name = PEER if size == 1 else f"embed + faiss in a loop, {size} queries at a time"
        arms[name] = lambda size=size: loop(lambda rows: opened.search(texts[rows], K), texts, size)
    with service(index, folder / "log") as (port, pid):
        for bad in (0.0, args.bad):
            for clients in CLIENTS:
                name = f"service, {clients} client{'s' * (clients > 1)}{f', {bad:.0%} bad requests' if bad else ''}"
                arms[name] = lambda clients=clients, bad=bad: load(port, texts, clients, bad, expected)
        for arm in arms.values():  # nobody's first time counts
            arm()
        readings = []
        for number in range(args.rounds):
            for name in list(arms)[:: -1 if number % 2 else 1]:
                readings.append(Reading(name, number, *arms[name]()))
                print(f"round {number + 1}  {name}: {readings[-1].rate:.0f}/s", flush=True)
        memory = {"service": mib("VmRSS", pid)}
    command = [sys.executable, "-c", MEMORY, str(index)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return readings, {**memory, "LiveIndex in a process of its own": int(done.stdout) / 1024}


def loop(answer: Callable[[slice], object], texts: list[str], size: int) -> tuple[float, list[float], dict[str, int]]:
    """Answer all texts in this process, `size` at a time; each waits as long as its batch takes."""
    times, begun = [], time.perf_counter()
    for start in range(0, len(texts), size):
        before = time.perf_counter()
        answer(slice(start, start + size))
        times += [(time.perf_counter() - before) * 1000] * len(texts[start : start + size])
    return len(texts) / (time.perf_counter() - begun), times, {}


@contextmanager
def service(index: Path, log: Path) -> Iterator[tuple[int, int]]:
    """Start `hardneg serve` on a free port; it must end with 0."""
    command = [sys.executable, "-m", "hardneg.cli", "serve", str(index), "--port", "0", "--device", "cpu"]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        while not (found := re.search(r"on http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))):
            if process.poll() is not None:
                sys.exit(f"the service did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        yield int(found[1]), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        if code := process.wait():
            sys.exit(f"the service ended with {code}:\n{log.read_text(encoding='utf-8')[-3000:]}")


def request(body: bytes, kind: str = "application/json") -> bytes:
    """Write a request; only the least of headers, so that clients cost little on the same processor."""
    head = f"POST /search HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


BAD = {
    "body of 1 MB": (413, request(b'{"query": "' + b"a" * 1_000_000 + b'"}')),
    "half a JSON": (400, request(b'{"query": "list files"')),
    "invalid UTF-8": (400, request(b'{"query": "\xff\xfe"}')),
    "1,000 brackets": (400, request(b"[" * 1000)),
    "unknown key": (422, request(b'{"query": "list files", "top": 3}')),
    "k = 0": (422, request(b'{"query": "list files", "k": 0}')),
    "k = NaN": (422, request(b'{"query": "list files", "k": NaN}')),
    "empty text": (422, request(b'{"query": " "}')),
    "5,000 characters": (422, request(b'{"query": "' + b"a" * 5000 + b'"}')),
    "form data": (415, request(b"query=list", "application/x-www-form-urlencoded")),
}


def load(
    port: int, texts: list[str], clients: int, bad: float, expected: list[list[float]]
) -> tuple[float, list[float], dict[str, int]]:
    """Ask all texts over so many connections that are kept open; every answer is then compared with the peer's."""
    rng = random.Random(clients)
    work: list[tuple[int | str, bytes]] = [
        (row, request(json.dumps({"query": text, "k": K}).encode())) for row, text in enumerate(texts)
    ]
    for _ in range(round(bad * len(texts))):
        kind = rng.choice(list(BAD))
        work.insert(rng.randrange(len(work) + 1), (kind, BAD[kind][1]))
    todo, found, lock = iter(work), [], threading.Lock()

    def client() -> None:
        connection = Connection(port)
        while True:
            with lock:
                what, message = next(todo, (None, b""))
            if what is None:
                return
            before = time.perf_counter()
            status, body = connection.ask(message)
            found.append((what, status, body, (time.perf_counter() - before) * 1000))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if len(found) != len(work):
        sys.exit(f"{len(work) - len(found)} requests had no answer")
    return len(texts) / seconds, *checked(found, expected)


def checked(found: list, expected: list[list[float]]) -> tuple[list[float], dict[str, int]]:
    """Exit unless good requests have the answers they have in this process, and bad ones the refusal they should."""
    times, refused = [], {}
    for what, status, body, ms in found:
        answer = json.loads(body)
        if isinstance(what, str):
            if status != BAD[what][0]:
                sys.exit(f"{what}: {status} {body[:300]}")
            refused[what] = refused.get(what, 0) + 1
            continue
        if status != 200:
            sys.exit(f"a good request was answered with {status} {body[:300]}")
        scores = [hit["score"] for hit in answer["answers"][0]["hits"]]
        if max(abs(one - other) for one, other in zip(scores, expected[what], strict=True)) > 2e-3:  # bf16 by batch
            sys.exit(f"query {what} has other scores over HTTP: {scores} {expected[what]}")
        times.append(ms)
    return times, refused


class Connection:
    """A client's connection that is kept open; the least that speaks HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open()

    def open(self) -> None:
        """Connect anew."""
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def ask(self, message: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer."""
        self.socket.sendall(message)
        status = int(self.file.readline().split()[1])
        length, close = 0, False
        while (line := self.file.readline().strip().lower()) != b"":
            name, _, value = line.partition(b": ")
            length = int(value) if name == b"content-length" else length
            close = close or line == b"connection: close"
        body = self.file.read(length)
        if close:
            self.socket.close()
            self.open()
        return status, body


def markdown(readings: list[Reading], memory: dict[str, float], args: argparse.Namespace) -> str:
    """Write the table: medians over the rounds, ratios within a round, latencies over all."""
    peer = {one.round: one.rate for one in readings if one.arm == PEER}
    lines = [
        f"Written by `service_load.py` on {datetime.date.today().isoformat()}: {args.data.name}, encoder",
        f"{args.encoder} as it ships, {args.queries} queries an arm and round, {args.rounds} rounds, k {K},",
        f"{args.threads} thread{'s' * (args.threads > 1)} of torch and faiss.",
        f"{machine()}.",
        "",
        "| arm | queries / s | of the loop, 1 at a time | p50 ms | p99 ms |",
        "|---|---|---|---|---|",
    ]
    for arm in dict.fromkeys(one.arm for one in readings):
        own = [one for one in readings if one.arm == arm]
        times = sorted(ms for one in own for ms in one.times)
        ratio = median(one.rate / peer[one.round] for one in own)
        p50, p99 = (times[int(share * (len(times) - 1))] for share in (0.5, 0.99))
        lines.append(f"| {arm} | {median(one.rate for one in own):.0f} | {ratio:.2f} | {p50:.2f} | {p99:.2f} |")
    refused: dict[str, int] = {}
    for one in readings:
        for kind, count in one.refused.items():
            refused[kind] = refused.get(kind, 0) + count
    good = sum(len(one.times) for one in readings if one.arm.startswith("service"))
    told = ", ".join(f"{kind}: {BAD[kind][0]} ({count})" for kind, count in refused.items())
    told_mb = ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items())
    return "\n".join(
        [
            *lines,
            "",
            f"All {good} good requests were answered, with the scores of the loop. Refused as they should be: {told}.",
            "",
            f"Resident memory at the end: {told_mb}.",
            "",
        ]
    )


def machine() -> str:
    """Name the processor, its cores, how busy it is, and the versions."""
    names = ("torch", "faiss-cpu", "fastapi", "uvicorn")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    cores, busy = len(os.sched_getaffinity(0)), os.getloadavg()[2]
    return f"{platform.machine()}, {cores} cores, load {busy:.1f}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    main()
