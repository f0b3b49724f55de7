"""The documentation site: its reference names all there is, its navigation every page, and its links lead somewhere."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import pytest
import yaml
from omegaconf import OmegaConf

from hardneg.cli import COMMANDS
from hardneg.system.cache_layers import LAYERS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "site"))
pytest.importorskip("griffe", reason="pip install -e '.[docs]'")  # the site's hooks need it

import hooks  # noqa: E402
import notebooks  # noqa: E402
import reference  # noqa: E402
from yaml_keys import describe  # noqa: E402

WRITTEN = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
OPTIONS = [(group, name) for group in reference.groups() for name in reference.names(group)]
UNSAID = ("_target_", "_partial_", "_recursive_", "defaults", "hydra")


def keys_of(node, start=""):
    """Every dotted key that holds a value, as OmegaConf reads a yaml."""
    for key, value in node.items():
        if key in UNSAID:
            continue
        if isinstance(value, dict) and value:
            yield from keys_of(value, f"{start}{key}.")
        else:
            yield f"{start}{key}"


def plain(path):
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False) or {}


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_the_reference_names_every_option_with_its_keys_and_comments(group, name):
    page = reference.pages()[f"reference/config/{reference.page_of(group)}.md"]
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    path = reference.CONF / group / f"{name}.yaml"
    if group in reference.SHOWN_WHOLE:
        assert reference.without_head(path) in section
        return
    described = describe(path, group.replace("/", "."))
    start = "" if described.package == "_global_" else f"{described.package or group.replace('/', '.')}."
    assert not [key for key in keys_of(plain(path), start) if f"| `{key}` |" not in section]
    said = {word for line in path.read_text().splitlines() if "# @package" not in line for word in words_behind(line)}
    assert said <= set(re.findall(r"\w+", section)), "a comment that the page does not show"


def words_behind(line):
    """The words of a line's comment."""
    _, mark, comment = f" {line}".partition(" #")
    return re.findall(r"\w+", comment) if mark else []


def test_every_group_of_conf_has_a_page():
    folders = {path.parent for path in reference.CONF.rglob("*.yaml")} - {reference.CONF}
    groups = {folder.relative_to(reference.CONF).as_posix() for folder in folders}
    logging = {"hydra/job_logging", "hydra/hydra_logging"}  # set by the commands, not chosen
    assert {g for g in groups - logging if not g.startswith("experiment/")} == set(reference.groups())


def test_the_guide_to_training_names_every_option_of_the_groups_that_it_lists():
    page = (ROOT / "docs" / "guides" / "train.md").read_text()
    listed = {
        group: set(re.findall(r"`(\w+)`", row)) for group, row in re.findall(r"^\| `(\w+)=` \| (.+?) \|", page, re.M)
    }
    assert {"data", "pairs", "negatives", "loss", "filter"} <= set(listed)
    assert {group: {*names, "none"} for group, names in listed.items()} == {
        group: {*reference.names(group), "none"} for group in listed
    }


def test_help_and_reference_name_the_groups_that_take_lists():
    groups = reference.groups_of_several()
    assert {"pairs", "negatives", "callbacks"} <= set(groups)
    assert f"; {', '.join(groups[:-1])} and {groups[-1]} also take lists" in reference.help_of("train")
    assert ", ".join(f"`{group}`" for group in groups) in reference.config_index()


@pytest.mark.parametrize("command", reference.commands())
def test_the_reference_has_every_command_with_its_help_and_keys(command):
    page = reference.pages()[reference.command_page_of(command)]
    assert "hardneg" in page and len(page) > 200
    config = reference.CONF / f"{command.replace('-', '_')}.yaml"
    if config.exists():
        groups = {path.name for path in reference.CONF.iterdir() if path.is_dir()}
        own = [key for key in keys_of(plain(config)) if not (key in groups and plain(config)[key] in ({}, None))]
        assert not [key for key in own if f"| `{key}` |" not in page]
    elif command in COMMANDS:
        assert "--help" in page


