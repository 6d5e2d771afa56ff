"""Programs that the end-to-end test runs in its probe, on a volume made by hand."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.events.archive_names import EPOCHS, BatchRange, mark_name
from tests.e2e import probe as module
from tests.e2e.api import posted
from tests.e2e.cluster import Cluster
from tests.e2e.probe import Probe

SESSION = "s-1"


class Here(Cluster):
    """A volume in a folder; programs run in the test's own process."""

    def __init__(self, volume: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
        super().__init__("nowhere")
        self._volume, self._capsys, self._monkeypatch = volume, capsys, monkeypatch

    def python(self, program: str, *words: str) -> str:
        self._monkeypatch.setattr("sys.argv", ["-", *words])
        exec(program.replace("/data/vitrine", str(self._volume)), {})
        return self._capsys.readouterr().out


def write(path: Path, sessions: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {"user_session": sessions, "event_id": [f"{session}-{n}" for n, session in enumerate(sessions)]}
    pq.write_table(pa.table(rows), path)


def test_posted_events_are_counted_in_folders_that_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two events: what a replaced stream wrote late, what was put together and what is not there yet count for none."""
    write(tmp_path / "landing/posted-1.parquet", [SESSION, "another"])
    write(tmp_path / "landing/posted-2.parquet", ["another", SESSION])
    archive = tmp_path / "stream/archive"
    (archive / EPOCHS).mkdir(parents=True)
    for epoch, first in ((1, 0), (2, 5)):
        (archive / EPOCHS / mark_name(epoch, first)).touch()
    once = {BatchRange(0, 3, 2): [SESSION], BatchRange(5, 5, 2): ["another", SESSION]}
    again = {BatchRange(3, 3, 1): [SESSION], BatchRange(5, 5, 1): [SESSION, SESSION]}
    for part, sessions in (once | again).items():
        write(archive / part.name / "part-0.parquet", sessions)
    write(archive / f".{BatchRange(6, 6, 2).name}.ab12" / "part-0.parquet", [SESSION])
    assert posted(Here(tmp_path, capsys, monkeypatch), SESSION) == {"landed": 2, "doubled": 0, "archived": 2}


@pytest.fixture
def probe() -> Iterator[Probe]:
    """A Python of this machine in place of a pod's."""
    here = Probe("env", f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}")
    yield here
    here.close()


def test_programs_of_the_probe_run_one_after_the_other(probe: Probe) -> None:
    said = probe.run("import sys; print(*sys.argv[1:], sep='\\n')", "one", "with 'quotes'\n")
    assert said == "one\nwith 'quotes'\n\n"
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        probe.run("one = 1\nprint(one / 0)")
    with pytest.raises(AssertionError, match="SystemExit: 3"):
        probe.run("import sys; sys.exit(3)")
    with pytest.raises(AssertionError, match="name 'one' is not defined"):
        probe.run("print(one)")


def test_a_probe_that_is_gone_is_told_and_found_again(probe: Probe) -> None:
    with pytest.raises(AssertionError, match="does not answer"):
        probe.run("import os; os.kill(os.getpid(), 9)")
    assert probe.run("print(1)") == "1\n"
    subprocess.run(["kill", "-9", probe.run("import os; print(os.getpid())").strip()], check=True)
    with pytest.raises(AssertionError, match="does not answer"):
        probe.run("print(1)")
    assert probe.run("print(2)") == "2\n"


def test_a_probe_that_stands_still_is_not_waited_for(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    with pytest.raises(AssertionError, match="so long a wait"):
        probe.run("import sys, time; print('so long a wait', file=sys.stderr, flush=True); time.sleep(60)")
