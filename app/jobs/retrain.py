"""What the retraining CronJob runs: `python -m app.jobs.retrain`, inside the cluster.

Its own `VITRINE_*` variables win over those of the template.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click
from kubernetes import client, config

from app.core.errors import InputError, VitrineError
from app.core.settings import PREFIX
from app.jobs.guard import guarded, say
from app.jobs.launcher import Launcher, Owner

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
STOPPED = 143  #: exit code after SIGTERM


class Stopped(BaseException):
    """SIGTERM arrived: the Job was deleted, or its deadline has passed."""


def retrain(template: str, keep: int, owner: Owner | None, namespace: str | None) -> None:
    """One training from start to end.

    Raises
    ------
    VitrineError
        It failed, could not be made, or another one runs.
    Stopped
        SIGTERM arrived; the training was deleted.
    """
    launcher = connect(namespace)
    overrides = {key: value for key, value in os.environ.items() if key.startswith(PREFIX)}
    name = launcher.create(template, overrides, owner, datetime.now(UTC))
    say(f"training {name}; its log: kubectl logs {name}-driver")
    try:
        launcher.follow(name)
    except Stopped:
        launcher.delete(name)
        raise
    except VitrineError:
        tidy(launcher, template, keep)
        raise
    tidy(launcher, template, keep)


def tidy(launcher: Launcher, template: str, keep: int) -> None:
    """Delete old trainings; a failure of that is reported, and the training's own end stands."""
    try:
        gone = launcher.prune(template, keep)
    except VitrineError as error:
        say(f"old trainings stay: {error}")
    else:
        if gone:
            say(f"deleted old trainings: {', '.join(gone)}")


def connect(namespace: str | None) -> Launcher:
    """A launcher, by the pod's service account or else by kubeconfig."""
    in_pod = NAMESPACE_FILE.exists()
    try:
        if in_pod:
            config.load_incluster_config()
        else:
            config.load_kube_config()
    except config.ConfigException as error:
        raise InputError(f"no Kubernetes cluster: {error}; run this in a pod, or set KUBECONFIG") from None
    own = NAMESPACE_FILE.read_text().strip() if in_pod else "default"
    retries = client.Configuration.get_default_copy()
    retries.retries = False  # the launcher tries again itself, and says so
    api = client.ApiClient(retries)
    return Launcher(client.CustomObjectsApi(api), client.CoreV1Api(api), namespace or own, say)


def parse_owner(text: str | None) -> Owner | None:
    """NAME/UID of a pod."""
    if text is None:
        return None
    name, _, uid = text.partition("/")
    if not name or not uid:
        raise click.BadParameter("expected NAME/UID of the pod", param_hint="--owner")
    return Owner(name, uid)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


@click.command()
@click.option("--template", required=True, help="Suspended SparkApplication to make the training from.")
@click.option("--keep", type=click.IntRange(0), default=3, show_default=True, help="Finished trainings that are kept.")
@click.option("--owner", help="NAME/UID of the launcher's pod; the training goes when the pod does.")
@click.option("--namespace", help="Namespace of the template [default: the pod's own].")
def main(template: str, keep: int, owner: str | None, namespace: str | None) -> None:
    """Train once on the cluster, and exit as the training does."""
    parsed = parse_owner(owner)
    signal.signal(signal.SIGTERM, _stop)
    try:
        with guarded():
            retrain(template, keep, parsed, namespace)
    except Stopped:
        say("error: stopped by a signal (deleted, or past its deadline); its training was deleted")
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
