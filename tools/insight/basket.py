"""Owns what is bought together: pairs and sets of three of products, brands or categories, and what goes with one of them.

Baskets are orders or, where people are asked about, all that a user bought in the period. Pairs are counted by the
database under the asker's rights; association.py says which of them are more than chance. Words are basket_told.py's.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar, Literal

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.query import Not, Op, Query, Where, both
from wenshu.semantic_layer.sources import source_select
from wenshu.semantic_layer.sql_tree import with_ctes
from wenshu.semantic_layer.table import Cell
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.association import Baskets, Rule, baskets_of, beyond_chance, pair_rules
from wenshu.tools.insight.basket_told import Found, insight_of_baskets
from wenshu.tools.insight.customers import numbers
from wenshu.tools.insight.insight import Inquiry, Insight
from wenshu.tools.query import QueryResult

ITEMS = "items_of_baskets"  # the CTE of basket and item, each once
FEWEST, LEAST_SHARE = 10, 0.0001  # baskets that a rule must rest on, and the share of all of them
FEWEST_BASKETS = 100
MOST_ITEMS, MOST_SETS = 50_000, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Name what baskets are made of in a model: the dataset of lines, its column of the basket, and a metric of it."""

    dataset: str
    basket: str
    metric: str


def lines_of(model: Model) -> Lines:
    """Return the model's lines of orders; raises `QueryError` where it has none."""
    for r in model.relationships:
        if set(r.many_columns) < set(model.dataset_by_name[r.many].primary_key):
            for metric in model.metrics:
                if isinstance(metric, Aggregate) and metric.dataset == r.many and metric.additive:
                    return Lines(dataset=r.many, basket=r.many_columns[0], metric=metric.name)
    raise QueryError(
        "no_baskets",
        Text("The data do not say which items an order holds.", "数据没有订单明细，无法分析连带购买。"),
        Text("It takes a dataset of order lines, keyed by order and item, with a metric of it.", "需要以订单与商品为主键的明细数据集及其指标。"),
    )


