"""Do what a page says, in the folder and environment that this runs in: `python first_page.py PAGE [PAIRS]`.

Every block of Python and of a shell runs as written, but for three things: nothing is installed, the table that the
page writes is cut to PAIRS rows (200), and a server is asked a question and stopped.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
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
            if words[:2] == ["hardneg", "serve"]:
                serve(words)
            else:
                subprocess.run(words, check=True)


def cut(table: Path, rows: int) -> None:
    """Keep the header and the first rows of a table."""
    with table.open(newline="") as file:
        kept = list(islice(csv.reader(file), rows + 1))
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(kept)


def serve(words: list[str]) -> None:
    """Start a server, ask it a question, and stop it as an operator would."""
    address = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    server = subprocess.Popen(words)
    try:
        answer = ask(server, f"{address}/search", {"query": "split a path into a pair", "k": 3})
    finally:
        server.terminate()
    assert len(answer["results"]) == 3, answer
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
