"""Owns the questions about which first actions go with staying or buying again. Computes nothing."""

from datetime import date
from typing import TYPE_CHECKING

from wenshu.assistant.planner import Investigation
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate, Repurchase, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import Filter, both
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.key_actions import KeyActions, action_dimension, outcomes_of

if TYPE_CHECKING:
    from wenshu.assistant.grammar_insight import Asked


def read_key_actions(asked: "Asked") -> Investigation | None:
    """哪些首日行为与7日留存有关, what is our aha moment, key actions for repurchase."""
    model, reading = asked.model, asked.reading
    actions, known = action_dimension(model), outcomes_of(model)
    if actions is None or not known:
        return None
    names = [target.name for targets in reading.metrics for target in targets[:1]]
    own = (actions.name, actions.qualified, actions.dataset)
    again = [m.name for m in model.metrics if isinstance(m, RepurchaseWithin)]
    if not names and again and reading.has_word("repurchase_of", "again"):
        names = again[:1]
    outcome, said = _outcome(model, [n for n in names if all(leaf.dataset != actions.dataset for leaf in model.leaves(n))], known)
    reading.claim(*(i for i, m in enumerate(reading.mentions) if any(target.name in own for target in m.of("dimension", "dataset"))))
    start = _start(model, outcome)
    filters: Filter | None = None
    for item in reading.filters:
        filters = both(filters, asked.settler.filter(Binder(model, date.min), [start], item))
    by = [name for name in reading.dimensions if name not in own]
    qualified = next((d.qualified for d in model.dimensions if by and d.name == by[0]), None)
    period = reading.periods[0].period if reading.periods else None
    return Investigation(analysis=KeyActions(outcome=outcome, filters=filters, period=period, by=qualified), assumptions=said)


def read_which_actions(asked: "Asked") -> Investigation | None:
    """哪些行为影响留存: which actions, beside retention or repurchase only."""
    known = (*outcomes_of(asked.model), *(m.name for m in asked.model.metrics if isinstance(m, Repurchase)))
    named = any(target.name.partition("[")[0] in known for targets in asked.reading.metrics for target in targets)
    return read_key_actions(asked) if named or asked.reading.has_word("repurchase_of", "again", "retention_of") else None


def _outcome(model: Model, names: list[str], known: tuple[str, ...]) -> tuple[str, tuple[Text, ...]]:
    """Return the outcome that is named, else retention; a repurchase rate without days takes the model's own days."""
    for name in names:
        if name.partition("[")[0] in known:
            return name, ()
        again = next((m for m in model.metrics if isinstance(m, RepurchaseWithin)), None)
        if isinstance(model.metric(name), Repurchase) and again is not None:
            label = model.metric(again.name).label
            return again.name, (Text(f"Repurchase is taken as {label.en}.", f"复购按{label.zh}计算。"),)
    if names:
        label = model.metric(names[0]).label
        raise QueryError(
            "not_an_outcome",
            Text(f"First actions are held against retention or repurchase, not {label.en}.", f"首日行为只能与留存或复购对比，不支持{label.zh}。"),
            Text("Ask which first-day actions go with day-7 retention.", "可以问：哪些首日行为与7日留存有关。"),
        )  # fmt: skip
    chosen = next((name for name in known if isinstance(model.metric(name), Retention)), known[0])
    label = model.metric(chosen).label
    return chosen, (Text(f"No outcome named: {label.en}.", f"未指定结果指标，按{label.zh}分析。"),)


def _start(model: Model, outcome: str) -> Aggregate:
    metric = model.metric(outcome)
    assert isinstance(metric, Retention | RepurchaseWithin)
    return model.anchor(metric)
