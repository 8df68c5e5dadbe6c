"""Owns what an experiment shows: its split first, then each metric of the groups, on assigned users from assignment on.

The groups are trial_design.py's, the value per user outcomes.py's, the tests significance.py's, the words
experiment_told.py's.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar

from sqlglot import exp

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, LifetimeValue, Ratio, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import And, Filter, Where, both
from wenshu.semantic_layer.row_scope import Scope
from wenshu.semantic_layer.sources import source_select
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.user_rows import moment_of
from wenshu.tools.insight.experiment_told import Comparison, Found, Split, insight_of_experiment
from wenshu.tools.insight.insight import Inquiry, Insight
from wenshu.tools.insight.outcomes import is_share, is_testable, not_testable, outcome_parts
from wenshu.tools.insight.significance import Kind, Moments, compare, holm, sample_ratio
from wenshu.tools.insight.trial_design import TrialDesign, control_of, design_of
from wenshu.tools.insight.user_statement import UserRows, plain_columns, real, user_rows

MOST_METRICS, MOST_TRIALS = 8, 200
FEWEST = 30  # users a group, below which nothing is tested
EVERYONE = """
SELECT CAST(trial AS TEXT) AS trial, user_id, min(assigned_at) AS assigned_at, CAST(min(assigned_at) AS DATE) AS assigned_on,
    CAST(min(variant) AS TEXT) AS variant, count(DISTINCT variant) AS variants
FROM assignments WHERE NOT variant IS NULL AND NOT trial IS NULL GROUP BY trial, user_id
"""
ASSIGNED = "SELECT trial, user_id, variant, assigned_at, assigned_on FROM everyone_assigned WHERE variants = 1"
COUNTS = "SELECT trial, CASE WHEN variants = 1 THEN variant END AS variant, count(*) AS users FROM everyone_assigned GROUP BY 1, 2"
ROW_COUNTS = "SELECT trial, variant, count(*) AS users FROM per_user GROUP BY 1, 2"
MOMENTS = """
SELECT trial, variant, count(*) AS users, avg(CAST(x AS DOUBLE)) AS x, avg(CAST(y AS DOUBLE)) AS y,
    coalesce(var_samp(CAST(x AS DOUBLE)), 0) AS var_x, coalesce(var_samp(CAST(y AS DOUBLE)), 0) AS var_y,
    coalesce(covar_samp(CAST(x AS DOUBLE), CAST(y AS DOUBLE)), 0) AS cov, bool_and(x IN (0, 1) AND y IN (0, 1) AND x <= y) AS yes_or_no
