"""What `pip install .` gives: the four folders under `wenshu`, their data files, the command, and nothing else."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LAYERS = ("semantic_layer", "tools", "assistant", "ui")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
PINS = {
    canonicalize_name(name): version
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
    for name, _, version in [line.partition("==")]
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from a copy, so that nothing stale gets in and nothing is left behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for layer in LAYERS:
        shutil.copytree(ROOT / layer, source / layer, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_wheel_holds_the_four_folders_and_nothing_else(wheel):
    shipped = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"wenshu/{path.relative_to(ROOT).as_posix()}"
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == expected
    assert {f"wenshu/{layer}/py.typed" for layer in LAYERS} <= shipped
    assert "wenshu/semantic_layer/models/shop.yml" in shipped


def test_wheel_carries_the_licence(wheel):
    metadata = [name for name in ZipFile(wheel).namelist() if ".dist-info/" in name]
    assert [name for name in metadata if name.endswith("/licenses/LICENSE")]


def test_every_package_is_listed():
    listed = PYPROJECT["tool"]["setuptools"]["package-dir"]
    folders = {
        path.parent.relative_to(ROOT).as_posix() for layer in LAYERS for path in (ROOT / layer).rglob("__init__.py")
    }
    assert set(listed.values()) == folders
    assert sorted(PYPROJECT["tool"]["setuptools"]["packages"]) == sorted(listed)


def test_the_type_checkers_links_lead_to_the_folders():
    links = {path.name: path.resolve() for path in (ROOT / ".types" / "wenshu").iterdir()}
    assert links == {layer: (ROOT / layer).resolve() for layer in LAYERS}


def test_an_installed_copy_runs(installed, tmp_path):
    """The command's entry point, from the wheel's own files and away from the work tree."""
    module, function = PYPROJECT["project"]["scripts"]["wenshu"].split(":")
    program = f"import {module} as cli; assert cli.__file__.startswith({str(installed)!r}); cli.{function}()"
    run = subprocess.run(
        [sys.executable, "-c", program, "metrics"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
    )
    assert run.returncode == 0, run.stderr
    assert "gmv" in run.stdout


def test_every_import_is_a_declared_dependency():
    declared = {
        canonicalize_name(Requirement(line).name)
        for line in PYPROJECT["project"]["dependencies"] + sum(EXTRAS.values(), [])
    }
    provided_by = packages_distributions()
    undeclared = {}
    for path in (path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for top in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"wenshu"}:
                if not declared & {canonicalize_name(name) for name in provided_by.get(top, [])}:
                    undeclared.setdefault(top, []).append(path.relative_to(ROOT).as_posix())
    assert not undeclared


def test_versions_are_pinned_and_nothing_else():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)]


@pytest.mark.parametrize(
    "line",
    [
        *PYPROJECT["project"]["dependencies"],
        *sum(EXTRAS.values(), []),
        *PYPROJECT["dependency-groups"]["dev"],
        *PYPROJECT["build-system"]["requires"],
    ],
)
def test_pin_satisfies_the_declared_range(line):
    requirement = Requirement(line)
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_changelog_knows_the_version():
    version = PYPROJECT["project"]["version"]
    assert re.search(rf"^## \[?{re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
