"""YAML that grows line by line, with comments."""

from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass
class Lines:
    """YAML that grows line by line."""

    lines: list[str] = field(default_factory=list)

    def add(self, text: str, *comments: str) -> None:
        self.lines.append(f"{text}  # {'; '.join(comments)}" if comments else text)

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def as_yaml(value: Any) -> str:
    """A value as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6)
    return text.removesuffix("...\n").strip()
