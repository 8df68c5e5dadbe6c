"""Owns reading a model file: YAML to a checked `Model`, or every mistake at once with file, line and fix."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.builder import Builder
from wenshu.semantic_layer.errors import ModelError, did_you_mean
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.spec_reader import Mistake, Path_, line_of
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.yaml_lines import mistakes_in, read_yaml

BUILT_IN = ("shop", "cdnow", "journey")


def load_model(name: str) -> Model:
    """Load a built-in model by name or a model file by path.

    Raises `ModelError` with code `model_missing` or `model_invalid`; the latter's message lists every mistake.
    """
    if name in BUILT_IN:
        return parse_model(
            files("wenshu.semantic_layer").joinpath(f"models/{name}.yml").read_text("utf-8"), f"{name}.yml"
        )
    path = Path(name)
    try:
        return parse_model(path.read_text("utf-8"), path.name)
    except (FileNotFoundError, IsADirectoryError):
        hint = did_you_mean(name, BUILT_IN)
        raise ModelError(
            "model_missing",
            Text(f"There is no model “{name}”.", f"没有名为“{name}”的模型。"),
            hint
            if hint.en
            else Text(
                f"Use {', '.join(BUILT_IN)} or the path of a model file.",
                f"请使用 {'、'.join(BUILT_IN)} 或模型文件的路径。",
            ),
        ) from None
    except (UnicodeDecodeError, PermissionError):
        raise ModelError(
            "model_invalid",
            Text(f"The model file “{path.name}” cannot be read.", f"无法读取模型文件“{path.name}”。"),
            Text("Save it as UTF-8 text that this user may read.", "请将其保存为当前用户可读的 UTF-8 文本。"),
        ) from None


def parse_model(text: str, file: str) -> Model:
    """Read the text of a model file; `file` is the name used in messages."""
    mistakes: list[Mistake] = []
    lines: dict[Path_, int] = {}
    data = read_yaml(text, lines, mistakes)
    if data is None and mistakes:
        raise mistakes_in(file, "model_invalid", mistakes)
    if not isinstance(data, dict):
        mistakes.append(
            Mistake(
                1,
                Text("the file holds no mapping", "文件内容不是键值映射"),
                Text("Start it with `name: …`.", "请以 `name: …` 开头。"),
            )
        )
        raise mistakes_in(file, "model_invalid", mistakes)
    try:
        spec = s.ModelSpec.model_validate(data)
    except ValidationError as error:
        mistakes.extend(_shape_mistakes(error, lines))
        repaired = _without_mistakes(data, error)
        if repaired is not None:
            Builder(repaired, lines, mistakes).build()
        raise mistakes_in(file, "model_invalid", mistakes) from None
    model = Builder(spec, lines, mistakes).build()
    if model is None:
        raise mistakes_in(file, "model_invalid", mistakes)
    return model


def _without_mistakes(data: dict[str, Any], error: ValidationError) -> s.ModelSpec | None:
    """Return the file's sound parts, its unsound ones replaced by empty ones of the same name, or None if too little is left.

    It serves to find what else is wrong, so that all of it is reported at once.
    """
    dataset = next(iter(data["datasets"]), None) if isinstance(data.get("datasets"), dict) else None
    for item in error.errors(include_url=False):
        match item["loc"]:
            case ("metrics", name, *_) if dataset and isinstance(data["metrics"], dict):
                data["metrics"][name] = {"type": "count", "dataset": dataset}
            case ("datasets", name, "dimensions", key, *_) if isinstance(data["datasets"][name]["dimensions"], dict):
                data["datasets"][name]["dimensions"][key] = {}
            case ("datasets", name, key, *_) if isinstance(data["datasets"][name], dict):
                data["datasets"][name].pop(key, None)
                data["datasets"][name].setdefault("source", name)
            case ("datasets", name):
                data["datasets"][name] = {"source": name}
            case (key, *_):
                data.pop(str(key), None)
                data.setdefault("name", "model")
    try:
        return s.ModelSpec.model_validate(data)
    except ValidationError:
        return None


def _shape_mistakes(error: ValidationError, lines: dict[Path_, int]) -> Iterable[Mistake]:
    for item in error.errors(include_url=False):
        path = tuple(item["loc"])
        name, line = str(path[-1]) if path else "", line_of(path, lines)
        where = ".".join(str(part) for part in path[:-1])
        match item["type"]:
            case "missing":
                yield Mistake(line, Text(f"“{name}” is missing in {where or 'the model'}", f"{where or '模型'} 缺少“{name}”"),
                              Text(f"Add `{name}: …`.", f"请补充 `{name}: …`。"))  # fmt: skip
            case "extra_forbidden":
                keys = _keys_at(path)
                hint = did_you_mean(name, keys)
                yield Mistake(line, Text(f"“{name}” is not a key of {where or 'a model'}", f"{where or '模型'} 中没有“{name}”这个键"),
                              hint if hint.en else Text("Remove it.", "请将其删除。"))  # fmt: skip
            case "union_tag_invalid" | "union_tag_not_found":
                types = ", ".join(s.METRIC_TYPES)
                got = item.get("ctx", {}).get("tag", "")
                hint = did_you_mean(str(got), types.split(", "))
                yield Mistake(line, Text(f"metric “{name}” has the type “{got}”", f"指标“{name}”的类型是“{got}”"),
                              hint if hint.en else Text(f"Give it one of {types}.", f"可用类型：{types}。"))  # fmt: skip
            case _:
                message = item["msg"].removeprefix("Value error, ")
                yield Mistake(line, Text(f"“{name}”: {message[0].lower()}{message[1:]}", f"“{name}”的值有误（{message}）"),
                              Text("See the model file's JSON Schema: `wenshu model schema`.", "格式说明见 `wenshu model schema`。"))  # fmt: skip


def _keys_at(path: Path_) -> list[str]:
    """Return the keys that may stand where an unknown key was found."""
    depth: dict[int, type[s.Spec]] = {1: s.ModelSpec, 3: s.DatasetSpec, 5: s.DimensionSpec}
    if path[0] == "metrics":
        return sorted({field.alias or key for kind in s.METRIC_SPECS for key, field in kind.model_fields.items()})
    kind: type[s.Spec] = s.RelationshipSpec if path[0] == "relationships" else depth.get(len(path), s.ModelSpec)
    return [field.alias or key for key, field in kind.model_fields.items()]
