"""Owns the way of a question, from its words to its answer. Knows nothing of who asks or where it is shown."""

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import date
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import assert_never

from wenshu.assistant.answer import Answer, Definition, Period, Problem, Receipt, ReceiptStep, Status
from wenshu.assistant.completion import Completer, Completion
from wenshu.assistant.investigation import INVESTIGATE, investigated, with_learning
from wenshu.assistant.narrator import Narrator, joined
from wenshu.assistant.planner import (
    SAY,
    Clarification,
    Investigation,
    Plan,
    Planned,
    Planner,
    Refusal,
    Report,
    Statement,
    Step,
    steps_of,
)
from wenshu.assistant.question import Context, Offer, Question, language_of
from wenshu.assistant.reply import replied
from wenshu.semantic_layer.compiler import OTHERS
from wenshu.semantic_layer.describe import definition
from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.grant import permit
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.opening import open_layer
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.policy import Principal
from wenshu.semantic_layer.profile import looked_up
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.refusals import user_needed
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart import choose_chart
from wenshu.tools.chart_title import chart_title
from wenshu.tools.explain import explain
from wenshu.tools.query import QueryResult, learning, run_query

MOST_CONVERSATIONS = 1_000  # remembered at once; the longest unused is forgotten first
UNDERSTANDING = Text("Understanding the question", "理解问题")
QUERYING = Text("Querying the data", "查询数据")
EXPLAINING = Text("Explaining the result", "解读结果")
ALL_DATA = Text("all data", "全部数据")
UNGOVERNED = Text("This is what the language model's own SQL gave.", "以下是大模型自写 SQL 的结果。")


