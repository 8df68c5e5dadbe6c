"""Owns reading a model file: YAML to a checked `Model`, or every mistake at once with file, line and fix."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import sqlglot
import yaml
from pydantic import ValidationError
from sqlglot import exp

from wenshu.semantic_layer import model as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.errors import ModelError, QueryError, did_you_mean
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter, filter_from_json, filters_of
from wenshu.semantic_layer.text import Text, same

BUILT_IN = ("shop", "cdnow", "journey")
TIME_PARTS = ("hour_of_day", "weekday", "day_type")
MOST_INDEXED = ("string",)  # the types whose values people name in questions
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Say what is wrong where in a model file, and how to mend it."""

    line: int
    message: Text
    fix: Text


def load_model(name: str) -> m.Model:
    """Load a built-in model by name or a model file by path.

    Raises `ModelError` with code `model_missing` or `model_invalid`; the latter's message lists every mistake.
    """
    if name in BUILT_IN:
        return parse_model(files("wenshu.semantic_layer").joinpath(f"models/{name}.yml").read_text("utf-8"), f"{name}.yml")
    path = Path(name)
    try:
        return parse_model(path.read_text("utf-8"), path.name)
    except (FileNotFoundError, IsADirectoryError):
        hint = did_you_mean(name, BUILT_IN)
        raise ModelError(
            "model_missing",
            Text(f"There is no model “{name}”.", f"没有名为“{name}”的模型。"),
            hint if hint.en else Text(f"Use {', '.join(BUILT_IN)} or the path of a model file.", f"请使用 {'、'.join(BUILT_IN)} 或模型文件的路径。"),
        ) from None
    except (UnicodeDecodeError, PermissionError):
        raise ModelError(
            "model_invalid",
            Text(f"The model file “{path.name}” cannot be read.", f"无法读取模型文件“{path.name}”。"),
            Text("Save it as UTF-8 text that this user may read.", "请将其保存为当前用户可读的 UTF-8 文本。"),
        ) from None


def parse_model(text: str, file: str) -> m.Model:
    """Read the text of a model file; `file` is the name used in messages."""
    mistakes: list[Mistake] = []
    lines: dict[Path_, int] = {}
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", None) or "the file is not YAML")
        mistakes.append(Mistake((mark.line + 1) if mark else 1, Text(f"YAML: {problem}", f"YAML 格式有误：{problem}"),
                                Text("Check indentation, colons and quotes there.", "请检查此处的缩进、冒号和引号。")))  # fmt: skip
        raise _invalid(file, mistakes) from None
    data = _plain(node, (), lines, mistakes) if node is not None else None
    if not isinstance(data, dict):
        mistakes.append(Mistake(1, Text("the file holds no mapping", "文件内容不是键值映射"), Text("Start it with `name: …`.", "请以 `name: …` 开头。")))
        raise _invalid(file, mistakes)
    try:
        spec = s.ModelSpec.model_validate(data)
    except ValidationError as error:
        mistakes.extend(_shape_mistakes(error, lines))
        repaired = _without_mistakes(data, error)
        if repaired is not None:
            _Builder(repaired, lines, mistakes).build()
        raise _invalid(file, mistakes) from None
    model = _Builder(spec, lines, mistakes).build()
    if model is None:
        raise _invalid(file, mistakes)
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
                data.pop(key, None)
                data.setdefault("name", "model")
    try:
        return s.ModelSpec.model_validate(data)
    except ValidationError:
        return None


def _invalid(file: str, mistakes: Iterable[Mistake]) -> ModelError:
    rows = sorted(set(mistakes), key=lambda mistake: (mistake.line, mistake.message.en))
    return ModelError(
        "model_invalid",
        Text(
            f"{file} has {len(rows)} mistake{'s' if len(rows) != 1 else ''}:\n" + "\n".join(f"{file}:{r.line}: {r.message.en}. {r.fix.en}" for r in rows),
            f"{file} 有 {len(rows)} 处错误：\n" + "\n".join(f"{file}:{r.line}：{r.message.zh}。{r.fix.zh}" for r in rows),
        ),
        Text("Mend the lines named and try again.", "请修改上述各行后重试。"),
    )


