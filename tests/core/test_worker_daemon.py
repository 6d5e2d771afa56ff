"""Spark's daemon of Python workers: what it prints of one that ends in an error."""

import pytest

from app.core.worker_daemon import print_exc


@pytest.mark.parametrize(("error", "printed"), [(BrokenPipeError(32, "Broken pipe"), False), (OSError(5, "io"), True)])
def test_a_worker_that_was_given_up_leaves_no_trace(
    error: OSError, printed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise error
    except OSError:
        print_exc()
    assert ("Traceback" in capsys.readouterr().err) == printed
