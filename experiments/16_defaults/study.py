"""The runs of the study, one after the other in one process; what is done is not done again.

usage: python study.py DATA_FOLDER OUT_FOLDER [STEP...]      (steps: batch seconds temperature_warmup bm25 mined
                                                              judge_batch judge rate_steps judge_rate presets
                                                              grid judge_grid judge_rate_scratch minilm judge_minilm
                                                              explore_minilm judge_explored_minilm minilm_batch
                                                              judge_minilm_batch)

A run is `hardneg train` with the words of its arm. It keeps no checkpoints and draws no figure, which nothing here
reads: dev is evaluated at the end alone, so the last weights are those that are tested.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import grid
import minilm
import minilm_batch
import rates
from grid import JUDGED, SEEDS, TUNED
from hydra.core.global_hydra import GlobalHydra
from judged import PRESETS

LARGE = {"medquad": 0.4, "squad-sent": 0.3, "nl2bash": 0.6}  # the share of each epoch's batches, beyond the first step
BATCH = ("in_batch_64", "in_batch")
LATER = ("judge_batch", "judge", "rate_steps", "judge_rate", "presets", "grid", "judge_grid", "judge_rate_scratch")
MINILM = ("minilm", "judge_minilm", "explore_minilm", "judge_explored_minilm")  # the steps of the transformer
MINILM += ("minilm_batch", "judge_minilm_batch")
CUT = ("presets", "grid", "judge_grid")  # steps that take a part of large sets, beside those of `ARMS` and `judged.py`
COMMON = ["data=beir", "data.dev_share=0.2", "encoder=static", "encoder.init=minilm", "encoder.lr=0.01", "logger=csv"]
COMMON += ["evaluate.before=false", "evaluate.bm25=null", "trainer.enable_progress_bar=false"]
OLD, NEW = ["batch_size=64"], ["batch_size=auto"]
SKIP, MARGIN = "filter.rank_window.skip", "filter.relative_margin.margin"
WINDOW, BOTH = "filter=[known_positives,rank_window]", "filter=[known_positives,relative_margin,rank_window]"


def bm25(k: int, *words: str) -> list[str]:
    """The words of an arm with BM25's negatives."""
    return [*NEW, "strategy=bm25", f"negatives.bm25.k={k}", *words]


def mined(k: int, warmup: int, *words: str) -> list[str]:
    """The words of an arm with negatives of the model's own."""
    return [*NEW, "strategy=mined", f"negatives.mined.k={k}", f"remine.warmup_epochs={warmup}", *words]


# Of each step the arms, by name, with what they add to `COMMON`.
ARMS: dict[str, dict[str, list[str]]] = {
    "batch": {
        f"{batch} at {rate}": [f"batch_size={batch}", f"optimizer.lr={rate}"]
        for batch in (64, 128, 256, 512)
        for rate in (0.005, 0.01, 0.02)
    },
    "seconds": {  # 8 epochs of 256 take the seconds of 3 of 64
        f"256 at {rate}, 8 epochs": ["batch_size=256", f"optimizer.lr={rate}", "trainer.max_epochs=8"]
        for rate in (0.005, 0.01)
    },
    "temperature_warmup": {
        "temperature .05, warm-up .1": [*NEW],
        **{f"temperature {t}": [*NEW, f"loss.infonce.temperature={t}"] for t in (0.03, 0.1)},
        **{f"warm-up {share}": [*NEW, f"schedule.warmup={share}"] for share in (0, 0.3)},
    },
    "bm25": {
        "none": [*NEW],
        "random, 4": [*NEW, *PRESETS["random"]],
        "1": bm25(1),
        "4": bm25(4),
        "1, below rank 10": bm25(1, WINDOW),
        "4, below rank 10": bm25(4, WINDOW),
        "4, below rank 30": bm25(4, WINDOW, f"{SKIP}=30"),
    },
    "mined": {
        "4, at once": mined(4, 0),
        "4": mined(4, 1),
        "1": mined(1, 1),
        "4, margin .2": mined(4, 1, f"{MARGIN}=0.2"),
        "4, below rank 10": mined(4, 1, BOTH),
        "4, below rank 30": mined(4, 1, BOTH, f"{SKIP}=30"),
    },
}


