"""The recipes side by side, written from their yamls: `python tests/contracts/recipe_page.py`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import recipe_costs

sys.path.append(str(Path(__file__).parents[1] / "support"))  # where this runs as a program, and not in the tests
from confs import CONF, compose, names

from hardneg.config import classes
from hardneg.stages.recipe import LIST, read_list

PAGE = CONF / "experiment" / "README.md"
PATTERNS = ("mix", "quickstart", "renew")  # no paper's recipe
EARLIER = "EARLIER"

INTRO = """# Recipes

How published dual encoders choose their negatives, as experiments. Every number is in the yaml, with its source; this
page is generated from the yamls (`python tests/contracts/recipe_page.py`), and a test checks that it matches them.

```bash
hardneg train experiment=bge data=beir data.path=DIR           # as published, for GPUs
hardneg train experiment=bge_small data=beir data.path=DIR     # the same idea in minutes on two CPU cores
hardneg train experiment=dpr_small 'negatives=[in_batch]' '~negatives.bm25'   # its in-batch baseline
hardneg stages rocketqa data=beir data.path=DIR hydra.run.dir=outputs/rocketqa   # in stages; run again, it resumes
```

A recipe holds what its source says about the encoder, the negatives and the training, but not the source's data. Sizes
such as `batch_size` are totals over all its GPUs: with `trainer.devices=N` divide them by N. Where a source says
nothing, the defaults apply: AdamW with weight decay 0.01, linear decay after a warm-up over a tenth of the steps,
gradients clipped at 1. All recipes mask known positives in the live batch; of the sources only STAR, Qwen3-Embedding
and NeMo do something similar. "Not confirmed" marks values that are remembered from a paper and were not looked up
again.

Conan-embedding's swapping of negatives that have become easy is a setting of every mined source, as in
`negatives.mined.swap.every_n_steps=100` ([how](../../docs/guides/mining.md)). Its other settings are not known to us,
so there is no recipe of it.
"""

RUNNING = """\
A recipe fixes the encoder, its prompts and lengths, negatives, filters, loss, batch, optimizer and schedule. You choose
the data, the machine (`trainer.devices`, `trainer.precision`), `seed`, logging, evaluation and folders. Its own data
are named under "sources". The commands here take a folder of MS MARCO passages; other data are given in
[their own way](../../docs/guides/data.md), several sets as `data=mix`.

What was verified: the sources were read (below). Losses, mining and metrics equal those of the reference code where it
can be installed ([experiments/12_parity](../../experiments/12_parity)). The small versions are composed and checked by
the tests, and some are run there for a few steps; [experiments/15_recipes](../../experiments/15_recipes) runs them to
completion against an in-batch baseline, and says which ones. None was run in full: no published score is claimed.

