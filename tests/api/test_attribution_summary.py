"""`vitrine attribution`: what was counted, in words and as JSON; and the points of it in InfluxDB."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.api.attribution import publish as publish_module
from app.api.attribution.counter import Folders
from app.api.attribution.counts import Counts, Step
from app.api.attribution.publish import table_lines
from app.api.attribution.summary import Summary, summary
from app.cli import main
from app.core.errors import InputError, VitrineError
from app.core.settings import Settings
from tests.api.client import Api, event
from tests.api.conftest import MakeApi
from tests.influxd import InfluxServer

BEGAN = 1_800_000_000


def counted(output: Path) -> Counts:
    """An experiment of two variants, and lists without one."""
    counts = Counts(Folders.of(Settings(output=output)).counts)
    step = Step()
    for experiment, variant, answered, clicked in (
        ("autumn", "champion", 1000, 50),
        ("autumn", "challenger", 500, 40),
        ("", "champion", 100, 1),
    ):
        key = (BEGAN, experiment, variant, "a")
        step.add("lists", key, "answered", answered)
        step.add("lists", key, "clicked", clicked)
        step.add("places", (*key, "als", "history"), "shown", 10 * answered)
        step.add("places", (*key, "als", "history"), "bought", 2)
        step.add("places", (*key, "als", "history"), "revenue", 7.5)
    step.add("events", (BEGAN, "view", "attributed"), "events", 91)
    counts.take(step, {})
    return counts


def long_ago(output: Path) -> Summary:
    return summary(Settings(output=output), 1e5)


def test_a_summary(tmp_path: Path) -> None:
    counted(tmp_path).close()
    found = long_ago(tmp_path)
    assert (found.lists.number, found.lists.clicked.part) == (1600, 91)
    assert [(group.name, group.number, group.bought.part, group.revenue) for group in found.sources] == [
        ("als", 16_000, 6, 22.5)
    ]
    assert [group.name for group in found.reasons] == ["history"]
    assert [(group.name, group.clicked.rate) for group in found.experiments["autumn"]] == [
        ("champion", 0.05),
        ("challenger", 0.08),
    ]
    assert found.differences["autumn"]["clicked"].verdict == "challenger better"
    assert found.differences["autumn"]["bought"].verdict == "too few data: 0 of 30"
    assert found.events == {"attributed": 91}


def test_the_command(api: Api, output: Path) -> None:
    body = api.post("/v1/recommendations", {"count": 2}).json()
    api.post("/v1/events", event(1, product=100, recommendation_id=body["recommendation_id"]))
    api.service.attribution.write()
    now = api.service._now()
    api.service.attribution._counter._now = lambda: now + 60
    asyncio.run(api.service.attribution.count())
    runner = CliRunner()
    told = runner.invoke(main, ["attribution", "--output", str(output)])
    assert told.exit_code == 0, told.output
    assert "all                       1  100.00%" in told.output
    assert "popularity                2  50.00%" in told.output
    assert "Events that name a list: attributed 1" in told.output
    as_json = runner.invoke(main, ["attribution", "--output", str(output), "--json"])
    assert json.loads(as_json.output)["lists"]["clicked"]["part"] == 1


def test_without_counts_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was counted yet"):
        long_ago(tmp_path)


# --- Points ------------------------------------------------------------------------------------------


def test_a_row_is_a_point(tmp_path: Path) -> None:
    counts = counted(tmp_path)
    moment = BEGAN * 10**9
    assert table_lines("places", counts.unwritten("places"))[0] == (
        "attributed_places,experiment=none,generator=als,model_version=a,reason=history,variant=champion "
        f"bought=2i,carted=0i,clicked=0i,revenue=7.5,shown=1000i {moment}"
    )
    assert table_lines("events", counts.unwritten("events")) == [
        f"attributed_events,event_type=view,outcome=attributed events=91i {moment}"
    ]
    counts.close()


def test_only_what_has_changed_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, settings = counted(tmp_path), Settings(output=tmp_path, influx_url="http://localhost:1")
    written: list[str] = []
    away = True

    def write(_: object, lines: list[str], deadline: float) -> None:
        if away:
            raise VitrineError("InfluxDB is away")
        written.extend(lines)

    monkeypatch.setattr(publish_module, "write_lines", write)
    with pytest.raises(VitrineError):
        publish_module.publish(counts, settings)
    away = False
    assert publish_module.publish(counts, settings) == 7
    assert publish_module.publish(counts, settings) == 0
    step = Step()
    step.add("events", (BEGAN, "view", "attributed"), "events", 2)
    counts.take(step, {})
    assert publish_module.publish(counts, settings) == 1
    assert written[-1].startswith("attributed_events,event_type=view,outcome=attributed events=93i ")
    counts.close()


def test_counts_reach_influxdb(
    make_api: MakeApi, output: Path, influxd_program: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = InfluxServer(tmp_path_factory.mktemp("influx"), influxd_program)
    try:
        config = server.config
        api = make_api(
            influx_url=config.url, influx_token=config.token, influx_org=config.org, influx_bucket=config.bucket
        )
        for _ in range(3):
            api.post("/v1/recommendations", {"count": 2})
        api.service.attribution.write()
        for _ in range(2):
            asyncio.run(api.service.attribution.count())
        assert server.count("attributed_lists", "answered") == 1
        assert server.count("attributed_places", "shown") == 1
    finally:
        server.stop()