def main() -> None:
    """Run the steps that are asked for, of what is not done yet."""
    data, out = (Path(one).resolve() for one in sys.argv[1:3])
    steps = sys.argv[3:] or [*ARMS, *LATER, *MINILM]
    without_what_nobody_reads()
    for folder, words in (run for step in steps for run in runs(step, out)):
        if not (out / folder / "summary.json").exists():
            common = [] if folder.split("/")[0] in MINILM else COMMON
            train([*common, *words], data / folder.split("/")[1], out / folder)


def runs(step: str, out: Path) -> Iterator[tuple[str, list[str]]]:
    """The folder of each run of a step, STEP/SET/ARM/SEED, and its words."""
    elsewhere = {"rate_steps": rates.tuned, "presets": presets, "grid": partial(grid.tuned, out)}
    elsewhere |= {one: partial(rates.judged, out, one) for one in ("judge_rate", "judge_rate_scratch")}
    elsewhere |= {"judge_grid": partial(grid.judged, out)}
    elsewhere |= {"minilm": minilm.tuned, "explore_minilm": minilm.explored}
    elsewhere |= {"judge_explored_minilm": minilm.explored_judged}
    elsewhere |= {"judge_minilm": partial(minilm.judged, out)}
    elsewhere |= {"minilm_batch": minilm_batch.tuned, "judge_minilm_batch": partial(minilm_batch.judged, out)}
    if step in elsewhere:
        for folder, words in elsewhere[step]():
            yield folder, [*words, *(part(folder.split("/")[1]) if step in CUT else [])]
        return
    if step.startswith("judge"):
        from judged import ARMS as judged_arms

        rest = [arm for arm in judged_arms if arm not in BATCH]
        for seed in SEEDS:  # the batch first: it is the default of every strategy
            for name, arm in product(JUDGED, BATCH if step == "judge_batch" else rest):
                words = [*judged_arms[arm], f"strategy_name={arm}", f"seed={seed}"]
                yield f"judge/{name}/{arm}/{seed}", [*words, *at_the_end(words), *part(name)]
        return
    for name in TUNED:
        for arm, words in ARMS[step].items():
            if step in ("batch", "seconds") and name == "medquad" and arm not in ("64 at 0.01", "256 at 0.01"):
                continue  # long documents: half a minute each
            share = [] if step in ("batch", "seconds") else part(name)
            yield f"{step}/{name}/{arm.replace(' ', '_')}/1", [*words, *at_the_end(words), "split.test=null", *share]


def presets() -> Iterator[tuple[str, list[str]]]:
    """The presets as they are, on the confirmation sets."""
    for seed, name, arm in product(SEEDS, JUDGED, PRESETS):
        words = [*PRESETS[arm], "encoder.lr=auto", "batch_size=auto", f"strategy_name={arm}", f"seed={seed}"]
        yield f"presets/{name}/{arm}/{seed}", [*words, *at_the_end(words)]


def at_the_end(words: list[str]) -> list[str]:
    """Evaluate dev once, after the last epoch."""
    epochs = next((word.partition("=")[2] for word in words if word.startswith("trainer.max_epochs=")), "3")
    return [f"evaluate.every_n_epochs={epochs}"]


def part(name: str) -> list[str]:
    """Train on a part of a large set."""
    return [f"+trainer.limit_train_batches={LARGE[name]}"] if name in LARGE else []


def train(words: list[str], data: Path, folder: Path) -> None:
    """Run `hardneg train` and say how long it took."""
    from hardneg import cli

    shutil.rmtree(folder, ignore_errors=True)  # an interrupted run begins anew: runs are short
    began, cpu = time.monotonic(), time.process_time()
    sys.argv = ["hardneg", "train", *words, f"data.path={data}", f"hydra.run.dir='{folder}'"]
    try:
        cli.main()
    except SystemExit as stop:
        if stop.code:
            raise
    finally:
        GlobalHydra.instance().clear()
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # Lightning writes one at the end where nobody else does
    (folder / "processor_seconds").write_text(f"{used:.1f}\n")
    print(f"{folder}: {seconds:.1f} s, {used:.1f} of the processor", file=sys.stderr)


def without_what_nobody_reads() -> None:
    """Write no checkpoints and no figures."""
    import lightning as L

    from hardneg.runs import figure
    from hardneg.training import fit

    figure.draw = lambda *_: None  # type: ignore[assignment]
    fit.last_checkpoints = lambda *_: []  # type: ignore[assignment]
    fit.best_checkpoint = lambda *_: L.Callback()  # type: ignore[assignment, return-value]


if __name__ == "__main__":
    main()
