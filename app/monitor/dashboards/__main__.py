"""Write the dashboards: `python -m app.monitor.dashboards [FOLDER]`, by default grafana/dashboards."""

import sys
from pathlib import Path

from app.monitor.dashboards import documents


def write(folder: Path) -> None:
    """Write every dashboard's JSON and delete those that are no more."""
    files = documents()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.json")) - {folder / name for name in files}:
        stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "grafana/dashboards"))
