"""The command that makes an index again names its data so that it works from any folder."""

from __future__ import annotations

from hardneg.serving.rebuild_command import with_absolute_paths


def test_what_lies_here_has_an_absolute_path_and_a_name_on_the_hub_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a copy").mkdir()
    (tmp_path / "pairs.csv").touch()
    data, words = with_absolute_paths(
        {"repo": "a copy", "qrels_repo": None}, ["data=hub", "data.repo='a copy'", "width=8"]
    )
    assert data == {"repo": str(tmp_path / "a copy"), "qrels_repo": None}
    assert words == ["data=hub", f"data.repo='{tmp_path / 'a copy'}'", "width=8"]
    data, words = with_absolute_paths({"path": "pairs.csv"}, ["data=table", "data.path=pairs.csv"])
    assert data == {"path": str(tmp_path / "pairs.csv")} and words == ["data=table", f"data.path={tmp_path}/pairs.csv"]
    for node, given in (({"path": "owner/name"}, "data.path=owner/name"), ({"repo": "BeIR/nq"}, "data.repo=BeIR/nq")):
        assert with_absolute_paths(node, [given]) == (node, [given])
