import pytest

from hardneg.config.run_summary import is_complete, read_summary, write_summary
from hardneg.errors import DataError


def test_a_run_is_complete_once_its_summary_is_written(tmp_path):
    assert not is_complete(tmp_path)
    assert read_summary(tmp_path) is None
    write_summary(tmp_path, {"test": {"after": {"ndcg@10": 0.5}}})
    assert is_complete(tmp_path)
    assert read_summary(tmp_path) == {"test": {"after": {"ndcg@10": 0.5}}}
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]  # no draft stays


def test_a_damaged_summary_is_told_with_the_way_out(tmp_path):
    (tmp_path / "summary.json").write_text('{"strategy": "bm')
    with pytest.raises(DataError, match=r"its summary.json is damaged .*; delete it, and hardneg resume writes it"):
        read_summary(tmp_path)
