"""The documents keep their word: a block that follows the line `<!-- run -->` is run, and shows what it really prints.

`bash` blocks must succeed. In `console` blocks each `$ command` must succeed and print the lines shown below it, in
that order; `…` stands for anything, and more may be printed. `python` blocks run as a program, or as doctests if they
have prompts. The blocks of one document run in order in one empty folder.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MARKED = re.compile(r"^<!-- run -->\n+```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 180


class Block(NamedTuple):
    document: str
    line: int
    language: str
    text: str


def blocks_of(document: str, text: str) -> list[Block]:
    return [Block(document, text.count("\n", 0, m.start(2)) + 1, m[1], m[2]) for m in MARKED.finditer(text)]


def commands_of(console: str) -> list[tuple[str, list[str]]]:
    """Split a console block into commands, continued with `> `, and the output lines shown for each."""
    commands: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif line.startswith("> ") and commands and not commands[-1][1]:
            commands[-1] = (f"{commands[-1][0]}\n{line[2:]}", [])
        elif line.strip():
            commands[-1][1].append(line)
    return commands


def missing_line(shown: list[str], printed: str) -> str | None:
    """Return the first shown line that is not printed after the ones before it."""
    printed, start = " ".join(printed.split()), 0
    for line in shown:
        pattern = ".*?".join(re.escape(" ".join(part.split())) for part in line.split("…"))
        found = re.compile(pattern).search(printed, start)
        if not found:
            return line
        start = found.end()
    return None


BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path.relative_to(ROOT).as_posix(), path.read_text())]


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": "120", "WENSHU_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("document", list(dict.fromkeys(block.document for block in BLOCKS)))
def test_document(document, tmp_path):
    """The blocks of a document build on each other, so they run in order in one folder."""
    for block in BLOCKS:
        if block.document == document:
            print(f"{document}:{block.line}")
            check(block, tmp_path)


def check(block: Block, folder: Path) -> None:
    match block.language:
        case "bash" | "sh":
            run(["bash", "-euo", "pipefail", "-c", block.text], folder)
        case "console":
            for command, shown in commands_of(block.text):
                printed = run(["bash", "-euo", "pipefail", "-c", command], folder)
                assert missing_line(shown, printed) is None, printed
        case "python" if ">>>" in block.text:
            (folder / "example.txt").write_text(block.text)
            run([sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "example.txt"], folder)
        case "python":
            run([sys.executable, "-c", block.text], folder)
        case other:
            pytest.fail(f"{block.document}:{block.line}: `{other}` blocks cannot be run")


def test_the_readme_has_blocks_to_run():
    assert [block for block in BLOCKS if block.document == "README.md"]


def test_a_marked_block_is_found_and_an_unmarked_one_left():
    text = "# A\n\n<!-- run -->\n```bash\ntrue\n```\n\n```bash\nfalse\n```\n"
    assert blocks_of("a.md", text) == [Block("a.md", 5, "bash", "true\n")]


def test_console_blocks_split_into_commands():
    assert commands_of("$ cat <<E\n> hi\n> E\nhi\n\n$ true\n") == [("cat <<E\nhi\nE", ["hi"]), ("true", [])]


@pytest.mark.parametrize(
    ("shown", "missing"),
    [(["a  1", "c"], None), (["a …", "c 3"], None), (["c", "a"], "a"), (["a 2"], "a 2")],
)
def test_shown_lines_are_looked_for_in_order(shown, missing):
    assert missing_line(shown, "a 1\nb 2\nc   3\n") == missing
