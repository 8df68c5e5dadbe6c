"""Owns the words about a limit within groups: the best product of each category."""

from wenshu.semantic_layer.table import ResultTable
from wenshu.tools.findings import Asked, Groups, Told
from wenshu.tools.readings import Measure, Reading, readings_of

MOST_GROUPS = 6  # that are named in the sentence; the table has all


def explain_each(table: ResultTable, measure: Measure, asked: Asked, per: tuple[str, ...]) -> Told:
    """Name who comes first, or first to last, within each value of `per`."""
    words = asked.words
    keys = table.with_role("time", "dimension")
    readings = readings_of(table, measure, keys)
    groups = Groups(measure=measure, keys=keys, readings=readings, complete=False)
    outer = tuple(i for i, column in enumerate(keys) if column.name in per)
    inner = tuple(i for i, column in enumerate(keys) if column.name not in per)
    found: dict[str, list[Reading]] = {}
    for reading in groups.readings:
        found.setdefault(words.name([keys[i] for i in outer], [reading.keys[i] for i in outer]), []).append(reading)
    told = []
    for name, best in list(found.items())[:MOST_GROUPS]:
        listed = [
            words.noted(
                words.name([keys[i] for i in inner], [reading.keys[i] for i in inner]),
                words.value(reading.value, measure.column.unit),
            )
            for reading in best
        ]
        told.append(words.say(f"{name}: {', '.join(listed)}", f"{name}：{'、'.join(listed)}"))
    more = len(found) - len(told)
    rest = words.say(f"; {more} more in the table", f"；其余 {more} 组见表格") if more else ""
    label, by = words.label(measure.column) + asked.filters, words.by([keys[i] for i in outer])
    end = words.say("lowest" if asked.least else "highest", "最低" if asked.least else "最高")
    headline = words.say(
        f"{words.opening(asked.period)}, the {end} {label} within each {by}: {'; '.join(told)}{rest}.",
        f"{asked.period}，各{by}内{label}{end}的：{'；'.join(told)}{rest}。",
    )
    return Told(headline=headline)
