"""hardneg check: whether an index, a model and the live corpus belong together."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.text import Text

from hardneg.config import classes
from hardneg.config.command_words import is_data
from hardneg.data.open_set import open_documents
from hardneg.errors import ConfigError
from hardneg.runs.folder import with_checkpoint
from hardneg.serving.freshness import Freshness, examine
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.manifest import NAME
from hardneg.serving.reader_hold import Hold
from hardneg.serving.rebuild_command import with_absolute_paths
from hardneg.serving.text_encoder import TextEncoder
from hardneg.system.terminal_tables import console_at, laid_out, print_title


def check(cfg: DictConfig) -> None:
    """Print the findings; exit with 1 if the index is stale.

    Raises `ConfigError` for an empty sample, and where the checkpoint is gone.
    """
    cfg = with_checkpoint(cfg)
    if cfg.sample < 1:
        raise ConfigError(f"sample={cfg.sample} must be 1 vector of each shard or more")
    folder = IndexFolder(cfg.path)
    build = folder.chosen(cfg.build)
    source = build.manifest.source
    ckpt_path = cfg.ckpt_path or build.checkpoint("give ckpt_path=")
    node = cfg.data if cfg.data is not None else source.get("data")
    given = [word for word in HydraConfig.get().overrides.task if is_data(word)]
    words = with_absolute_paths(classes.plain(cfg.data), given)[1] if given else ()  # for a command from any folder
    corpus = None if node is None else open_documents(classes.build(node), Path(cfg.cache)).corpus
    encoder = TextEncoder.load(ckpt_path, cfg.device, cfg.precision)
    encoder = encoder.at(min(build.manifest.dim, encoder.towers.dim))
    hold = Hold(build.folder / NAME)
    vectors = build.backend.open(build.vectors)
    try:
        freshness = examine(build, encoder, vectors, corpus, cfg.sample, files=True, data=words)
    finally:
        vectors.close()
        hold.release()
    show(freshness)
    written = Path(HydraConfig.get().runtime.output_dir) / "freshness.json"
    written.write_text(json.dumps({"fresh": freshness.fresh, **asdict(freshness)}, indent=2), "utf-8")
    if not freshness.fresh:
        sys.exit(1)


def show(freshness: Freshness) -> None:
    """Print one row a finding, and the command that mends."""
    stale = Text("STALE", style="bold red")
    rows = [("ok" if finding.fresh else stale, finding.about, finding.says) for finding in freshness.findings]
    console = console_at(120)
    print_title(console, f"{'fresh' if freshness.fresh else 'STALE'}: {freshness.about}")
    for table in laid_out(["state", "about", "says"], rows, console.width, words=(0, 1, 2), show_header=False):
        console.print(table)
    if not freshness.fresh:
        console.print(f"To repair it: {freshness.mend}", soft_wrap=True, highlight=False, markup=False)
