"""Owns the semantic Query: everything askable as one immutable value, and its JSON form. Knows nothing of models or SQL."""

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal, TypeVar

from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.periods import Compare, DateRange, Grain
from wenshu.semantic_layer.text import Text

E = TypeVar("E", bound=StrEnum)
Scalar = str | int | float | bool | date | None


class Op(StrEnum):
    """Name a comparison of a filter. A missing value is a value of its own: `!=` and `not in` keep it."""

    EQ = "="
    NE = "!="
    IN = "in"
    NOT_IN = "not in"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    BETWEEN = "between"
    CONTAINS = "contains"
    NOT_CONTAINS = "not contains"
    EMPTY = "is empty"
    NOT_EMPTY = "is not empty"


ARITY = {Op.EMPTY: 0, Op.NOT_EMPTY: 0, Op.BETWEEN: 2}  # the others take one value, the lists one or more
ORDERED_OPS = (Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN)
MOST_LAST_DAYS = 36_500
LARGEST_NUMBER = 10**18  # what every engine compares a whole number with


def check_size(name: str, value: float) -> None:
    """Refuse a number that is too large to be compared with."""
    if not abs(value) <= LARGEST_NUMBER:
        shown = str(value)[:30]
        raise QueryError(
            "invalid_filter",
            Text(f"{name} is compared with {shown}, which is too large.", f"{name} 的比较值 {shown} 过大。"),
            Text(f"Use a number up to {LARGEST_NUMBER:g}.", f"请使用绝对值不超过 {LARGEST_NUMBER:g} 的数。"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Keep the rows whose dimension compares so with the values; `between` includes both ends."""

    dimension: str
    op: Op
    values: tuple[Scalar, ...] = ()

    def __post_init__(self) -> None:
        wanted, many = ARITY.get(self.op, 1), self.op in (Op.IN, Op.NOT_IN)
        if len(self.values) < 1 if many else len(self.values) != wanted:
            given = Text(
                f"The filter on {self.dimension} with “{self.op}” has {len(self.values)} values.",
                f"对 {self.dimension} 的筛选“{self.op}”给了 {len(self.values)} 个值。",
            )
            needed = Text(
                f"Give it {'one or more' if many else wanted}.", f"请给出{'至少一个' if many else f' {wanted} 个'}值。"
            )
            raise QueryError("invalid_filter", given, needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """Keep the rows that every part keeps."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """Keep the rows that any part keeps."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """Keep the rows that the part does not keep."""

    part: "Filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDays:
    """Name the last days up to `as_of`, that day included; None is all days up to it."""

    days: int | None

    def __post_init__(self) -> None:
        if self.days is not None and not 1 <= self.days <= MOST_LAST_DAYS:
            raise _invalid("last_days", f"a whole number from 1 to {MOST_LAST_DAYS:,}", self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """Name the value that a share of the users who have any lie at or below: 0.5 is the median, linear between users."""

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise _invalid("quantile", "a number between 0 and 1", self.share)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersWith:
    """Keep the rows of users whose own metric compares so with a number, the average user's or a quantile of the users.

    Over `period`, else over the query's. `where` keeps the metric's own rows first. A user without rows counts as 0 of
    what is counted or summed; the average and the quantiles are over the users who have any, and no quantile
    keeps a user who has none.
    """

    metric: str
    op: Op
    value: "float | Literal['average'] | Quantile"
    period: DateRange | LastDays | None = None
    where: "Filter | None" = None

    def __post_init__(self) -> None:
        if self.op not in (Op.LT, Op.LE, Op.GT, Op.GE, Op.EQ, Op.NE):
            raise QueryError(
                "invalid_filter",
                Text(f"Users are not compared by “{self.op}”.", f"用户条件不能使用“{self.op}”。"),
                Text("Use =, !=, <, <=, > or >= with a number.", "请用 =、!=、<、<=、> 或 >= 加一个数。"),
            )
        if isinstance(self.value, int | float):
            check_size(self.metric, self.value)


Filter = Where | And | Or | Not | UsersWith


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Keep the result rows whose metric compares so with a number, the rows' average or the metric of all rows together."""

    metric: str
    op: Op
    value: float | Literal["average", "total"]
    high: float | None = None

    def __post_init__(self) -> None:
        if self.op not in (*ORDERED_OPS, Op.EQ, Op.NE) or (self.op is Op.BETWEEN) != (self.high is not None):
            raise QueryError(
                "invalid_condition",
                Text(
                    f"The condition on {self.metric} cannot use “{self.op}” this way.",
                    f"对 {self.metric} 的条件不能这样使用“{self.op}”。",
                ),
                Text(
                    "Use =, !=, <, <=, >, >= with one number, or between with two.",
                    "请用 =、!=、<、<=、>、>= 加一个数，或 between 加两个数。",
                ),
            )
        for value in (self.value, self.high):
            if isinstance(value, int | float):
                check_size(self.metric, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Sort the result by a column."""

    by: str
    descending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Add each metric's share: of the total over all rows or, with `where`, of the part that it keeps in the whole."""

    where: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Ask for metrics by dimensions and grain over a period.

    No metrics at all lists the rows of the first dimension's dataset with the chosen attributes. `limit` holds within each
    value of `per`; `others` folds what it cuts off into one more row. `to_date` names the grain of a period not over yet.
    """

    metrics: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    grain: Grain | None = None
    period: DateRange | None = None
    to_date: Grain | None = None
    filters: Filter | None = None
    conditions: tuple[Condition, ...] = ()
    compare: Compare | DateRange | None = None
    share: Share | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    per: tuple[str, ...] = ()
    others: bool = False

    def __post_init__(self) -> None:
        if not self.metrics and not self.dimensions:
            raise QueryError(
                "empty_query",
                Text("The query names no metric.", "查询没有指定任何指标。"),
                Text("Name at least one metric, or dimensions to list.", "请至少指定一个指标，或要列出的维度。"),
            )
        if self.limit is not None and self.limit < 1:
            raise QueryError(
                "invalid_limit",
                Text(f"The limit {self.limit} is less than 1.", f"行数上限 {self.limit} 小于 1。"),
                Text("Ask for at least one row.", "请至少要求一行。"),
            )


def filters_of(tree: Filter | None) -> tuple[Where, ...]:
    """Return the comparisons of a filter, in order."""
    match tree:
        case None:
            return ()
        case UsersWith():
            return ()
        case Where():
            return (tree,)
        case Not():
            return filters_of(tree.part)
        case And() | Or():
            return tuple(where for part in tree.parts for where in filters_of(part))


def both(first: Filter | None, second: Filter | None) -> Filter | None:
    """Return the filter that keeps what both keep."""
    if first is None or second is None:
        return first or second
    parts = (
        *(first.parts if isinstance(first, And) else (first,)),
        *(second.parts if isinstance(second, And) else (second,)),
    )
    return And(parts=tuple(dict.fromkeys(parts)))


# JSON ---------------------------------------------------------------------------------------------------------------


def query_to_json(query: Query) -> dict[str, Any]:
    """Return the query as JSON values, leaving out what is not set.

    >>> query_to_json(Query(metrics=("gmv",), grain=Grain.MONTH))
    {'metrics': ['gmv'], 'grain': 'month'}
    """
    out: dict[str, Any] = {"metrics": list(query.metrics), "dimensions": list(query.dimensions)}
    out["grain"] = query.grain and str(query.grain)
    out["period"] = query.period and _range_to_json(query.period)
    out["to_date"] = query.to_date and str(query.to_date)
    out["filters"] = query.filters and filter_to_json(query.filters)
    out["conditions"] = [
        {"metric": c.metric, "op": str(c.op), "value": c.value} | ({"high": c.high} if c.high is not None else {})
        for c in query.conditions
    ]
    compare = query.compare
    out["compare"] = _range_to_json(compare) if isinstance(compare, DateRange) else compare and str(compare)
    if query.share is not None:
        out["share"] = True if query.share.where is None else {"where": filter_to_json(query.share.where)}
    out["order"] = [{"by": order.by, "descending": order.descending} for order in query.order]
    out |= {"limit": query.limit, "per": list(query.per), "others": query.others}
    return {key: value for key, value in out.items() if value not in (None, [], False)}


def _range_to_json(period: DateRange) -> dict[str, str]:
    return {"start": period.start.isoformat(), "end": period.end.isoformat()}


def _span_to_json(period: DateRange | LastDays) -> dict[str, Any] | str:
    if isinstance(period, DateRange):
        return _range_to_json(period)
    return "all" if period.days is None else {"last_days": period.days}


def filter_to_json(tree: Filter) -> dict[str, Any]:
    """Return a filter as JSON values."""
    match tree:
        case Where():
            values = [value.isoformat() if isinstance(value, date) else value for value in tree.values]
            return {"dimension": tree.dimension, "op": str(tree.op)} | ({"values": values} if values else {})
        case UsersWith():
            value = {"quantile": tree.value.share} if isinstance(tree.value, Quantile) else tree.value
            users: dict[str, Any] = {"metric": tree.metric, "op": str(tree.op), "value": value}
            if tree.where is not None:
                users["where"] = filter_to_json(tree.where)
            return {"users": users | ({"period": _span_to_json(tree.period)} if tree.period else {})}
        case And():
            return {"and": [filter_to_json(part) for part in tree.parts]}
        case Or():
            return {"or": [filter_to_json(part) for part in tree.parts]}
        case Not():
            return {"not": filter_to_json(tree.part)}


USERS_KEYS = ("metric", "op", "value", "period", "where")
KEYS = (
    "metrics", "dimensions", "grain", "period", "to_date", "filters", "conditions", "compare", "share", "order", "limit",
    "per", "others",
)  # fmt: skip


def query_from_json(data: Any) -> Query:
    """Read a query from JSON values.

    Raises `QueryError` with code `invalid_query`, or `invalid_date`, that names the key and what was expected there.
    """
    data = _object(data, "query", KEYS)
    period, compare = data.get("period"), data.get("compare")
    return Query(
        metrics=_names(data, "metrics"),
        dimensions=_names(data, "dimensions"),
        grain=_choice(data.get("grain"), "grain", Grain),
        period=None if period is None else _range(period, "period"),
        to_date=_choice(data.get("to_date"), "to_date", Grain),
        filters=None if data.get("filters") in (None, []) else filter_from_json(data["filters"]),
        conditions=tuple(_condition(item) for item in _list(data.get("conditions"), "conditions")),
        compare=_range(compare, "compare") if isinstance(compare, dict) else _choice(compare, "compare", Compare),
        share=_share(data.get("share")),
        order=tuple(_order(item) for item in _list(data.get("order"), "order")),
        limit=_integer(data.get("limit"), "limit"),
        per=_names(data, "per"),
        others=bool(data.get("others", False)),
    )


def _share(data: Any) -> Share | None:
    if isinstance(data, dict) and data:
        return Share(where=filter_from_json(_object(data, "share", ("where",))["where"]))
    return Share() if data else None


def filter_from_json(data: Any) -> Filter:
    """Read a filter from JSON values; a list means that all of it must hold."""
    if isinstance(data, list):
        return filter_from_json({"and": data}) if len(data) != 1 else filter_from_json(data[0])
    data = _object(data, "filters", ("and", "or", "not", "users", "dimension", "op", "value", "values"))
    if "users" in data:
        return _users_with(data["users"])
    if "and" in data or "or" in data:
        key = "and" if "and" in data else "or"
        parts = tuple(filter_from_json(part) for part in _list(data[key], key))
        if not parts:
            raise _invalid(key, "a list of one filter or more", data[key])
        return And(parts=parts) if key == "and" else Or(parts=parts)
    if "not" in data:
        return Not(part=filter_from_json(data["not"]))
    if not isinstance(data.get("dimension"), str):
        raise _invalid("filters", "an object with “dimension”, “op” and “values”", data)
    values = [data["value"]] if "value" in data else _list(data.get("values"), "values")
    for value in values:
        if not isinstance(value, str | int | float | bool | None):
            raise _invalid("values", "plain values", value)
    default = Op.IN if len(values) > 1 else Op.EQ
    op = _choice(data.get("op", default), "op", Op) or default
    return Where(dimension=data["dimension"], op=op, values=tuple(values))


def _users_with(data: Any) -> UsersWith:
    data = _object(data, "users", USERS_KEYS)
    if not isinstance(data.get("metric"), str):
        raise _invalid("metric", "the name of a metric", data.get("metric"))
    value = data.get("value")
    if isinstance(value, dict):
        share: Any = _object(value, "value", ("quantile",)).get("quantile")
        if not _is_number(share):
            raise _invalid("quantile", "a number between 0 and 1", share)
        value = Quantile(share=share)
    elif value != "average" and not _is_number(value):
        raise _invalid("value", "a number, “average” or {“quantile”: 0.9}", value)
    return UsersWith(
        metric=data["metric"], op=_choice(data.get("op"), "op", Op) or Op.GE, value=value, period=_span(data.get("period")),
        where=None if data.get("where") in (None, []) else filter_from_json(data["where"]),
    )  # fmt: skip


def _span(data: Any) -> DateRange | LastDays | None:
    if data is None:
        return None
    if data == "all":
        return LastDays(days=None)
    if isinstance(data, dict) and "last_days" in data:
        days = _object(data, "period", ("last_days",))["last_days"]
        if not isinstance(days, int) or isinstance(days, bool):
            raise _invalid("last_days", "a whole number", days)
        return LastDays(days=days)
    return _range(data, "period")


def _condition(data: Any) -> Condition:
    data = _object(data, "conditions", ("metric", "op", "value", "high"))
    value = data.get("value")
    if value not in ("average", "total") and not _is_number(value):
        raise _invalid("value", "a number, “average” or “total”", value)
    if data.get("high") is not None and not _is_number(data["high"]):
        raise _invalid("high", "a number", data["high"])
    if not isinstance(data.get("metric"), str):
        raise _invalid("metric", "the name of a metric", data.get("metric"))
    op = _choice(data.get("op"), "op", Op) or Op.EQ
    return Condition(metric=data["metric"], op=op, value=value, high=data.get("high"))


def _order(data: Any) -> Order:
    if isinstance(data, str):
        return Order(by=data.removeprefix("-"), descending=data.startswith("-"))
    data = _object(data, "order", ("by", "descending"))
    if not isinstance(data.get("by"), str):
        raise _invalid("by", "the name of a column", data.get("by"))
    return Order(by=data["by"], descending=bool(data.get("descending", True)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) or isinstance(value, float) and math.isfinite(value)


def _object(data: Any, key: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _invalid(key, "an object", data)
    for name in data:
        if name not in keys:
            near = did_you_mean(str(name), keys)
            listed = Text(f"Its keys are {', '.join(keys)}.", f"可用的键：{'、'.join(keys)}。")
            message = Text(f"“{name}” is not a key of {key}.", f"{key} 中没有“{name}”这个键。")
            raise QueryError("invalid_query", message, near if near.en else listed)
    return data


def _list(data: Any, key: str) -> list[Any]:
    if data is None:
        return []
    if not isinstance(data, list):
        raise _invalid(key, "a list", data)
    return data


def _names(data: dict[str, Any], key: str) -> tuple[str, ...]:
    names = _list(data.get(key), key)
    for name in names:
        if not isinstance(name, str):
            raise _invalid(key, "a list of names", name)
    return tuple(dict.fromkeys(names))


def _integer(value: Any, key: str) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise _invalid(key, "a whole number", value)
    return value


def _choice(value: Any, key: str, choices: type[E]) -> E | None:
    if value is None:
        return None
    if value not in [str(choice) for choice in choices]:
        raise _invalid(key, " | ".join(choices), value)
    return choices(value)


def _range(data: Any, key: str) -> DateRange:
    data = _object(data, key, ("start", "end"))
    days = []
    for name in ("start", "end"):
        try:
            days.append(date.fromisoformat(data.get(name, "")))
        except (TypeError, ValueError):
            raise QueryError(
                "invalid_date",
                Text(f"{data.get(name)!r} is not a date.", f"{data.get(name)!r} 不是有效日期。"),
                Text(f"Give {key}.{name} as YYYY-MM-DD.", f"请按 YYYY-MM-DD 的格式给出 {key}.{name}。"),
            ) from None
    if days[1] < days[0]:
        raise QueryError(
            "invalid_date",
            Text(
                f"The period ends ({days[1]}) before it starts ({days[0]}).",
                f"时间段的结束（{days[1]}）早于开始（{days[0]}）。",
            ),
            Text("Swap the two dates.", "请调换两个日期。"),
        )
    return DateRange(days[0], days[1])


def _invalid(key: str, expected: str, got: Any) -> QueryError:
    shown = repr(got)[:80]
    return QueryError(
        "invalid_query",
        Text(f"“{key}” is {shown}.", f"“{key}”的值是 {shown}。"),
        Text(f"Expected {expected}.", f"应为：{expected}。"),
    )
