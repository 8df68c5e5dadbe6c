"""Owns the embedded planner: a question read by the grammar becomes a query that fits the model, or the honest reason why not.

Deterministic, without network or key. Where a word may mean several things, the first that fits everything else asked
wins, in the order of the model file; what is left over is said, never guessed.
"""

from dataclasses import replace
from datetime import date
from functools import cached_property

from wenshu.assistant.contradictions import freed_of_contradictions
from wenshu.assistant.follow_up import FollowUp
from wenshu.assistant.grammar import read
from wenshu.assistant.grammar_insight import Asked, insight_of
from wenshu.assistant.guardrail import guardrail, what_there_is
from wenshu.assistant.linker import Target, Vocabulary, link
from wenshu.assistant.people_list import of_those_scored, people_list
from wenshu.assistant.planner import Clarification, Investigation, Outcome, Plan, Refusal, Statement
from wenshu.assistant.question import MAX_LENGTH, Question, language_of
from wenshu.assistant.reading import Reading
from wenshu.assistant.rebound import of_cohort, rebound
from wenshu.assistant.report_periods import ReportPeriod, last_whole
from wenshu.assistant.settle import Settler
from wenshu.assistant.slips import Slips
from wenshu.assistant.suggestions import Suggestions
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError, WenshuError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Funnel, Metric, Ratio
from wenshu.semantic_layer.periods import Compare, DateRange, bucket
from wenshu.semantic_layer.profile import looked_up
from wenshu.semantic_layer.query import Filter, Order, Query, both
from wenshu.semantic_layer.text import Language, Text

OVERVIEW_DAYS = 30