def _plain(node: yaml.Node, path: Path_, lines: dict[Path_, int], mistakes: list[Mistake]) -> Any:
    """Turn a YAML node into plain values and note the line of every path."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        out: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _plain(key_node, (*path, "?"), {}, mistakes)
            if key is True or key is False:  # YAML 1.1 reads a bare on/off/yes/no as a boolean
                key = key_node.value if key_node.value in ("on", "off", "yes", "no") else key
            line = key_node.start_mark.line + 1
            if key in out:
                mistakes.append(Mistake(line, Text(f"“{key}” is given twice", f"“{key}”重复出现"), Text("Remove or rename one.", "请删除或改名其中之一。")))
            lines[(*path, key)] = line
            out[key] = _plain(value_node, (*path, key), lines, mistakes)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines, mistakes) for i, item in enumerate(node.value)]
    if node.tag.endswith(":timestamp"):
        return node.value
    return yaml.SafeLoader("").construct_object(node)


def _line(path: Path_, lines: dict[Path_, int]) -> int:
    """Return the line of the longest known prefix of `path`, passing over the tags pydantic puts into it."""
    known: Path_ = ()
    for part in path:
        if (*known, part) in lines:
            known = (*known, part)
    return lines.get(known, 1)


def _shape_mistakes(error: ValidationError, lines: dict[Path_, int]) -> Iterable[Mistake]:
    for item in error.errors(include_url=False):
        path = tuple(item["loc"])
        name, line = str(path[-1]) if path else "", _line(path, lines)
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
                types = "count, count_distinct, sum, average, min, max, median, ratio, derived, cumulative"
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
    depth = {1: s.ModelSpec, 3: s.DatasetSpec, 5: s.DimensionSpec}
    if path[0] == "metrics":
        kinds = (s.CountSpec, s.AggregateSpec, s.RatioSpec, s.DerivedSpec, s.CumulativeSpec)
        return sorted({key for kind in kinds for key in kind.model_fields})
    kind = s.RelationshipSpec if path[0] == "relationships" else depth.get(len(path), s.ModelSpec)
    return [field.alias or key for key, field in kind.model_fields.items()]


class _Builder:
    """Turn a well-shaped spec into a model, collecting what its names and expressions get wrong."""

    def __init__(self, spec: s.ModelSpec, lines: dict[Path_, int], mistakes: list[Mistake]) -> None:
        self.spec, self.lines, self.mistakes = spec, lines, mistakes

    def build(self) -> m.Model | None:
        spec = self.spec
        datasets = tuple(self.dataset(name, item) for name, item in spec.datasets.items())
        relationships = tuple(r for i, item in enumerate(spec.relationships) if (r := self.relationship(i, item)))
        metrics = tuple(built for name, item in spec.metrics.items() if (built := self.metric(name, item)))
        self.check_cycles()
        for i, name in enumerate(spec.headline):
            self.known(name, spec.metrics, ("headline", i), Text("metric", "指标"))
        if self.mistakes:
            return None
        return m.Model(
            name=spec.name,
            label=self.label(spec.label, spec.name),
            timezone=spec.timezone,
            as_of=spec.as_of,
            currency=spec.currency,
            datasets=datasets,
            relationships=relationships,
            metrics=metrics,
            headline=tuple(spec.headline),
            examples=tuple(Text(item.en, item.zh) for item in spec.examples),
            absent=tuple((Text(item.label.en, item.label.zh), self.words(item.synonyms)) for item in spec.absent),
        )

    # what every part needs

    def mistake(self, path: Path_, message: Text, fix: Text) -> None:
        self.mistakes.append(Mistake(_line(path, self.lines), message, fix))

    def known(self, name: str, names: Iterable[str], path: Path_, kind: Text) -> bool:
        if name in names:
            return True
        hint = did_you_mean(name, names)
        self.mistake(path, Text(f"there is no {kind.en} “{name}”", f"没有名为“{name}”的{kind.zh}"),
                     hint if hint.en else Text(f"Define it or name another {kind.en}.", f"请定义它，或改用其他{kind.zh}。"))  # fmt: skip
        return False

    def label(self, text: s.TextSpec | None, name: str) -> Text:
        return Text(text.en, text.zh) if text else same(name.replace("_", " "))

    def words(self, spec: s.SynonymsSpec) -> m.Synonyms:
        return m.Synonyms(en=tuple(spec.en), zh=tuple(spec.zh))

    def description(self, spec: s.TextSpec | None) -> Text | None:
        return Text(spec.en, spec.zh) if spec else None

    def expression(self, text: str, path: Path_) -> exp.Expression:
        """Parse an expression; one that is not valid SQL is a mistake and stands as NULL."""
        try:
            tree = sqlglot.parse_one(text, dialect="duckdb")
            if isinstance(tree, exp.Query | exp.Command | exp.Alias) or any(tree.find_all(exp.AggFunc)):
                raise sqlglot.ParseError("an expression over columns was expected")
        except (sqlglot.ParseError, sqlglot.TokenError, RecursionError):
            self.mistake(path, Text(f"“{text[:60]}” is not an SQL expression over columns", f"“{text[:60]}”不是有效的列表达式"),
                         Text("Write it as in a SELECT list, without aggregates.", "请按 SELECT 列表的写法书写，不含聚合函数。"))  # fmt: skip
            return exp.null()
        for column in tree.find_all(exp.Column):
            if column.table and column.table not in self.spec.datasets:
                self.known(column.table, self.spec.datasets, path, Text("dataset", "数据集"))
        return tree

    # the parts

    def dataset(self, name: str, spec: s.DatasetSpec) -> m.Dataset:
        path: Path_ = ("datasets", name)
        source: str | exp.Query = spec.source
        file = None
        if spec.source.split(None, 1)[0].upper() in ("SELECT", "WITH"):
            try:
                tree = sqlglot.parse_one(spec.source, dialect="duckdb")
            except (sqlglot.ParseError, sqlglot.TokenError):
                tree = exp.null()
            if isinstance(tree, exp.Query):
                source = tree
            else:
                self.mistake((*path, "source"), Text("the source is not one SELECT", "source 不是一条 SELECT"),
                             Text("Write one SELECT, or a table's name.", "请写一条 SELECT，或一个表名。"))  # fmt: skip
        elif any(mark in spec.source for mark in ("*", "/", ".parquet", ".csv")):
            source, file = name, spec.source
        dimensions = tuple(self.dimension(name, key, item or s.DimensionSpec()) for key, item in spec.dimensions.items())
        return m.Dataset(
            name=name,
            source=source,
            file=file,
            label=self.label(spec.label, name),
            synonyms=self.words(spec.synonyms),
            primary_key=tuple(spec.primary_key),
            entity=spec.entity,
            time=self.expression(spec.time, (*path, "time")) if spec.time else None,
            dimensions=dimensions,
        )

    def dimension(self, dataset: str, name: str, spec: s.DimensionSpec) -> m.Dimension:
        path: Path_ = ("datasets", dataset, "dimensions", name)
        if name in TIME_PARTS or name in set(Grain):
            self.mistake(path, Text(f"“{name}” is a reserved name", f"“{name}”是保留名称"), Text("Choose another name.", "请换一个名称。"))
        values = tuple(
            m.DimensionValue(
                value=value,
                label=self.label(item.label if item else None, str(value)),
                synonyms=self.words(item.synonyms) if item else m.Synonyms(),
            )
            for value, item in spec.values.items()
        )
        expr: exp.Expression = self.expression(spec.expr, (*path, "expr")) if spec.expr else exp.column(name)
        bands: tuple[float, ...] = ()
        if spec.bands:
            siblings = self.spec.datasets[dataset].dimensions
            if self.known(spec.bands.of, siblings, (*path, "bands", "of"), Text("dimension of this dataset", "该数据集的维度")):
                sibling = siblings[spec.bands.of] or s.DimensionSpec()
                expr = self.expression(sibling.expr, (*path, "bands")) if sibling.expr else exp.column(spec.bands.of)
            bands = tuple(spec.bands.from_)
            values = values or _band_values(bands, spec.bands.unit)
        indexed = spec.index if spec.index is not None else (spec.type in MOST_INDEXED and not spec.pii and not bands)
        return m.Dimension(
            name=name,
            dataset=dataset,
            expr=expr,
            type="string" if bands else spec.type,
            label=self.label(spec.label, name),
            synonyms=self.words(spec.synonyms),
            values=values,
            ordered=spec.ordered or bool(bands),
            pii=spec.pii,
            indexed=indexed and not spec.pii,
            unit=spec.unit,
            bands=bands,
            description=self.description(spec.description),
        )

    def relationship(self, i: int, spec: s.RelationshipSpec) -> m.Relationship | None:
        path: Path_ = ("relationships", i)
        kind = Text("dataset", "数据集")
        known = [self.known(name, self.spec.datasets, (*path, key), kind) for key, name in (("from", spec.from_), ("to", spec.to))]
        if not all(known):
            return None
        on = {spec.on: spec.on} if isinstance(spec.on, str) else spec.on
        one_columns = tuple(on.values())
        if set(one_columns) != set(self.spec.datasets[spec.to].primary_key):
            key = ", ".join(self.spec.datasets[spec.to].primary_key) or "—"
            self.mistake(path, Text(f"{spec.to} is joined by {', '.join(one_columns)}, but its primary key is {key}",
                                    f"与 {spec.to} 的关联使用了 {'、'.join(one_columns)}，但其主键是 {key}"),
                         Text("Join to the primary key of the one side, so that no row is doubled.", "请关联到“一”方的主键，以免行被重复。"))  # fmt: skip
        return m.Relationship(many=spec.from_, one=spec.to, many_columns=tuple(on), one_columns=one_columns)

    def metric(self, name: str, spec: Any) -> m.Metric | None:
        path: Path_ = ("metrics", name)
        common: dict[str, Any] = {
            "name": name,
            "label": self.label(spec.label, name),
            "synonyms": self.words(spec.synonyms),
            "at_grain": tuple((Grain(grain), self.words(words)) for grain, words in spec.at_grain.items()),
            "unit": spec.unit,
            "description": self.description(spec.description),
            "filters": self.filters(spec.filters, (*path, "filters")),
        }
        metric_kind = Text("metric", "指标")
        match spec:
            case s.CountSpec() | s.AggregateSpec():
                if not self.known(spec.dataset, self.spec.datasets, (*path, "dataset"), Text("dataset", "数据集")):
                    return None
                parse: Callable[[str], exp.Expression | None] = lambda key: (  # noqa: E731
                    self.expression(getattr(spec, key), (*path, key)) if getattr(spec, key, None) else None
                )
                return m.Aggregate(
                    **common, aggregation=m.Aggregation(spec.type), dataset=spec.dataset,
                    expr=parse("expr"), where=parse("where"), time=parse("time"),
                )  # fmt: skip
            case s.RatioSpec():
                for key in ("numerator", "denominator"):
                    self.known(getattr(spec, key), self.spec.metrics, (*path, key), metric_kind)
                return m.Ratio(**common, numerator=spec.numerator, denominator=spec.denominator)
            case s.DerivedSpec():
                tree = self.expression(spec.expr, (*path, "expr"))
                inputs = tuple(dict.fromkeys(column.name for column in tree.find_all(exp.Column)))
                for input_name in inputs:
                    self.known(input_name, self.spec.metrics, (*path, "expr"), metric_kind)
                return m.Derived(**common, expr=tree, inputs=inputs)
            case s.CumulativeSpec():
                if self.known(spec.metric, self.spec.metrics, (*path, "metric"), metric_kind):
                    inner = self.spec.metrics[spec.metric]
                    if inner.type not in ("count", "sum"):
                        self.mistake((*path, "metric"), Text(f"“{spec.metric}” is of type {inner.type} and cannot be run up", f"“{spec.metric}”的类型为 {inner.type}，不能累计"),
                                     Text("Run up a count or a sum.", "请累计 count 或 sum 类型的指标。"))  # fmt: skip
                return m.Cumulative(**common, metric=spec.metric)
        return None

    def filters(self, data: Any, path: Path_) -> Filter | None:
        if data is None:
            return None
        try:
            tree = filter_from_json(data)
        except QueryError as error:
            self.mistake(path, error.message, error.hint)
            return None
        names = {key for dataset in self.spec.datasets.values() for key in dataset.dimensions}
        for where in filters_of(tree):
            self.known(where.dimension.rpartition(".")[2], names, path, Text("dimension", "维度"))
        return tree

    def check_cycles(self) -> None:
        def inputs(name: str) -> tuple[str, ...]:
            match self.spec.metrics.get(name):
                case s.RatioSpec(numerator=numerator, denominator=denominator):
                    return (numerator, denominator)
                case s.CumulativeSpec(metric=metric):
                    return (metric,)
                case s.DerivedSpec(expr=expr):
                    tree = self.expression(expr, ("metrics", name, "expr"))
                    return tuple(column.name for column in tree.find_all(exp.Column))
            return ()

        def reaches_itself(name: str, trail: tuple[str, ...]) -> bool:
            return name in trail or any(reaches_itself(item, (*trail, name)) for item in inputs(name))

        for name in self.spec.metrics:
            if inputs(name) and reaches_itself(name, ()):
                self.mistake(("metrics", name), Text(f"metric “{name}” is computed from itself", f"指标“{name}”的计算引用了自身"),
                             Text("Break the circle.", "请消除循环引用。"))  # fmt: skip


def _band_values(bands: tuple[float, ...], unit: s.TextSpec) -> tuple[m.DimensionValue, ...]:
    """Name the bands: under the first bound, from each bound to just below the next, and the last and over.

    >>> [value.value for value in _band_values((18, 25), s.TextSpec(en="", zh="岁"))]
    ['under 18', '18–24', '25 and over']
    """
    names = [Text(f"under {bands[0]:g}", f"{bands[0]:g}{unit.zh}以下")]
    whole = all(float(bound).is_integer() for bound in bands)
    for low, high in zip(bands, bands[1:], strict=False):
        top = f"{high - 1:g}" if whole else f"<{high:g}"
        names.append(Text(f"{low:g}–{top}", f"{low:g}–{top}{unit.zh}"))
    names.append(Text(f"{bands[-1]:g} and over", f"{bands[-1]:g}{unit.zh}及以上"))
    return tuple(m.DimensionValue(value=name.en, label=name) for name in names)

