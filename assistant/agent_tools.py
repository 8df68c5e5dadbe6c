"""Owns the tools of agent mode: search metrics, list values, run a semantic query, draw, explain and, as the last resort, SQL.

A query runs only where the question or an earlier result supports its values, dates and numbers. Knows no library.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

from wenshu.assistant.evidence import Evidence
from wenshu.assistant.plan_check import users_with
from wenshu.assistant.planner import RawResult
from wenshu.assistant.question import normalise
from wenshu.assistant.suggestions import Suggestions
from wenshu.assistant.vicinity import catalogue_of, is_dimension
from wenshu.semantic_layer.describe import definition
from wenshu.semantic_layer.errors import GuardError, QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.periods import Compare, DateRange, Grain, compared_period, next_bucket
from wenshu.semantic_layer.query import Op, Query, filters_of, query_from_json
from wenshu.semantic_layer.text import Language, same
from wenshu.tools.base import Json, Tool, ToolResult
from wenshu.tools.chart import choose_chart
from wenshu.tools.explain import explain
from wenshu.tools.model_text import known_names, table_text
from wenshu.tools.query import QueryResult, run_query

MOST_LISTED, MOST_RESULTS, MOST_REFUSED = 40, 8, 3


@dataclass
class Workbench:
    """Hold what an agent has found so far for one question, and the tools that find more."""

    layer: SemanticLayer
    evidence: Evidence
    language: Language
    today: date | None
    values: bool = True
    results: list[QueryResult | RawResult] = field(default_factory=list)
    refused: int = 0
    main: int | None = None
    seen: set[str] = field(default_factory=set)

    def tools(self) -> tuple[Tool, ...]:
        """Return the tools; raw SQL only where the model file allows it."""
        number = {"type": "integer", "minimum": 1, "description": "the number of a result"}
        found = (
            Tool(
                name="search_metrics", description="Find metrics by words; tells what they mean and what they can be split by.",
                arguments=_arguments(words={"type": "string"}), run=self._search,
            ),
            Tool(
                name="list_values", description="List the values of a dimension.",
                arguments=_arguments(dimension={"type": "string"}), run=self._list,
            ),
            Tool(name="run_query", description="Run a semantic query and get its table.", arguments=self._query_arguments(), run=self._query),
            Tool(name="draw_chart", description="Show a result as the answer's chart and table.", arguments=_arguments(result=number), run=self._draw),
            Tool(name="explain", description="Get the built-in explanation of a result.", arguments=_arguments(result=number), run=self._explain),
        )  # fmt: skip
        if not self.layer.model.raw_sql:
            return found
        sql = Tool(
            name="run_sql", description="The last resort, only where no semantic query can answer: one DuckDB SELECT over the tables below.\n" + self._tables(),
            arguments=_arguments(sql={"type": "string"}), run=self._sql,
        )  # fmt: skip
        return (*found, sql)

    @cached_property
    def _names(self) -> frozenset[str]:
        return known_names(self.layer)

    def _search(self, given: Json) -> ToolResult:
        model = self.layer.model
        near = catalogue_of(model, [str(given["words"])[:200]], ()).near
        suggestions = Suggestions(model)
        lines = []
        for name in near:
            metric = model.metric(name)
            split = ", ".join(suggestions.dimensions_of(metric, every=True)[:20])
            lines.append(f"{name}: {metric.label.in_(self.language)}. {definition(metric, model).in_(self.language)} Split by: {split}")
        return ToolResult(tool="search_metrics", for_model="\n".join(lines))

    def _list(self, given: Json) -> ToolResult:
        name = str(given["dimension"])
        known = [d for d in self.layer.model.dimensions if name in (d.name, d.qualified) and not d.pii]
        if not known or not is_dimension(name, self.layer.model):
            raise QueryError("unknown_dimension", same(f"There is no dimension {name[:60]!r}."))
        values = [str(v.value) for d in known for v in d.values] or [
            v for d in known for v in self.layer.profile.values.get(d.qualified, ())
        ]
        if not self.values:
            return ToolResult(tool="list_values", for_model="Values are not shown to you; use those that the question names.")
        more = f" and {len(values) - MOST_LISTED} more" if len(values) > MOST_LISTED else ""
        return ToolResult(tool="list_values", for_model=f"{values[:MOST_LISTED]}{more}")

    def _query(self, given: Json) -> ToolResult:
        given = {key: value for key, value in given.items() if value not in (None, [], "")}
        if isinstance(listed := given.get("filters"), list):
            given["filters"] = [self._in_raw_values(item) if isinstance(item, dict) else item for item in listed]
        query = query_from_json(given)
        self._check(query)
        result = run_query(self.layer, query, today=self.today)
        return self._keep("run_query", result)

    def _in_raw_values(self, item: Json) -> Json:
        """Return a filter whose values are those of the data: a model reads their labels."""
        raw = {
            label: listed.value
            for d in self.layer.model.dimensions if item.get("dimension") in (d.name, d.qualified)
            for listed in d.values for label in (listed.label.en, listed.label.zh)
        }  # fmt: skip
        values = item.get("values")
        known = [raw.get(value, value) if isinstance(value, str) else value for value in values] if isinstance(values, list) else values
        return item | {"values": known}

    def _sql(self, given: Json) -> ToolResult:
        if self.refused >= MOST_REFUSED:
            raise GuardError("sql_tries", same("Three statements were refused; answer without SQL."))
        try:
            statement, table = self.layer.sql(str(given["sql"]))
        except GuardError:
            self.refused += 1
            raise
        return self._keep("run_sql", RawResult(sql=statement.sql, table=table))

    def _keep(self, tool: str, result: QueryResult | RawResult) -> ToolResult:
        if len(self.results) >= MOST_RESULTS:
            raise QueryError("too_many_results", same(f"{MOST_RESULTS} results are enough; answer now."))
        self.results.append(result)
        self.seen |= {str(cell) for row in result.table.rows for cell in row}
        text = table_text(result.table, self._names, self.language, values=self.values)
        return ToolResult(tool=tool, for_model=f"result {len(self.results)}: {text}", found=result)

    def _draw(self, given: Json) -> ToolResult:
        result = self._result(given)
        chart = choose_chart(result.table, title="", subtitle="", language=self.language)
        self.main = int(given["result"]) - 1
        return ToolResult(tool="draw_chart", for_model=f"A chart of the kind {chart.kind} will be shown." if chart else "The table will be shown.")

    def _explain(self, given: Json) -> ToolResult:
        result = self._result(given)
        if isinstance(result, RawResult) or not self.values:
            return ToolResult(tool="explain", for_model="There is no explanation that you may read of this result.")
        told = explain(
            result.table, period=str(result.period), compared_period=None, filters=(), superlative=None, language=self.language,
            complete=result.complete,
        )  # fmt: skip
        text = told.markdown()
        hidden = [str(c) for row in result.table.rows for c in row if isinstance(c, str) and c not in self._names]
        if any(name in text for name in hidden if name):
            text = "There is no explanation that you may read of this result."
        return ToolResult(tool="explain", for_model=text)

    def _result(self, given: Json) -> QueryResult | RawResult:
        number = given.get("result")
        if not isinstance(number, int) or not 1 <= number <= len(self.results):
            raise QueryError("no_result", same(f"There is no result {str(number)[:20]}; there are {len(self.results)}."))
        return self.results[number - 1]

    # what a query needs words or earlier results for

    def _check(self, query: Query) -> None:
        """Raise `QueryError` for a value, date or number that neither the question nor an earlier result has."""
        said = normalise(self.evidence.question)
        known = {str(v) for _, v in self.evidence.values} | self.seen
        for where in filters_of(query.filters):
            for value in where.values:
                numeric = isinstance(value, int | float) and float(value) in self.evidence.numbers
                if not (str(value) in known or numeric or (len(str(value)) > 1 and normalise(str(value)) in said)) and where.op is not Op.EMPTY:
                    raise QueryError("unsupported", same(f"Neither the question nor a result has the value {str(value)[:60]!r} of {where.dimension}."))
        numbers = [c.value for c in query.conditions] + [c.high for c in query.conditions] + [u.value for u in users_with(query.filters)]
        for number in numbers:
            if isinstance(number, int | float) and float(number) not in (*self.evidence.numbers, 0.0) and str(number) not in self.seen:
                raise QueryError("unsupported", same(f"Neither the question nor a result has the number {number}."))
        for period in (query.period, query.compare if isinstance(query.compare, DateRange) else None):
            if period is not None and period not in self._periods():
                listed = "; ".join(str(p) for p in self._periods()[:6])
                raise QueryError("unsupported", same(f"Neither the question nor a result has the dates {period}. Known: {listed or 'none; leave period out'}."))
        asked = {name.partition("[")[0] for name in self.evidence.metrics}
        if not self.evidence.leftover and asked and not asked & {name.partition("[")[0] for name in query.metrics}:
            raise QueryError("unsupported", same(f"The question asks for {', '.join(sorted(asked)[:5])}."))

    @property
    def usual_periods(self) -> dict[str, DateRange]:
        """Return the dates that a question without any may mean: the last full month, the last 30 and 7 days."""
        as_of = self.layer.as_of(self.today)
        month = as_of.replace(day=1) if (as_of + timedelta(days=1)).day == 1 else (as_of.replace(day=1) - timedelta(days=1)).replace(day=1)
        until = next_bucket(month, Grain.MONTH) - timedelta(days=1)
        lately = {f"last {n} days": DateRange(as_of - timedelta(days=n - 1), as_of) for n in (30, 7)}
        return {"last full month": DateRange(month, until), **lately}

    def _periods(self) -> list[DateRange]:
        """Return the dates that the question names, else usual ones, those of the question before, and the buckets of earlier results."""
        found = list(self.evidence.periods.values())
        if (previous := self.evidence.previous) is not None and previous.period is not None:
            found.append(previous.period)
        found += [] if found else self.usual_periods.values()
        found += [compared_period(period, kind, None) for period in tuple(found) for kind in Compare]
        for result in self.results:
            if isinstance(result, QueryResult):
                found += [result.period, *([result.compared] if result.compared else [])]
                found += _buckets(result)
        return list(dict.fromkeys(found))

    # what tools say of themselves

    def _query_arguments(self) -> Json:
        text: Json = {"type": "string"}
        names: Json = {"type": "array", "items": text}
        dates: Json = {"type": "object", "properties": {"start": text, "end": text}, "required": ["start", "end"]}
        value: Json = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
        filters: Json = {
            "type": "object",
            "properties": {"dimension": text, "op": {"enum": [str(op) for op in Op]}, "values": {"type": "array", "items": value}},
            "required": ["dimension", "op", "values"],
        }
        order: Json = {"type": "object", "properties": {"by": text, "descending": {"type": "boolean"}}, "required": ["by"]}
        properties: Json = {
            "metrics": names, "dimensions": names, "period": dates, "filters": {"type": "array", "items": filters},
            "grain": {"enum": [str(grain) for grain in Grain]}, "compare": {"enum": [str(kind) for kind in Compare], "description": "adds the columns METRIC_previous and METRIC_change"},
            "order": {"type": "array", "items": order}, "limit": {"type": "integer", "minimum": 1},
        }  # fmt: skip
        return {"type": "object", "properties": properties, "required": ["metrics"]}

    def _tables(self) -> str:
        return "\n".join(f"{table}({', '.join(columns)})" for table, columns in self.layer.readable().items())


def _buckets(result: QueryResult) -> list[DateRange]:
    column = next((i for i, c in enumerate(result.table.columns) if c.role == "time" and c.grain), None)
    if column is None:
        return []
    grain = result.table.columns[column].grain
    assert grain is not None
    days = [row[column] for row in result.table.rows if isinstance(row[column], date)]
    return [DateRange(d, date.fromordinal(next_bucket(d, grain).toordinal() - 1)) for d in days if type(d) is date]


def _arguments(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}