FROM per_user WHERE NOT x IS NULL GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Ask which group of an experiment does better: `groups` is the dimension that names them, `metrics` what by.

    Without metrics, those that the model has for the assigned are taken. `filters` keep some users or one experiment,
    `period` those assigned in it.
    """

    name: ClassVar[str] = "experiment"
    label: ClassVar[Text] = Text("Experiment result", "实验结果")

    groups: str
    metrics: tuple[str, ...] = ()
    filters: Filter | None = None
    period: DateRange | None = None

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Checking the split", "检查分流比例")
        model = inquiry.model
        rows, design = user_rows(inquiry), self._design(inquiry)
        metrics = self.metrics or default_metrics(model, design)
        rows.permit(*metrics, dimensions=design.keys, filters=self.filters)
        for metric in metrics:
            if not testable(model, design, metric):
                raise not_testable(model.metric(metric).label)
        source = _Source(rows, design, self._filters(design), self.period)
        splits, mixed = source.splits()
        if not splits:
            raise _too_few()
        found = []
        for metric in metrics:
            label = model.metric(metric).label
            yield Text(f"Comparing {label.en}", f"对比{label.zh}")
            kind, moments = source.moments(metric)
            found += list(_comparisons(metric, kind, moments, splits))
        if not found:
            raise _too_few()
        corrected = holm([each.difference.chance for each in found])
        found = [replace(each, corrected=chance) for each, chance in zip(found, corrected, strict=True)]
        return insight_of_experiment(inquiry, design, Found(
            splits=splits, comparisons=tuple(found), mixed=mixed, filters=self.filters, period=self.period,
            missing_in=tuple(source.uneven(splits)), per_row=source.per_row,
        ))  # fmt: skip

    def _design(self, inquiry: Inquiry) -> TrialDesign:
        dimension = inquiry.model.dimension_by_qualified_name[self.groups]
        return design_of(inquiry.model, dimension, inquiry.layer.profile.values)

    def _filters(self, design: TrialDesign) -> Filter | None:
        """Return the filters without one that keeps a single group, which leaves nothing to compare."""
        parts = self.filters.parts if isinstance(self.filters, And) else (self.filters,) if self.filters else ()
        kept: Filter | None = None
        for part in parts:
            one_group = isinstance(part, Where) and part.dimension in (design.groups.name, design.groups.qualified) and len(part.values) < 2
            if not one_group:
                kept = both(kept, part)
        return kept


def default_metrics(model: Model, design: TrialDesign) -> tuple[str, ...]:
    """Return what an experiment is judged by where nobody says: what the model has for the assigned, else its headline."""
    if _holds_outcomes(model, design):
        means = [m.name for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.AVERAGE]
        ratios = [m.name for m in model.metrics if isinstance(m, Ratio)]
        return tuple(name for name in (*means, *ratios) if testable(model, design, name))[:MOST_METRICS]
    assigned = [
        m.name for m in model.metrics
        if isinstance(m, Retention | LifetimeValue) and model.anchor(m).dataset == design.dataset
    ]  # fmt: skip
    again = [f"{m.name}[n=7]" for m in model.metrics if isinstance(m, RepurchaseWithin)]
    return tuple(assigned + again)[:MOST_METRICS] or tuple(name for name in model.headline if testable(model, design, name))[:4]


def testable(model: Model, design: TrialDesign, spec: str) -> bool:
    """Say whether groups can be compared by a metric."""
    if not _holds_outcomes(model, design):
        return is_testable(model, spec) and all(leaf.dataset != design.dataset for leaf in _returned(model, spec))
    metric = model.metric(spec)
    of_rows = (Aggregation.AVERAGE, Aggregation.SUM, Aggregation.COUNT)
    plain = isinstance(metric, Ratio) or (isinstance(metric, Aggregate) and (metric.aggregation is not Aggregation.COUNT or metric.where is not None))
    return plain and all(leaf.dataset == design.dataset and leaf.aggregation in of_rows for leaf in model.leaves(spec))


def _returned(model: Model, spec: str) -> tuple[Aggregate, ...]:
    metric = model.metric(spec)
    return () if isinstance(metric, Retention | LifetimeValue) else model.leaves(spec)


def _holds_outcomes(model: Model, design: TrialDesign) -> bool:
    """Say whether the rows that name the group are people with outcomes of their own, or belong to nobody."""
    dataset = model.dataset_by_name[design.dataset]
    entities = [other.name for other in model.datasets if other.entity]
    owned = any(r.many == dataset.name and r.one in entities for r in model.relationships)
    elsewhere = any(r.one == dataset.name for r in model.relationships)
    return (bool(dataset.entity) and not elsewhere) or (not dataset.entity and not owned)


@dataclass(frozen=True, slots=True)
class _Source:
    """Ask the data for the users of each group, and what they come to."""

    rows: UserRows
    design: TrialDesign
    filters: Filter | None
    period: DateRange | None

    @property
    def model(self) -> Model:
        return self.rows.inquiry.model

    @property
    def per_row(self) -> bool:
        return _holds_outcomes(self.model, self.design)

    def splits(self) -> tuple[tuple[Split, ...], int]:
        """Return each experiment's groups with their sizes, and how many users were in several groups of one."""
        if self.per_row:
            parts = {"per_user": self._row_values(None)}
            statement = self.rows.statement(ROW_COUNTS, parts)
        else:
            statement = self.rows.statement(COUNTS, self._assigned())
        table = self.rows.inquiry.select(statement, plain_columns("trial", "variant", "users")).table
        sizes: dict[str, dict[str, int]] = {}
        mixed = 0
        for trial, variant, users in table.rows:
            if variant is None:
                mixed += int(real(users))
            else:
                sizes.setdefault(str(trial), {})[str(variant)] = int(real(users))
        out = []
        for trial, groups in sorted(sizes.items()):
            if len(groups) > 1 and min(groups.values()) >= FEWEST:
                control = control_of(self.design.groups, tuple(groups))
                ordered = {control: groups[control]} | {name: groups[name] for name in sorted(groups) if name != control}
                chi, chance = sample_ratio(tuple(ordered.values()))
                out.append(Split(trial=trial, sizes=ordered, chi=chi, chance=chance))
        return tuple(out[:MOST_TRIALS]), mixed

    def moments(self, spec: str) -> tuple[Kind, dict[tuple[str, str], Moments]]:
        """Return what each group comes to by a metric, in one statement."""
        parts: dict[str, exp.Query]
        if self.per_row:
            parts = {"per_user": self._row_values(spec)}
        else:
            parts = self._assigned() | outcome_parts(self.rows, self.model, spec)
        names = ("trial", "variant", "users", "x", "y", "var_x", "var_y", "cov", "yes_or_no")
        table = self.rows.inquiry.select(self.rows.statement(MOMENTS, parts), plain_columns(*names)).table
        found = {
            (str(trial), str(variant)): Moments(users=int(real(users)), x=real(x), y=real(y), var_x=real(vx), var_y=real(vy), cov=real(cov))
            for trial, variant, users, x, y, vx, vy, cov, _ in table.rows
        }  # fmt: skip
        yes_or_no = all(row[-1] for row in table.rows)
        return "rate" if yes_or_no and (self.per_row or is_share(self.model, spec) or _is_ratio(self.model, spec)) else "mean", found

    def uneven(self, splits: Sequence[Split]) -> Iterator[tuple[str, str, str, dict[str, int]]]:
        """Yield, of each broken split, the property of users whose value it is most broken in: what to look at first."""
        for split in splits:
            if not split.is_broken or self.per_row:
                continue
            worst: tuple[float, str, str, dict[str, int]] | None = None
            for dimension in self._properties():
                for value, sizes in self._sizes_by(dimension, split):
                    chi = sample_ratio(tuple(sizes.values()))[0]
                    if worst is None or chi > worst[0]:
                        worst = (chi, dimension, value, sizes)
            if worst is not None and worst[0] > 0.5 * split.chi:
                yield split.trial, *worst[1:]

    def _properties(self) -> tuple[str, ...]:
        entities = {dataset.name for dataset in self.model.datasets if dataset.entity}
        values = self.rows.inquiry.layer.profile.values
        return tuple(
            d.qualified for d in self.model.dimensions
            if d.dataset in entities and d.type == "string" and not d.pii and not d.bands and 2 <= (len(values.get(d.qualified, ())) or len(d.values)) <= 12
        )[:6]  # fmt: skip

    def _sizes_by(self, dimension: str, split: Split) -> Iterator[tuple[str, dict[str, int]]]:
        parts = {"assignments": self._assignments((dimension,))}
        sql = "SELECT part, CAST(variant AS TEXT) AS variant, count(DISTINCT user_id) AS users FROM assignments WHERE CAST(trial AS TEXT) = :trial AND NOT part IS NULL AND NOT variant IS NULL GROUP BY 1, 2"
        table = self.rows.inquiry.select(self.rows.statement(sql, parts, trial=split.trial), plain_columns("part", "variant", "users")).table
        found: dict[str, dict[str, int]] = {}
        for part, variant, users in table.rows:
            found.setdefault(str(part), dict.fromkeys(split.sizes, 0))[str(variant)] = int(real(users))
        yield from found.items()

    def _assigned(self) -> dict[str, exp.Query]:
        return {
            "assignments": self._assignments(),
            "everyone_assigned": self.rows.statement(EVERYONE, {}),
            "assigned_users": self.rows.statement(ASSIGNED, {}),
        }

    def _assignments(self, further: tuple[str, ...] = ()) -> exp.Select:
        aggregate = self.design.rows
        if self.model.dataset_by_name[aggregate.dataset].time is None:
            aggregate = replace(aggregate, time=exp.cast(exp.Literal.string(date(1900, 1, 1).isoformat()), "DATE"))
        select = self.rows.of(aggregate, {"assigned_at": moment_of}, dimensions=(*self.design.keys, *further), period=self.period, filters=self.filters)
        names = [*(("trial",) if self.design.trials else ()), "variant", *(("part",) if further else ())]
        for column, name in zip(select.expressions[-len(names) :], names, strict=True):
            column.set("alias", exp.to_identifier(name))
        return select if self.design.trials else select.select(exp.alias_(exp.Literal.string(""), "trial"), copy=False)

    def _row_values(self, spec: str | None) -> exp.Select:
        """Return trial, variant, x and y of each row that names its group."""
        binder, scope = self.rows.binder, Scope(self.rows.binder, self.design.rows)
        trial: exp.Expr = exp.Literal.string("")
        if self.design.trials is not None:
            found, joins = binder.dimension(self.design.trials.qualified, self.design.rows)
            scope.join(joins)
            trial = exp.cast(scope.bind_dimension(found), "TEXT")
        variant = scope.bind_dimension(self.design.groups)
        over, under = self._row_parts(spec)
        keys = [
            ("trial", trial), ("variant", exp.cast(variant.copy(), "TEXT")),
            ("x", _row_value(scope, over)), ("y", _row_value(scope, under) if under else exp.Literal.number(1)),
        ]  # fmt: skip
        where: list[exp.Expr] = [exp.Not(this=exp.Is(this=variant, expression=exp.null()))]
        if self.filters is not None:
            where.append(binder.condition(self.filters, scope))
        if self.period is not None and (time := self.model.dataset_by_name[self.design.dataset].time) is not None:
            first, after = binder.days(self.period)
            moment = scope.bind(time, self.design.dataset)
            where += [*([exp.GTE(this=moment, expression=first)] if first is not None else []), exp.LT(this=moment.copy(), expression=after)]
        return source_select(scope.source(keys, where, []))

    def _row_parts(self, spec: str | None) -> tuple[Aggregate | None, Aggregate | None]:
        if spec is None:
            return None, None
        metric = self.model.metric(spec)
        names = (metric.numerator, metric.denominator) if isinstance(metric, Ratio) else (spec,)
        parts = [part for part in map(self.model.metric, names) if isinstance(part, Aggregate)]
        return parts[0], parts[1] if len(parts) > 1 else None