Memory is for one GPU and time for one H100, both **estimated, not measured**: 6 operations per weight and token (8 if
activations are recomputed), texts at their full length, 40% of the peak in bfloat16, 500,000 queries per epoch, without
mining and evaluation. If the recipe as it is would not fit in 80 GB, the command adds GradCache, which changes memory
but not gradients, and then shards the weights. With N GPUs: `trainer.devices=N`, `batch_size` divided by N, about 1/N
of the time.
"""


def recipes() -> dict[str, str]:
    """Every recipe that is not a small one, staged ones stage by stage, and the command that runs it."""
    alone = [name for name in names("experiment") if not name.endswith("_small") and name not in PATTERNS]
    found = dict.fromkeys(alone, "train")
    for path in sorted(CONF.glob(f"experiment/*/{LIST}")):
        if not path.parent.name.endswith("_small"):
            found |= {f"{path.parent.name}/{stage}": command for stage, command in read_list(path).items()}
    return dict(sorted(found.items()))


def table(rows: list[dict[str, str]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fields(name: str, command: str) -> dict[str, str]:
    """One row of the table, from what the recipe composes to."""
    node = composed(name, command)
    return {
        "recipe": name,
        "encoder": encoder(node["encoder"], command),
        "prompts": prompts(node["encoder"]),
        "loss": " + ".join(loss(key, one) for key, one in node["loss"].items()),
        "batch": f"{node['batch_size']:,}",
        "negatives": ", ".join(source(key, one) for key, one in node["negatives"].items()),
        "mined from": "; ".join(filter(None, (mined(key, one) for key, one in node["negatives"].items()))) or "-",
        "filter": ", ".join(rule(key, one) for key, one in {**node["filter"], **node.get("pairs", {})}.items()),
        "teacher": teacher(node.get("teacher")),
        "re-mined": anew(node),
        "training": training(node),
        "tokens": tokens(node["encoder"]),
    }


def encoder(node: dict, command: str) -> str:
    if command == "train-teacher":
        return f"{node['model']}, cross-encoder"
    more = [f"MoCo {node['momentum']}"] if node["momentum"] else []
    more += ["two towers"] if node["separate"] else []
    more += ["bidirectional"] if node["bidirectional"] else []
    more += [f"LoRA r {node['lora']['r']}"] if node["lora"]["r"] else []
    more += [f"also {', '.join(map(str, node['matryoshka']))} wide"] if node["matryoshka"] else []
    return ", ".join([node["model"], node["pooling"], "cosine" if node["normalize"] else "dot product", *more])


def prompts(node: dict) -> str:
    texts = [node.get(side, {}).get("prompt", "").replace("\n", "\\n") for side in ("query", "document")]
    return " / ".join(f"`{text}`" if text else "none" for text in texts) if any(texts) else "none"


def loss(key: str, node: dict) -> str:
    weight = "" if node["weight"] == 1 else f"{node['weight']:g} "
    sharp = f" at {node['temperature']:g}" if "temperature" in node else ""
    read = f" over {', '.join(node['sources'])}" if node.get("sources") else ""
    return f"{weight}{key}{sharp}{read}"


def source(key: str, node: dict) -> str:
    if "of" in node:
        return f"blocks {', '.join(node['of'])}"
    if key == "queue":
        return f"queue of {node['size']:,}"
    return f"{node['k']} {key}" if "k" in node else key


def mined(key: str, node: dict) -> str:
    if "miner" not in node:
        return ""
    how = {"uniform": "drawn from", "top": "hardest of", "stratified": "spread over"}[node["sampling"]]
    how += f" the first {node['pool']} of" if node["pool"] else ""
    miners = node["miner"].get("miners", [node["miner"]])
    by = " and ".join(miner(one) for one in miners)
    more = "" if node["relabel"] is None else f"; relevant from {node['relabel']:g} on"
    return f"{how} {node['depth']:,} by {by}{more}"


def miner(node: dict) -> str:
    if "ckpt_path" not in node and "encoder" not in node:
        return "BM25"
    if node.get("encoder"):
        return node["encoder"]["model"]
    return stage_of(node["ckpt_path"]) if node["ckpt_path"] else "the model itself"


def stage_of(path: str) -> str:
    return path.removeprefix(f"{EARLIER}/").split("/")[0]


def rule(key: str, node: dict) -> str:
    said = {
        "relative_margin": lambda: f" {node['margin']:g}",
        "in_batch_margin": lambda: f" {node['margin']:g}",
        "rank_window": lambda: f" {node['skip']} to {node['last']}",
        "score_window": lambda: f" below {node['high']:g}",
        "teacher_score": lambda: f" below {node['high']:g}",
        "consistency": lambda: f" of pairs: first {node['top']} of {node['sample']:,} by {miner(node)}",
    }
    return key + said.get(key, str)()


def teacher(node: dict | None) -> str:
    if node is None:
        return "-"
    return stage_of(node["model"]) if node["model"].startswith(EARLIER) else node["model"]


def anew(node: dict) -> str:
    follows = any(mined(key, one).endswith("the model itself") for key, one in node["negatives"].items())
    if not follows:
        return "-"
    remine = node["remine"]
    every = [f"every {remine[f'every_n_{unit}']:,} {unit}" for unit in ("epochs", "steps") if remine[f"every_n_{unit}"]]
    late = f"after {remine['warmup_epochs']} epoch, " if remine["warmup_epochs"] else ""
    return late + (" or ".join(every) or "once")


def training(node: dict) -> str:
    schedule, trainer = node["schedule"], node["trainer"]
    steps = schedule["warmup_steps"]
    warmup = f"{schedule['warmup']:.0%}" if steps is None else f"{steps:,} steps"
    epochs = "1 epoch" if trainer["max_epochs"] == 1 else f"{trainer['max_epochs']} epochs"
    length = f"{trainer['max_steps']:,} steps" if trainer["max_steps"] > 0 else epochs
    name = node["optimizer"]["_target_"].rsplit(".", 1)[-1]
    decay = "" if node["optimizer"]["weight_decay"] else " without decay"
    more = f", accumulated {trainer['accumulate_grad_batches']} times" if trainer["accumulate_grad_batches"] > 1 else ""
    clip = trainer["gradient_clip_val"]
    more += {None: ", not clipped", 1.0: ""}.get(clip, f", clipped at {clip}")
    return f"{name} {node['optimizer']['lr']:.3g}{decay}, {schedule['shape']}, warm-up {warmup}, {length}{more}"


def tokens(node: dict) -> str:
    if "max_length" in node:
        return f"{node['max_length']} together"
    return f"{node['query']['max_length']} / {node['document']['max_length']}"


def remarks(name: str) -> str:
    """What the head of the yaml says, and which of its lines are marked."""
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    head = [line for line in text.splitlines() if line.startswith("#")][1:]
    said: dict[str, str] = {"": ""}
    for line in head:
        found = re.match(r"# (source|data|differs): (.*)", line)
        if found:
            said[found[1]] = found[2]
        else:
            last = list(said)[-1]
            said[last] = f"{said[last]} {line.removeprefix('#').strip()}".strip()
    lines = [f"**{name}**: {said['']}", f"Source: {said['source']}."]
    lines += [f"Its data: {said['data']}"] if "data" in said else []
    lines += [f"Differs: {said['differs']}"] if "differs" in said else []
    for mark in ("not confirmed", "not given"):
        marked = [line.split("#")[0].strip() for line in text.splitlines() if re.search(rf"#.*{mark}", line)]
        marked = [key for key in marked if key]
        lines += [f"{mark.capitalize()}: {', '.join(f'`{key}`' for key in marked)}."] if marked else []
    return "\n  ".join([f"- {lines[0]}", *lines[1:]])


def composed(name: str, command: str) -> dict:
    given = ["teacher.model=yours"] if name in ("e5", "e5_weak/3_finetuned", "tasb") else []
    return classes.plain(compose(f"experiment={name}", f"stages={EARLIER}", *given, name=command.replace("-", "_")))


def costs(name: str, command: str) -> dict[str, str]:
    """One row of the table of memory and time."""
    memory, time = recipe_costs.said(recipe_costs.cost(composed(name, command)))
    return {"recipe": name, "memory": memory, "time": time}


def commands() -> str:
    """The line that runs each recipe on GPUs; those in stages have one for all stages."""
    data = "data=collection data.path=MSMARCO"
    found = []
    for name, command in recipes().items():
        given = " teacher.model=FOLDER" if name in ("e5", "e5_weak/3_finetuned", "tasb") else ""
        staged = name.split("/")[0]
        if staged != name:
            given = " 3_finetuned:teacher.model=FOLDER" if staged == "e5_weak" else ""
            found.append(f"hardneg stages {staged} {data} hydra.run.dir=outputs/{staged}{given}")
        else:
            found.append(recipe_costs.command(name, command, composed(name, command), data) + given)
    return "```bash\n" + "\n".join(dict.fromkeys(found)) + "\n```\n"


def page() -> str:
    """The whole page."""
    rows = [fields(name, command) for name, command in recipes().items()]
    first = ("recipe", "negatives", "mined from", "filter", "re-mined", "loss", "batch", "teacher")
    second = ("recipe", "encoder", "prompts", "tokens", "training")
    parts = [
        INTRO,
        "## Negatives and losses\n",
        "Temperatures divide similarities: cosines or dot products, as below.\n",
    ]
    parts += [table([{c: row[c] for c in first} for row in rows])]
    parts += ["## Encoders and training\n", "Tokens are those of a query / a document, prompts included.\n"]
    parts += [table([{c: row[c] for c in second} for row in rows])]
    parts += ["## Running them\n", RUNNING, commands(), table([costs(*one) for one in recipes().items()])]
    parts += ["## Sources, and what differs here\n", "\n".join(remarks(row["recipe"]) for row in rows)]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    Path(PAGE).write_text(page(), encoding="utf-8")
