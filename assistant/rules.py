"""Owns the embedded planner: a question read by the grammar becomes a query that fits the model, or the honest reason why not.

Deterministic, without network or key. Where a word may mean several things, the first that fits everything else asked
wins, in the order of the model file; what is left over is said, never guessed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import product

from wenshu.assistant.linker import LinkedQuestion, Target, Vocabulary, link
from wenshu.assistant.planner import Clarification, Outcome, Plan, Refusal, Statement
from wenshu.assistant.question import MAX_LENGTH, Question
from wenshu.assistant.reading import Reading, ValueFilter, read
from wenshu.semantic_layer.binder import Binder, personal_data
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.model import Aggregate, Aggregation, Metric
from wenshu.semantic_layer.periods import Compare, DateRange, Grain
from wenshu.semantic_layer.profile import looked_up
from wenshu.semantic_layer.query import And, Condition, Filter, Op, Order, Query, Share, Where, both, filters_of
from wenshu.semantic_layer.text import Language, Text

OVERVIEW_DAYS = 30
UNIT_DAYS = {Grain.DAY: 1, Grain.WEEK: 7, Grain.MONTH: 31}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Hold the metrics chosen for the words of a question, and its filters as the model knows them."""

    metrics: tuple[Target, ...]
    filters: tuple[Where, ...]


