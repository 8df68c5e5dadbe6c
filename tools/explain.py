"""Owns the built-in explanation of a result: the answer in one sentence, then what stands out. Knows nothing of LLMs or SQL.

The shape of the table decides how it is told: numbers, groups, a series, a series by group, or a list.
"""

from dataclasses import dataclass, replace
from typing import Literal

from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, LIFECYCLE_STAGE, PERIOD_NUMBER
from wenshu.semantic_layer.table import Cell, ResultTable
from wenshu.semantic_layer.text import Language
from wenshu.tools.cohorts import cohorts_of, common_period, has_periods, is_retention, periods_of, table_at
from wenshu.tools.counts import keys_beside
from wenshu.tools.explain_cohorts import explain_curves, explain_triangle
from wenshu.tools.explain_each import explain_each
from wenshu.tools.explain_funnel import explain_funnel, step_findings
from wenshu.tools.explain_lifecycle import explain_lifecycle
from wenshu.tools.explain_paths import explain_paths
from wenshu.tools.explain_series import explain_series, explain_series_by_group, series_of
from wenshu.tools.findings import (
    Asked,
    Groups,
    Told,
    left_out_notice,
    other_metric_finding,
    ranking_findings,
    tier_shares,
)
from wenshu.tools.headlines import ranking_headline
from wenshu.tools.readings import Measure, Reading, measures_of, number, readings_of
from wenshu.tools.steps import funnels_of, overall_table
from wenshu.tools.wording import Wording, bucket_label, escape_markdown

__all__ = ["Explanation", "bucket_label", "escape_markdown", "explain"]