def test_the_page_of_stores_has_every_layer_of_the_cache():
    page = (ROOT / "docs" / "explain" / "stores.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(LAYERS)


def test_a_comment_goes_to_its_own_key(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text(
        "# @package loss.one\n# What it is.\n_target_: a.B\nk: 4   # how many,\n       # and where from\n"
        "# Said above,\n# in two lines.\n"
        "at: live\nquery: {_target_: c.D, prompt: auto}   # how texts begin\nempty: []\n# Said at the end.\n"
    )
    told = describe(path, "loss")
    assert (told.about, told.target, told.after) == ("What it is.", "a.B", "Said at the end.")
    assert [(key.name, key.default, key.comment) for key in told.keys] == [
        ("loss.one.k", "4", "how many, and where from"),
        ("loss.one.at", "live", "Said above, in two lines."),
        ("loss.one.query", "D", "how texts begin"),
        ("loss.one.query.prompt", "auto", ""),
        ("loss.one.empty", "[]", ""),
    ]


def test_the_page_of_metrics_has_every_name_that_is_logged():
    """A name in the code's f-strings, as `mining/{name}/staleness`, is on the page with any word for its <part>."""
    named = re.compile(r'f?"((?:train|val|test|mining|negatives|positives|curriculum|device)/[\w{}/\[\]\'.]+)"')
    source = ROOT / "src" / "hardneg"
    rooms = ("matrix", "negatives", "training", "mining", "teachers")
    found = {
        name for room in rooms for path in (source / room).rglob("*.py") for name in named.findall(path.read_text())
    }
    keys = set(re.findall(r'^ +"(\w+)": |out\["(\w+)"\] = ', (source / "mining" / "health.py").read_text(), re.M))
    found |= {f"mining/{{name}}/{one or other}" for one, other in keys}
    assert len(found) > 25
    page = re.sub(r"<\w+>", "<>", (ROOT / "docs" / "metrics.md").read_text())
    shown = set(re.findall(r"`([\w<>/@]+)`", page))
    told = [re.sub(r"\{[^}]*\}", "<>", name) for name in found if not name.endswith("/")]
    missing = {name for name in told if not any(re.fullmatch(one.replace("<>", r"[\w<>/@]+"), name) for one in shown)}
    assert not missing


@pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="pip install sentence-transformers")
def test_what_the_page_calls_theirs_is_in_sentence_transformers():
    """Read, not imported: it would take seconds."""
    page = (ROOT / "docs" / "coming_from" / "sentence_transformers.md").read_text()
    theirs = " ".join(re.findall(r"^\| (.*?) \|", page, re.M)) + " ".join(re.findall(r"^# (.*)", page, re.M)[1:])
    code = " ".join(re.findall(r"`([^`]+)`", theirs)) + " ".join(re.findall(r"\w+\([^)]*\)", theirs))
    named = set(re.findall(r"\b(?:[A-Z]\w+(?:Loss|Evaluator|Trainer|Samplers)|\w+(?==)|\w+_\w+)\b", code))
    (home,) = find_spec("sentence_transformers").submodule_search_locations
    package = "\n".join(path.read_text() for path in Path(home).rglob("*.py"))
    arguments = {"per_device_train_batch_size", "warmup_ratio"}  # of transformers
    assert len(named) > 25 and not {name for name in named - arguments if not re.search(rf"\b{name}\b", package)}


def pages_of(nav):
    for one in nav:
        if isinstance(one, str):
            yield one
        else:
            for part in one.values():
                yield from [part] if isinstance(part, str) else pages_of(part)


def test_the_navigation_names_every_page_once():
    nav = yaml.safe_load((ROOT / "docs" / "site" / "mkdocs.yml").read_text())["nav"]
    assert sorted(pages_of(hooks.with_generated(nav))) == sorted([*WRITTEN, *hooks.generated()])


def test_every_link_of_the_site_leads_to_a_page_of_it():
    generated = hooks.generated()
    there = {*WRITTEN, *generated, *map(hooks.picture, hooks.pictures()), *hooks.notebook_files()}
    sources = {shown: path for path, shown in hooks.SHOWN.items()}
    for page in [*WRITTEN, *generated]:
        text = generated.get(page) or (ROOT / "docs" / page).read_text()
        linked = hooks.relinked(text, sources.get(page, f"docs/{page}"), page)
        for _, _, target in hooks.LINK.findall(re.sub(r"```.*?```", "", linked, flags=re.DOTALL)):
            path = target.partition("#")[0]
            if path and "://" not in target:
                assert os.path.normpath(PurePosixPath(page).parent / path) in there, f"{page}: {target}"


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[groups](../../conf)", "[groups](../reference/config/index.md)"),
        ("[keys](../../conf/filter)", "[keys](../reference/config/filter-options.md)"),
        ("[one](../../conf/loss/kl.yaml)", "[one](../reference/config/loss-options.md#kl)"),
        ("[train](../../conf/train.yaml)", "[train](../reference/commands/hardneg-train.md)"),
        (
            "[keys](../../conf/filter/relative_margin.yaml)",
            "[keys](../reference/config/filter-options.md#relative_margin)",
        ),
        ("[see](../../notebooks/quickstart.ipynb)", "[see](../notebooks/quickstart.md)"),
        ("[a study](../../experiments/04_aa)", "[a study](../studies/04_aa.md)"),
        ("[`code`](../../src/hardneg/cli.py)", "`code` (`src/hardneg/cli.py`)"),
        ("[near](data.md#split)", "[near](data.md#split)"),
        ("`[no](../../link)`", "`[no](../../link)`"),
        ("[web](https://example.org/a)", "[web](https://example.org/a)"),
    ],
)
def test_links_that_leave_the_docs_lead_somewhere_on_the_site(link, becomes, monkeypatch):
    monkeypatch.setattr(hooks, "repository_url", lambda: None)
    assert hooks.relinked(f"see {link}.", "docs/guides/page.md", "guides/page.md") == f"see {becomes}."


