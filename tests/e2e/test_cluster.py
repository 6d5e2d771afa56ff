"""Vitrine on a real cluster, from nothing to the last fault; run by `tests/e2e/run` (`make e2e`).

The stages build on each other, in the order of the file; on a cluster that has them behind it, single
ones run again: `tests/e2e/run -k driver`.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import yaml

from tests.e2e.cluster import ROOT, Cluster, run, until

pytestmark = [
    pytest.mark.skipif("VITRINE_E2E" not in os.environ, reason="needs a cluster; tests/e2e/run makes one"),
    pytest.mark.timeout(1500),
]
HEALED = 120  # seconds a fault may be felt
PANELS = "from=2019-10-01T00:00:00Z&to=now()"  # the replayed events are of October 2019


@pytest.fixture(scope="module")
def shop() -> Cluster:
    return Cluster("vitrine")


@pytest.fixture(autouse=True)
def diagnosis(request: pytest.FixtureRequest) -> Iterator[None]:
    """Say how the cluster looks when a stage failed, and how long each took."""
    failed, begun = request.session.testsfailed, time.monotonic()
    yield
    print(f"stage {request.node.name}: {time.monotonic() - begun:.0f} s")
    if request.session.testsfailed > failed:
        print(Cluster("vitrine").diagnosis())


def test_install_from_nothing(shop: Cluster) -> None:
    """The commands of the README bring up everything, and the first training completes."""
    done = subprocess.run(["scripts/cluster-demo"], cwd=ROOT, text=True, timeout=1400, check=False)
    assert done.returncode == 0, shop.diagnosis()
    assert shop.state("train") == "COMPLETED"


def test_bundle_and_report_are_on_the_volume(shop: Cluster) -> None:
    current = shop.python("print(open('/data/vitrine/models/CURRENT').read().split()[0])").strip()
    assert f"/data/vitrine/models/{current}/manifest.json" in shop.files("/data/vitrine/models/*/manifest.json")
    page = shop.python("print(open('/data/vitrine/report.html').read())")
    assert "synthetic" in page.lower()


def test_stream_writes_lists_and_points(shop: Cluster) -> None:
    """A driver and an executor; files on the volume, points in the chart's InfluxDB."""
    until("stream is running", 300, lambda: shop.state("stream") == "RUNNING" and shop.executors("stream"))
    until("lists on the volume", 180, lambda: shop.files("/data/vitrine/stream/lists/*.parquet"))
    for measurement in ("recommendations", "events", "stream_progress", "quality", "model"):
        query = (
            f'from(bucket: "BUCKET") |> range(start: 2019-01-01T00:00:00Z) '
            f'|> filter(fn: (r) => r._measurement == "{measurement}") |> limit(n: 1)'
        )
        until(f"points of {measurement}", 120, partial(shop.rows, query))


def test_driver_deleted(shop: Cluster) -> None:
    old = shop.get("pod", "stream-driver")["metadata"]["uid"]
    begun = time.monotonic()
    shop.kubectl("delete", "pod", "stream-driver")
    gone = time.time()
    until("a new driver", HEALED, lambda: shop.get("pod", "stream-driver")["metadata"]["uid"] != old)
    until("lists again", HEALED, lambda: shop.progress_since(gone))
    healed_after("driver", begun)


def test_executor_deleted(shop: Cluster) -> None:
    until("an executor", HEALED, lambda: shop.executors("stream"))
    old, driver = shop.executors("stream")[0], shop.get("pod", "stream-driver")["metadata"]["uid"]
    begun = time.monotonic()
    shop.kubectl("delete", "pod", old)
    gone = time.time()
    until("a new executor", HEALED, lambda: set(shop.executors("stream")) - {old})
    until("lists again", HEALED, lambda: shop.progress_since(gone))
    healed_after("executor", begun)
    assert shop.get("pod", "stream-driver")["metadata"]["uid"] == driver


def test_influxdb_deleted(shop: Cluster) -> None:
    """The stream waits for it, and goes on by itself."""
    driver = shop.get("pod", "stream-driver")["metadata"]["uid"]
    begun = time.monotonic()
    shop.kubectl("delete", "pod", "influxdb-0")
    gone = time.time()
    until("points again", HEALED, lambda: shop.progress_since(gone))
    healed_after("InfluxDB", begun)
    assert shop.get("pod", "stream-driver")["metadata"]["uid"] == driver


