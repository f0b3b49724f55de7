"""What is refused of a sweep's jobs before the first one starts."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from hardneg.errors import ConfigError
from hardneg.sweep.jobs import Job, check_folders


def jobs(folder, *sizes, encoders=(256, 256)):
    configs = [
        OmegaConf.create({"seed": 1, "batch_size": size, "encoder": {"batch_size": encoder}})
        for size, encoder in zip(sizes, encoders, strict=True)
    ]
    return [Job(n, [f"batch_size={size}"], configs[n], folder, "job") for n, size in enumerate(sizes)]


def test_two_jobs_that_are_the_same_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"jobs 0 \(batch_size=64\) and 1 \(batch_size=64\) are the same$"):
        check_folders(jobs(tmp_path / "run", 64, 64))
    with pytest.raises(ConfigError, match=r"would share .*run; choose another"):
        check_folders(jobs(tmp_path / "run", 64, 32))


def test_a_batch_that_is_still_to_be_found_is_said_to_count_as_the_encoders(tmp_path):
    with pytest.raises(ConfigError, match=r"batch_size=auto is 256 here \(encoder.batch_size\), or less"):
        check_folders(jobs(tmp_path / "run", "auto", 256))
    with pytest.raises(ConfigError, match=r"batch_size=auto is 256 here"):
        check_folders(jobs(tmp_path / "run", 256, "auto", encoders=(64, 256)))
