"""The charts: valid, pinned, locked down, without a secret of their own, dashboards in step."""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(not shutil.which("helm"), reason="helm is missing: install Helm 3 to run these tests"),
]
CHARTS = ["influxdb", "grafana"]


def helm(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *words], cwd=root, capture_output=True, text=True, check=False)


def rendered(root: Path, chart: str, *words: str) -> list[dict[str, Any]]:
    done = helm(root, "template", "shop", f"charts/{chart}", "--namespace", "boutique", *words)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def kind(objects: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == name]


@pytest.mark.parametrize("chart", CHARTS)
def test_lint(root: Path, chart: str) -> None:
    done = helm(root, "lint", "--strict", f"charts/{chart}")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(
    "wrong",
    ["image.tag=latest", "image.tag=3.0.0-rc", "persistence.size=5", "service.port=0", "no.such=value"],
)
def test_wrong_values_are_refused(root: Path, chart: str, wrong: str) -> None:
    if chart == "grafana" and wrong == "image.tag=3.0.0-rc":
        wrong = "influxdb.url=influxdb:8086"
    done = helm(root, "template", "shop", f"charts/{chart}", "--set", wrong)
    assert done.returncode != 0
    assert "schema" in done.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_images_are_pinned_and_official(root: Path, chart: str) -> None:
    version = yaml.safe_load((root / "charts" / chart / "Chart.yaml").read_text())["appVersion"]
    name = {"influxdb": "influxdb", "grafana": "grafana/grafana"}[chart]
    workload = kind(rendered(root, chart), "StatefulSet" if chart == "influxdb" else "Deployment")[0]
    assert workload["spec"]["template"]["spec"]["containers"][0]["image"] == f"{name}:{version}"


@pytest.mark.parametrize("chart", CHARTS)
def test_pods_are_locked_down_and_probed(root: Path, chart: str) -> None:
    workload = kind(rendered(root, chart), "StatefulSet" if chart == "influxdb" else "Deployment")[0]
    pod = workload["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("chart", CHARTS)
def test_names_follow_the_release(root: Path, chart: str) -> None:
    """Release `shop`: nothing keeps the chart's or another release's name but the Secret, which is a value."""
    for one in rendered(root, chart):
        name = one["metadata"]["name"]
        assert name.split("-")[0] == "shop" or one["kind"] == "Secret", name


@pytest.mark.parametrize("chart", CHARTS)
def test_secret_is_random_and_of_use_to_nobody_who_renders(root: Path, chart: str) -> None:
    first, second = (kind(rendered(root, chart), "Secret")[0]["data"] for _ in range(2))
    for key, value in first.items():
        assert len(base64.b64decode(value)) >= 32
        assert second[key] != value


@pytest.mark.parametrize("chart", CHARTS)
def test_own_secret(root: Path, chart: str) -> None:
    objects = rendered(root, chart, "--set", "auth.existingSecret=mine")
    assert not kind(objects, "Secret")
    assert "name: mine" in yaml.safe_dump_all(objects)


def test_influxdb_is_set_up_from_values(root: Path) -> None:
    words = ["--set", "setup.organization=acme,setup.bucket=clicks,persistence.size=9Gi"]
    workload = kind(rendered(root, "influxdb", *words), "StatefulSet")[0]
    env = {one["name"]: one.get("value") for one in workload["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["DOCKER_INFLUXDB_INIT_ORG"] == "acme"
    assert env["DOCKER_INFLUXDB_INIT_BUCKET"] == "clicks"
    assert env["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN"] is None  # from the Secret
    assert workload["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "9Gi"


def test_grafana_has_the_repository_s_dashboards_and_datasource(root: Path) -> None:
    maps = {one["metadata"]["name"]: one["data"] for one in kind(rendered(root, "grafana"), "ConfigMap")}
    boards = {path.name: path.read_text() for path in (root / "grafana/dashboards").glob("*.json")}
    assert boards
    assert {name: text.strip() for name, text in maps["shop-dashboards"].items()} == {
        name: text.strip() for name, text in boards.items()
    }
    source = yaml.safe_load((root / "grafana/provisioning/datasources/influxdb.yaml").read_text())
    assert yaml.safe_load(maps["shop-datasources"]["influxdb.yaml"]) == source


def test_grafana_gets_every_variable_that_the_datasource_names(root: Path) -> None:
    text = (root / "grafana/provisioning/datasources/influxdb.yaml").read_text()
    wanted = {word.strip().split("$")[1] for word in text.splitlines() if "$" in word}
    pod = kind(rendered(root, "grafana"), "Deployment")[0]["spec"]["template"]["spec"]
    assert wanted <= {one["name"] for one in pod["containers"][0]["env"]}


def test_packaged_chart_holds_the_dashboards(root: Path, tmp_path: Path) -> None:
    """The link to grafana/ is followed: the package works without the repository."""
    assert helm(root, "package", "charts/grafana", "-d", str(tmp_path)).returncode == 0
    package = next(tmp_path.glob("*.tgz"))
    done = subprocess.run(["tar", "tzf", str(package)], capture_output=True, text=True, check=True)
    assert "grafana/grafana/dashboards/streaming.json" in done.stdout.split()
