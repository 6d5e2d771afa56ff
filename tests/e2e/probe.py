"""A pod beside the application, to look into the volume and InfluxDB with."""

import json
import subprocess
from tempfile import TemporaryFile
from threading import Timer

PATIENCE = 300  #: seconds within which a program answers
PROBE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe"},
    "spec": {
        "restartPolicy": "Never",
        "serviceAccountName": "job",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 185,
            "runAsGroup": 185,
            "fsGroup": 185,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "probe",
                "image": "vitrine:dev",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "infinity"],
                "env": [
                    {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
                    for name, secret, key in (
                        ("VITRINE_INFLUX_TOKEN", "influxdb-auth", "token"),
                        ("READ_KEY", "api-auth", "read-key"),
                        ("WRITE_KEY", "api-auth", "write-key"),
                    )
                ],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    },
}

#: Runs program after program in one Python: most are asked every two seconds, and each would start one, and import
#: pandas, of its own.
LOOP = """
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    program, *words = json.loads(line)
    sys.argv, said, wrong = ["-", *words], io.StringIO(), None
    try:
        with contextlib.redirect_stdout(said):
            exec(program, {"__name__": "__main__"})
    except BaseException:
        wrong = traceback.format_exc()
    print(json.dumps([said.getvalue(), wrong]), flush=True)
"""


class Probe:
    """The Python in the pod.

    Parameters
    ----------
    words
        What runs it, with its standard input and output here.
    """

    def __init__(self, *words: str):
        self._words = [*words, "python", "-c", LOOP]
        self._process: subprocess.Popen[str] | None = None
        self._complaints = TemporaryFile("w+")  # noqa: SIM115

    def run(self, program: str, *words: str) -> str:
        """What a program printed that was given some words.

        Raises
        ------
        AssertionError
            It failed, or the pod is gone.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, text=True
            )
        line = self._ask(self._process, json.dumps([program, *words]))
        if not line:
            self._end()  # the next call finds it again
            self._complaints.seek(0)
            raise AssertionError(f"the probe does not answer: {self._complaints.read()[-3000:]}")
        said, wrong = json.loads(line)
        assert wrong is None, f"{wrong}{said[-3000:]}"
        return str(said)

    def _ask(self, process: subprocess.Popen[str], line: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        limit = Timer(PATIENCE, process.kill)
        limit.start()
        try:
            print(line, file=process.stdin, flush=True)
            return process.stdout.readline()
        except BrokenPipeError:
            return ""
        finally:
            limit.cancel()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()  # kubectl would wait a minute for the other end
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        """End it."""
        self._end()
        self._complaints.close()
