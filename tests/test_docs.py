"""README and docs say what is there: links, commands, targets, columns, settings."""

import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

from app.cli import main
from app.events.clean import REASONS
from app.events.schema import CLEANED_SCHEMA
from app.events.vocabulary import RAW_COLUMNS
from app.features.products import PRODUCT_SCHEMA
from app.features.users import USER_SCHEMA
from app.insight.performance import PERFORMANCE_SCHEMA
from app.results.run import SCHEMA_VERSION
from app.serve.lists import ARROW_SCHEMA

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:\.venv/bin/)?vitrine +(\S.*)$", re.MULTILINE)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def code(page: Path) -> str:
    """What is set as code: fenced blocks without their comments, and inline code, a line each."""
    fenced = FENCE.findall(text(page))
    lines = [re.sub(r"\s+#.*$", "", line) for block in fenced for line in block.splitlines()[1:-1]]
    return "\n".join(lines + re.findall(r"`([^`\n]+)`", FENCE.sub("", text(page))))


def links() -> list[tuple[Path, str]]:
    found = [(page, link) for page in PAGES for link in LINK.findall(FENCE.sub("", text(page)))]
    return [(page, link) for page, link in found if "://" not in link]


@pytest.mark.parametrize(("page", "link"), links(), ids=lambda value: str(getattr(value, "name", value)))
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists()
    assert target.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(target)


#: A link to a source file with a name right beside it: as its text, or as `name` in (of, at) [the file].
NAMED = re.compile(
    r"\[`(?P<text>[^`]+)`\]\((?P<of_text>[^)#\s]+\.py)\)"
    r"|`(?P<before>[A-Za-z_][\w.]*)` (?:in|of|at) \[[^\]]*\]\((?P<of_before>[^)#\s]+\.py)\)"
)


def named() -> list[tuple[Path, str, Path]]:
    """Page, name and file of every name that stands beside a link to a source file."""
    found = [(page, match) for page in PAGES for match in NAMED.finditer(FENCE.sub("", text(page)))]
    names = [(page, m["text"] or m["before"], m["of_text"] or m["of_before"]) for page, m in found]
    return [(page, name, (page.parent / link).resolve()) for page, name, link in names]


@pytest.mark.parametrize(("page", "name", "source"), named(), ids=lambda value: str(getattr(value, "name", value)))
def test_a_name_beside_a_link_is_in_the_file(page: Path, name: str, source: Path) -> None:
    if "/" in name or name.endswith(".py"):  # the path itself
        assert str(source).endswith(name)
    else:
        assert name.rpartition(".")[2] in text(source)


@pytest.mark.parametrize(("page", "link"), links(), ids=lambda value: str(getattr(value, "name", value)))
def test_a_link_that_is_called_like_a_file_leads_to_that_file(page: Path, link: str) -> None:
    target = str((page.parent / link.partition("#")[0]).resolve())
    called = re.findall(rf"\[`?([\w/.-]+\.py)`?\]\({re.escape(link)}\)", text(page))
    assert all(target.endswith(f"/{name}") for name in called)


def commands() -> list[str]:
    return sorted({line for page in PAGES for line in COMMAND.findall(code(page))})


def check_command(line: str) -> None:
    """Parse a command line without running it."""
    name, *arguments = shlex.split(line)
    main.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("line", commands())
def test_a_command_parses(line: str) -> None:
    check_command(line)


def test_the_commands_are_found_and_wrong_ones_refused() -> None:
    assert {"train", "explore", "generate"} <= {line.split()[0] for line in commands()}
    with pytest.raises(KeyError):
        check_command("retrain")
    with pytest.raises(click.UsageError):
        check_command("train --evens log.csv")


def test_keys_are_made_before_what_needs_them() -> None:
    """Pods of the API don't start without them, in a new installation and in one of an edition without an API."""
    blocks = FENCE.findall(text(ROOT / "docs/operations.md"))
    applied = [block for block in blocks if "kubectl apply -k manifests/ " in block]
    assert len(applied) == 2, "to install and to upgrade"
    for block in applied:
        assert 0 < block.find("scripts/api-keys vitrine") < block.find("kubectl apply -k manifests/ ")


def test_readme_names_every_command() -> None:
    missing = [name for name in main.commands if f"`vitrine {name}`" not in text(ROOT / "README.md")]
    assert not missing


def test_targets_named_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"^make ([a-z][a-z0-9-]*)", code(page), re.MULTILINE)}
    assert {"setup", "demo", "test"} <= named <= targets


def test_settings_page_is_in_step() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "settings_page.py"))["page"]
    assert text(ROOT / "docs" / "settings.md") == page(), "type: make docs"


def test_fields_of_a_run_are_in_step() -> None:
    page = text(ROOT / "docs" / "run.md")
    assert runpy.run_path(str(ROOT / "scripts" / "run_page.py"))["renewed"](page) == page, "type: make docs"
    assert f"`schema_version` is {SCHEMA_VERSION}." in page


def test_columns_of_figures_are_in_step() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "figures_page.py"))["page"]
    assert text(ROOT / "docs" / "figures.md") == page(), "type: make docs"


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("### Cleaned events", CLEANED_SCHEMA.names),
        ("### User behaviour", USER_SCHEMA.names),
        ("### Product data", PRODUCT_SCHEMA.names),
        ("### Product performance", PERFORMANCE_SCHEMA.names),
        ("### Recommendation lists", ARROW_SCHEMA.names),
    ],
)
def test_tables_are_described_column_by_column(heading: str, columns: list[str]) -> None:
    section = text(ROOT / "docs" / "data.md").split(f"{heading}\n")[1].split("\n#")[0]
    first_cells = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first_cells))) == sorted(columns)


def test_input_columns_and_reject_reasons_are_described() -> None:
    page = text(ROOT / "docs" / "data.md")
    assert all(f"| `{name}` |" in page for name in (*RAW_COLUMNS, *REASONS))
