"""The rules a change forgets most easily: nothing unfinished, nothing of one machine, every command documented."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("semantic_layer", "tools", "assistant", "ui")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
REGISTRY = re.compile(
    r"https?://[^\s\"')>]*(/simple\b|/packages/|registry)|\b(pypi|files[.]pythonhosted|npmjs|deb[.]debian)[.](org|com)\b"
)
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:work|opt|root|Users|home/\w+)/\w")


def tracked() -> Iterator[Path]:
    """Yield the files that a clone has, and the new ones about to be committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = (ROOT / name for name in names.split("\0") if name)
    yield from (path for path in paths if path.is_file() and not path.is_symlink())


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""  # a picture


def lines_with(pattern: re.Pattern[str], paths: Iterator[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if pattern.search(line)
    ]


def commands(group: object, words: str = "wenshu") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{words} {name}") if hasattr(command, "commands") else [f"{words} {name}"]


def test_the_tree_is_seen():
    assert {ROOT / "pyproject.toml", ROOT / "semantic_layer" / "errors.py"} <= set(tracked())


def test_nothing_is_unfinished():
    assert not lines_with(UNFINISHED, (path for path in tracked() if path.relative_to(ROOT).parts[0] in LAYERS))


def test_no_registry_address():
    assert not lines_with(REGISTRY, tracked())


def test_no_path_of_one_machine():
    assert not lines_with(MACHINE_PATH, tracked())


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNFINISHED, "x = 1  # TODO| later"),
        (REGISTRY, "https:|//mirror.example/simple/duckdb"),
        (REGISTRY, "see https://pypi|.org/project/duckdb"),
        (MACHINE_PATH, 'open("/home|/ada/data.csv")'),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern, line):
    """The bar keeps these lines themselves from being found."""
    assert pattern.search(line.replace("|", ""))


def test_contributing_is_a_short_read():
    assert 20 < len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 80


def test_the_licence_is_the_unmodified_apache_text():
    from hashlib import sha256

    known = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == known


def test_every_command_is_documented():
    from typer.main import get_command

    from wenshu.ui.cli import app

    documents = [ROOT / "README.md", ROOT / "docs" / "cli.md"]
    text = "\n".join(path.read_text() for path in documents if path.exists())
    names = list(commands(get_command(app)))
    assert "wenshu ask" in names
    assert not [name for name in names if name not in text]


def test_every_make_target_is_explained():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    explained = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert phony and set(phony[1].split()) - {"chromium"} == explained