def test_executors_scaled_in_the_manifest(shop: Cluster) -> None:
    """`executor.instances` is changed and applied: back from the checkpoint with that many."""
    old = shop.get("pod", "stream-driver")["metadata"]["uid"]
    begun = time.monotonic()
    scale(shop, 2)
    try:
        until("a new driver", HEALED, lambda: shop.get("pod", "stream-driver")["metadata"]["uid"] != old)
        restarted = time.time()
        until("two executors", HEALED, lambda: len(shop.executors("stream")) == 2)
        until("lists again", HEALED, lambda: shop.progress_since(restarted))
        print(f"scaled to two executors after {time.monotonic() - begun:.0f} s")
    finally:
        scale(shop, 1)
    until("one executor", HEALED, lambda: shop.state("stream") == "RUNNING" and len(shop.executors("stream")) == 1)


def test_broken_training_leaves_the_champion(shop: Cluster) -> None:
    """A wrong input path: the Job is Failed, says why, and the bundle in use stays."""
    champion = shop.python("print(open('/data/vitrine/models/CURRENT').read())")
    retrain(shop, "broken", VITRINE_EVENTS="/data/no-such-log")
    until("the Job has failed", 400, lambda: finished(shop, "broken") == "Failed")
    assert "/data/no-such-log" in why(shop, "broken")
    assert shop.python("print(open('/data/vitrine/models/CURRENT').read())") == champion


def test_one_of_two_trainings_gives_way(shop: Cluster) -> None:
    """Started in the same second: one runs (and fails for its input), the other says why it did not."""
    names = ("one", "other")
    for name in names:
        retrain(shop, name, VITRINE_EVENTS="/data/no-such-log")
    until("both Jobs have ended", 400, lambda: all(finished(shop, name) == "Failed" for name in names))
    reasons = [why(shop, name) for name in names]
    assert sum("is still running" in reason for reason in reasons) == 1, reasons
    assert sum("/data/no-such-log" in reason for reason in reasons) == 1, reasons


def test_retraining_reaches_the_running_stream(shop: Cluster) -> None:
    """From the archive; published; taken up by the same driver."""
    driver = shop.get("pod", "stream-driver")["metadata"]["uid"]
    old = shop.python("print(open('/data/vitrine/models/CURRENT').read().split()[0])").strip()
    # Synthetic figures move at random; this stage is about the way of a bundle, not about the gate.
    retrain(shop, "retrain-now", VITRINE_FORCE_PUBLISH="true")
    until("the Job has ended", 900, lambda: finished(shop, "retrain-now"), every=5)
    assert finished(shop, "retrain-now") == "Complete", why(shop, "retrain-now")
    new = shop.python("print(open('/data/vitrine/models/CURRENT').read().split()[0])").strip()
    assert new != old
    query = (
        'from(bucket: "BUCKET") |> range(start: -1h) '
        f'|> filter(fn: (r) => r._measurement == "lists" and r.model_version == "{new}") |> limit(n: 1)'
    )
    if finished(shop, "replay"):  # else what is being played will do: later events would make it late
        land(shop)
    until("lists of the new bundle", HEALED, lambda: shop.rows(query))
    assert shop.get("pod", "stream-driver")["metadata"]["uid"] == driver


def test_every_event_is_there_once(shop: Cluster) -> None:
    """After all faults: archive and counts hold what was played, each event once."""
    until("the replay has ended", 700, lambda: finished(shop, "replay") == "Complete", every=5)
    until("all are archived", HEALED, lambda: shop.census()["lost"] == 0, every=5)
    census = shop.census()
    print(census)
    assert (census["lost"], census["doubled"]) == (0, 0)
    query = (
        'from(bucket: "BUCKET") |> range(start: 2019-01-01T00:00:00Z) '
        '|> filter(fn: (r) => r._measurement == "events" and r._field == "events") |> group() |> sum()'
    )
    until("all are counted", HEALED, lambda: shop.rows(query)[0]["_value"] == census["distinct"], every=5)


def test_grafana_has_rows_for_every_panel(shop: Cluster) -> None:
    with forwarded(shop, "svc/grafana", 80) as url:
        assert json.loads(fetch(f"{url}/api/health"))["database"] == "ok"
        panels = json.loads(fetch(f"{url}/check?{PANELS}"))
    empty = [panel for panel in panels if not panel.get("rows")]
    print(f"{len(panels)} queries of panels and variables")
    assert panels
    assert not empty


