"""hardneg probe: the false-negative rate of mined lists, by hidden positives."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.mining.base import mining_pool
from hardneg.mining.hidden_positives import Hidden, Leak, hide
from hardneg.mining.hidden_positives import probe as measure
from hardneg.mining.relabel import with_relabelling
from hardneg.runs.data_named import check_data_named
from hardneg.runs.folder import with_checkpoint
from hardneg.runs.mining_setting import filters_for_mining, open_setting, stored_sources
from hardneg.serving.from_index import opens
from hardneg.system.cache import fingerprint
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.system.markdown_table import markdown_table
from hardneg.system.own_code import identity_of
from hardneg.system.terminal_tables import console_at, laid_out, print_title

log = logging.getLogger(__name__)

HEADER = ("filters", "hidden positives that leak", "false negatives drawn", "drawable per query", "kept")


def probe(cfg: DictConfig) -> None:
    """Print, per source and filter setting, what share of hidden positives comes back as negatives.

    Raises `ConfigError` for a share outside 0 to 1.
    """
    cfg = with_checkpoint(cfg)
    check_data_named(cfg)
    if not 0 < cfg.share < 1:
        raise ConfigError(f"share={cfg.share} must lie between 0 and 1")
    sources = stored_sources(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    setting = open_setting(cfg, sources, vectors=opens(cfg.from_index))
    hidden = hide(setting.training, cfg.share, cfg.seed)
    filters = filters_for_mining(cfg, hidden.training)
    found = {}
    for name, source in sources.items():
        settings = filter_settings(with_relabelling(filters, source.relabel))
        miner = source.miner.ready(setting.training.data, setting.model, setting.cache, setting.device)
        asked = any(rule.needs_teacher for filters in settings.values() for rule in filters.values())
        teacher = source.teacher if asked else None
        if teacher is not None:
            teacher.prepare(setting.training.data, setting.cache, setting.device)
        # Named by content, so that only an interrupted probe of the same lists is continued.
        pool = mining_pool(hidden.training, source.documents).tolist()
        work = setting.cache / "work" / fingerprint([identity_of(miner), hidden.training.fingerprint, pool])
        found[name] = measure(miner, hidden, settings, source.depth, source.pool, source.documents, work, teacher)
        shutil.rmtree(work, ignore_errors=True)
        show(name, found[name])
    (folder / "probe.json").write_text(json.dumps(as_plain(found), indent=2), "utf-8")
    (folder / "probe.md").write_text(as_markdown(cfg, hidden, found), "utf-8")
    log.info("probe: %s", folder / "probe.md")


def filter_settings(filters: dict[str, CandidateFilter]) -> dict[str, Mapping[str, CandidateFilter]]:
    """The settings to compare: known positives only, each other filter with it, and all together."""
    known = {name: rule for name, rule in filters.items() if name == "known_positives"}
    others = {name: rule for name, rule in filters.items() if name not in known and rule.at != "live"}
    settings: dict[str, Mapping[str, CandidateFilter]] = {"known_positives" if known else "none": known}
    settings |= {name: {**known, name: rule} for name, rule in others.items()}
    if len(others) > 1:
        settings["all"] = filters
    return settings


def cells(setting: str, leak: Leak) -> tuple[str, ...]:
    """One row of the table."""
    return (setting, str(leak.leaked), f"{leak.false_negatives:.2%}", f"{leak.drawable:.1f}", f"{leak.kept:.1%}")


def show(name: str, leaks: Mapping[str, Leak]) -> None:
    """Print one source's table."""
    first = next(iter(leaks.values()))
    console = console_at(120)
    hidden, queries = counted(first.hidden, "hidden positive"), counted(first.queries, *QUERIES)
    print_title(console, f"{name}: {hidden} of {queries}")
    for table in laid_out(HEADER, [cells(setting, leak) for setting, leak in leaks.items()], console.width):
        console.print(table)


def as_markdown(cfg: DictConfig, hidden: Hidden, measured: Mapping[str, Mapping[str, Leak]]) -> str:
    """Write all tables."""
    how = f"{cfg.share:.0%} of the positives of queries with more than one"
    if hidden.training.data.truth is not None:
        how = "what is relevant and not labelled"
    lines = [
        f"# False negatives on {hidden.training.data.name}",
        "",
        f"Hidden: {how}.",
        "",
    ]
    for name, leaks in measured.items():
        first = next(iter(leaks.values()))
        lines += [f"**{name}**: {first.hidden} hidden positives of {first.queries} queries", ""]
        rows = [cells(setting, leak) for setting, leak in leaks.items()]
        lines += [*markdown_table(HEADER, rows, numbers=True), ""]
    return "\n".join(lines)


def as_plain(measured: Mapping[str, Mapping[str, Leak]]) -> dict[str, dict[str, dict]]:
    """The same as plain values."""
    return {name: {setting: asdict(leak) for setting, leak in leaks.items()} for name, leaks in measured.items()}