class Assistant:
    """Answer questions over one semantic layer; safe to use from several threads."""

    def __init__(self, layer: SemanticLayer, planner: Planner, narrator: Narrator | None = None) -> None:
        """`narrator` explains what a language model planned; without one the built-in words do."""
        self.layer = layer
        self.planner = planner
        self.narrator = narrator
        self._previous: OrderedDict[tuple[str | None, str], Context] = OrderedDict()
        self._lock = Lock()
        self._ids = count(1)

    @classmethod
    def open(
        cls,
        model: str = "shop",
        database: str | Path | None = None,
        *,
        principal: Principal | None = None,
        clock: Callable[[], date] = date.today,
    ) -> "Assistant":
        """Return an assistant with built-in rules over a built-in model or a model file, as notebooks want it.

        A demo database that is missing is built first. Where the model has policies, `principal` says who asks. Raises `WenshuError`.
        """
        from wenshu.assistant.rules import RulesPlanner
        from wenshu.assistant.template_files import Templates
        from wenshu.assistant.template_planner import TemplatePlanner

        layer = open_layer(model, Path(database) if database else None, clock=clock)
        if layer.has_policies:
            if principal is None:
                raise user_needed()
            layer = layer.for_user(principal)
        return cls(layer, TemplatePlanner(RulesPlanner(layer), Templates(layer.model), layer))

    @property
    def model(self) -> Model:
        return self.layer.model

    def examples(self, language: Language) -> tuple[str, ...]:
        """Return questions that show what can be asked."""
        return self.planner.examples(language)

    def complete(self, typed: str, language: Language) -> tuple[Completion, ...]:
        """Return what may continue a question that is being typed: names of the model and the data, and whole questions."""
        return self._completer.complete(typed, language)

    @cached_property
    def _completer(self) -> Completer:
        found = self.layer.profile.values
        listed = (dimension.qualified for dimension in self.model.dimensions if looked_up(dimension))
        values = ((name, value) for name in listed for value in found.get(name, ()))
        return Completer(self.model, values, {"zh": self.examples("zh"), "en": self.examples("en")})

    def ask(self, question: Question | str) -> Answer:
        """Answer a question; every failure that a person can act on is an answer too."""
        question = Question(text=question) if isinstance(question, str) else question
        *_, answer = self.stream(question)
        if not isinstance(answer, Answer):
            raise AssertionError("the stream ends with the answer")
        return answer

    def stream(self, question: Question) -> Iterator[Step | Answer]:
        """Yield the stages as they begin, then the answer."""
        started = perf_counter()
        blank = self._blank(question)
        try:
            yield Step("understand", UNDERSTANDING)
            previous, offer = self._recall(question)
            for news in self._steps(question, blank.language, previous, offer):
                if isinstance(news, Planned):
                    yield from self._outcome(blank, news, question, started)
                else:
                    yield news
        except WenshuError as error:
            yield failed(blank, error)

    def _steps(
        self, question: Question, language: Language, previous: Query | None, offer: Offer | None
    ) -> Iterator[Step | Planned]:
        """Yield the steps of a question or, where it replies to a question asked back, of what the reply makes of that."""
        outcome = replied(question, offer, lambda text: self.planner.plan(replace(question, text=text), language, None), previous)
        if outcome is not None:
            yield Planned(outcome=outcome, planner=self.planner.name)
        else:
            yield from steps_of(self.planner, question, language, previous)

    def _outcome(
        self, blank: Answer, planned: Planned, question: Question, started: float
    ) -> Iterator[Step | Answer]:
        match outcome := planned.outcome:
            case Clarification():
                answer = self._clarify(blank, outcome)
                self._remember(question, None, Offer(asked=question.text, code=outcome.code, options=outcome.options))
            case Refusal():
                answer = self._refuse(blank, outcome)
            case Statement():
                answer = self._state(blank, outcome)
            case Plan():
                for learnt in learning(self.layer, outcome.query, today=question.today):
                    yield Step(INVESTIGATE, learnt)
                yield Step("query", QUERYING)
                result = run_query(self.layer, outcome.query, today=question.today)
                yield Step("explain", EXPLAINING)
                answer = self._answer(blank, outcome, result, started)
                answer = yield from self._narrated(answer, planned, question, result)
                self._remember(question, outcome.query)
            case Investigation():
                answer = yield from investigated(self.layer, blank, outcome, today=question.today)
                if answer.query is not None:
                    self._remember(question, answer.query)
            case Report():
                yield Step("explain", EXPLAINING)
                answer = self._report(blank, outcome, started)
                if answer.query is not None:
                    self._remember(question, answer.query)
            case _:
                assert_never(outcome)
        yield _signed(answer, planned, started)

    def _narrated(
        self, answer: Answer, planned: Planned, question: Question, result: QueryResult
    ) -> Generator[Step, None, Answer]:
        """Yield the checked sentences that a language model writes of what it planned, as they come; return the answer with them."""
        if self.narrator is None or planned.ledger is None or planned.planner == "rules":
            return answer
        receipt = answer.receipt
        context = [period.label for period in (receipt.period, receipt.compared_period) if period] if receipt else []
        said: list[str] = []
        for sentence in self.narrator.narrate(
            question.text, result, answer.text, context, answer.language, planned.ledger
        ):
            said.append(sentence)
            told = joined(said, answer.language)
            yield Step(SAY, Text(told, told))
        told = joined(said, answer.language)
        return replace(answer, text=told) if any(map(str.isdigit, told)) else answer

    def _report(self, blank: Answer, outcome: Report, started: float) -> Answer:
        """Return the answer of several steps: the last result in full, the others in the receipt."""
        *_, last = outcome.results
        steps = tuple(
            ReceiptStep(query=each.query if isinstance(each, QueryResult) else None, sql=each.sql, rows=len(each.table.rows))
            for each in outcome.results
        )
        if isinstance(last, QueryResult):
            answer = self._answer(blank, Plan(query=last.query, assumptions=outcome.assumptions), last, started)
        else:
            said = tuple(text.in_(blank.language) for text in outcome.assumptions)
            chart = choose_chart(last.table, title="", subtitle="", language=blank.language)
            answer = replace(
                blank, table=last.table, sql=last.sql, chart=chart, text=UNGOVERNED.in_(blank.language), receipt=Receipt(assumptions=said)
            )  # fmt: skip
        assert answer.receipt is not None
        governed = all(isinstance(each, QueryResult) for each in outcome.results)
        return replace(answer, text=outcome.text or answer.text, receipt=replace(answer.receipt, steps=steps, governed=governed))

    def carry_out(self, question: Question, outcome: Plan | Investigation) -> Iterator[Step | Answer]:
        """Yield the stages of what is planned already, as a saved question is, then its answer."""
        started = perf_counter()
        blank = self._blank(question)
        try:
            yield from self._outcome(blank, Planned(outcome=outcome, planner=self.planner.name), question, started)
        except WenshuError as error:
            yield failed(blank, error)

    def _blank(self, question: Question) -> Answer:
        language = question.language if question.language != "auto" else language_of(question.text)
        return Answer(id=str(next(self._ids)), status="answered", language=language)

    # conversation

    def _recall(self, question: Question) -> tuple[Query | None, Offer | None]:
        """Return the query that a question may build on, and the questions that were offered just before it."""
        if question.context is not None:
            return question.context.query, question.context.offer
        with self._lock:
            kept = self._previous.get((question.user, question.conversation)) if question.conversation else None
        return (kept.query, kept.offer) if kept else (None, None)

    def _remember(self, question: Question, query: Query | None, offer: Offer | None = None) -> None:
        """Keep what the next question may build on; a question asked back leaves the query before it."""
        if question.conversation:
            key = (question.user, question.conversation)
            with self._lock:
                before = self._previous.get(key)
                self._previous[key] = Context(query=query or (before.query if before else None), offer=offer)
                self._previous.move_to_end(key)
                while len(self._previous) > MOST_CONVERSATIONS:
                    self._previous.popitem(last=False)

    # the four outcomes

    def _clarify(self, blank: Answer, outcome: Clarification) -> Answer:
        text = outcome.prompt.in_(blank.language)
        return replace(
            blank, status="clarify", text=text, options=outcome.options, problem=Problem(code=outcome.code, message=text, hint="")
        )  # fmt: skip

    def _refuse(self, blank: Answer, outcome: Refusal) -> Answer:
        message, hint = outcome.message.in_(blank.language), outcome.hint.in_(blank.language)
        return replace(
            blank,
            status="refused",
            text=f"{message}\n\n{hint}".strip(),
            problem=Problem(code=outcome.code, message=message, hint=hint),
        )

    def _state(self, blank: Answer, outcome: Statement) -> Answer:
        permit(Query(metrics=outcome.metrics), self.model)
        metrics = [self.model.metric(name) for name in outcome.metrics]
        told = [(m.name, m.label.in_(blank.language), definition(m, self.model).in_(blank.language)) for m in metrics]
        colon = "：" if blank.language == "zh" else ": "
        text = "\n\n".join(f"**{label}**{colon}{meaning}" for _, label, meaning in told)
        definitions = tuple(Definition(name=name, label=label, definition=meaning) for name, label, meaning in told)
        return replace(blank, text=text, receipt=Receipt(definitions=definitions, planner=self.planner.name))

    def _answer(self, blank: Answer, plan: Plan, result: QueryResult, started: float) -> Answer:
        answer = _with_result(blank, result, plan, started, self.planner.name)
        receipt = answer.receipt
        assert receipt is not None
        explanation = explain(
            result.table,
            period=receipt.period.label if receipt.period else ALL_DATA.in_(blank.language),
            compared_period=receipt.compared_period.label if receipt.compared_period else None,
            filters=receipt.filters,
            superlative=plan.superlative,
            language=blank.language,
            complete=result.complete,
            ranked_by=result.query.order[0].by if result.query.order else None,
            others=OTHERS if result.query.others else None,
            per=result.query.per,
        )
        return replace(
            answer, text=explanation.markdown(), follow_ups=self.planner.follow_ups(result.query, blank.language), report=plan.report
        )