def _row_value(scope: Scope, aggregate: Aggregate | None) -> exp.Expr:
    """Return what a row adds to an aggregate: of a mean nothing where it has no value, else 0."""
    if aggregate is None:
        return exp.Literal.number(1)
    value: exp.Expr = scope.bind(aggregate.expr, aggregate.dataset) if aggregate.expr is not None else exp.Literal.number(1)
    if aggregate.where is not None:
        value = exp.Case().when(scope.bind(aggregate.where, aggregate.dataset), value)
    return value if aggregate.aggregation is Aggregation.AVERAGE else exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])


def _is_ratio(model: Model, spec: str) -> bool:
    return isinstance(model.metric(spec), Ratio)


def _comparisons(metric: str, kind: Kind, moments: dict[tuple[str, str], Moments], splits: Sequence[Split]) -> Iterator[Comparison]:
    for split in splits:
        control, *others = split.sizes
        for other in others:
            base, treated = moments.get((split.trial, control)), moments.get((split.trial, other))
            if base is not None and treated is not None and min(base.base, treated.base) >= FEWEST and base.users > 1 and treated.users > 1:
                yield Comparison(
                    trial=split.trial, metric=metric, kind=kind, control=control, variant=other, base=base, treated=treated,
                    difference=compare(base, treated, kind), corrected=1.0,
                )  # fmt: skip


def _too_few() -> QueryError:
    return QueryError(
        "too_thin",
        Text(f"No two groups have {FEWEST} users each whose outcome is known, so nothing can be tested.", f"没有两个各有至少 {FEWEST} 名结果已知用户的组，无法检验。"),
        Text("Take away filters, or wait until more users were assigned and their days are over.", "请减少筛选条件，或等待更多用户入组并满足观察天数。"),
    )  # fmt: skip
