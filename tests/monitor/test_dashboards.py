"""The dashboards: in step with their JSON, filled in, and every query answered by a real InfluxDB."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.evaluate.proportions import Difference, Share
from app.monitor.dashboards import DASHBOARDS
from app.monitor.dashboards.__main__ import write
from app.monitor.dashboards.flux import points
from app.monitor.influx import write_lines
from app.monitor.schema import QUALITY
from tests.influxd import InfluxServer
from tests.monitor.panels import BOARDS, EVERYTHING, PANELS, default_range, run, unanswered
from tests.monitor.sample import (
    BATCHES,
    GENERATORS,
    HITS,
    LIFECYCLES,
    LISTS_PER_BATCH,
    PROFILE_SHARES,
    RFM_NAMES,
    ROUTES,
    SEGMENT_IDS,
    VARIANTS,
    VERSIONS,
    WINDOWS,
    sample_lines,
)

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
REPLAYED = datetime(2019, 10, 1, 12, tzinfo=UTC)


def test_committed_json_is_in_step(tmp_path: Path) -> None:
    (tmp_path / "stale.json").touch()
    write(tmp_path)
    ours = {path.name: path.read_text() for path in tmp_path.glob("*.json")}
    committed = {path.name: path.read_text() for path in (GRAFANA / "dashboards").glob("*.json")}
    assert committed == ours, "run: python -m app.monitor.dashboards"
    assert len(ours) == len(DASHBOARDS) == 8


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_filled_in(name: str) -> None:
    board = BOARDS[name]
    assert board["title"]
    assert board["description"]
    assert board["uid"] == f"vitrine-{name.removesuffix('.json')}"
    assert board["refresh"]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert all(v["label"] and v["description"] and v["includeAll"] for v in variables.values())
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", json.dumps([panel["targets"] for panel in board["panels"]])))
    assert used == set(variables)
    ids = [panel["id"] for panel in board["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    for text in ('from(bucket: \\"', "localhost", 'shop\\"', "token"):
        assert text not in json.dumps(board), f"{name} names an installation: {text}"


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}-{panel['title']}" for name, panel in PANELS])
def test_a_panel_is_filled_in(name: str, panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert len(panel["description"]) > 10
    assert panel["targets"]
    assert defaults["unit"]
    assert defaults["noValue"]
    assert panel["datasource"] == {"type": "influxdb", "uid": "vitrine-influxdb"}
    if panel["type"] == "timeseries":
        assert panel["options"]["legend"]["showLegend"]
        assert panel["options"]["legend"]["calcs"]
        assert defaults["displayName"]
    elif panel["type"] != "table":
        assert defaults["thresholds"]["steps"]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_grid_without_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
    rows = {y for _, y in taken}
    assert len(taken) == 24 * len(rows)


def test_a_query_cannot_name_an_unknown_field() -> None:
    with pytest.raises(ValueError, match="no fields \\['hits_20'\\]"):
        points(QUALITY, "hits_20")


def test_provisioning_names_no_installation() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/influxdb.yaml").read_text())["datasources"]
    assert source["uid"] == "vitrine-influxdb"
    assert source["jsonData"] == {
        "version": "Flux",
        "organization": "$INFLUXDB_ORG",
        "defaultBucket": "$INFLUXDB_BUCKET",
    }
    assert (source["url"], source["secureJsonData"]) == ("$INFLUXDB_URL", {"token": "$INFLUXDB_TOKEN"})
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/vitrine.yaml").read_text())["providers"]
    assert provider["options"]["path"].startswith("/")


# --- Against the real server ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(influxd_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """A server after a minute of the live shop."""
    server = InfluxServer(tmp_path_factory.mktemp("filled"), influxd_program)
    now = datetime.now(UTC)
    write_lines(server.config, sample_lines(now, now))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def replayed(influxd_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """A server after a minute of replaying events of 2019."""
    server = InfluxServer(tmp_path_factory.mktemp("replayed"), influxd_program)
    write_lines(server.config, sample_lines(datetime.now(UTC), REPLAYED))
    yield server
    server.stop()


def test_every_panel_has_rows_of_a_live_shop(filled: InfluxServer) -> None:
    assert unanswered(filled) == []


def test_every_panel_has_rows_of_a_replay_at_the_time_replayed(replayed: InfluxServer) -> None:
    assert unanswered(replayed, "2019-10-01T00:00:00Z") == []


def test_only_event_time_panels_wait_for_that_range(replayed: InfluxServer) -> None:
    waiting = unanswered(replayed)
    assert {text.split(":")[0] for text in waiting} == {"live-shop.json"}
    assert "live-shop.json: Shop clock" not in waiting


@pytest.mark.parametrize("segment", SEGMENT_IDS)
def test_every_panel_has_rows_for_one_segment_and_version(filled: InfluxServer, segment: str) -> None:
    assert unanswered(filled, segment=[segment], model_version=[VERSIONS[1]]) == []


def test_no_query_fails_on_an_empty_bucket(influx: InfluxServer) -> None:
    for name, panel in PANELS:
        for target in panel["targets"]:
            run(influx, target["query"], default_range(name))


def answer(server: InfluxServer, title: str, **chosen: list[str]) -> list[dict[str, str]]:
    (found,) = [(name, panel) for name, panel in PANELS if panel["title"] == title]
    name, panel = found
    rows = run(server, panel["targets"][0]["query"], default_range(name), variables={**EVERYTHING, **chosen})
    return rows


def test_the_figures_are_right(filled: InfluxServer) -> None:
    """By hand from the sample: 4 and 1 hits of 10 queries, 3 segments, 30 batches."""
    rates = {row["generator"]: float(row["_value"]) for row in answer(filled, "HR@10")}
    assert rates == {generator: hits / 10 for generator, hits in HITS.items()}
    assert [float(row["_value"]) for row in answer(filled, "Lift over popularity")] == [4.0]
    assert [int(row["_value"]) for row in answer(filled, "Events judged")] == [10 * 3 * BATCHES]
    assert [int(row["_value"]) for row in answer(filled, "Lists written")] == [LISTS_PER_BATCH * 3 * 3 * BATCHES]
    rolling = answer(filled, "Rolling HR@10 by generator")
    assert {(row["generator"], round(float(row["_value"]), 6)) for row in rolling} == {
        ("blend", 0.4),
        ("most_popular", 0.1),
    }
    events = {row["event_type"]: int(row["_value"]) for row in answer(filled, "Events")}
    assert events == {
        "view": 300 * WINDOWS,
        "cart": 30 * WINDOWS,
        "purchase": 12 * WINDOWS,
        "remove_from_cart": 3 * WINDOWS,
    }
    assert [float(row["_value"]) for row in answer(filled, "Revenue (shop currency)")] == [12.5 * 12 * WINDOWS]
    assert [float(row["_value"]) for row in answer(filled, "Purchases per view")] == [0.04]
    assert {float(row["_value"]) for row in answer(filled, "Purchases per view over time")} == {0.04}
    windows = answer(filled, "Events by type")
    assert sum(int(row["_value"]) for row in windows) == 345 * WINDOWS
    assert len({row["_time"] for row in windows}) == WINDOWS
    assert [row["main_category"] for row in answer(filled, "Top main categories")].count("electronics") == 1
    assert [row["_value"] for row in answer(filled, "Champion")] == [VERSIONS[1]]
    assert [row["_value"] for row in answer(filled, "Bundle in use")] == [VERSIONS[1]]
    assert [row["_value"] for row in answer(filled, "Trainings")] == ["2"]
    assert [float(row["_value"]) for row in answer(filled, "Rejected rows")] == [1 / 2000]
    moved = answer(filled, "Users who came from another segment")
    assert {(row["segment"], int(row["_value"])) for row in moved} == {(segment, 2 * 3) for segment in SEGMENT_IDS}
    assert len(moved) == len(SEGMENT_IDS) * len(VERSIONS), "of each training"
    assert len(answer(filled, "Movement between segments")) == len(SEGMENT_IDS) ** 2 * len(VERSIONS)
    asked = answer(filled, "API: requests per second")
    assert {row["route"] for row in asked} == set(ROUTES)
    assert sum(float(row["_value"]) for row in asked) * 10 == pytest.approx(20 * len(ROUTES) * BATCHES)
    slow = answer(filled, "API: latency p95")
    assert {(row["route"], float(row["_value"])) for row in slow} == set(ROUTES.items())
    (errors,) = [panel for _, panel in PANELS if panel["title"] == "API: errors per second"]
    counts = run(filled, errors["targets"][0]["query"], "-30m")
    sums = {
        name: sum(float(row["_value"]) for row in counts if row["figure"] == name) for name in ("refused", "errors")
    }
    assert sums["refused"] == pytest.approx(2 * sums["errors"])
    (ago,) = [float(row["_value"]) for row in answer(filled, "Last micro-batch")]
    assert 0 <= ago < 60


def test_customers_are_by_name_state_profile_and_segment(filled: InfluxServer) -> None:
    """A line for each, a point for each of both trainings; visits apart from purchases."""
    named = answer(filled, "Customers by RFM name")
    assert sorted(row["rfm"] for row in named) == sorted(RFM_NAMES * 2)
    for title, activity in (("Visitors", "visits"), ("Buyers", "purchases")):
        rows = answer(filled, f"{title} of the last whole week")
        assert {(row["state"], int(row["_value"])) for row in rows} == {*LIFECYCLES[activity].items()}
        assert len(rows) == 2 * len(LIFECYCLES[activity])
    profiles = answer(filled, "Users by behavioural profile")
    assert sorted((row["profile"], float(row["_value"])) for row in profiles) == sorted([*PROFILE_SHARES.items()] * 2)
    assert {row["rule"] for row in answer(filled, "Behavioural profiles")} == {"bought, and ..."}
    expected = answer(filled, "What segments are expected to do", segment=[SEGMENT_IDS[1]])
    assert [(row["segment"], float(row["value_90"])) for row in expected] == [(SEGMENT_IDS[1], 3.0)] * len(VERSIONS)


def test_variants_are_compared_as_python_does(filled: InfluxServer) -> None:
    shares = {
        what: {variant: Share.of(2 * counts[place], 2 * counts[0]) for variant, counts in VARIANTS.items()}
        for what, place in (("Click-through", 1), ("Conversion", 2))
    }
    for title, expected in shares.items():
        for row in answer(filled, f"{title} by variant"):
            share = expected.pop(row["variant"])
            assert int(row["answered"]) == share.whole
            assert [float(row[name]) for name in ("rate", "low", "high")] == pytest.approx(
                [share.rate, share.low, share.high]
            )
        assert expected == {}
    for title, part in (("Click-through", 1), ("Conversion", 2)):
        both = [Share.of(2 * VARIANTS[name][part], 2 * VARIANTS[name][0]) for name in ("challenger", "champion")]
        difference = Difference.of(*both)
        (row,) = answer(filled, f"{title}: challenger against champion")
        assert [float(row[name]) for name in ("difference", "low", "high")] == pytest.approx(
            [difference.difference, difference.low, difference.high]
        )
        assert row["verdict"] == difference.verdict
        assert row["experiment"] == "autumn"
    assert difference.verdict == "too few data: 4 of 30"


def test_what_lists_lead_to_is_right(filled: InfluxServer) -> None:
    """By hand from the sample: 1,600 lists of each window, of which 110 were clicked."""
    assert [int(row["_value"]) for row in answer(filled, "Lists answered")] == [3_200]
    assert [float(row["_value"]) for row in answer(filled, "Click-through")] == [110 / 1_600]
    by_reason = {row["reason"]: float(row["_value"]) for row in answer(filled, "Click-through by reason")}
    assert by_reason == {"session": 110 / 8_000, "shop": 110 / 8_000}


def test_variables_filter(filled: InfluxServer) -> None:
    judged = answer(filled, "Events judged", segment=[SEGMENT_IDS[1]])
    assert [int(row["_value"]) for row in judged] == [10 * BATCHES]
    judged = answer(filled, "Events judged", segment=[*SEGMENT_IDS[:2]], model_version=[VERSIONS[0]])
    assert [int(row["_value"]) for row in judged] == [10 * 2 * BATCHES // 2]


def test_the_newest_recommendations_are_whole_rows_newest_first(filled: InfluxServer) -> None:
    rows = answer(filled, "Newest recommendation of every kind")
    assert len(rows) == len(SEGMENT_IDS) * len(GENERATORS) * len(VERSIONS)
    assert all(row[column] for row in rows for column in ("user_id", "product_id", "rank", "score", "generator"))
    times = [row["_time"] for row in rows]
    assert times == sorted(times, reverse=True)
    half = len(rows) // 2
    assert [row["model_version"] for row in rows] == [VERSIONS[1]] * half + [VERSIONS[0]] * half