def item_dimensions(model: Model) -> tuple[Dimension, ...]:
    """Return the properties of the things that lines are of, the first being their name."""
    lines = lines_of(model)
    things = [r.one for r in model.relationships if r.many == lines.dataset and r.many_columns[0] != lines.basket]
    return tuple(d for d in model.dimensions if d.dataset in (*things, lines.dataset) and d.type == "string" and not d.pii)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """Ask what is bought together, by a property of items; with `given`, what goes with baskets that hold all of these.

    `then` asks about one other item alone. `of` says whose purchases are one basket, `size` how many items the sets have. `query` keeps some orders only.
    """

    name: ClassVar[str] = "basket"
    label: ClassVar[Text] = Text("Bought together", "连带购买")

    query: Query
    by: str
    given: tuple[tuple[str, str], ...] = ()
    then: str | None = None
    of: Literal["order", "user"] = "order"
    size: Literal[2, 3] = 2

    @property
    def is_apart(self) -> bool:
        """Say whether what goes with something is asked for by another property: brands that go with a product."""
        return bool(self.given) and self.given[0][0] != self.by

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Counting baskets", "统计购物篮")
        total = inquiry.ask(replace(self.query, dimensions=(self.by,), limit=1))
        baskets = self._baskets(inquiry, total)
        fewest = max(FEWEST, math.ceil(baskets.count * LEAST_SHARE))
        if baskets.count < FEWEST_BASKETS:
            raise QueryError(
                "too_thin",
                Text(f"There are {baskets.count:,} baskets: too few to tell what goes together.", f"只有 {baskets.count:,} 个购物篮，数量太少，无法判断连带。"),
                Text(f"It takes {FEWEST_BASKETS}; ask about a longer period or more orders.", f"至少需要 {FEWEST_BASKETS} 个，请放宽时间或范围。"),
            )
        yield Text("Counting what is in them together", "统计同时出现的组合")
        if self.given:
            rules, of_given, possible = self._going_with(inquiry, total, baskets, fewest)
        else:
            counts = self._counts(inquiry, total, fewest)
            pairs = self._pairs(inquiry, total, fewest)
            rules = pair_rules(pairs, counts, baskets)
            possible, of_given = math.comb(len(counts), 2), 0
            if self.size == 3:
                yield Text("Counting sets of three", "统计三件组合")
                rules, possible = self._threes(inquiry, total, baskets, fewest, counts, pairs), math.comb(len(counts), 3)
        if self.then is not None:
            rules, possible = [rule for rule in rules if rule.then == self.then], 1
            if not rules:
                raise QueryError(
                    "too_thin",
                    Text(f"Fewer than {fewest:,} baskets hold both: too few to tell.", f"同时包含两者的购物篮不足 {fewest:,} 个，无法判断。"),
                    Text("Ask about a longer period, or what goes with either.", "请放宽时间，或分别询问与其一起买的商品。"),
                )
        sure = beyond_chance(rules, possible)
        return insight_of_baskets(inquiry, Found(
            total=total, baskets=baskets, fewest=fewest, rules=tuple(rules), sure=sure, possible=possible, of_given=of_given,
            given=tuple(value for _, value in self.given), of=self.of, by=total.table.column(self.by), size=self.size,
        ))  # fmt: skip

    def _lines(self, inquiry: Inquiry, total: QueryResult, *, given: bool = False) -> exp.Select:
        """Return each basket's items, once each; with `given`, only the ids of baskets that hold all of those."""
        model, lines = inquiry.model, lines_of(inquiry.model)
        binder = Binder(model, inquiry.as_of, inquiry.layer.profile.complete)
        binder.period, binder.data_start = total.period, inquiry.layer.coverage.start
        by, filters = self.by, total.query.filters
        if given or self.is_apart:
            named = Where(dimension=self.given[0][0], op=Op.IN, values=tuple(value for _, value in self.given))
            by = named.dimension if given else by
            filters = both(filters, named if given else Not(part=named))  # a product goes with its own brand always
        source = binder.source((binder.leaf(lines.metric),), (by,), None, total.period, filters, by_user=self.of == "user")
        basket = dict(source.keys)["user_id"] if self.of == "user" else exp.column(lines.basket, table=lines.dataset)
        keys = (("basket", basket), ("item", dict(source.keys)[by]))
        return source_select(replace(source, keys=keys, aggregates=())).distinct(copy=False)

    def _select(self, inquiry: Inquiry, total: QueryResult, text: str, *names: str) -> tuple[tuple[Cell, ...], ...]:
        """Run a statement over `items_of_baskets` and, where it names them, the baskets with what is given."""
        tree = sqlglot.parse_one(text, dialect="duckdb")
        assert isinstance(tree, exp.Select)
        ctes: list[tuple[str, exp.Query]] = [(ITEMS, self._lines(inquiry, total))]
        if "given_baskets" in text:
            holding = sqlglot.parse_one(
                f"SELECT basket FROM given_lines GROUP BY 1 HAVING COUNT(*) = {len(self.given)}", dialect="duckdb"
            )
            assert isinstance(holding, exp.Select)
            ctes += [("given_lines", self._lines(inquiry, total, given=True)), ("given_baskets", holding)]
        columns = (*numbers(*names),)
        own = tree.args.pop("with_", None)
        if own is not None:
            ctes += [(cte.alias, cte.this) for cte in own.expressions]
        return inquiry.select(with_ctes(tree, ctes), columns, max_rows=MOST_ITEMS).table.rows

    def _baskets(self, inquiry: Inquiry, total: QueryResult) -> Baskets:
        sizes = self._sizes(inquiry, total, ITEMS)
        text = f"SELECT baskets, COUNT(*) AS items FROM (SELECT item, COUNT(*) AS baskets FROM {ITEMS} WHERE item IS NOT NULL GROUP BY 1) AS items GROUP BY 1 ORDER BY 1"
        items = {_whole(kind): _whole(number) for kind, number in self._select(inquiry, total, text, "baskets", "items")}
        return baskets_of(sizes, items)

    def _sizes(self, inquiry: Inquiry, total: QueryResult, of: str) -> dict[int, int]:
        """Return how many baskets there are of each number of items."""
        text = f"SELECT size, COUNT(*) AS baskets FROM (SELECT {ITEMS}.basket, COUNT(item) AS size FROM {of} GROUP BY 1) AS sizes WHERE size > 0 GROUP BY 1 ORDER BY 1"
        return {_whole(size): _whole(number) for size, number in self._select(inquiry, total, text, "size", "baskets")}

    def _counts(self, inquiry: Inquiry, total: QueryResult, fewest: int) -> dict[Cell, int]:
        text = f"SELECT item, COUNT(*) AS baskets FROM {ITEMS} WHERE item IS NOT NULL GROUP BY 1 HAVING COUNT(*) >= {fewest} ORDER BY 2 DESC, 1"
        return {item: _whole(count) for item, count in self._select(inquiry, total, text, "item", "baskets")}

    def _pairs(self, inquiry: Inquiry, total: QueryResult, fewest: int) -> list[tuple[Cell, Cell, int]]:
        text = f"""
            WITH {_frequent(fewest)}
            SELECT a.item AS first, b.item AS second, COUNT(*) AS baskets
            FROM frequent_items AS a JOIN frequent_items AS b ON a.basket = b.basket AND a.item < b.item
            GROUP BY 1, 2 HAVING COUNT(*) >= {fewest} ORDER BY 3 DESC, 1, 2 LIMIT {MOST_SETS}"""
        rows = self._select(inquiry, total, text, "first", "second", "baskets")
        return [(first, second, _whole(count)) for first, second, count in rows]

    def _threes(
        self, inquiry: Inquiry, total: QueryResult, baskets: Baskets, fewest: int, counts: dict[Cell, int],
        pairs: Sequence[tuple[Cell, Cell, int]],
    ) -> list[Rule[Cell]]:  # fmt: skip
        """Return the sets of three as rules from the two items that are surest of the third, which chance is to add to any two."""
        text = f"""
            WITH {_frequent(fewest)}
            SELECT a.item AS first, b.item AS second, c.item AS third, COUNT(*) AS baskets
            FROM frequent_items AS a JOIN frequent_items AS b ON a.basket = b.basket AND a.item < b.item
            JOIN frequent_items AS c ON b.basket = c.basket AND b.item < c.item
            GROUP BY 1, 2, 3 HAVING COUNT(*) >= {fewest} ORDER BY 4 DESC, 1, 2, 3 LIMIT {MOST_SETS}"""
        rows = self._select(inquiry, total, text, "first", "second", "third", "baskets")
        of_pair = {frozenset((a, b)): n for a, b, n in pairs}
        alone = dict(zip(of_pair, baskets.expected([(counts[a], counts[b]) for a, b, _ in pairs]), strict=True))
        expected = baskets.expected([tuple(counts[item] for item in items) for *items, _ in rows])
        rules = []
        for (*items, count), by_chance in zip(rows, expected, strict=True):
            drawn = [of_pair[pair] / alone[pair] for pair in map(frozenset, combinations(items, 2)) if pair in of_pair]
            known = [given for given in combinations(items, 2) if frozenset(given) in of_pair]
            if known:
                given = min(known, key=lambda pair: of_pair[frozenset(pair)])  # few baskets hold both: surest of the third
                (then,) = (item for item in items if item not in given)
                rules.append(Rule(
                    given=given, then=then, together=_whole(count), of_given=of_pair[frozenset(given)], of_then=counts[then],
                    baskets=baskets.count, expected=by_chance * max(1.0, *drawn),
                ))  # fmt: skip
        return rules

    def _going_with(
        self, inquiry: Inquiry, total: QueryResult, baskets: Baskets, fewest: int
    ) -> tuple[list[Rule[Cell]], int, int]:
        """Return what is in the baskets with what is given, how many those are, and how many items there are."""
        text = f"""
            SELECT item, COUNT(*) AS baskets, COUNT(given_baskets.basket) AS together
            FROM {ITEMS} LEFT JOIN given_baskets ON {ITEMS}.basket = given_baskets.basket
            WHERE item IS NOT NULL GROUP BY 1 HAVING COUNT(*) >= {fewest} ORDER BY 3 DESC, 2, 1"""
        rows = self._select(inquiry, total, text, "item", "baskets", "together")
        sizes = self._sizes(inquiry, total, f"{ITEMS} JOIN given_baskets ON {ITEMS}.basket = given_baskets.basket")
        of_given = sum(sizes.values())
        if of_given < fewest:
            raise QueryError(
                "too_thin",
                Text(f"Only {of_given:,} baskets hold it: a rule must rest on {fewest:,}.", f"只有 {of_given:,} 个购物篮包含它，至少需要 {fewest:,} 个才能给出规则。"),
                Text("Ask about a longer period, or about its brand or category.", "请放宽时间，或改问其品牌、品类。"),
            )
        given = {value for _, value in self.given}
        own = [_whole(count) for item, count, _ in rows if item in given and not self.is_apart]
        others = [(item, _whole(count), _whole(together)) for item, count, together in rows if self.is_apart or item not in given]
        expected = baskets.expected_among(own, [count for _, count, _ in others], sizes)
        rules = [
            Rule(
                given=tuple(given), then=item, together=together, of_given=of_given, of_then=count, baskets=baskets.count, expected=by_chance,
            ) for (item, count, together), by_chance in zip(others, expected, strict=True) if together >= fewest
        ]  # fmt: skip
        return rules, of_given, len(rows)


def _frequent(fewest: int) -> str:
    """Return the CTE of the items that enough baskets hold."""
    return f"""frequent_items AS (
        SELECT basket, item FROM {ITEMS}
        WHERE item IN (SELECT item FROM {ITEMS} WHERE item IS NOT NULL GROUP BY 1 HAVING COUNT(*) >= {fewest}))"""


def _whole(cell: Cell) -> int:
    return int(cell) if isinstance(cell, int | float) else 0
