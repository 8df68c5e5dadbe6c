"""Owns how users by lifecycle stage are explained: who is active, who left, and the quick ratio between the two.

active = new + returning + resurrecting; quick ratio = (new + resurrecting) ÷ dormant. Knows nothing of queries.
"""

from dataclasses import replace

from wenshu.semantic_layer.behaviour_keys import LIFECYCLE_STAGE
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.counts import keys_beside
from wenshu.tools.explain_series import explain_series_by_group, latest_of, notices_of, series_of
from wenshu.tools.findings import Asked, Groups, Told, other_metric_finding, ranking_findings
from wenshu.tools.headlines import ranking_headline
from wenshu.tools.readings import Measure, Reading, number, read

NEW, RETURNING, RESURRECTING, DORMANT = "new", "returning", "resurrecting", "dormant"
ACTIVE = (NEW, RETURNING, RESURRECTING)

Stages = dict[str, int]


def stages_of(table: ResultTable, column: Column) -> dict[tuple[Cell, ...], Stages]:
    """Return the users of each stage by the other keys; nothing where a stage is missing everywhere or a cell is no count."""
    keys = keys_beside(table, LIFECYCLE_STAGE)
    found: dict[tuple[Cell, ...], Stages] = {}
    for row in table.rows:
        stage, users = row[table.index(LIFECYCLE_STAGE)], row[table.index(column.name)]
        if stage not in (*ACTIVE, DORMANT) or not isinstance(users, int) or isinstance(users, bool) or users < 0:
            return {}
        found.setdefault(tuple(row[table.index(key.name)] for key in keys), {})[str(stage)] = users
    everywhere = {stage for stages in found.values() for stage in stages}
    return found if everywhere >= {*ACTIVE, DORMANT} else {}


def explain_lifecycle(table: ResultTable, measure: Measure, asked: Asked) -> Told | None:
    """Explain users by stage, alone, by time or by group; None where the rows are not all the stages of one metric."""
    stages = stages_of(table, measure.column)
    keys = keys_beside(table, LIFECYCLE_STAGE)
    if not stages:
        return None
    if not keys:
        return _alone(stages[()], table, measure, asked)
    active = _groups(
        "active_users", Text("active users", "活跃用户数"), keys, {key: _active(of) for key, of in stages.items()}
    )
    quick = _groups(
        "quick_ratio", Text("quick ratio", "快速比率"), keys, {key: _quick_ratio(of) for key, of in stages.items()}
    )
    if keys[0].role != "time":
        found = ranking_findings(active, asked)
        return Told(
            headline=ranking_headline(active, asked, asked.period),
            findings=(found[0], other_metric_finding(quick, asked), _ratio_named(asked)),
        )
    if len(keys) > 1:
        return explain_series_by_group(series_of(active, table.incomplete), asked)
    return _over_time(table, stages, active, quick, asked)


def _active(stages: Stages) -> int:
    return sum(stages.get(stage, 0) for stage in ACTIVE)


def _quick_ratio(stages: Stages) -> float | None:
    dormant = stages.get(DORMANT, 0)
    return (stages.get(NEW, 0) + stages.get(RESURRECTING, 0)) / dormant if dormant else None


def _groups(
    name: str, label: Text, keys: tuple[Column, ...], values: dict[tuple[Cell, ...], int | float | None]
) -> Groups:
    column = Column(name=name, role="metric", type="number", label=label)
    readings = tuple(Reading(keys=key, value=value) for key, value in values.items())
    return Groups(measure=Measure(column=column), keys=keys, readings=readings, complete=True)


def _stage(table: ResultTable, stage: str, asked: Asked) -> str:
    return asked.words.name((table.column(LIFECYCLE_STAGE),), (stage,))


def _told(table: ResultTable, stages: Stages, asked: Asked) -> str:
    """Return the active users by stage, and the dormant ones."""
    words = asked.words
    parts = [f"{_stage(table, stage, asked)} {stages.get(stage, 0):,}" for stage in ACTIVE]
    listed, gone = words.say(", ", "，").join(parts), f"{_stage(table, DORMANT, asked)} {stages.get(DORMANT, 0):,}"
    return words.say(
        f"{words.people(_active(stages))} active ({listed}); {gone}",
        f"活跃用户 {_active(stages):,} 人（{listed}），{gone} 人",
    )


