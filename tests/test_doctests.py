"""Every example in a docstring runs, imported by the name that users import."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

LAYERS = ("semantic_layer", "tools", "assistant", "ui")
MODULES = [
    module
    for layer in LAYERS
    for module in pkgutil.walk_packages(importlib.import_module(f"wenshu.{layer}").__path__, f"wenshu.{layer}.")
]
WITH_EXAMPLES = [
    module.name for module in MODULES if ">>>" in Path(module.module_finder.find_spec(module.name).origin).read_text()
]


def test_modules_are_found_in_every_layer():
    assert {module.name.split(".")[1] for module in MODULES} == set(LAYERS)
    assert "wenshu.semantic_layer.errors" in WITH_EXAMPLES


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
