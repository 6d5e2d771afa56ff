"""Replay: order and gaps, landing by rename, and nothing lost or doubled by a kill at any moment."""

import gzip
import json
import multiprocessing
import os
import random
import shutil
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InputError
from app.events.layout import REES46, Layout, TimeFormat
from app.events.vocabulary import RAW_COLUMNS
from app.jobs.replay import ending
from app.stream import replay as replay_module
from app.stream.replay import Clock, Pace, ReplaySummary, replay

START = datetime(2019, 10, 1, tzinfo=UTC)
HEADER = ",".join(RAW_COLUMNS)
PACE = {"speed", "rate", "tick_seconds", "max_gap_seconds"}


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def row(number: int, second: int) -> str:
    moment = (START + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{moment},view,{1000 + number},2053013555631882655,electronics.smartphone,apple,9.90,{number},s{number}"


def write_log(path: Path, seconds: list[int]) -> list[str]:
    rows = [row(number, second) for number, second in enumerate(seconds)]
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return rows


def landed(folder: Path) -> list[list[str]]:
    """Rows of each landed file, in the order of the names; checks the headers."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    lines = [path.read_text().splitlines() for path in files]
    assert all(content[0] == HEADER for content in lines)
    return [content[1:] for content in lines]


def flat(files: list[list[str]]) -> list[str]:
    return list(chain.from_iterable(files))


def play(folder: Path, source: Path | str, fake: FakeTime | None = None, **options: Any) -> ReplaySummary:
    fake = fake or FakeTime()
    pace = Pace(**{name: options.pop(name) for name in PACE & options.keys()})
    clock = Clock(fake.clock, options.pop("sleep", fake.sleep), options.pop("stop", None))
    return replay(str(source), folder / "landing", pace, **{"clock": clock, "state": folder / "state.json"} | options)


def test_speed_keeps_order_and_gaps(tmp_path: Path) -> None:
    # at ×10 and one file a second, a file holds ten seconds of the log; second 10 to 29 are silent
    rows = write_log(tmp_path / "log.csv", [0, 3, 9, 30, 39, 40])
    fake, moments = FakeTime(), []
    summary = play(
        tmp_path,
        tmp_path / "log.csv",
        fake,
        speed=10,
        progress=lambda done: moments.append((round(fake.now - 100, 6), done.rows, done.event_time)),
    )
    assert landed(tmp_path / "landing") == [rows[:3], rows[3:5], rows[5:]]
    names = [path.name for path in sorted((tmp_path / "landing").iterdir())]
    assert len({name.rpartition("-")[0] for name in names}) == 1
    assert [name.rpartition("-")[2] for name in names] == ["000000001.csv", "000000002.csv", "000000003.csv"]
    assert moments == [
        (1.0, 3, START + timedelta(seconds=9)),
        (4.0, 5, START + timedelta(seconds=39)),
        (5.0, 6, START + timedelta(seconds=40)),
    ]
    assert (summary.files, summary.rows, summary.run_rows, summary.stopped) == (3, 6, 6, False)
    assert summary.events_per_second == pytest.approx(6 / 5)


def test_long_gaps_are_capped(tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv", [0, 1, 86_400, 86_401])
    fake = FakeTime()
    play(tmp_path, tmp_path / "log.csv", fake, speed=1, max_gap_seconds=5)
    assert fake.now - 100 == pytest.approx(8)  # 1 + 5 + 1 seconds of log, landed when the tick is over


def test_rate_ignores_event_times(tmp_path: Path) -> None:
    rows = write_log(tmp_path / "log.csv", [0, 0, 0, 500, 500, 90_000, 90_000])
    fake = FakeTime()
    play(tmp_path, tmp_path / "log.csv", fake, rate=6, tick_seconds=0.5)
    assert landed(tmp_path / "landing") == [rows[:3], rows[3:6], rows[6:]]
    assert fake.now - 100 == pytest.approx(1.5)


def test_a_slow_disk_delays_but_drops_nothing(tmp_path: Path) -> None:
    rows = write_log(tmp_path / "log.csv", list(range(10)))
    fake = FakeTime()
    play(tmp_path, tmp_path / "log.csv", fake, speed=1, progress=lambda _: fake.sleep(3))
    assert landed(tmp_path / "landing") == [[line] for line in rows]
    assert fake.now - 100 == pytest.approx(1 + 10 * 3)


def test_files_are_bounded_at_any_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "FILE_ROWS", 20_000)
    rows = write_log(tmp_path / "log.csv", [0] * 50_000)
    play(tmp_path, tmp_path / "log.csv", speed=1e9)
    files = landed(tmp_path / "landing")
    assert max(map(len, files)) <= 20_000
    assert flat(files) == rows


def test_a_limit_and_going_on(tmp_path: Path) -> None:
    rows = write_log(tmp_path / "log.csv", list(range(10)))
    assert play(tmp_path, tmp_path / "log.csv", rate=4, limit=6).rows == 6
    assert play(tmp_path, tmp_path / "log.csv", rate=4, limit=6).run_rows == 0
    assert play(tmp_path, tmp_path / "log.csv", rate=4, limit=8).rows == 8
    summary = play(tmp_path, tmp_path / "log.csv", rate=4)
    assert (summary.rows, summary.run_rows, summary.event_time) == (10, 2, START + timedelta(seconds=9))
    assert flat(landed(tmp_path / "landing")) == rows
    assert play(tmp_path, tmp_path / "log.csv", rate=4).run_rows == 0  # at the end: nothing left


def test_a_limit_that_was_reached_before_is_told(tmp_path: Path) -> None:
    """The limit is of all that was played, not of one run."""
    log, state = tmp_path / "log.csv", tmp_path / "state.json"
    write_log(log, list(range(10)))
    told = [ending(play(tmp_path, log, rate=4, limit=limit), limit, state) for limit in (6, 6, 4, 7)]
    assert told[0] == f"6 events in 2 files, up to {START + timedelta(seconds=5)}"
    assert told[1:3] == [
        f"nothing played: 6 events were played before, and --replay-limit {limit} counts from the log's first; "
        f"give more than 6 to go on, or remove {state} to start anew"
        for limit in (6, 4)
    ]
    assert told[3].startswith("7 events in 3 files")
    play(tmp_path, log, rate=4)
    assert ending(play(tmp_path, log, rate=4, limit=20), 20, state).startswith("10 events in ")  # the log's end


def test_stop_ends_between_files_and_can_be_resumed(tmp_path: Path) -> None:
    rows = write_log(tmp_path / "log.csv", list(range(10)))
    stop = threading.Event()
    summary = play(tmp_path, tmp_path / "log.csv", speed=1, stop=stop, progress=lambda s: s.rows == 4 and stop.set())
    assert (summary.stopped, summary.rows) == (True, 4)
    assert landed(tmp_path / "landing") == [[line] for line in rows[:4]]
    fake = FakeTime()
    assert play(tmp_path, tmp_path / "log.csv", fake, speed=1).rows == 10
    assert fake.now - 100 == pytest.approx(6)  # goes on at once, without the four seconds played before
    assert flat(landed(tmp_path / "landing")) == rows


def test_gzip_folder_and_crlf(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    rows = [row(number, number) for number in range(6)]
    (folder / "a.csv").write_bytes("\r\n".join([HEADER, *rows[:2]]).encode())
    (folder / "b.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, *rows[2:4], "", ""]).encode()))
    (folder / "c.csv").write_text("\ufeff" + "\n".join([HEADER, *rows[4:]]))
    (folder / ".hidden.csv").write_text("no log")
    (folder / "_SUCCESS").write_text("")
    play(tmp_path, folder, rate=4)
    assert landed(tmp_path / "landing") == [rows[:4], rows[4:]]
    shutil.rmtree(tmp_path / "landing")
    play(tmp_path, f"{folder}/[ab].csv*", rate=4, state=tmp_path / "other.json")
    assert landed(tmp_path / "landing") == [rows[:4]]


def test_rows_that_are_no_events_are_landed_too(tmp_path: Path) -> None:
    rows = ["nonsense", row(1, 0), "2019-13-45 00:00:00 UTC,view", row(2, 1), '"unclosed', row(3, 3)]
    (tmp_path / "log.csv").write_text("\n".join([HEADER, *rows]))
    play(tmp_path, tmp_path / "log.csv", speed=1)
    assert landed(tmp_path / "landing") == [rows[:3], rows[3:5], rows[5:]]


@pytest.mark.parametrize("kind", [pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.string()])
def test_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    moments = pd.Series([START + timedelta(seconds=second) for second in (0, 1, 1, 7)])
    times = pa.array(moments.dt.strftime("%Y-%m-%d %H:%M:%S UTC") if kind == pa.string() else moments)
    table = pa.table({"event_time": times.cast(kind), "product_id": [1, 2, 3, 4]})
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=2)
    play(tmp_path, tmp_path / "log.parquet", speed=2, limit=1)
    play(tmp_path, tmp_path / "log.parquet", speed=2)
    files = sorted((tmp_path / "landing").iterdir())
    assert [pq.read_table(file)["product_id"].to_pylist() for file in files] == [[1], [2, 3], [4]]
    assert pa.concat_tables(map(pq.read_table, files)).equals(table)


def test_real_rows(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "rees46_oct2019_head" / "events.csv"
    summary = play(tmp_path, source, speed=600)  # 2 h 50 min in 17 seconds
    assert summary.rows == 17_434
    assert summary.files == 18
    assert flat(landed(tmp_path / "landing")) == source.read_text().splitlines()[1:]


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.integers(-5, 400), min_size=1, max_size=60),
    pace=st.one_of(
        st.fixed_dictionaries({"speed": st.floats(0.01, 1e6)}), st.fixed_dictionaries({"rate": st.floats(0.01, 1e6)})
    ),
    tick=st.floats(0.01, 100),
    max_gap=st.none() | st.floats(0.1, 100),
    stops=st.lists(st.integers(1, 60), max_size=3),
)
def test_landed_files_in_name_order_are_the_source(
    tmp_path_factory: pytest.TempPathFactory,
    gaps: list[int],
    pace: dict[str, float],
    tick: float,
    max_gap: float | None,
    stops: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("replay")
    seconds = [sum(gaps[: at + 1]) for at in range(len(gaps))]
    rows = write_log(folder / "log.csv", seconds)
    options = {"tick_seconds": tick, "max_gap_seconds": max_gap, **pace}
    fake = FakeTime()
    options["sleep"] = lambda seconds: setattr(fake, "now", fake.now + max(seconds, 1e6))  # no need to wait
    for limit in [*sorted(stops), None]:
        play(folder, folder / "log.csv", fake, limit=limit, **options)
    files = landed(folder / "landing")
    assert flat(files) == rows
    assert all(files)
    assert not [path for path in (folder / "landing").iterdir() if path.name.startswith(".")]


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, 11))
def test_a_kill_at_any_rename_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, after: bool
) -> None:
    """Killed just before or after each rename (state and landed files alternate)."""
    rows = write_log(tmp_path / "log.csv", list(range(5)))
    rename, calls = os.replace, iter(range(1, 1000))

    def dying(source: Path, target: Path) -> None:
        number = next(calls)
        if number == step and not after:
            raise Killed
        rename(source, target)
        if number == step:
            raise Killed

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(Killed):
        play(tmp_path, tmp_path / "log.csv", speed=1)
    taken = flat(take_away(tmp_path))  # the stream may have read and removed what has landed
    play(tmp_path, tmp_path / "log.csv", speed=1)
    assert taken + flat(landed(tmp_path / "landing")) == rows


def take_away(folder: Path) -> list[list[str]]:
    """Read and remove what has landed, as a stream that cleans up."""
    content = landed(folder / "landing") if (folder / "landing").exists() else []
    for path in (folder / "landing").glob("[!.]*"):
        path.unlink()
    return content


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    rows = write_log(tmp_path / "log.csv", [second // 3 for second in range(4_000)])
    play(tmp_path, tmp_path / "log.csv", rate=1_000, tick_seconds=0.01)
    undisturbed = landed(tmp_path / "landing")
    assert flat(undisturbed) == rows
    killed = tmp_path / "killed"
    chance, files, kills = random.Random(7), [], 0
    while run_and_kill(tmp_path / "log.csv", killed, chance.uniform(0, 1.5)):
        kills += 1
        if kills % 2:  # every other time the stream has removed what it has read
            files += take_away(killed)
    files += landed(killed / "landing")
    print(f"{kills} kills, {len(files)} files")
    assert kills >= 3
    assert files == undisturbed


def run_and_kill(log: Path, folder: Path, seconds: float) -> bool:
    """Kill a replay some time after its first file; False if it came to its end before."""
    state = folder / "state"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["app.stream.replay"])  # so that a replay starts at once
    process = context.Process(
        target=replay,
        args=(str(log), folder / "landing", Pace(rate=1_000, tick_seconds=0.01)),
        kwargs={"state": state},
        daemon=True,
    )
    before, deadline = rows_done(state), time.monotonic() + 60
    process.start()
    while rows_done(state) == before and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.join(60)
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


def rows_done(state: Path) -> int:
    return json.loads(state.read_text())["position"]["rows"] if state.exists() else 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either a speed"),
        ({"speed": 1, "rate": 1}, "give either a speed"),
        ({"speed": 0}, "speed must be a number above 0, got 0"),
        ({"rate": float("nan")}, "rate must be a number above 0, got nan"),
        ({"rate": 1, "tick_seconds": -1}, "tick_seconds must be a number above 0"),
        ({"rate": 1, "source": "missing.csv"}, "missing.csv: no event file"),
        ({"rate": 1, "source": "empty.csv"}, "empty.csv: is empty"),
        ({"rate": 1, "source": "header.csv"}, "header.csv: has no rows to replay"),
        ({"rate": 1, "source": "other.csv"}, "other.csv: has no column event_time"),
        ({"rate": 1, "source": "broken.parquet"}, "broken.parquet: is not readable Parquet"),
        ({"rate": 1, "source": "broken.csv.gz"}, "broken.csv.gz: can't be read"),
        ({"speed": 1, "source": "untimed.csv"}, "event_time can't be read in the first 2 rows"),
        ({"rate": 1, "source": "*.*"}, "holds both CSV and Parquet"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    write_log(folder / "log.csv", [1])
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text(HEADER + "\n")
    (folder / "other.csv").write_text("a,b\n1,2\n")
    (folder / "untimed.csv").write_text(f"{HEADER}\nyesterday,view\ntoday,view\n")
    (folder / "broken.parquet").write_text("no parquet")
    (folder / "broken.csv.gz").write_text("no gzip")
    options = {"source": "log.csv"} | options
    with pytest.raises(InputError, match=message) as caught:
        play(tmp_path, folder / options.pop("source"), **options)
    assert "\n" not in str(caught.value)


def present(
    folder: Path, source: Path, layout: Layout = REES46, late: Sequence[float] = (), back: Sequence[float] = ()
) -> Path:
    """Play a log at 2 events a second, as of noon of 27 November 2026; returns the landing folder.

    After each file so many seconds pass before the next is begun, and the wall clock is set back by so many.
    """
    fake = FakeTime()
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp() - fake.now
    pauses, steps, behind = iter(late), iter(back), [0.0]

    def progress(summary: ReplaySummary) -> None:
        fake.now += next(pauses, 0.0)
        behind[0] += next(steps, 0.0)

    clock = Clock(fake.clock, fake.sleep, wall=lambda: noon + fake.now - behind[0])
    options = {"state": folder / "state.json", "layout": layout, "clock": clock, "present": True}
    replay(str(source), folder / "landing", Pace(rate=2), progress=progress, **options)
    return folder / "landing"


def test_rows_of_the_present_bear_the_time_at_which_they_land(tmp_path: Path) -> None:
    """The first file lands after a second with the two rows of it; all else of a row stays, and so do broken rows."""
    rows = [*write_log(tmp_path / "log.csv", [0, 86_400, 86_400]), '"2019-10-03 00:00:00 UTC",view,"a,b"', ""]
    (tmp_path / "log.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    times = [f"2026-11-27 12:00:0{second} UTC" for second in ("0.500000", "1.000000", "1.500000", "2.000000")]
    wanted = [f"{time},{row.partition(',')[2]}" for time, row in zip(times, rows, strict=False)]
    assert flat(landed(present(tmp_path, tmp_path / "log.csv"))) == wanted


def test_a_late_file_begins_where_the_one_before_it_ends(tmp_path: Path) -> None:
    """By hand: the first of four files lands after 1 s and takes 1.5 s more, so that the second lands at 2.5 s, when
    it was due at 2 s; the third, due at 3 s, has but the half second since. Nor does a clock that is set back show."""
    write_log(tmp_path / "log.csv", list(range(8)))

    def times(folder: Path) -> list[str]:
        return [row[17:26] for row in flat(landed(folder))]

    late = ["00.500000", "01.000000", "02.000000", "02.500000", "02.750000", "03.000000", "03.500000", "04.000000"]
    assert times(present(tmp_path / "late", tmp_path / "log.csv", late=[1.5])) == late
    back = ["00.500000", "01.000000", "01.000000", "01.000000", "01.500000", "02.000000", "02.500000", "03.000000"]
    assert times(present(tmp_path / "back", tmp_path / "log.csv", back=[1])) == back


def test_a_row_that_has_no_time_stays_as_it_is_in_the_present(tmp_path: Path) -> None:
    columns = ["product_id", "event_time"]
    (tmp_path / "log.csv").write_text("product_id,event_time\n7,2019-10-01 00:00:00 UTC\n8\n")
    (file,) = present(tmp_path, tmp_path / "log.csv").iterdir()
    assert file.read_text().splitlines() == [",".join(columns), "7,2026-11-27 12:00:00.500000 UTC", "8"]


def test_numbers_and_timestamps_become_the_present_too(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("event_time,product_id\n1569888000,7\n1569888001,8\n")
    layout = REES46.model_copy(update={"time": TimeFormat(format="epoch_seconds")})
    (file,) = present(tmp_path / "numbers", tmp_path / "log.csv", layout).iterdir()
    assert file.read_text() == "event_time,product_id\n1795780800,7\n1795780801,8\n"
    berlin = REES46.model_copy(update={"time": TimeFormat(zone="Europe/Berlin")})
    pq.write_table(
        pa.table({"event_time": pa.array([START.replace(tzinfo=None)] * 2, pa.timestamp("ms"))}),
        tmp_path / "log.parquet",
    )
    (file,) = present(tmp_path / "timestamps", tmp_path / "log.parquet", berlin).iterdir()
    assert [str(time) for time in pq.read_table(file)["event_time"].to_pylist()] == [
        "2026-11-27 13:00:00.500000",
        "2026-11-27 13:00:01",
    ]


def test_times_that_cannot_be_written_anew_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("event_time\n1/10/2019 00:00\n")
    layout = REES46.model_copy(update={"time": TimeFormat(format="d/M/yyyy H:mm")})
    with pytest.raises(InputError, match="--replay-present: times by the pattern d/M/yyyy H:mm"):
        present(tmp_path, tmp_path / "log.csv", layout)
    pq.write_table(pa.table({"event_time": ["2019-10-01 00:00:00 UTC"]}), tmp_path / "log.parquet")
    with pytest.raises(InputError, match="times are of type string"):
        present(tmp_path, tmp_path / "log.parquet")


def test_a_state_of_another_replay_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv", [1, 2])
    play(tmp_path, tmp_path / "log.csv", rate=1)
    with pytest.raises(InputError, match="belongs to another replay \\(its speed, rate differ\\)"):
        play(tmp_path, tmp_path / "log.csv", speed=1)
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(InputError, match="is not a replay's state"):
        play(tmp_path, tmp_path / "log.csv", rate=1)