@pytest.mark.parametrize(
    ("account", "verb", "resource", "allowed"),
    [
        ("driver", "create", "pods", "yes"),
        ("driver", "watch", "pods", "yes"),
        ("driver", "create", "configmaps", "yes"),
        ("driver", "get", "secrets", "no"),
        ("driver", "delete", "persistentvolumeclaims", "no"),
        ("driver", "create", "sparkapplications.sparkoperator.k8s.io", "no"),
        ("driver", "create", "pods/exec", "no"),
        ("launcher", "create", "sparkapplications.sparkoperator.k8s.io", "yes"),
        ("launcher", "delete", "sparkapplications.sparkoperator.k8s.io", "yes"),
        ("launcher", "get", "pods/log", "yes"),
        ("launcher", "update", "sparkapplications.sparkoperator.k8s.io", "no"),
        ("launcher", "create", "pods", "no"),
        ("launcher", "get", "secrets", "no"),
        ("executor", "list", "pods", "no"),
        ("job", "list", "pods", "no"),
    ],
)
def test_roles_allow_what_is_used_and_nothing_else(
    shop: Cluster, account: str, verb: str, resource: str, allowed: str
) -> None:
    who = f"--as=system:serviceaccount:{shop.namespace}:{account}"
    kind, _, part = resource.partition("/")  # kubectl would take pods/exec for a pod named exec
    words = [verb, kind, *([f"--subresource={part}"] if part else [])]
    assert shop.kubectl("auth", "can-i", *words, who, check=False).split()[-1] == allowed


def test_no_account_reaches_other_namespaces() -> None:
    for account in ("driver", "launcher", "executor", "job"):
        who = f"--as=system:serviceaccount:vitrine:{account}"
        assert run("kubectl", "-n", "default", "auth", "can-i", "list", "pods", who, check=False).split()[-1] == "no"