def test_a_file_of_the_repository_is_linked_where_the_repository_is_known(monkeypatch):
    monkeypatch.setattr(hooks, "repository_url", lambda: "https://example.org/repo")
    linked = hooks.relinked("[code](../../src/a.py)", "docs/guides/page.md", "guides/page.md")
    assert linked == "[code](https://example.org/repo/blob/main/src/a.py)"


def test_a_notebook_is_a_page_with_what_it_printed(tmp_path, monkeypatch):
    code = {"cell_type": "code", "source": ["print(1)"], "metadata": {}}
    cells = [{"cell_type": "markdown", "source": "# Title\n\nText.", "metadata": {}}, code]
    path, ran = tmp_path / "one.ipynb", tmp_path / "ran"
    path.write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(notebooks, "EXECUTED", ran)
    page = notebooks.markdown(path)
    assert page.startswith("# Title\n\n*A notebook") and "Text.\n\n```python\nprint(1)\n```\n" in page
    ran.mkdir()
    outputs = [
        {"output_type": "stream", "text": ["10%\r", "\x1b[1m100%\x1b[0m\n"]},
        {
            "output_type": "execute_result",
            "data": {"text/html": '<style>a</style><table border="1" class="dataframe">'},
        },
        {
            "output_type": "display_data",
            "data": {"image/png": base64.b64encode(b"png").decode(), "text/plain": "<Figure>"},
        },
    ]
    first = {"cell_type": "code", "source": "%reset", "metadata": {}}
    (ran / "one.ipynb").write_text(json.dumps({"cells": [first, cells[0], code | {"outputs": outputs}]}))
    page = notebooks.markdown(path)
    assert "```text\n100%\n```\n\n<table>\n\n![output of the cell above](one-1-2.png)\n" in page
    notebooks.pictures.cache_clear()
    assert notebooks.pictures(path) == {"one-1-2.png": b"png"}
    code["source"] = "print(2)"
    path.write_text(json.dumps({"cells": cells}))
    assert "100%" not in notebooks.markdown(path), "outputs of other code"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None or find_spec("mkdocstrings") is None, reason="pip install -e '.[docs]'")
def test_the_site_is_built_without_a_warning(tmp_path, monkeypatch, caplog):
    """As `mkdocs build --strict` builds it, but for the line breaks of signatures: ruff starts for each of 770."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.setitem(sys.modules, "ruff.__main__", None)
    config = load_config(str(ROOT / "docs" / "site" / "mkdocs.yml"), strict=True, site_dir=str(tmp_path))
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    except SystemExit as end:
        pytest.fail(f"{end}\n{caplog.text[-3000:]}")
    finally:
        config.plugins.on_shutdown()
    assert "relative_margin" in (tmp_path / "reference" / "config" / "filter-options.html").read_text()
