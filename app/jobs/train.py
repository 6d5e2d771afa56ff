"""Training under spark-submit: `spark-submit app/jobs/train.py`, settings from `VITRINE_*`."""

import sys

from app.core.settings import Settings, load_settings
from app.jobs.run import guarded, run_batch
from app.train.run import train


def main() -> int:
    settings: list[Settings] = []
    code = guarded(lambda: settings.append(load_settings()))
    return code or run_batch(train, settings[0])


if __name__ == "__main__":
    sys.exit(main())
