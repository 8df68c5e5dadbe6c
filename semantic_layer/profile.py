"""Owns what is known of the data itself: the dates they cover and the values of the dimensions people name.

A profile belongs to one version of the data; it is computed by one statement and can be kept in a folder between runs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlglot import exp

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.model import Dataset, Dimension, Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.whole_file import written_whole

MOST_VALUES = 20_000  # of one dimension; of a longer one none is indexed, and its values are asked for by name


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProfile:
    """Hold the dates that the data cover, by dataset, and the values of the indexed dimensions.

    `complete` names the relationships in which every row of the many side has its row on the one side.
    """

    coverage: Mapping[str, DateRange]
    values: Mapping[str, tuple[str, ...]]
    complete: frozenset[str] = frozenset()

    @property
    def whole(self) -> DateRange:
        """Return the dates from the first day of any dataset to the last of any.

        Raises `EngineError` with code `no_data` where no dataset has a dated row.
        """
        if not self.coverage:
            raise EngineError(
                "no_data",
                Text("The database holds no dated rows.", "数据库中没有带日期的数据。"),
                Text("Load data first.", "请先导入数据。"),
            )
        return DateRange(min(c.start for c in self.coverage.values()), max(c.end for c in self.coverage.values()))


def coverage_query(model: Model) -> exp.Query | None:
    """Return the statement that finds each dataset's first and last day: (dataset, first_day, last_day)."""
    selects = []
    for dataset in model.datasets:
        if dataset.time is None or any(c.table not in ("", dataset.name) for c in dataset.time.find_all(exp.Column)):
            continue
        days = (exp.cast(fold(this=dataset.time.copy()), "DATE") for fold in (exp.Min, exp.Max))
        name = exp.alias_(exp.Literal.string(dataset.name), "dataset")
        selects.append(
            _from(
                model,
                dataset.name,
                [name, *(exp.alias_(e, a) for e, a in zip(days, ("first_day", "last_day"), strict=True))],
            )
        )
    return _union(selects)


def values_query(model: Model, *, listed: bool = False) -> exp.Query | None:
    """Return the statement that lists the values of the indexed dimensions that the model does not list: (dimension, value).

    With `listed`, those that it lists are looked for in the data as well.
    """
    selects = []
    for dimension in model.dimensions:
        if looked_up(dimension) or listed and is_stored(dimension, model.dataset_by_name[dimension.dataset]):
            value = exp.alias_(exp.cast(dimension.expr.copy(), "VARCHAR"), "value")
            name = exp.alias_(exp.Literal.string(dimension.qualified), "dimension")
            distinct = (
                _from(model, dimension.dataset, [name, value])
                .distinct(copy=False)
                .where(exp.not_(exp.Is(this=dimension.expr.copy(), expression=exp.null())))
            )
            selects.append(exp.select("dimension", "value").from_(distinct.limit(MOST_VALUES + 1).subquery("found")))
    return _union(selects)


def unmatched_query(model: Model) -> exp.Query | None:
    """Return the statement that counts each relationship's rows without their row on the one side: (relationship, rows)."""
    selects = []
    for r in model.relationships:
        many, one = model.dataset_by_name[r.many], model.dataset_by_name[r.one]
        if not isinstance(many.source, str) or not isinstance(one.source, str):
            continue
        on = [
            exp.EQ(this=exp.column(a, table="many"), expression=exp.column(b, table="one"))
            for a, b in zip(r.many_columns, r.one_columns, strict=True)
        ]
        missing = exp.Is(this=exp.column(r.one_columns[0], table="one"), expression=exp.null())
        columns = [named(exp.Literal.string(r.name), "relationship"), named(exp.Count(this=exp.Star()), "unmatched")]
        select = join(
            select_from(exp.table_(many.source, alias="many"), columns), exp.table_(one.source, alias="one"), "LEFT", on
        )
        selects.append(select.where(missing, copy=False))
    return _union(selects)


def looked_up(dimension: Dimension) -> bool:
    """Say whether a dimension's values are found in the data; a dimension that lists its values has them already."""
    foreign = any(column.table not in ("", dimension.dataset) for column in dimension.expr.find_all(exp.Column))
    return dimension.indexed and not dimension.values and not foreign


def is_stored(dimension: Dimension, dataset: Dataset) -> bool:
    """Say whether a dimension lists values that a column of its table holds, rather than names that the model makes."""
    if not isinstance(dimension.expr, exp.Column) or dimension.expr.table not in ("", dataset.name):
        return False
    return isinstance(dataset.source, str) and bool(dimension.values) and not dimension.bands and not dimension.pii


def _from(model: Model, dataset: str, selects: list[exp.Expr]) -> exp.Select:
    source = model.dataset_by_name[dataset].source
    relation = (
        exp.alias_(exp.to_table(source), dataset, table=True) if isinstance(source, str) else source.subquery(dataset)
    )
    return exp.select(*selects).from_(relation)


def _union(selects: list[exp.Select]) -> exp.Query | None:
    if not selects:
        return None
    tree: exp.Query = selects[0]
    for select in selects[1:]:
        tree = exp.union(tree, select, distinct=False, copy=False)
    return tree


def profile_path(folder: Path, model: Model, data_version: str) -> Path:
    """Return the file that keeps the profile of this model over this version of the data."""
    asked = "\n".join(
        str(tree.sql("duckdb")) for tree in (coverage_query(model), values_query(model), unmatched_query(model)) if tree
    )
    digest = hashlib.sha256(f"{data_version}\n{asked}".encode()).hexdigest()[:24]
    return folder / f"profile-{model.name}-{digest}.json"


def read_profile(path: Path) -> DataProfile | None:
    """Return a kept profile, or None where there is none that can be read."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return DataProfile(
            coverage={
                name: DateRange(date.fromisoformat(a), date.fromisoformat(b))
                for name, (a, b) in data["coverage"].items()
            },
            values={name: tuple(values) for name, values in data["values"].items()},
            complete=frozenset(data["complete"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_profile(path: Path, profile: DataProfile) -> None:
    """Keep a profile; a folder that cannot be written to is no error, the profile is only computed again."""
    data = {
        "coverage": {name: [str(c.start), str(c.end)] for name, c in profile.coverage.items()},
        "values": {name: list(values) for name, values in profile.values.items()},
        "complete": sorted(profile.complete),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside:
            beside.write_text(json.dumps(data, ensure_ascii=False), "utf-8")
    except (OSError, EngineError):
        return