def test_pods_are_locked_down(shop: Cluster) -> None:
    """The namespace enforces `restricted`; beyond it every root file system is read-only."""
    enforced = json.loads(run("kubectl", "get", "namespace", shop.namespace, "-o", "json"))
    assert enforced["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = shop.get("pods")
    assert pods
    for pod in pods:
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, (pod["metadata"]["name"], container["name"])
            assert context["capabilities"]["drop"] == ["ALL"]


def test_upgrade_keeps_the_secrets(shop: Cluster) -> None:
    def secrets() -> list[dict[str, str]]:
        return [shop.get("secret", name)["data"] for name in ("influxdb-auth", "grafana-auth")]

    before = secrets()
    for chart in ("influxdb", "grafana"):
        run("helm", "upgrade", chart, f"charts/{chart}", "-n", shop.namespace, "--wait", "--timeout", "5m")
    assert secrets() == before


def test_other_names(shop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Another namespace, releases, organisation and bucket, side by side with the first shop."""
    other = Cluster("e2e-boutique", "http://store:8086", "acme", "clicks")
    shop.kubectl("patch", "sparkapplication", "stream", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    folder = ROOT / "build" / "e2e-boutique"  # kustomize wants a path relative to it
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "VITRINE_INFLUX_URL": other.influx,
        "VITRINE_INFLUX_ORG": other.org,
        "VITRINE_INFLUX_BUCKET": other.bucket,
    }
    settings = [f"{key}={value}" for key, value in values.items()]
    layer = {
        "resources": ["../../manifests"],
        "namespace": other.namespace,
        "configMapGenerator": [{"name": "settings", "behavior": "merge", "literals": settings}],
        "patches": [
            {
                "target": {"kind": "Job", "name": "generate"},
                "patch": yaml.safe_dump(
                    [
                        {"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "24000"},
                        {"op": "replace", "path": "/spec/template/spec/containers/0/env/1/value", "value": "20000"},
                    ]
                ),
            }
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(layer))
    try:
        run("kubectl", "create", "namespace", other.namespace)
        namespaces = f"spark.jobNamespaces={{{shop.namespace},{other.namespace}}}"
        upgrade_operator("--reuse-values", "--set", namespaces)
        setup = ["--set", f"setup.organization={other.org},setup.bucket={other.bucket}"]
        run("helm", "install", "store", "charts/influxdb", "-n", other.namespace, *setup, "--wait")
        source = f"influxdb.url={other.influx},influxdb.organization={other.org},influxdb.bucket={other.bucket}"
        run("helm", "install", "board", "charts/grafana", "-n", other.namespace, "--set", source, "--wait")
        run("kubectl", "apply", "-k", str(folder))
        other.kubectl("wait", "--for=condition=complete", "job/generate", "--timeout=200s")
        other.kubectl("patch", "sparkapplication", "train", "--type=merge", "-p", '{"spec":{"suspend":false}}')
        until("first training", 600, lambda: other.state("train") in ("COMPLETED", "FAILED"), every=5)
        assert other.state("train") == "COMPLETED", other.diagnosis()
        query = (
            'from(bucket: "BUCKET") |> range(start: -1h) '
            '|> filter(fn: (r) => r._measurement == "recommendations") |> limit(n: 1)'
        )
        until("points in the other bucket", 300, lambda: other.rows(query))
        with forwarded(other, "svc/board", 80) as url:
            panels = json.loads(fetch(f"{url}/check?{PANELS}"))
        assert sum(bool(panel.get("rows")) for panel in panels) > len(panels) / 2
    finally:
        upgrade_operator("-f", "charts/spark-operator.yaml")
        run("kubectl", "delete", "namespace", other.namespace, "--ignore-not-found", "--wait=false", check=False)
        shop.kubectl("patch", "sparkapplication", "stream", "--type=merge", "-p", '{"spec":{"suspend":false}}')


def upgrade_operator(*words: str) -> None:
    """The operator's chart: the public one, or the file that SPARK_OPERATOR_CHART names."""
    public = ["spark-operator", "--repo", "https://kubeflow.github.io/spark-operator", "--version", "2.5.2"]
    file = os.environ.get("SPARK_OPERATOR_CHART")
    chart = [file] if file else public
    run("helm", "upgrade", "spark-operator", *chart, "-n", "spark-operator", *words, "--wait")


def healed_after(what: str, begun: float) -> None:
    took = time.monotonic() - begun
    print(f"{what} deleted: lists are written again after {took:.0f} s")
    assert took < HEALED


def scale(shop: Cluster, instances: int) -> None:
    """Change `executor.instances` in the applied manifest, as an edit of stream.yaml and `kubectl apply` do."""
    objects = yaml.safe_load_all(run("kubectl", "kustomize", "manifests"))
    stream = next(one for one in objects if one["kind"] == "SparkApplication" and one["metadata"]["name"] == "stream")
    stream["spec"]["executor"]["instances"] = instances
    shop.apply(stream)


def retrain(shop: Cluster, name: str, **settings: str) -> None:
    """What `kubectl create job --from=cronjob/retrain` makes, with other settings."""
    shop.kubectl("delete", "job", name, "--ignore-not-found")
    job = json.loads(shop.kubectl("create", "job", name, "--from=cronjob/retrain", "--dry-run=client", "-o", "json"))
    variables = [{"name": key, "value": value} for key, value in settings.items()]
    job["spec"]["template"]["spec"]["containers"][0]["env"] += variables
    shop.apply(job)


def land(shop: Cluster) -> None:
    """Ten more events, after the end of the replayed log, put into the landing folder as one file."""
    shop.python("""
import os
import pandas as pd
log = pd.read_csv("/data/events/replay.synthetic.csv")
more = log.tail(10).copy()
moved = pd.to_datetime(more.event_time, utc=True) + pd.Timedelta(minutes=1)
more["event_time"] = moved.dt.strftime("%Y-%m-%d %H:%M:%S UTC")
name = f"extra-{os.getpid()}-{int(pd.Timestamp.now().timestamp())}.csv"
for path in (f"/data/vitrine/landing/.{name}", f"/data/events/{name}"):
    more.to_csv(path, index=False)
os.replace(f"/data/vitrine/landing/.{name}", f"/data/vitrine/landing/{name}")
""")


def finished(shop: Cluster, job: str) -> str | None:
    """Complete or Failed, None while a Job runs."""
    conditions = shop.get("job", job).get("status", {}).get("conditions", [])
    ends = [one["type"] for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"]
    return ends[0] if ends else None


def why(shop: Cluster, job: str) -> str:
    """What the Job's pod says about its end."""
    pods = shop.get("pods", **{"batch.kubernetes.io/job-name": job})
    return str(pods[-1]["status"]["containerStatuses"][0]["state"]["terminated"].get("message", ""))


@contextmanager
def forwarded(shop: Cluster, target: str, port: int) -> Iterator[str]:
    """A service, as an address on this machine."""
    words = ["kubectl", "-n", shop.namespace, "port-forward", target, f":{port}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # Forwarding from 127.0.0.1:40123 -> 3000
            yield f"http://127.0.0.1:{line.split('127.0.0.1:')[1].split()[0]}"
        finally:
            process.terminate()


def fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:  # 424 of /check: its body says which panel has no rows
        return error.read().decode()