class RulesPlanner:
    """Plan questions by rules over the words of the model, the data and the lexicons."""

    name = "rules"

    def __init__(self, layer: SemanticLayer) -> None:
        self.layer = layer
        self.model = layer.model
        self.settler = Settler(layer.model)
        self.suggestions = Suggestions(layer.model)

    @cached_property
    def follow_up(self) -> FollowUp:
        return FollowUp(self.model, self.settler, self.layer.profile.values)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        listed = {dimension.qualified for dimension in self.model.dimensions if looked_up(dimension)}
        found = self.layer.profile.values
        return Vocabulary(self.model, ((name, value) for name in listed for value in found.get(name, ())))

    @cached_property
    def slips(self) -> Slips:
        return Slips(self.vocabulary.names)

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
            refused = guardrail(linked, self.model)
            if refused is not None:
                return refused
            if linked.unknown and (mended := self.slips.mend(linked)) is not None:
                again = link(mended.text, self.vocabulary, as_of=as_of, language=language)
                outcome = self._plan(read(again, self.model), as_of, language, previous)
                if isinstance(outcome, Plan | Investigation) and not again.unknown:
                    return replace(outcome, assumptions=(mended.said, *outcome.assumptions))
            return self._plan(read(linked, self.model), as_of, language, previous)
        except QueryError as error:
            return Refusal(code=error.code, message=error.message, hint=error.hint)

    def examples(self, language: Language) -> tuple[str, ...]:
        """Return the model's example questions."""
        said = dict.fromkeys(example.in_(language) for example in self.model.examples)
        if not self.layer.policy_fingerprint:
            return tuple(said)
        return tuple(text for text in said if self._can_answer(text, language))

    def _can_answer(self, text: str, language: Language) -> bool:
        try:
            return isinstance(self.plan(Question(text=text), language), Plan | Investigation)
        except WenshuError:
            return False

    def follow_ups(self, query: Query, language: Language) -> tuple[str, ...]:
        """Return three next questions that are sure to be answerable, as edits of the query just answered."""
        return self.suggestions.follow_ups(query, language)

    # from reading to outcome

    def _plan(self, reading: Reading, as_of: date, language: Language, previous: Query | None) -> Outcome:
        if previous is not None:
            reading = self.follow_up.moves(previous, reading, as_of)
            of_cohort(previous, reading, self.model)
        if previous is not None and (renumbered := rebound(previous, reading, self.model)) is not None:
            if not self.follow_up.has_content(reading) and all(_is_soft(reading, word, previous) for word in reading.unclaimed()):
                return Plan(query=renumbered, assumptions=self.follow_up.taken_over(previous, renumbered), evidence=_evidence(reading))
            previous = renumbered
        unknown = reading.unclaimed()
        if reading.metrics and _asks_meaning(reading):
            return Statement(metrics=tuple(targets[0].name for targets in reading.metrics))
        if (insight := self._insight(reading, previous, as_of, language)) is not None:
            return insight
        if reading.has_word("weekly_report") and (report := self._report(reading, as_of)) is not None:
            return report
        if self._is_bare_conversion(reading):
            return self._ambiguous_conversion(reading, language)
        unknown = tuple(word for word in unknown if not _is_soft(reading, word, previous))
        people = previous is None and not reading.asks_for_number and self.settler.is_about_people(reading)
        if people and not unknown and not reading.has_word("overview", "quality", "why"):
            return self._fresh(reading, as_of)
        if reading.asks_for_number and not (previous and self.follow_up.edits(reading)):
            if not unknown:
                return self._fresh(reading, as_of)
            named = any(not self.settler.counts_anyone(targets) for targets in reading.metrics)
            named = named or bool(reading.users_with or reading.steps) or not reading.linked.unknown
            return self._not_understood(unknown, reading, language) if named else self._nothing_known(unknown)
        if previous is not None and self.follow_up.has_content(reading):
            return (
                self._not_understood(unknown, reading, language) if unknown else self._changed(previous, reading, as_of)
            )
        if previous is not None and reading.chart and not unknown:
            return Plan(query=previous, chart=reading.chart, evidence=_evidence(reading))
        clear = reading.linked.unknown and reading.has_word("overview") and not reading.has_word("quality", "vague")
        if clear or (unknown and not reading.has_word("quality", "vague", "overview", "versus", "why", "trend", "lately", "effective")):
            return self._nothing_known(unknown)
        if (listing := self._listing(reading)) is not None:
            return Plan(query=listing, evidence=_evidence(reading))
        if reading.has_word("overview") and self.model.headline and not reading.has_word("quality") and not reading.dimensions and not reading.superlative:
            return self._overview(reading, as_of)
        return self._no_metric(reading, language)

    def _fresh(self, reading: Reading, as_of: date) -> Outcome:
        settled = self.settler.settle(reading, ())
        query, assumptions = self.settler.query(reading, settled, as_of)
        if reading.has_word("list") and not reading.asks_how_many and (listed := people_list(query, self.model)):
            return Plan(query=listed, assumptions=assumptions, evidence=_evidence(reading))
        if not reading.metrics or reading.spread or reading.superlative:
            query = of_those_scored(query, self.model)
        query, read_as = freed_of_contradictions(query, self.layer)
        return self._ranked(reading, query, (*assumptions, *read_as))

    def _changed(self, previous: Query, reading: Reading, as_of: date) -> Outcome:
        query, assumptions = self.follow_up.edit(previous, reading, as_of)
        query, read_as = freed_of_contradictions(query, self.layer)
        return self._ranked(reading, query, (*assumptions, *read_as))

    def _ranked(self, reading: Reading, query: Query, assumptions: tuple[Text, ...]) -> Outcome:
        if (reading.limit or reading.superlative) and not query.dimensions and not query.grain:
            first = reading.limit or ""
            return Clarification(
                code="no_dimension",
                prompt=Text(f"Top {first} of what?".replace("  ", " "), f"{f'前 {first} 名' if first else '排名'}按什么来排？"),
                options=self.suggestions.options(reading, query.metrics[0], language_of(reading.linked.text)),
            )
        return Plan(
            query=query, superlative=reading.superlative, assumptions=assumptions, evidence=_evidence(reading),
            period_label=_period_label(reading) if query.period is not None else None, chart=reading.chart,
        )  # fmt: skip

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
            wheres = [self.settler.filter(Binder(self.model, date.min), [leaf], item) for item in reading.filters]
        except QueryError:
            return None
        filters: Filter | None = None
        for where in wheres:
            filters = both(filters, where)
        ascending = reading.order == "ascending" or (reading.order is None and reading.superlative == "least")
        order = (Order(by=numbers[0], descending=not ascending),)
        return Query(dimensions=(*names, *numbers), filters=filters, order=order, limit=reading.limit)

    def _report(self, reading: Reading, as_of: date) -> Plan | None:
        """Return the overview of the week that a report is asked for, with the name of the report; of a part of the data there is none."""
        if not self.model.headline or reading.dimensions or reading.asks_for_number or not self.model.has_dates:
            return None
        if not all(_is_soft(reading, word, None) for word in reading.unclaimed()):
            return None
        plan = self._overview(reading, as_of)
        if not reading.periods or plan.query.period is None:
            week = last_whole(as_of)
            plan = replace(plan, query=replace(plan.query, period=week.named), assumptions=(Text(f"The last whole week: {week.named}.", f"最近一个完整周：{week.named}。"),))
        period = plan.query.period
        assert period is not None
        named = bucket(period.start, plan.query.to_date) if plan.query.to_date else period
        return replace(plan, report=None if reading.filters else ReportPeriod(named=named, dates=period).code)

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
        if reading.filters:
            named = tuple((Target("metric", name),) for name in self.model.headline)
            filtered, _ = self.settler.query(reading, self.settler.settle(reading, (), named), as_of)
            query = replace(query, metrics=filtered.metrics, filters=filtered.filters)
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

    def _insight(self, reading: Reading, previous: Query | None, as_of: date, language: Language) -> Outcome | None:
        """Return the analysis that the words call for, once every one of them is understood."""
        values = self.layer.profile.values
        outcome = insight_of(Asked(reading=reading, previous=previous, as_of=as_of, settler=self.settler, values=values))
        if not isinstance(outcome, Investigation | Plan):
            return outcome
        if unknown := tuple(word for word in reading.unclaimed() if not _is_soft(reading, word, previous)):
            return self._not_understood(unknown, reading, language)
        return replace(outcome, evidence=_evidence(reading), period_label=_period_label(reading))

    def _is_bare_conversion(self, reading: Reading) -> bool:
        """Say whether a conversion rate is asked for without what converts to what."""
        named = [i for i, mention in enumerate(reading.mentions) if mention.is_word("conversion") and reading.free(i)]
        return bool(named) and not reading.asks_for_number

    def _ambiguous_conversion(self, reading: Reading, language: Language) -> Clarification:
        when = reading.periods[0].text if reading.periods else ""
        by = reading.dimensions[0] if reading.dimensions else None
        names: list[Metric] = [m for m in self.model.metrics if isinstance(m, Funnel)]
        names += [m for m in self.model.metrics if isinstance(m, Ratio) and "conversion" in m.label.en]
        return Clarification(
            code="ambiguous_metric",
            prompt=Text("Which conversion rate do you mean?", "您指的是哪一种转化率？"),
            options=tuple(self.suggestions.phrase(language, metric, when, by) for metric in names),
        )

    def _not_understood(self, words: tuple[str, ...], reading: Reading, language: Language) -> Outcome:
        shown = "、".join(words[:5]) if language == "zh" else ", ".join(words[:5])
        options = self.suggestions.options(reading, reading.metrics[0][0].name if reading.metrics else None, language)
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
            hint=what_there_is(self.model),
        )

    def _no_metric(self, reading: Reading, language: Language) -> Clarification:
        return Clarification(
            code="no_metric",
            prompt=Text("Which number would you like to see?", "您想看哪个指标？"),
            options=self.suggestions.options(reading, None, language) or self.examples(language)[:4],
        )


