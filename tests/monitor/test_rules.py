"""The alerts for Prometheus: every expression parses, asks for metrics that there are, and is documented."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import CollectorRegistry

from app.api.metrics import ApiMetrics
from app.monitor.prometheus import StreamMetrics

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "prometheus" / "rules.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
#: Of kube-state-metrics and the kubelet, with the labels that are asked for.
OTHERS = {
    "kube_deployment_status_replicas_available": {"namespace", "deployment"},
    "kube_job_failed": {"namespace", "job_name", "condition"},
    "kube_job_status_start_time": {"namespace", "job_name"},
    "kubelet_volume_stats_used_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
}


def exported(registry: CollectorRegistry) -> dict[str, set[str]]:
    """Names of a registry's series, and their labels."""
    return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """Everything that may be asked for; a metric with labels has series once it has values."""
    api = ApiMetrics()
    api.requests.labels("/v1/popular", "GET", 200).inc()
    api.seconds.labels("/v1/popular").observe(0.1)
    stream = StreamMetrics()
    stream.judged("0", "blend", 1, 1, 1.0)
    return OTHERS | exported(api.registry) | exported(stream.registry)


def selectors(expression: Any) -> Iterator[promql.VectorSelector]:
    """Every metric that an expression names."""
    if isinstance(expression, promql.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if hasattr(expression, name):
            yield from selectors(getattr(expression, name))
    for argument in getattr(expression, "args", ()):
        yield from selectors(argument)


def unknown(expression: str, known: dict[str, set[str]]) -> set[str]:
    """Metrics and labels of an expression that there are not."""
    wrong: set[str] = set()
    for found in selectors(promql.parse(expression)):
        if found.name not in known:
            wrong.add(str(found.name))
        else:
            wrong |= {one.name for one in found.matchers.matchers} - known[found.name]
    return wrong


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_what_there_is(name: str, known: dict[str, set[str]]) -> None:
    assert list(selectors(promql.parse(ALERTS[name]["expr"])))
    assert unknown(ALERTS[name]["expr"], known) == set()


def test_what_there_is_not_would_be_found(known: dict[str, set[str]]) -> None:
    asked = 'sum by (le) (rate(vitrine_no_bucket[5m])) / on () vitrine_stream_state_rows{pods="1"} > time() - no_other'
    assert unknown(asked, known) == {"vitrine_no_bucket", "pods", "no_other"}
    for wrong in ("rate(vitrine_stream_state_rows)", "sum(", "vitrine_stream_state_rows[5m] > 1"):
        with pytest.raises(ValueError):  # noqa: PT011  (its words are the parser's)
            promql.parse(wrong)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_filled_in(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"(Vitrine[A-Z]\w+)", name)
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert re.fullmatch(r"\d+m", rule.get("for", "0m"))
    assert rule["annotations"].keys() == {"summary"}


def test_an_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load((RULES.parent / "rules_test.yaml").read_text())["tests"]
    asked = [one for case in cases for one in case["alert_rule_test"]]
    assert {one["alertname"] for one in asked if one["exp_alerts"]} == set(ALERTS)


def test_names_are_unique() -> None:
    assert len(ALERTS) == sum(len(group["rules"]) for group in GROUPS)
    assert len({group["name"] for group in GROUPS}) == len(GROUPS)


def test_operations_says_of_each_alert_what_to_do() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^\| `(Vitrine\w+)` \|", text, flags=re.MULTILINE) == list(ALERTS)


@pytest.mark.programs
@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing: install Prometheus to run this test")
@pytest.mark.parametrize("words", [("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")])
def test_promtool_accepts_the_rules(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
