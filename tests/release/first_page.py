"""Do what a page says, in the folder and environment that this runs in: `python first_page.py PAGE [PAIRS]`.

Every block of Python and of a shell runs as written, but for four things: nothing is installed, the table that the
page writes is cut to PAIRS rows (200), a run that the page resumes is stopped before, and a server is asked a question
and stopped.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

PATIENCE = 600.0  # seconds for a server to load its model and index


def follow(page: Path, pairs: int) -> None:
    """Run the blocks of a page, one after the other; the first that fails ends it."""
    resumed = re.findall(r"^hardneg resume (\S+)", page.read_text(), flags=re.MULTILINE)
    for language, block in re.findall(r"```(bash|python)\n(.*?)```", page.read_text(), flags=re.DOTALL):
        if language == "python":
            subprocess.run([sys.executable, "-c", block], check=True)
            cut(Path("pairs.csv"), pairs)
            continue
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            words = shlex.split(line, comments=True)
            if not words or words[:2] == ["pip", "install"]:
                continue
            print(f"$ {line}", flush=True)
            runs = [Path(run) for run in resumed if f"hydra.run.dir={run}" in words]
            if words[:2] == ["hardneg", "serve"]:
                serve(words)
            elif runs:
                train_and_stop(words, runs[0])
            else:
                subprocess.run(words, check=True)


def cut(table: Path, rows: int) -> None:
    """Keep the header and the first rows of a table."""
    with table.open(newline="") as file:
        kept = list(islice(csv.reader(file), rows + 1))
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(kept)


def train_and_stop(words: list[str], run: Path) -> None:
    """Train until there is a checkpoint, and stop as with Ctrl-C, so that there is something to go on with."""
    training = subprocess.Popen(words)
    while training.poll() is None and not any(run.glob("checkpoints/*.ckpt")):
        time.sleep(0.1)
    if training.poll() is None:
        training.send_signal(signal.SIGINT)
    ended, summary = training.wait(PATIENCE), run / "summary.json"
    assert summary.is_file() == (ended == 0), f"it ended with {ended}"
    summary.unlink(missing_ok=True)  # of a run that was faster than the signal: resume refuses what is complete


def serve(words: list[str]) -> None:
    """Start a server, ask it a question, and stop it as an operator would."""
    address = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    server = subprocess.Popen(words)
    try:
        answer = ask(server, f"{address}/search", {"query": "split a path into a pair", "k": 3})
    finally:
        server.terminate()
    assert len(answer["answers"][0]["hits"]) == 3, answer
    assert server.wait(60) == 0, "a server that is told to stop ends well"


def ask(server: subprocess.Popen, url: str, question: dict) -> dict:
    """Ask until the server is up."""
    end = time.monotonic() + PATIENCE
    request = Request(url, json.dumps(question).encode(), {"Content-Type": "application/json"})
    while server.poll() is None and time.monotonic() < end:
        try:
            with urlopen(request, timeout=60) as reply:
                return json.load(reply)
        except (URLError, ConnectionError):
            time.sleep(1)
    sys.exit(f"no answer from {url}")


if __name__ == "__main__":
    follow(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