class RulesPlanner:
    """Plan questions by rules over the words of the model, the data and the lexicons."""

    name = "rules"

    def __init__(self, layer: SemanticLayer) -> None:
        self.layer = layer
        self.model = layer.model

    @cached_property
    def vocabulary(self) -> Vocabulary:
        listed = {dimension.qualified for dimension in self.model.dimensions if looked_up(dimension)}
        found = self.layer.profile.values
        return Vocabulary(self.model, ((name, value) for name in listed for value in found.get(name, ())))

    def plan(self, question: Question, language: Language, previous: Query | None = None) -> Outcome:
        """Return a query that the question supports word for word, or ask back, or refuse."""
        if not question.text.strip():
            return Clarification(
                code="empty_question",
                prompt=Text("The question is empty.", "问题是空的。"),
                options=self.examples(language),
            )
        if len(question.text) > MAX_LENGTH:
            return Refusal(
                code="question_too_long",
                message=Text(
                    f"The question has {len(question.text):,} characters.", f"问题有 {len(question.text):,} 个字符。"
                ),
                hint=Text(f"Ask in at most {MAX_LENGTH:,}.", f"请控制在 {MAX_LENGTH:,} 个字符以内。"),
            )
        as_of = self.layer.as_of(question.today)
        try:
            linked = link(question.text, self.vocabulary, as_of=as_of, language=language)
            refused = self._guardrail(linked)
            if refused is not None:
                return refused
            return self._plan(read(linked, self.model), as_of, language, previous)
        except QueryError as error:
            return Refusal(code=error.code, message=error.message, hint=error.hint)

    def examples(self, language: Language) -> tuple[str, ...]:
        """Return the model's example questions."""
        return tuple(dict.fromkeys(example.in_(language) for example in self.model.examples))

    # before anything is planned

    def _guardrail(self, linked: LinkedQuestion) -> Refusal | None:
        """Refuse what is no question, asks for personal data, or is about what the data do not hold."""
        for mention in linked.mentions:
            if mention.is_word("write"):
                return Refusal(
                    code="not_a_question",
                    message=Text(
                        f"“{mention.text}” asks for an action; I only read data.",
                        f"“{mention.text}”是一项操作，我只能查询数据。",
                    ),
                    hint=Text("Ask for a number instead.", "请改为查询某个数字。"),
                )
            personal = [d for t in mention.of("dimension") for d in self.model.dimensions if d.name == t.name and d.pii]
            if personal:
                error = personal_data(personal[0])
                return Refusal(code=error.code, message=error.message, hint=error.hint)
            if mention.is_word("personal"):
                return Refusal(
                    code="personal_data",
                    message=Text(
                        f"“{mention.text}” is personal data and is not shown.",
                        f"“{mention.text}”属于个人信息，不予展示。",
                    ),
                    hint=Text("Ask for counts or for groups of users instead.", "可以查询人数或用户分组的统计。"),
                )
        for mention in linked.mentions:
            if absent := mention.of("absent"):
                label = self.model.absent[int(absent[0].name)][0]
                return Refusal(
                    code="not_in_data",
                    message=Text(f"The data say nothing about {label.en}.", f"数据中没有{label.zh}相关的内容。"),
                    hint=self._what_there_is(),
                )
        return None

    def _what_there_is(self) -> Text:
        names = self.model.headline or tuple(metric.name for metric in self.model.metrics[:6])
        labels = [self.model.metric_by_name[name].label for name in names]
        return Text(
            f"You can ask about {', '.join(label.en for label in labels)} and more.",
            f"可以询问{'、'.join(label.zh for label in labels)}等指标。",
        )

    # from reading to outcome

    def _plan(self, reading: Reading, as_of: date, language: Language, previous: Query | None) -> Outcome:
        unknown = reading.unclaimed()
        if reading.has_word("definition") and reading.metrics:
            return Statement(metrics=tuple(targets[0].name for targets in reading.metrics))
        if reading.has_word("why") and reading.metrics:
            return self._why(reading, language)
        unknown = tuple(word for word in unknown if not _is_soft(reading, word))
        if reading.metrics and not (previous and self._edits(reading)):
            return self._not_understood(unknown, reading, language) if unknown else self._fresh(reading, as_of)
        if previous is not None and self._has_content(reading):
            return self._not_understood(unknown, reading, language) if unknown else self._edit(previous, reading, as_of)
        if unknown:
            return self._nothing_known(unknown)
        if (listing := self._listing(reading)) is not None:
            return Plan(query=listing, evidence=_evidence(reading))
        if reading.has_word("overview") and self.model.headline and not reading.dimensions:
            return self._overview(reading, as_of)
        return self._no_metric(reading, language)

    def _edits(self, reading: Reading) -> bool:
        """Say whether a question that names a metric changes the one before rather than opening a new subject."""
        if reading.has_word("switch"):
            return True
        return reading.has_word("so") and not reading.periods and not reading.dimensions

    def _has_content(self, reading: Reading) -> bool:
        return bool(
            reading.metrics or reading.dimensions or reading.filters or reading.periods or reading.grain or reading.parts or reading.weekdays
            or reading.compare or reading.share or reading.superlative or reading.order or reading.limit or reading.trend
        )  # fmt: skip

    def _fresh(self, reading: Reading, as_of: date) -> Outcome:
        settled = self._settle(reading, ())
        query, assumptions = self._query(reading, settled, as_of)
        return self._ranked(reading, query, assumptions)

    def _ranked(self, reading: Reading, query: Query, assumptions: tuple[Text, ...]) -> Outcome:
        if reading.limit and not query.dimensions and not query.grain:
            return Clarification(
                code="no_dimension",
                prompt=Text(f"Top {reading.limit} of what?", f"前 {reading.limit} 名按什么来排？"),
                options=self._options(reading, query.metrics[0]),
            )
        return Plan(
            query=query, superlative=reading.superlative, assumptions=assumptions, evidence=_evidence(reading), period_label=_period_label(reading),
        )  # fmt: skip

    # settling what words mean

    def _settle(
        self, reading: Reading, inherited: tuple[str, ...], metrics: tuple[tuple[Target, ...], ...] | None = None
    ) -> Settled:
        """Choose, among the metrics that the words may mean, the first that have every dimension and filter asked for.

        Raises the `QueryError` of the first choice where none fits.
        """
        names = [*inherited, *reading.dimensions, *(n.dimension for n in reading.numbers if n.dimension)]
        problem: QueryError | None = None
        for choice in product(*(metrics if metrics is not None else reading.metrics)):
            try:
                filters = self._fit(choice, names, reading.filters)
                return Settled(metrics=tuple(dict.fromkeys(choice)), filters=filters)
            except QueryError as error:
                problem = problem or error
        assert problem is not None
        raise problem

    def _fit(
        self, metrics: Iterable[Target], dimensions: Iterable[str], filters: Iterable[ValueFilter]
    ) -> tuple[Where, ...]:
        binder = Binder(self.model, date.min)
        leaves = [leaf for target in metrics for leaf in self.model.leaves(target.name)]
        for name in dimensions:
            for leaf in leaves:
                binder.dimension(name, leaf)
        return tuple(self._filter(binder, leaves, item) for item in filters)

    def _filter(self, binder: Binder, leaves: list[Aggregate], item: ValueFilter) -> Where:
        """Return a filter on the dimension that the value belongs to: the noun beside it settles, then what is counted."""
        problem: QueryError | None = None
        for qualified in sorted(item.dimensions, key=lambda name: self._distance(binder, leaves, name, item.noun)):
            name = binder.canonical(qualified)
            bare = qualified.rpartition(".")[2]
            shared = sum(1 for d in self.model.dimensions if d.name == bare) > 1
            try:
                for leaf in leaves:
                    binder.dimension(bare if shared else name, leaf)
            except QueryError as error:
                problem = problem or error
                continue
            values = item.values(qualified)
            many = len(values) > 1
            op = (Op.NOT_IN if many else Op.NE) if item.negated else (Op.IN if many else Op.EQ)
            return Where(dimension=bare if shared else name, op=op, values=values)
        if problem is None:
            raise QueryError(
                "ambiguous_values", Text("The values named belong to different dimensions.", "所列的值属于不同的维度。"),
                Text("Name values of one dimension.", "请列出同一维度的值。"),
            )  # fmt: skip
        raise problem

    def _distance(self, binder: Binder, leaves: list[Aggregate], qualified: str, noun: str | None) -> tuple[int, int]:
        """Return how far a dimension is from what the words say: named beside, of the thing counted, own, by joins."""
        dataset, _, name = qualified.rpartition(".")
        if noun in (name, dataset):
            return (0, 0)
        if not leaves:
            return (1, 0)
        if dataset == self._subject(leaves[0]):
            return (1, 0)
        paths = [binder.path(leaf.dataset, dataset) for leaf in leaves]
        return (2, sum(len(path) if path is not None else 99 for path in paths))

    def _subject(self, leaf: Aggregate) -> str:
        """Return the dataset of the things a metric counts: users for distinct users, else its own rows."""
        if leaf.aggregation is Aggregation.COUNT_DISTINCT and leaf.expr is not None:
            for r in self.model.relationships:
                if (
                    r.many == leaf.dataset
                    and r.many_columns == (leaf.expr.name,)
                    and self.model.dataset_by_name[r.one].entity
                ):
                    return r.one
        return leaf.dataset

    # building the query

    def _query(self, reading: Reading, settled: Settled, as_of: date) -> tuple[Query, tuple[Text, ...]]:
        assumptions: list[Text] = list(self._said_of(reading, settled))
        metrics = tuple(target.name for target in settled.metrics)
        period, to_date, compared, grain = self._times(reading, settled)
        dimensions = list(dict.fromkeys([*reading.parts, *reading.dimensions]))
        filters: Filter | None = None
        share: Share | None = None
        for where, item in zip(settled.filters, reading.filters, strict=True):
            if item.joined and not item.negated and where.dimension not in dimensions and not reading.share:
                dimensions.append(where.dimension)  # values side by side
            if reading.share and where is settled.filters[-1] and not reading.dimensions and not item.negated:
                share = Share(where=where)
            else:
                filters = both(filters, where)
        if reading.weekdays and "day_type" not in dimensions:
            filters = both(filters, Where(dimension="weekday", op=Op.IN, values=tuple(sorted(reading.weekdays))))
        for number in reading.numbers:
            if number.dimension and isinstance(number.value, float | int):
                values = (_whole(number.value),) if number.high is None else (_whole(number.value), _whole(number.high))
                filters = both(filters, Where(dimension=number.dimension, op=number.op, values=values))
        if reading.share and share is None:
            share = Share()
        conditions = tuple(
            Condition(metric=self._named(number.metric, metrics), op=number.op, value=number.value, high=number.high)
            for number in reading.numbers
            if number.metric
        )
        if conditions and not dimensions and not grain:
            raise QueryError(
                "no_dimension",
                Text(
                    "The condition needs groups that it chooses among, such as cities or months.",
                    "该条件需要有可供筛选的分组，例如城市或月份。",
                ),
                Text("Say which: “cities with GMV over 1 million”.", "请说明分组，例如“成交额超过100万的城市”。"),
            )
        order = self._order(reading, metrics, compared is not None)
        if (
            (reading.superlative or reading.limit)
            and not dimensions
            and not grain
            and (noun := self._noun_dimension(reading))
        ):
            dimensions.append(noun)
        return (
            Query(
                metrics=metrics, dimensions=tuple(dimensions), grain=grain, period=period, to_date=to_date, filters=filters, conditions=conditions,
                compare=compared, share=share, order=order, limit=reading.limit, others=reading.others,
            ),
            tuple(assumptions),
        )  # fmt: skip

    def _noun_dimension(self, reading: Reading) -> str | None:
        """Return the dimension that names the things a noun stands for (products: the product's name)."""
        for noun in reading.nouns:
            for dimension in self.model.dataset_by_name[noun].dimensions:
                if (
                    dimension.type == "string"
                    and dimension.indexed
                    and not dimension.values
                    and noun.startswith(dimension.name[:4])
                ):
                    return dimension.name
        return None

    def _named(self, candidates: tuple[Target, ...], metrics: tuple[str, ...]) -> str:
        return next((target.name for target in candidates if target.name in metrics), metrics[0])

    def _order(self, reading: Reading, metrics: tuple[str, ...], compared: bool) -> tuple[Order, ...]:
        if reading.order is None and reading.superlative is None:
            return ()
        by = f"{metrics[0]}_change" if compared and reading.has_word("growth") else metrics[0]
        ascending = reading.order == "ascending" or (reading.order is None and reading.superlative == "least")
        return (Order(by=by, descending=not ascending),)

    def _times(
        self, reading: Reading, settled: Settled
    ) -> tuple[DateRange | None, Grain | None, Compare | DateRange | None, Grain | None]:
        """Return period, to-date grain, comparison and grain."""
        grain = reading.grain
        compare: Compare | DateRange | None = reading.compare
        periods = reading.periods
        period, to_date = (periods[0].period, periods[0].to_date) if periods else (None, None)
        if len(periods) > 1 and period is not None:
            ranges = [phrase.period for phrase in periods if phrase.period is not None]
            if _adjoining(ranges) and not reading.versus and compare is None:
                period = DateRange(min(r.start for r in ranges), max(r.end for r in ranges))
                grain = grain or _unit(ranges)
            elif len(ranges) == 2:
                compare = ranges[1]
            else:
                raise QueryError(
                    "too_many_periods", Text("The question names more than two periods.", "问题中包含两个以上的时间段。"),
                    Text("Ask about one period, or compare two.", "请询问一个时间段，或对比两个时间段。"),
                )  # fmt: skip
        elif (
            reading.versus
            and compare is None
            and period is not None
            and not any(item.joined for item in reading.filters)
        ):
            compare = Compare.PREVIOUS
        elif compare is None and reading.has_word("growth") and period is not None and grain is None:
            compare = Compare.PREVIOUS
        implied = next((target.grain for target in settled.metrics if target.grain), None)
        if implied and grain is None:
            grain = None if period is not None and period.days <= UNIT_DAYS[implied] else implied
        elif implied and grain is not None and grain != implied:
            raise QueryError(
                "grain_conflict",
                Text(
                    f"The metric is counted by {implied}, but the question asks for rows by {grain}.",
                    "该指标的统计粒度与问题要求的时间粒度不一致。",
                ),
                Text("Ask for active users by that grain instead.", "请改问该粒度的活跃用户数。"),
            )
        if reading.trend and grain is None:
            days = period.days if period else 700
            grain = Grain.DAY if days <= 45 else Grain.WEEK if days <= 210 else Grain.MONTH
        return period, to_date, compare, grain

    def _said_of(self, reading: Reading, settled: Settled) -> Iterator[Text]:
        """Name each reading taken where a word could mean another metric."""
        for target in settled.metrics:
            for candidates in reading.metrics:
                if target in candidates and target is not candidates[0]:
                    taken = self.model.metric_by_name[target.name].label
                    passed = self.model.metric_by_name[candidates[0].name].label
                    yield Text(
                        f"Read as {taken.en}: {passed.en} does not have what is asked for.",
                        f"按“{taken.zh}”计算：“{passed.zh}”不支持所问的拆分或筛选。",
                    )

    # follow-ups

    def _edit(self, previous: Query, reading: Reading, as_of: date) -> Outcome:
        """Change the query before by what the question says; the rest is taken over and said."""
        kept_metrics = tuple((Target("metric", name),) for name in previous.metrics)
        metrics = tuple(reading.metrics) or kept_metrics
        if not metrics:
            return self._no_metric(reading, "zh")
        inherited = tuple(
            name
            for name in previous.dimensions
            if not reading.dimensions and name not in ("hour_of_day", "weekday", "day_type")
        )
        old = [where for where in filters_of(previous.filters)] if _is_flat(previous.filters) else []
        settled = self._settle(
            reading, (*inherited, *(where.dimension for where in old if where.dimension not in ("weekday",))), metrics
        )
        told, assumptions = self._query(reading, settled, as_of)
        replaced = {where.dimension for where in filters_of(told.filters)}
        filters = told.filters
        for where in reversed(old):
            if where.dimension not in replaced:
                filters = both(where, filters)
        dimensions = told.dimensions if reading.dimensions or reading.parts else tuple(
            name for name in previous.dimensions if not (name in replaced and not any(item.joined for item in reading.filters))
        )  # fmt: skip
        period, to_date = (told.period, told.to_date) if reading.periods else (previous.period, previous.to_date)
        order = told.order or (previous.order if told.metrics == previous.metrics else ())
        query = replace(
            told, dimensions=dimensions, grain=told.grain or previous.grain, period=period, to_date=to_date, filters=filters,
            compare=told.compare or (previous.compare if not reading.periods or not isinstance(previous.compare, DateRange) else None),
            share=told.share or previous.share, order=order, limit=told.limit or (previous.limit if not reading.dimensions else None),
            conditions=told.conditions or (previous.conditions if told.metrics == previous.metrics else ()),
        )  # fmt: skip
        outcome = self._ranked(reading, query, (*assumptions, *self._taken_over(previous, query, reading)))
        return outcome

    def _taken_over(self, previous: Query, query: Query, reading: Reading) -> Iterator[Text]:
        kept: list[Text] = []
        if not reading.metrics:
            kept.extend(self.model.metric_by_name[name].label for name in query.metrics)
        if not reading.periods and query.period is not None:
            kept.append(Text(str(query.period), str(query.period)))
        binder = Binder(self.model, date.min)
        for where in filters_of(query.filters):
            if where in filters_of(previous.filters) and where.dimension not in ("weekday", "hour_of_day", "day_type"):
                label = binder.candidates(where.dimension)[0].label
                shown = "/".join(str(value) for value in where.values)
                kept.append(Text(f"{label.en} {where.op} {shown}", f"{label.zh} {where.op} {shown}"))
        if kept:
            yield Text(
                f"Taken over from the question before: {'; '.join(t.en for t in kept)}.",
                f"沿用上一问：{'；'.join(t.zh for t in kept)}。",
            )

    # other outcomes

    def _listing(self, reading: Reading) -> Query | None:
        """Return a list of things with a number of theirs: products by list price."""
        dimensions = {d.name: d for d in self.model.dimensions}
        numbers = [name for name in reading.dimensions if dimensions[name].type == "number"]
        names = [name for name in reading.dimensions if name not in numbers]
        if (
            not names
            and numbers
            and (noun := next((n for n in reading.nouns if dimensions[numbers[0]].dataset == n), None))
        ):
            names = [
                d.name
                for d in self.model.dataset_by_name[noun].dimensions
                if d.type == "string" and d.indexed and not d.values
            ][:1]
        if not numbers or not names or dimensions[numbers[0]].dataset != dimensions[names[0]].dataset:
            return None
        try:
            leaf = Aggregate(
                name="rows",
                label=dimensions[names[0]].label,
                aggregation=Aggregation.COUNT,
                dataset=dimensions[names[0]].dataset,
            )
            wheres = [self._filter(Binder(self.model, date.min), [leaf], item) for item in reading.filters]
        except QueryError:
            return None
        filters: Filter | None = None
        for where in wheres:
            filters = both(filters, where)
        ascending = reading.order == "ascending" or (reading.order is None and reading.superlative == "least")
        order = (Order(by=numbers[0], descending=not ascending),)
        return Query(dimensions=(*names, *numbers), filters=filters, order=order, limit=reading.limit)

    def _overview(self, reading: Reading, as_of: date) -> Plan:
        phrase = reading.periods[0] if reading.periods else None
        period = (
            phrase.period
            if phrase and phrase.period
            else DateRange(date.fromordinal(as_of.toordinal() - OVERVIEW_DAYS + 1), as_of)
        )
        query = Query(
            metrics=self.model.headline,
            period=period,
            to_date=phrase.to_date if phrase else None,
            compare=Compare.PREVIOUS,
        )
        said = Text(
            f"An overview of the headline metrics of the last {OVERVIEW_DAYS} days.",
            f"最近 {OVERVIEW_DAYS} 天核心指标概览。",
        )
        return Plan(
            query=query,
            assumptions=() if phrase else (said,),
            evidence=_evidence(reading),
            period_label=_period_label(reading),
        )

    def _why(self, reading: Reading, language: Language) -> Outcome:
        metric = self.model.metric_by_name[reading.metrics[0][0].name]
        when = reading.periods[0].text if reading.periods else ""
        options = tuple(
            self._phrase(language, metric, when, name, "compare") for name in (None, *self._dimensions_of(metric)[:2])
        )
        return Clarification(
            code="why_unsupported",
            prompt=Text(
                "I cannot name causes yet, but I can show what changed.", "暂时不能归因，但可以展示变化发生在哪里。"
            ),
            options=options,
        )

    def _not_understood(self, words: tuple[str, ...], reading: Reading, language: Language) -> Outcome:
        shown = "、".join(words[:5]) if language == "zh" else ", ".join(words[:5])
        options = self._options(reading, reading.metrics[0][0].name if reading.metrics else None, language)
        return Clarification(
            code="not_understood",
            prompt=Text(
                f"I did not understand “{shown[:80]}”, so I have not answered.",
                f"没有理解“{shown[:80]}”，因此没有作答。",
            ),
            options=options,
        )

    def _nothing_known(self, words: tuple[str, ...]) -> Refusal:
        return Refusal(
            code="not_in_data",
            message=Text(
                f"I know nothing about “{', '.join(words[:5])[:80]}” in this data.",
                f"这份数据中没有与“{'、'.join(words[:5])[:80]}”有关的内容。",
            ),
            hint=self._what_there_is(),
        )

    def _no_metric(self, reading: Reading, language: Language) -> Clarification:
        return Clarification(
            code="no_metric",
            prompt=Text("Which number would you like to see?", "您想看哪个指标？"),
            options=self._options(reading, None, language) or self.examples(language)[:4],
        )

    def _options(self, reading: Reading, metric: str | None, language: Language = "zh") -> tuple[str, ...]:
        """Return two to four complete questions near the one asked, each of which can be answered."""
        when = reading.periods[0].text if reading.periods else ""
        by_name = self.model.metric_by_name
        if metric is not None:
            dimensions: tuple[str | None, ...] = (
                *(reading.dimensions[:1] or [None]),
                *self._dimensions_of(by_name[metric])[:2],
            )
            return tuple(dict.fromkeys(self._phrase(language, by_name[metric], when, name) for name in dimensions))[:4]
        names = self.model.headline or tuple(m.name for m in self.model.metrics[:4])
        out = []
        for name in names:
            by = reading.dimensions[0] if reading.dimensions else None
            if by is None or by in self._dimensions_of(by_name[name], every=True):
                out.append(self._phrase(language, by_name[name], when, by))
        return tuple(out[:4])

    def _dimensions_of(self, metric: Metric, every: bool = False) -> tuple[str, ...]:
        """Return the dimensions a metric can be split by that are good to suggest."""
        binder = Binder(self.model, date.min)
        out = []
        for dimension in self.model.dimensions:
            wanted = every or (dimension.indexed and dimension.values)
            if wanted and not dimension.pii and dimension.name not in out:
                try:
                    for leaf in self.model.leaves(metric.name):
                        binder.dimension(dimension.name, leaf)
                    out.append(dimension.name)
                except QueryError:
                    continue
        return tuple(out)

    def _phrase(self, language: Language, metric: Metric, when: str, dimension: str | None, form: str = "") -> str:
        label = Binder(self.model, date.min).candidates(dimension)[0].label if dimension else None
        if language == "zh":
            return f"{when}{f'各{label.zh}的' if label else '的' if when else ''}{metric.label.zh}{'环比' if form == 'compare' else ''}"
        by = f" by {label.en}" if label else ""
        return f"{metric.label.en}{by}{f' {when}' if when else ''}{' vs previous period' if form == 'compare' else ''}"

    def follow_ups(self, query: Query, language: Language) -> tuple[str, ...]:
        """Return three next questions that are sure to be answerable, as edits of the query just answered."""
        if not query.metrics:
            return ()
        metric = self.model.metric_by_name[query.metrics[0]]
        out: list[str] = []
        if query.compare is None and query.period is not None:
            out.append("环比呢" if language == "zh" else "vs previous period")
        if query.grain is None:
            out.append("按月看" if language == "zh" else "by month")
        for name in self._dimensions_of(metric):
            if name not in query.dimensions and len(out) < 3:
                label = Binder(self.model, date.min).candidates(name)[0].label
                out.append(f"分{label.zh}看" if language == "zh" else f"by {label.en}")
        return tuple(out[:3])


