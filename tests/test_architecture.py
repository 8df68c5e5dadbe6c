"""The shape of the code: which way imports point, where heavy libraries may be, how big a module gets."""

import ast
import fnmatch
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("semantic_layer", "tools", "assistant", "ui")  # the lowest first
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}
every_module = pytest.mark.parametrize("module", TREES)

HOME_OF = {  # libraries, and the only modules that may import them
    "duckdb": "semantic_layer/*.py",
    "gradio": "ui/gradio_app.py",
    "httpx2": "assistant/llm.py",
    "langchain": "assistant/llm.py",
    "langchain_core": "assistant/llm.py",
    "langchain_openai": "assistant/llm.py",
    "langsmith": "assistant/llm.py",
    "matplotlib": "tools/render.py",
    "numpy": ("semantic_layer/shop*.py", "tools/insight/*.py"),
    "openai": "assistant/llm.py",
    "scipy": "tools/insight/lifetime.py",
    "sklearn": "tools/insight/*.py",
}
ONE_HOME = ("fastapi", "gradio", "langchain", "matplotlib", "openai", "pandas", "slack_bolt", "slack_sdk", "uvicorn")
LATE = ("fastapi", "gradio", "langchain", "matplotlib", "numpy", "openai", "pandas", "slack_bolt", "slack_sdk")  # never at start-up
BROAD_EXCEPT_MAY_BE_IN = ("tools/base.py", "ui/*.py")
VAGUE = {"helper", "helpers", "manager", "handler", "processor", "service", "util", "utils"}
CLOCKS = {
    "date.today",
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "time.time",
    "time.time_ns",
    "time.localtime",
}


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports, at its top or inside a function, as dotted names.

    >>> list(imports(ast.parse("def f(): from wenshu.ui.app import main")))
    ['wenshu.ui.app.main']
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def modules_importing(library: str) -> list[str]:
    return [module for module, tree in TREES.items() if library in {name.split(".")[0] for name in imports(tree)}]


def is_broad(clause: ast.ExceptHandler) -> bool:
    """Tell whether an `except` swallows everything: cleaning up and raising again does not."""
    caught = {"BaseException"} if clause.type is None else {ast.unparse(node) for node in ast.walk(clause.type)}
    raises_again = any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(clause))
    return bool(caught & {"Exception", "BaseException"}) and not raises_again


@every_module
def test_imports_point_down(module):
    layer = module.split("/")[0]
    above = {f"wenshu.{name}" for name in LAYERS[LAYERS.index(layer) + 1 :]}
    assert not {name for name in imports(TREES[module]) if ".".join(name.split(".")[:2]) in above}


@every_module
def test_imports_name_the_whole_package(module):
    names = list(imports(TREES[module]))
    assert not [name for name in names if name.split(".")[0] in LAYERS], (
        "import wenshu.<folder>, as an installed copy does"
    )
    assert not [name for name in names if name.startswith(".")], "imports are absolute"


@pytest.mark.parametrize("library", HOME_OF)
def test_heavy_library_stays_home(library):
    home = HOME_OF[library]
    patterns = (home,) if isinstance(home, str) else home
    strangers = [module for module in modules_importing(library) if not any(fnmatch.fnmatch(module, p) for p in patterns)]
    assert not strangers


@pytest.mark.parametrize("library", ONE_HOME)
def test_library_is_behind_one_module(library):
    assert len(modules_importing(library)) <= 1, modules_importing(library)


def test_the_command_line_starts_without_heavy_libraries():
    program = "import sys, wenshu.ui.cli; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "wenshu" in loaded
    assert not set(LATE) & set(loaded)


@every_module
def test_module_says_what_it_owns(module):
    assert ast.get_docstring(TREES[module])


@every_module
def test_module_is_short(module):
    assert len((ROOT / module).read_text().splitlines()) <= 500


@every_module
def test_names_are_terms_of_the_field(module):
    classes = [node.name for node in ast.walk(TREES[module]) if isinstance(node, ast.ClassDef)]
    words = {word.lower() for name in classes for word in words_of(name)} | set(Path(module).stem.split("_"))
    assert not words & VAGUE


def words_of(name: str) -> list[str]:
    """Split a class name into its words.

    >>> words_of("TimeRange")
    ['Time', 'Range']
    """
    return "".join(f" {letter}" if letter.isupper() else letter for letter in name).split()


@every_module
def test_broad_except_only_at_the_edges(module):
    broad = [node.lineno for node in ast.walk(TREES[module]) if isinstance(node, ast.ExceptHandler) and is_broad(node)]
    allowed = any(fnmatch.fnmatch(module, pattern) for pattern in BROAD_EXCEPT_MAY_BE_IN)
    assert allowed or not broad, f"line {broad}: catch what you can mend"


@pytest.mark.parametrize("module", [module for module in TREES if not module.startswith("ui/")])
def test_the_clock_is_an_argument(module):
    calls = [ast.unparse(node.func) for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)]
    assert not [call for call in calls if ".".join(call.split(".")[-2:]) in CLOCKS]


@pytest.mark.parametrize("source", ["except:", "except Exception:", "except (ValueError, Exception) as error:"])
def test_a_swallowing_except_is_seen(source):
    swallowing, cleaning = (ast.parse(f"try:\n f()\n{source}\n {body}") for body in ("pass", "raise"))
    clauses = [
        next(node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)) for tree in (swallowing, cleaning)
    ]
    assert [is_broad(clause) for clause in clauses] == [True, False]
