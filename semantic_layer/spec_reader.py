"""Owns what reading every part of a model file needs: names looked up, expressions parsed, mistakes noted with their line."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS
from wenshu.semantic_layer.duckdb_dialect import DuckDBText
from wenshu.semantic_layer.errors import did_you_mean
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.text import Synonyms, Text, same
from wenshu.semantic_layer.time_parts import TIME_PARTS

AGGREGATES = ("count", "count_distinct", "sum", "average", "min", "max", "median")
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Say what is wrong where in a model file, and how to mend it."""

    line: int
    message: Text
    fix: Text


def one_tree(text: str) -> exp.Expr:
    """Parse text that holds one statement or expression; ParseError where it holds another number of them."""
    [tree, *more] = sqlglot.parse(text, dialect=DuckDBText)
    if tree is None or more:
        raise sqlglot.ParseError("one expression was expected")
    return tree


def line_of(path: Path_, lines: dict[Path_, int]) -> int:
    """Return the line of the longest known prefix of `path`, passing over the tags pydantic puts into it."""
    known: Path_ = ()
    for part in path:
        if (*known, part) in lines:
            known = (*known, part)
    return lines.get(known, 1)


class SpecReader:
    """Hold a well-shaped spec, where its parts stand in the file, and what they get wrong."""

    def __init__(self, spec: s.ModelSpec, lines: dict[Path_, int], mistakes: list[Mistake]) -> None:
        self.spec, self.lines, self.mistakes = spec, lines, mistakes

    def mistake(self, path: Path_, message: Text, fix: Text) -> None:
        self.mistakes.append(Mistake(line_of(path, self.lines), message, fix))

    def known(self, name: str, names: Iterable[str], path: Path_, kind: Text) -> bool:
        if name in names:
            return True
        hint = did_you_mean(name, names)
        self.mistake(path, Text(f"there is no {kind.en} “{name}”", f"没有名为“{name}”的{kind.zh}"),
                     hint if hint.en else Text(f"Define it or name another {kind.en}.", f"请定义它，或改用其他{kind.zh}。"))  # fmt: skip
        return False

    def label(self, text: s.TextSpec | None, name: str) -> Text:
        return Text(text.en, text.zh) if text else same(name.replace("_", " "))

    def words(self, spec: s.SynonymsSpec) -> Synonyms:
        return Synonyms(en=tuple(spec.en), zh=tuple(spec.zh))

    def description(self, spec: s.TextSpec | None) -> Text | None:
        return Text(spec.en, spec.zh) if spec else None

    def expression(self, text: str, path: Path_) -> exp.Expr:
        """Parse an expression; one that is not valid SQL is a mistake and stands as NULL."""
        try:
            tree = one_tree(text)
            if isinstance(tree, exp.Command | exp.Alias) or tree.find(exp.Query, exp.AggFunc):
                raise sqlglot.ParseError("an expression over columns was expected")
        except (sqlglot.ParseError, sqlglot.TokenError, RecursionError):
            self.mistake(path, Text(f"“{text[:60]}” is not an SQL expression over columns", f"“{text[:60]}”不是有效的列表达式"),
                         Text("Write it as in a SELECT list, without aggregates.", "请按 SELECT 列表的写法书写，不含聚合函数。"))  # fmt: skip
            return exp.null()
        for column in tree.find_all(exp.Column):
            if column.table and column.table not in self.spec.datasets:
                self.known(column.table, self.spec.datasets, path, Text("dataset", "数据集"))
        return tree

    def check_reserved(self, name: str, path: Path_) -> None:
        if name in TIME_PARTS or name in BEHAVIOUR_KEYS or name in set(Grain):
            self.mistake(
                path,
                Text(f"“{name}” is a reserved name", f"“{name}”是保留名称"),
                Text("Choose another name.", "请换一个名称。"),
            )

    def refers_to(self, spec: Any, key: str, path: Path_, types: tuple[str, ...] = AGGREGATES) -> bool:
        """Say whether a key names a metric of one of the types, and note the mistake where it does not."""
        name = getattr(spec, key)
        if not self.known(name, self.spec.metrics, (*path, key), Text("metric", "指标")):
            return False
        found = self.spec.metrics[name].type
        if found not in types:
            self.mistake((*path, key), Text(f"“{name}” is of type {found}, which does not fit “{key}”", f"“{name}”的类型为 {found}，不能用于“{key}”"),
                         Text(f"Name a metric of type {', '.join(types)}.", f"请改用以下类型的指标：{'、'.join(types)}。"))  # fmt: skip
        return found in types