def _is_soft(reading: Reading, word: str) -> bool:
    """Say whether a leftover word belongs to a class that asks for nothing by itself."""
    soft = (
        "overview",
        "vague",
        "why",
        "definition",
        "average",
        "overall",
        "above",
        "below",
        "equals",
        "list",
        "switch",
        "growth",
        "to",
        "others",
    )
    return any(
        mention.text == word and mention.is_word(*soft) and not mention.is_word("average", "above", "below")
        for mention in reading.mentions
    )


def _is_flat(filters: Filter | None) -> bool:
    return (
        filters is None
        or isinstance(filters, Where)
        or (isinstance(filters, And) and all(isinstance(part, Where) for part in filters.parts))
    )


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


def _adjoining(ranges: list[DateRange]) -> bool:
    ordered = sorted(ranges)
    return all((later.start - earlier.end).days == 1 for earlier, later in zip(ordered, ordered[1:], strict=False))


def _unit(ranges: list[DateRange]) -> Grain:
    """Return the grain whose buckets the ranges are."""
    days = max(r.days for r in ranges)
    return (
        Grain.DAY
        if days == 1
        else Grain.WEEK
        if days <= 7
        else Grain.MONTH
        if days <= 31
        else Grain.QUARTER
        if days <= 92
        else Grain.YEAR
    )


def _evidence(reading: Reading) -> tuple[str, ...]:
    return tuple(
        mention.text for i, mention in enumerate(reading.mentions) if i in reading.claimed and not mention.is_filler
    )


OPEN_PHRASES = (
    "since",
    "from",
    "until",
    "till",
    "between",
    "before",
    "after",
    "through",
    "up to",
    "by",
    "to",
    "as of",
    "starting",
)


def _period_label(reading: Reading) -> str | None:
    """Return the asker's words for the one period, or None where they are no name for it (“since August”)."""
    if len(reading.periods) != 1:
        return None
    phrase = reading.periods[0]
    words = reading.linked.text[phrase.start : phrase.end].strip()
    lowered = words.lower()
    for preposition in ("in ", "for ", "during ", "within ", "over ", "on ", "of "):
        if lowered.startswith(preposition):
            return words[len(preposition) :]
    return None if lowered.startswith(OPEN_PHRASES) else words
