"""Training under spark-submit: `spark-submit app/jobs/train.py`, settings from `VITRINE_*`."""

from app.core.settings import load_settings
from app.jobs.guard import guarded
from app.jobs.run import run_training

if __name__ == "__main__":
    with guarded():
        run_training(load_settings())