def _alone(stages: Stages, table: ResultTable, measure: Measure, asked: Asked) -> Told:
    words = asked.words
    told = _told(table, stages, asked)
    headline = words.say(
        f"{words.opening(asked.period)}{asked.filters}: {told}.", f"{asked.period}{asked.filters}：{told}。"
    )
    ratio = _quick_ratio(stages)
    quick = ""
    if ratio is not None:
        value = f"{ratio:,.2f}"
        if value == "1.00":
            side = Text("about as many came as left", "进入的与流失的基本相当")
        elif ratio < 1:
            side = Text("fewer came than left", "进入的少于流失的")
        else:
            side = Text("more came than left", "进入的多于流失的")
        rule = _rule(asked)
        quick = words.say(f"Quick ratio {rule}: {value}; {side.en}.", f"快速比率{rule}为 {value}，{side.zh}。")
    return Told(headline=headline, findings=(quick, *_against_compared(stages, table, measure, asked)))


def _against_compared(stages: Stages, table: ResultTable, measure: Measure, asked: Asked) -> tuple[str, ...]:
    """Say how the active users and each stage moved from the period compared with."""
    if measure.comparison is None:
        return ()
    words, before = asked.words, {}
    for row in table.rows:
        users = number(row[table.index(measure.comparison.name)])
        if not isinstance(users, int):
            return ()
        before[str(row[table.index(LIFECYCLE_STAGE)])] = users
    compared = words.brief(asked.compared)
    moved = words.moved(read(_active(stages), _active(before), None), None, compared)
    parts = []
    for stage in (*ACTIVE, DORMANT):
        reading = read(stages.get(stage), before.get(stage), None)
        if reading.change is not None:
            change = words.value(reading.change, reading.change_unit, signed=True)
            parts.append(f"{_stage(table, stage, asked)} {change}")
    listed = words.say(", ", "，").join(parts)
    return (
        words.say(f"Active users: {moved}.", f"活跃用户{moved}。"),
        words.say(f"Against {compared}: {listed}.", f"较 {compared}：{listed}。"),
    )


def _over_time(
    table: ResultTable, stages: dict[tuple[Cell, ...], Stages], active: Groups, quick: Groups, asked: Asked
) -> Told | None:
    words, series = asked.words, series_of(active, table.incomplete)
    if not series.by_time:
        return None
    latest = series.by_time[-1]
    by, bucket = words.by(active.keys), active.name(latest, words)
    told = _told(table, stages[latest.keys], asked)
    kind = words.say("latest complete", "最近的完整") if series.incomplete else words.say("latest", "最近的")
    headline = words.say(
        f"By {by} for {asked.period}{asked.filters}, the {kind} one is {bucket}: {told}.",
        f"{asked.period}{asked.filters}按{by}看，{kind}{by}是{bucket}：{told}。",
    )
    complete = replace(series_of(quick, table.incomplete).complete, complete=True)
    most = other_metric_finding(replace(series.complete, complete=True), asked)
    names = [active.with_value(reading, words) for reading in series.incomplete]
    ratios = latest_of(series_of(quick, table.incomplete), asked)
    findings = (ratios, _ratio_named(asked), other_metric_finding(complete, asked), most)
    return Told(headline=headline, findings=findings, notices=notices_of(names, asked))


def _rule(asked: Asked) -> str:
    return asked.words.say("((new + resurrecting) ÷ dormant)", "（（新用户 + 回流用户）÷ 流失用户）")


def _ratio_named(asked: Asked) -> str:
    rule = asked.words.say("(new + resurrecting) ÷ dormant", "（新用户 + 回流用户）÷ 流失用户")
    return asked.words.say(
        f"Quick ratio: {rule}; below 1, fewer came than left.", f"快速比率 = {rule}；低于 1 表示进入的少于流失的。"
    )
