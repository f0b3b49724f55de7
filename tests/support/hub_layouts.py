"""The small world in the layouts of the Hugging Face hub: copies of repositories, whose README names configs."""

from __future__ import annotations

from pathlib import Path

import layouts

Rows = list[dict]


def texts(world: list[layouts.Line], title: bool = True) -> tuple[Rows, Rows]:
    """Corpus and queries; ids are those of the published sets, strings."""
    corpus = [
        {"_id": f"d{i}", "title": line.positive[0], "text": line.positive[1]}
        if title
        else {"_id": f"d{i}", "text": layouts.joined(line.positive)}
        for i, line in enumerate(world)
    ]
    return corpus, [{"_id": f"q{i}", "text": line.query} for i, line in enumerate(world)]


def judged(world: list[layouts.Line], score: bool = True, rows: range | None = None) -> Rows:
    return [
        {"query-id": f"q{i}", "corpus-id": f"d{i}"} | ({"score": 1} if score else {}) for i in rows or range(len(world))
    ]


def snapshot(folder: Path, configs: dict[str, dict[str, Rows]], ending: str = ".parquet") -> Path:
    """Write a repository: a file for each config and split, and the `configs:` of its README."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            path = folder / config / f"{split}-00000-of-00001{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            (layouts.as_parquet if ending == ".parquet" else layouts.as_jsonl)(path, rows)
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", "# A data set\n"]))
    return folder


def mteb(folder: Path, world: list[layouts.Line]) -> Path:
    """MTEB as it was re-uploaded: configs corpus, queries and default."""
    corpus, queries = texts(world)
    qrels = {"train": judged(world)}
    return snapshot(folder, {"corpus": {"corpus": corpus}, "default": qrels, "queries": {"queries": queries}}, ".jsonl")


def mteb_qrels(folder: Path, world: list[layouts.Line]) -> Path:
    """MTEB as newer versions push it: qrels under that name, in Parquet; ids may be numbers."""
    corpus, queries = texts(world)
    corpus = [row | {"_id": int(row["_id"][1:])} for row in corpus]
    qrels = [row | {"corpus-id": int(row["corpus-id"][1:]), "score": 1.0} for row in judged(world)]
    return snapshot(folder, {"corpus": {"train": corpus}, "qrels": {"train": qrels}, "queries": {"train": queries}})


def mteb_languages(folder: Path, world: list[layouts.Line]) -> Path:
    """MTEB with several languages: a prefix of each config; the world is German, English is another one."""
    configs: dict[str, dict[str, Rows]] = {}
    for language, lines in (("en", layouts.world(30)), ("de", world)):
        corpus, queries = texts(lines)
        configs |= {f"{language}-corpus": {"train": corpus}, f"{language}-queries": {"train": queries}}
        configs[f"{language}-qrels"] = {"train": judged(lines)}
    return snapshot(folder, configs)


def nano(folder: Path, world: list[layouts.Line]) -> Path:
    """One set of NanoBEIR: all splits called train, neither titles nor scores."""
    corpus, queries = texts(world, title=False)
    return snapshot(
        folder, {"corpus": {"train": corpus}, "qrels": {"train": judged(world, False)}, "queries": {"train": queries}}
    )


def nano_ranked(folder: Path, world: list[layouts.Line]) -> Path:
    """One set of NanoBEIR with BM25's ranking, as sentence-transformers publishes it."""
    corpus, queries = texts(world, title=False)
    ids = [row["_id"] for row in corpus]
    rows = [{"query-id": f"q{i}", "positive-corpus-ids": [f"d{i}"], "bm25-ranked-ids": ids} for i in range(len(world))]
    return snapshot(folder, {"corpus": {"train": corpus}, "queries": {"train": queries}, "relevance": {"train": rows}})


def nano_all(folder: Path, worlds: dict[str, list[layouts.Line]]) -> Path:
    """All of NanoBEIR in one repository: a split for each set."""
    configs: dict[str, dict[str, Rows]] = {"corpus": {}, "qrels": {}, "queries": {}}
    for name, world in worlds.items():
        configs["corpus"][name], configs["queries"][name] = texts(world, title=False)
        configs["qrels"][name] = judged(world, score=False)
    return snapshot(folder, configs)


def on_the_hub(monkeypatch, rows: Rows) -> list[tuple]:
    """Let `datasets` find these rows under any name; returns what is asked, as (repository, config, revision)."""
    import datasets

    from hardneg.data.readers import hub_access

    asked: list[tuple] = []

    def load(repo, config, features=None, revision=None):
        asked.append((repo, config, revision))
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)})

    def builder(repo, config, revision=None):
        raise ValueError(f"BuilderConfig {config!r} not found")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda *_, **__: ["default"])
    monkeypatch.setattr(hub_access, "answers", lambda _: True)
    return asked