LONGEST_LABEL = 200  # characters of a period or a filter
MOST_METRICS = 3  # told one by one; the table shows the others
MOST_FINDINGS = 4
MOST_NAMES = 5  # of a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Say what a result answers and what stands out, in Markdown without links; names from the data are escaped."""

    headline: str
    findings: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Return the headline as a paragraph, then the findings as a list."""
        return "\n\n".join([self.headline, "\n".join(f"- {finding}" for finding in self.findings)]).strip()


def explain(
    table: ResultTable,
    *,
    period: str,
    compared_period: str | None,
    filters: tuple[str, ...],
    superlative: Literal["most", "least"] | None,
    language: Language,
    complete: bool,
    ranked_by: str | None = None,
    others: Cell = None,
    per: tuple[str, ...] = (),
) -> Explanation:
    """Explain a result by its own numbers.

    `period`, `compared_period` and `filters` are plain labels, escaped here. `complete` says that the rows are all the
    groups of the period, neither limited nor cut by a condition on a metric: only then is a sum called the total.
    `superlative` asks for the highest or lowest number of the column `ranked_by` (default: the first metric), so that
    "fell most" is the least of a change. `others` is the key of the row that folds what a limit cut off, `per` the columns
    within each of whose values the rows are the first.
    """
    words = Wording(language)
    measures = measures_of(table)
    measure = next((measure for measure in measures if ranked_by in measure.names), None) if superlative else None
    if measure is not None:
        measures = (measure, *(other for other in measures if other is not measure))
    phrases = words.say(", ", "，").join(escape_markdown(phrase, LONGEST_LABEL) for phrase in filters)
    asked = Asked(
        words=words,
        period=escape_markdown(period, LONGEST_LABEL),
        compared=escape_markdown(compared_period or words.say("the compared period", "对比期"), LONGEST_LABEL),
        filters=phrases and words.say(f" ({phrases})", f"（{phrases}）"),
        least=None if superlative is None else superlative == "least",
        by=measure.number_in(ranked_by) if measure is not None else "value",
    )
    if per and table.rows and measures:
        told = explain_each(table, measures[0], asked, per)
    else:
        told = _tell(table, measures, asked, complete=complete and not table.truncated, others=others)
    notices = told.notices
    if table.truncated:
        rows = f"{len(table.rows):,}"
        cut = words.say(f"Only {rows} rows are here; there are more.", f"结果没有取全，这里只有其中 {rows} 行。")
        notices = (*notices, cut)
    findings = tuple(dict.fromkeys(finding for finding in told.findings if finding))
    return Explanation(headline=told.headline, findings=(*findings[: MOST_FINDINGS - len(notices)], *notices))


def _tell(table: ResultTable, measures: tuple[Measure, ...], asked: Asked, *, complete: bool, others: Cell) -> Told:
    if not table.rows:
        return Told(headline=_nothing(asked))
    return (
        _by_step(table, asked, complete=complete, others=others)
        or _by_period(table, measures, asked, complete=complete, others=others)
        or (_by_stage(table, measures, asked) if complete else None)
        or (explain_paths(table, measures[0], asked) if len(measures) == 1 else None)
        or _tell_any(table, measures, asked, complete=complete, others=others)
    )


def _by_step(table: ResultTable, asked: Asked, *, complete: bool, others: Cell) -> Told | None:
    """Explain a funnel; of several groups or buckets their overall conversion, like any other rate."""
    funnels, keys = funnels_of(table), keys_beside(table, FUNNEL_STEP)
    if not funnels:
        return None
    if not keys:
        return explain_funnel(funnels[0], table, asked)
    overall = overall_table(table)
    told = _tell_any(overall, measures_of(overall), asked, complete=complete, others=others)
    if keys[0].role == "time" or len(funnels) < 2:
        return told
    first, *rest = told.findings
    return replace(told, findings=(first, *step_findings(funnels, keys, asked), *rest))


def _by_period(
    table: ResultTable, measures: tuple[Measure, ...], asked: Asked, *, complete: bool, others: Cell
) -> Told | None:
    """Explain numbers by period after entry; of several groups or cohorts those at a period they have in common."""
    if not has_periods(table) or not measures:
        return None
    keys = keys_beside(table, PERIOD_NUMBER)
    found = tuple((measure, cohorts_of(table, measure.column)) for measure in measures[:MOST_METRICS])
    if not keys:
        return explain_curves(tuple((measure, one[0]) for measure, one in found if one), table, asked)
    common = common_period(found[0][1])
    known = periods_of(found[0][1])
    if not known:
        words, label = asked.words, asked.words.label(measures[0].column) + asked.filters
        return Told(
            headline=words.say(f"There is no data on {label} for {asked.period}.", f"{asked.period}的{label}没有数据。")
        )
    narrowed = table_at(table, known[-1] if common is None else common)
    at_period = measures_of(narrowed)
    if common is None or len(keys) > 1 or keys[0].role != "time":
        return _tell_any(narrowed, at_period, asked, complete=complete, others=others)
    readings = readings_of(narrowed, at_period[0], keys)
    groups = Groups(measure=at_period[0], keys=keys, readings=readings, complete=complete)
    return explain_triangle(series_of(groups, narrowed.incomplete), is_retention(table, measures[0].column), asked)


def _by_stage(table: ResultTable, measures: tuple[Measure, ...], asked: Asked) -> Told | None:
    if (
        LIFECYCLE_STAGE not in {column.name for column in table.columns}
        or len(measures) != 1
        or asked.least is not None
    ):
        return None
    return explain_lifecycle(table, measures[0], asked)


def _tell_any(table: ResultTable, measures: tuple[Measure, ...], asked: Asked, *, complete: bool, others: Cell) -> Told:
    keys = table.with_role("time", "dimension")
    numeric = tuple(measure for measure in measures if measure.column.type == "number")
    if measures and not keys:
        return _numbers(table, measures, asked)
    if not numeric:
        return Told(headline=_list(table, asked, complete=complete))
    time = next((column for column in keys if column.role == "time"), None)
    if time is not None:
        keys = (time, *(column for column in keys if column is not time))
    groups = tuple(
        Groups(
            measure=measure,
            keys=keys,
            readings=readings_of(table, measure, keys),
            complete=complete,
            others=others,
        )
        for measure in numeric[:MOST_METRICS]
    )
    left_out = left_out_notice(sum(reading.counts.left_out for reading in groups[0].readings), asked)
    if time is None:
        told = _by_group(groups, asked)
    else:
        series = tuple(series_of(each, table.incomplete) for each in groups)
        told = explain_series(series, asked) if len(keys) == 1 else explain_series_by_group(series[0], asked)
    return replace(told, notices=(*told.notices, *left_out))


def _nothing(asked: Asked) -> str:
    return asked.words.say(
        f"There is no data for {asked.period}{asked.filters}.",
        f"{asked.period}没有{'符合条件的' if asked.filters else ''}数据{asked.filters}。",
    )


def _numbers(table: ResultTable, measures: tuple[Measure, ...], asked: Asked) -> Told:
    words = asked.words
    cells = {
        measure: (table.rows[0][table.index(measure.column.name)], readings_of(table, measure, ())[0])
        for measure in measures
    }
    left_out = left_out_notice(max(reading.counts.left_out for _, reading in cells.values()), asked)
    if len(measures) == 1:
        return Told(headline=_one_number(measures[0], *cells[measures[0]], asked), notices=left_out)
    parts = []
    for measure, (cell, reading) in cells.items():
        label = words.label(measure.column)
        part = f"{label} {words.value(cell, measure.column.unit)}"
        if cell is None:
            part = words.say(f"no data on {label}", f"{label}无数据")
        if reading.change is not None:
            part = words.noted(part, words.value(reading.change, reading.change_unit, signed=True))
        elif counts := words.counts(reading.counts):
            part = words.noted(part, counts)
        parts.append(part)
    moving = [(measure, reading) for measure, (_, reading) in cells.items() if reading.change]
    note = (
        words.say(f"; changes are against {asked.compared}", f"；括号内为较 {asked.compared}的变化") if moving else ""
    )
    headline = words.say(
        f"{words.opening(asked.period)}{asked.filters}: {', '.join(parts)}{note}.",
        f"{asked.period}{asked.filters}：{'，'.join(parts)}{note}。",
    )
    up = [words.label(measure.column) for measure, reading in moving if (reading.change or 0) > 0]
    down = [words.label(measure.column) for measure, reading in moving if (reading.change or 0) < 0]
    directions = [
        words.say(f"{en}: {words.names(labels, len(labels))}.", f"{zh}的有{words.names(labels, len(labels))}。")
        for labels, en, zh in ((up, "Up", "上升"), (down, "Down", "下降"))
        if labels
    ]
    return Told(headline=headline, findings=tuple(directions) if len(moving) > 1 else (), notices=left_out)


def _one_number(measure: Measure, cell: Cell, reading: Reading, asked: Asked) -> str:
    words, column = asked.words, measure.column
    label = words.label(column) + asked.filters
    before = words.value(reading.previous, column.unit)
    if cell is None or (number(cell) is None and isinstance(cell, float)):
        told = words.say(f"There is no data on {label} for {asked.period}", f"{asked.period}的{label}没有数据")
        if reading.previous is not None:
            told += words.say(
                f"; for {asked.compared} it {words.came_to(column)} {before}", f"；{asked.compared}为 {before}"
            )
        return told + words.say(".", "。")
    value, counts = words.value(cell, column.unit), words.counts(reading.counts)
    noted, zh = words.noted(value, counts) if counts else value, f"{asked.period}的{label}为"
    if did := reading.counts.did:
        noted, zh = words.noted(value, did.en.format(counts)), f"{asked.period}{did.zh.format(counts)}，{label}为"
    told = words.say(
        f"{words.opening(label)} for {asked.period} {words.came_to(column)} {noted}",
        f"{zh} {value if did else noted}",
    )
    if reading.share is not None:
        share = words.value(reading.share, "%")
        told += words.say(f", a share of {share}", f"，占比 {share}")
    if moved := words.moved(reading, column.unit, asked.compared):
        told += words.say(f", {moved}", f"，{moved}")
    elif measure.compared:
        told += words.say(f"; there is no data for {asked.compared} to compare with", f"；{asked.compared}没有数据可比")
    return told + words.say(".", "。")


def _list(table: ResultTable, asked: Asked, *, complete: bool) -> str:
    words = asked.words
    column = next(iter(table.with_role("dimension")), table.columns[0])
    names = [words.name((column,), (cell,)) for cell in table.values(column.name)]
    count, by = f"{len(names):,}", words.label(column)
    first = words.say(", ", "、").join(dict.fromkeys(names[:MOST_NAMES]))
    rows = words.say("row" if len(names) == 1 else "rows", f"个{by}" if len(set(names)) == len(names) else "行")
    listed = words.say("" if complete else " listed", "有" if complete else "列出")
    more = words.say(" and others", "等") if len(names) > MOST_NAMES else ""
    return words.say(
        f"{count} {rows}{listed} for {asked.period}{asked.filters}, by {by}: {first}{more}.",
        f"{asked.period}{asked.filters}共{listed} {count} {rows}：{first}{more}。",
    )


def _by_group(groups: tuple[Groups, ...], asked: Asked) -> Told:
    found = ranking_findings(groups[0], asked)
    more = tuple(other_metric_finding(each, asked) for each in groups[1:])
    shares = tier_shares(groups, asked)
    return Told(
        headline=ranking_headline(groups[0], asked, asked.period),
        findings=(*found[:2], shares, *more, *(found[2:] if not shares else found[3:])),
    )