def _signed(answer: Answer, planned: Planned, started: float) -> Answer:
    """Return an answer whose receipt says who planned it, and what a language model had to do with it."""
    use = planned.ledger.use if planned.ledger else None
    if answer.receipt is None and use is None:
        return answer
    elapsed = (perf_counter() - started) * 1000
    receipt = replace(answer.receipt or Receipt(), planner=planned.planner, llm=use, elapsed_ms=elapsed)
    return replace(answer, receipt=receipt)


def answer_query(layer: SemanticLayer, query: Query, *, today: date | None = None, language: Language = "en") -> Answer:
    """Answer a semantic query that another program wrote: table, chart and receipt, without prose."""
    started = perf_counter()
    result = run_query(layer, query, today=today)
    return _with_result(
        Answer(id="1", status="answered", language=language), result, Plan(query=query), started, "query"
    )


def failed(blank: Answer, error: WenshuError) -> Answer:
    """Return the answer that says why there is none."""
    message, hint = error.message.in_(blank.language), error.hint.in_(blank.language)
    status: Status = "refused" if error.status == "refused" else "error"
    return replace(
        blank,
        status=status,
        text=f"{message}\n\n{hint}".strip(),
        problem=Problem(code=error.code, message=message, hint=hint),
    )


def _with_result(blank: Answer, result: QueryResult, plan: Plan, started: float, planner: str) -> Answer:
    """Return an answer with a result's table, chart and receipt; the words are still to come."""
    language = blank.language
    period = _period(result.period, plan.period_label, language)
    filters = tuple(text.in_(language) for text in result.filters)
    receipt = Receipt(
        definitions=tuple(
            Definition(name=n, label=label.in_(language), definition=d.in_(language))
            for n, label, d in result.definitions
        ),
        period=period if result.dated else None,
        compared_period=_period(result.compared, None, language) if result.compared else None,
        filters=filters,
        sources=result.sources,
        caveats=tuple(text.in_(language) for text in result.caveats),
        assumptions=tuple(text.in_(language) for text in plan.assumptions),
        verified=plan.template.in_(language) if plan.template else None,
        planner=planner,
        elapsed_ms=(perf_counter() - started) * 1000,
    )
    subtitle = ("；" if language == "zh" else "; ").join(
        (f"{period.start} – {period.end}", *filters) if result.dated else filters
    )
    chart = choose_chart(result.table, title=chart_title(result.table, language), subtitle=subtitle, language=language, wanted=plan.chart)
    return replace(
        blank, query=result.query, table=result.table, sql=result.sql, chart=chart, receipt=with_learning(receipt, result, language)
    )


def _period(period: DateRange, label: str | None, language: Language) -> Period:
    """Return a period as the receipt shows it: as the asker called it, with its dates."""
    dates = str(period)
    shown = dates if not label else f"{label}（{dates}）" if language == "zh" else f"{label} ({dates})"
    return Period(start=period.start, end=period.end, label=shown)
