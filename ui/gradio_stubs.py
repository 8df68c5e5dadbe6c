"""Owns keeping Gradio from writing type stubs beside its own sources each time it is imported, which is half of that import's work.

To be imported before Gradio is. Where Gradio does so no longer, or elsewhere, nothing is changed.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

WRITER, WRITES = "gradio.component_meta", "create_or_modify_pyi"


class _WithoutStubs(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == WRITER else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def quietly(module: ModuleType) -> None:
            execute(module)
            if hasattr(module, WRITES):
                setattr(module, WRITES, lambda *_: None)

        spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec


if WRITER not in sys.modules:
    sys.meta_path.insert(0, _WithoutStubs())