def _asks_meaning(reading: Reading) -> bool:
    """Say whether a definition is asked for; “how is” GMV also begins a question about one time, groups or a change."""
    asking = [mention for mention in reading.mentions if mention.is_word("definition")]
    narrowed = bool(reading.periods or reading.dimensions) or reading.has_word("trend", "versus", "growth")
    return any(not mention.is_word("filler") for mention in asking) or (bool(asking) and not narrowed)


def _is_soft(reading: Reading, word: str, previous: Query | None) -> bool:
    """Say whether a leftover word belongs to a class that asks for nothing by itself."""
    soft: tuple[str, ...] = (
        "overview",
        "weekly_report",
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
    if previous is not None:
        soft = (*soft, "they")
    return any(
        mention.text == word and mention.is_word(*soft) and not mention.is_word("average", "above", "below")
        for mention in reading.mentions
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
    if len(reading.periods) != 1 or reading.compared_with is not None:
        return None
    phrase = reading.periods[0]
    words = reading.linked.text[phrase.start : phrase.end].strip()
    lowered = words.lower()
    for preposition in ("in ", "for ", "during ", "within ", "over ", "on ", "of "):
        if lowered.startswith(preposition):
            return words[len(preposition) :]
    return None if lowered.startswith(OPEN_PHRASES) else words
