"""Owns reading YAML written by people: plain values, the line of every path, and all mistakes at once. Knows no format."""

from collections.abc import Iterable
from typing import Any

import yaml

from wenshu.semantic_layer.errors import ModelError
from wenshu.semantic_layer.spec_reader import Mistake, Path_
from wenshu.semantic_layer.text import Text


def read_yaml(text: str, lines: dict[Path_, int], mistakes: list[Mistake]) -> Any:
    """Return the plain values of a YAML text, None where there are none; `lines` and `mistakes` are added to."""
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", None) or "the file is not YAML")
        mistakes.append(Mistake((mark.line + 1) if mark else 1, Text(f"YAML: {problem}", f"YAML 格式有误：{problem}"),
                                Text("Check indentation, colons and quotes there.", "请检查此处的缩进、冒号和引号。")))  # fmt: skip
        return None
    return _plain(node, (), lines, mistakes) if node is not None else None


def mistakes_in(file: str, code: str, mistakes: Iterable[Mistake]) -> ModelError:
    """Return the error that lists the mistakes of a file, each with its line and fix."""
    rows = sorted(set(mistakes), key=lambda mistake: (mistake.line, mistake.message.en))
    return ModelError(
        code,
        Text(
            f"{file} has {len(rows)} mistake{'s' if len(rows) != 1 else ''}:\n"
            + "\n".join(f"{file}:{r.line}: {r.message.en}. {r.fix.en}" for r in rows),
            f"{file} 有 {len(rows)} 处错误：\n"
            + "\n".join(f"{file}:{r.line}：{r.message.zh}。{r.fix.zh}" for r in rows),
        ),
        Text("Mend the lines named and try again.", "请修改上述各行后重试。"),
    )


def _plain(node: yaml.Node, path: Path_, lines: dict[Path_, int], mistakes: list[Mistake]) -> Any:
    """Turn a YAML node into plain values and note the line of every path."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        out: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                mistakes.append(
                    Mistake(
                        key_node.start_mark.line + 1,
                        Text("a key is not a plain word", "键不是一个词"),
                        Text("Write `key: value`.", "请写成 `key: value`。"),
                    )
                )
                continue
            key = _plain(key_node, (*path, "?"), {}, mistakes)
            if key is True or key is False:  # YAML 1.1 reads a bare on/off/yes/no as a boolean
                key = key_node.value if key_node.value in ("on", "off", "yes", "no") else key
            line = key_node.start_mark.line + 1
            if key in out:
                mistakes.append(
                    Mistake(
                        line,
                        Text(f"“{key}” is given twice", f"“{key}”重复出现"),
                        Text("Remove or rename one.", "请删除或改名其中之一。"),
                    )
                )
            lines[(*path, key)] = line
            out[key] = _plain(value_node, (*path, key), lines, mistakes)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines, mistakes) for i, item in enumerate(node.value)]
    if node.tag.endswith(":timestamp"):
        return node.value
    if node.tag.endswith(":str"):  # most are, and a constructor for each would take longer than the rest
        return node.value
    return yaml.constructor.SafeConstructor().construct_object(node)
