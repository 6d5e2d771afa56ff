"""What the end-to-end test deploys: small shops as kustomizations above `manifests/`, retrainings, events."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster import ROOT, Cluster, run
from tests.small_spark import SMALL_MODELS

LAYERS = ROOT / "build" / "e2e"  # kustomize wants paths relative to a layer
RATE = 25  # events a second: there is something to play for 13 minutes, on a slow machine too
#: A stream that takes up events every two seconds leaves the cores to what else is going on.
QUICK = SMALL_MODELS | {"VITRINE_LISTS_SECONDS": "2"}
#: Trainings run with Spark as in the other tests (tests/spark), and so do the streams of which it is asked who has the
#: output, which start ten times; the stream, whose healing from a fault is timed, runs as in production.
SMALL_SPARK = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.executor.defaultJavaOptions": "-XX:TieredStopAtLevel=1",
}
SMALL = {f"/spec/sparkConf/{name}": value for name, value in SMALL_SPARK.items()}  # as patches
VARIABLE = "/spec/template/spec/containers/0/env/{}/value"  # of a Job, by its place
#: A guest beside the shop asks for little CPU, and has one replica of the API.
MODEST = {"/spec/driver/coreRequest": "50m", "/spec/executor/coreRequest": "50m"}
MODEST_API = {"/spec/template/spec/containers/0/resources/requests/cpu": "10m"}


def layer(namespace: str, events: int, history: int, *, guest: bool = False, **settings: str) -> Path:
    """A kustomization of `manifests/` in a namespace, with a shop of so many events; returns its folder."""
    folder = LAYERS / namespace
    folder.mkdir(parents=True, exist_ok=True)
    changes: dict[tuple[str, str], dict[str, Any]] = {
        ("Job", "generate"): {VARIABLE.format(0): str(events), VARIABLE.format(1): str(history)},
        ("Job", "replay"): {VARIABLE.format(1): str(RATE)},
        ("SparkApplication", "train"): SMALL | (MODEST if guest else {}),
        ("SparkApplication", "stream"): SMALL | MODEST if guest else {},
        ("CronJob", "retrain"): {"/spec/suspend": True},  # or a test at 03:30 UTC would meet a training of its own
        ("Deployment", "vitrine-api"): MODEST_API if guest else {},
        ("HorizontalPodAutoscaler", "vitrine-api"): {"/spec/minReplicas": 1} if guest else {},
    }
    kustomization = {
        "resources": [os.path.relpath(ROOT / "manifests", folder)],
        "namespace": namespace,
        "configMapGenerator": [
            {
                "name": "settings",
                "behavior": "merge",
                "literals": [f"{key}={value}" for key, value in (QUICK | settings).items()],
            }
        ],
        "patches": [
            {
                "target": {"kind": kind, "name": name},
                "patch": yaml.safe_dump([{"op": "add", "path": path, "value": new} for path, new in paths.items()]),
            }
            for (kind, name), paths in changes.items()
            if paths
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


def rendered(shop: Cluster, kind: str, name: str) -> dict[str, Any]:
    """An object of the shop's layer, as `kubectl apply` sends it; of `manifests/` where it has no layer."""
    folder = LAYERS / shop.namespace
    objects = yaml.safe_load_all(run("kubectl", "kustomize", str(folder if folder.exists() else ROOT / "manifests")))
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


def scale(shop: Cluster, instances: int) -> None:
    """Change `executor.instances` in the applied manifest, as an edit of stream.yaml and `kubectl apply` do."""
    stream = rendered(shop, "SparkApplication", "stream")
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
    """Ten more events of this moment, put into the landing folder as one file."""
    shop.python("""
import os, time
import pandas as pd
log = pd.read_csv("/data/events/replay.synthetic.csv")
now = pd.Timestamp.now(tz="UTC")
more = log.tail(10).assign(event_time=f"{now:%Y-%m-%d %H:%M:%S.%f} UTC")
name = f"extra-{time.time_ns()}.csv"
more.to_csv(f"/data/vitrine/landing/.{name}", index=False)
os.replace(f"/data/vitrine/landing/.{name}", f"/data/vitrine/landing/{name}")
""")


def renamed(app: dict[str, Any], name: str) -> dict[str, Any]:
    """A SparkApplication as it was applied, under a name, and with a Spark that is quick to start."""
    metadata = {"name": name, "labels": app["metadata"].get("labels", {})}
    spec = app["spec"] | {"sparkConf": app["spec"]["sparkConf"] | SMALL_SPARK}
    return {"apiVersion": app["apiVersion"], "kind": app["kind"], "metadata": metadata, "spec": spec}


def operator_chart() -> list[str]:
    """The operator's chart, as helm takes it: the public one, or the file that SPARK_OPERATOR_CHART names."""
    file = os.environ.get("SPARK_OPERATOR_CHART")
    public = ["spark-operator", "--repo", "https://kubeflow.github.io/spark-operator", "--version", "2.5.2"]
    return [file] if file else public


def upgrade_operator(*words: str) -> None:
    """Give the operator other values."""
    run("helm", "upgrade", "spark-operator", *operator_chart(), "-n", "spark-operator", *words)
