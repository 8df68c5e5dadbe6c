"""Owns reading the policies of a model file, noting what they get wrong; above all whatever would leave rows open by oversight."""

import re
from collections.abc import Iterable

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.model import AS_OF, PERIOD_END, PERIOD_START, Dataset, Relationship
from wenshu.semantic_layer.policy import Mask, Policy, RowFilter
from wenshu.semantic_layer.policy_sql import uncovered
from wenshu.semantic_layer.spec_reader import Path_, SpecReader
from wenshu.semantic_layer.text import Text

ALL = "all"
ATTRIBUTE = re.compile(r"\{\s*user\.([A-Za-z_][A-Za-z0-9_]*)\s*\}")
HIDDEN_TEXT = "'***'"


class PolicyBuilder(SpecReader):
    """Turn the policies of a spec into values over the model's datasets."""

    def policies(
        self, datasets: tuple[Dataset, ...], relationships: tuple[Relationship, ...], metrics: tuple[m.Metric, ...]
    ) -> tuple[Policy, ...]:
        """Return the policies; they are whole only where no mistake was noted."""
        self._datasets = {dataset.name: dataset for dataset in datasets}
        self._keys = {(r.many, column) for r in relationships for column in r.many_columns}
        self._keys |= {(d.name, column) for d in datasets for column in d.primary_key}
        built = []
        for i, spec in enumerate(self.spec.policies):
            path: Path_ = ("policies", i)
            policy = self._policy(spec, path)
            built.append(policy)
            if not self.mistakes:
                self._check_reach(policy, datasets, relationships, path)
        self._check_shared_names(tuple(built), metrics)
        return tuple(built)

    def _policy(self, spec: s.PolicySpec, path: Path_) -> Policy:
        everything = spec.rows == [ALL]
        rows = () if everything else tuple(f for text in spec.rows if (f := self._row_filter(text, (*path, "rows"))))
        tables = {table for dataset in self._datasets.values() for table in dataset.tables}
        plain = {name for name, dataset in self._datasets.items() if dataset.scanned}
        for name in spec.shared:
            self.known(name, tables | plain, (*path, "shared"), Text("table or dataset over a table", "数据表或直接对应数据表的数据集"))  # fmt: skip
        if spec.shared and everything:
            self.mistake((*path, "shared"), Text("“shared” has no meaning where all rows are visible", "所有行可见时“shared”没有意义"),
                         Text("Remove it, or give row filters.", "请删除它，或写明行过滤条件。"))  # fmt: skip
        for key in ("metrics", "withhold"):
            for name in getattr(spec, key) or ():
                self.known(name, self.spec.metrics, (*path, key), Text("metric", "指标"))
        if spec.sql and (spec.metrics is not None or spec.withhold):
            self.mistake((*path, "sql"), Text("who may write SQL can compute every metric, so none can be withheld", "允许编写 SQL 就能算出任何指标，无法限制指标"),
                         Text("Hide the columns instead, or write `sql: false`.", "请改为隐藏列，或写 `sql: false`。"))  # fmt: skip
        hidden = tuple(pair for text in spec.hide for pair in self._named(text, (*path, "hide")))
        if spec.sql:
            self._check_hidden_from_sql(hidden, (*path, "hide"))
        return Policy(
            roles=tuple(spec.role),
            rows=rows,
            shared=tuple(spec.shared),
            hidden=hidden,
            masks=tuple(mask for name, text in spec.mask.items() if (mask := self._mask(name, text, (*path, "mask", name)))),
            metrics=None if spec.metrics is None else tuple(spec.metrics),
            withheld=tuple(spec.withhold),
            sql=spec.sql,
        )  # fmt: skip

    def _row_filter(self, text: str, path: Path_) -> RowFilter | None:
        asked = ATTRIBUTE.findall(text)
        condition = self.expression(ATTRIBUTE.sub(lambda found: f"${found[1]}", text), path)
        places = [place.name for place in condition.find_all(exp.Placeholder, exp.Parameter)]
        if sorted(places) != sorted(asked) or condition.find(exp.Struct):
            self.mistake(path, Text(f"“{text[:60]}” does not use its attributes as values", f"“{text[:60]}”中的用户属性用法有误"),
                         Text("Write users.city = {user.city}, without quotes.", "请写成 users.city = {user.city}，不加引号。"))  # fmt: skip
            return None
        names = {column.table for column in condition.find_all(exp.Column)}
        if len(names) != 1 or not names <= set(self._datasets) or self._datasets[[*names][0]].scanned is None:
            self.mistake(path, Text(f"“{text[:60]}” does not name the columns of one dataset over a table", f"“{text[:60]}”没有使用某一个数据表数据集的列"),
                         Text("Write dataset.column, one dataset a filter; several filters all hold.", "请写成 数据集.列，每个条件只用一个数据集；多个条件同时生效。"))  # fmt: skip
            return None
        [dataset] = names
        return RowFilter(dataset=dataset, condition=self._over_columns(condition, self._datasets[dataset], path))

    def _over_columns(self, condition: exp.Expr, dataset: Dataset, path: Path_) -> exp.Expr:
        """Return a condition with the expressions of the dimensions it names, over the table's own columns."""
        dimensions = {dimension.name: dimension for dimension in dataset.dimensions}

        def plain(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Column):
                return node
            found = dimensions.get(node.name)
            if found is None:
                return self._table_column(node.name, dataset, path)
            if found.bands or not _is_fixed(found.expr, dataset.name):
                self.mistake(path, Text(f"“{found.qualified}” is not the same for a row at all times", f"“{found.qualified}”不是一行固有的值"),
                             Text("Filter by columns of the table.", "请按数据表的列过滤。"))  # fmt: skip
            own = found.expr.copy().transform(lambda part: self._table_column(part.name, dataset, path) if isinstance(part, exp.Column) else part)
            return own if isinstance(own, exp.Column) else exp.paren(own)

        return condition.copy().transform(plain, copy=False)

    def _table_column(self, name: str, dataset: Dataset, path: Path_) -> exp.Column:
        column = dataset.passed_on(name)
        if column is None:
            self.mistake(path, Text(f"“{dataset.name}.{name}” is computed by its SELECT", f"“{dataset.name}.{name}”由 SELECT 计算得出"),
                         Text("Filter by columns of the table.", "请按数据表的列过滤。"))  # fmt: skip
        return exp.column(column or name)

    def _named(self, text: str, path: Path_) -> list[tuple[str, str]]:
        """Return what a name to hide means: a column, a dimension, or a segment with all its dimensions."""
        if text in self._datasets and self._datasets[text].is_segment:
            return [(text, dimension.name) for dimension in self._datasets[text].dimensions]
        dataset, _, name = text.rpartition(".")
        if not self.known(dataset, self._datasets, path, Text("dataset", "数据集")):
            return []
        if not isinstance(self._datasets[dataset].source, str):
            dimensions = [dimension.name for dimension in self._datasets[dataset].dimensions]
            if not self.known(name, dimensions, path, Text("dimension", "维度")):
                return []
        return [(dataset, name)]

    def _check_hidden_from_sql(self, hidden: Iterable[tuple[str, str]], path: Path_) -> None:
        for dataset, name in hidden:
            if self._datasets[dataset].scanned is None:
                self.mistake(path, Text(f"“{dataset}.{name}” is made by a SELECT, whose tables SQL can read", f"“{dataset}.{name}”由 SELECT 生成，SQL 仍可读取其数据表"),
                             Text("Hide the columns of its tables too and take this name out, or write `sql: false`.", "请改为隐藏其数据表的列并删去此名称，或写 `sql: false`。"))  # fmt: skip

    def _mask(self, name: str, text: str | None, path: Path_) -> Mask | None:
        dataset, _, key = name.rpartition(".")
        found = next((d for d in self._datasets[dataset].dimensions if d.name == key), None) if dataset in self._datasets else None
        if found is None:
            names = [d.qualified for each in self._datasets.values() for d in each.dimensions]
            self.known(name, names, path, Text("dimension", "维度"))
            return None
        owner = self._datasets[dataset]
        own = isinstance(found.expr, exp.Column) and found.expr.table in ("", dataset) and not found.bands
        if not own or not isinstance(owner.source, str) or (dataset, found.expr.name) in self._keys:
            self.mistake(path, Text(f"“{name}” is not a column of a table, or a key", f"“{name}”不是数据表的普通列，或者是键"),
                         Text("Mask a plain column that nothing is joined by, or hide it.", "请只遮盖不用于关联的普通列，或改为隐藏。"))  # fmt: skip
            return None
        shown = self.expression(text or HIDDEN_TEXT, path)
        if not _is_fixed(shown, dataset):
            self.mistake(path, Text(f"the mask of “{name}” is not made from its own row", f"“{name}”的遮盖方式用到了其他数据"),
                         Text("Use columns of the same table only.", "请只使用同一数据表的列。"))  # fmt: skip
        return Mask(dataset=dataset, dimension=key, column=found.expr.name, shown=shown)

    def _check_reach(self, policy: Policy, datasets: tuple[Dataset, ...], relationships: tuple[Relationship, ...], path: Path_) -> None:  # fmt: skip
        for table in uncovered(policy, datasets, relationships):
            self.mistake((*path, "rows"), Text(f"no row filter reaches the table “{table}”", f"行过滤条件没有覆盖数据表“{table}”"),
                         Text("Filter it, relate it many-to-one to what is filtered, or list it under `shared` to leave it whole.", "请为它写过滤条件、建立到已过滤数据集的多对一关联，或列入 `shared` 表示全部可见。"))  # fmt: skip

    def _check_shared_names(self, policies: tuple[Policy, ...], metrics: tuple[m.Metric, ...]) -> None:
        """Note filters of metrics whose bare dimension would mean another one for a role from which one is hidden."""
        from wenshu.semantic_layer.query import filters_of

        bare = {where.dimension for metric in metrics for where in filters_of(metric.filters)}
        for i, policy in enumerate(policies):
            for dataset, name in policy.hidden:
                others = [d for d in self._datasets.values() if d.name != dataset and any(x.name == name for x in d.dimensions)]  # fmt: skip
                if name in bare and others:
                    self.mistake(("policies", i, "hide"), Text(f"a metric filters by “{name}”, which several datasets have", f"有指标按“{name}”过滤，而多个数据集都有此维度"),
                                 Text("Write dataset.dimension in the metric's filters.", "请在指标的 filters 中写成 数据集.维度。"))  # fmt: skip


def _is_fixed(expression: exp.Expr, dataset: str) -> bool:
    """Say whether an expression is over a dataset's own columns and no date of the question."""
    moving = (AS_OF, PERIOD_START, PERIOD_END)
    return all(c.table in ("", dataset) and c.name not in moving for c in expression.find_all(exp.Column))


