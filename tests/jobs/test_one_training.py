"""Of two trainings on one output, one gives way."""

from pathlib import Path

import pytest

from app.core.errors import InputError
from app.core.lease import training_lease
from app.core.settings import Settings
from app.jobs.run import run_training


def test_a_second_training_on_an_output_gives_way(tmp_path: Path) -> None:
    """However the first was started; it is told before Spark is."""
    lease = training_lease(tmp_path / "out")
    lease.acquire(wait=False, say=print)
    try:
        with pytest.raises(InputError, match=r"training on .*out: process \d+ on .* is at work there"):
            run_training(Settings(output=tmp_path / "out"))
    finally:
        lease.release()
