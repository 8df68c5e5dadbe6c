"""Owns the way of a question, from its words to its answer. Knows nothing of who asks or where it is shown."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from itertools import count
from threading import Lock
from time import perf_counter

from wenshu.assistant.answer import Answer, Definition, Period, Problem, Receipt, Status
from wenshu.assistant.planner import (
    Clarification,
    Plan,
    Planned,
    Planner,
    Refusal,
    Statement,
    Step,
    Stopped,
    steps_of,
)
from wenshu.assistant.question import Question, language_of
from wenshu.semantic_layer.compiler import OTHERS
from wenshu.semantic_layer.describe import definition
from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.grant import permit
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart import choose_chart
from wenshu.tools.chart_title import chart_title
from wenshu.tools.explain import explain
from wenshu.tools.query import QueryResult, run_query

MOST_CONVERSATIONS = 1_000  # remembered at once; the longest unused is forgotten first
UNDERSTANDING = Text("Understanding the question", "理解问题")
QUERYING = Text("Querying the data", "查询数据")
EXPLAINING = Text("Explaining the result", "解读结果")


class Assistant:
    """Answer questions over one semantic layer; safe to use from several threads."""

    def __init__(self, layer: SemanticLayer, planner: Planner) -> None:
        self.layer = layer
        self.planner = planner
        self._previous: OrderedDict[tuple[str | None, str], Query] = OrderedDict()
        self._lock = Lock()
        self._ids = count(1)

    @property
    def model(self) -> Model:
        return self.layer.model

    def examples(self, language: Language) -> tuple[str, ...]:
        """Return questions that show what can be asked."""
        return self.planner.examples(language)

    def ask(self, question: Question) -> Answer:
        """Answer a question; every failure that a person can act on is an answer too."""
        *_, answer = self.stream(question)
        if not isinstance(answer, Answer):
            raise AssertionError("the stream ends with the answer")
        return answer

    def stream(self, question: Question, stopped: Callable[[], bool] = lambda: False) -> Iterator[Step | Answer]:
        """Yield the stages as they begin, then the answer; nothing more once `stopped` says that nobody waits."""
        started = perf_counter()
        language = question.language if question.language != "auto" else language_of(question.text)
        blank = Answer(id=str(next(self._ids)), status="answered", language=language)
        try:
            yield Step("understand", UNDERSTANDING)
            for news in steps_of(self.planner, question, language, self._recall(question), stopped):
                if isinstance(news, Planned):
                    yield from self._outcome(blank, news, question, started)
                else:
                    yield news
        except WenshuError as error:
            yield failed(blank, error)
        except Stopped:
            return

    def _outcome(
        self, blank: Answer, planned: Planned, question: Question, started: float
    ) -> Iterator[Step | Answer]:
        match outcome := planned.outcome:
            case Clarification():
                answer = self._clarify(blank, outcome)
            case Refusal():
                answer = self._refuse(blank, outcome)
            case Statement():
                answer = self._state(blank, outcome)
            case Plan():
                yield Step("query", QUERYING)
                result = run_query(self.layer, outcome.query, today=question.today)
                yield Step("explain", EXPLAINING)
                answer = self._answer(blank, outcome, result, started)
                self._remember(question, outcome.query)
        yield _signed(answer, planned, started)

    def answer_plan(self, question: Question, plan: Plan) -> Answer:
        """Answer with a plan that is made already, as a saved question's is."""
        started = perf_counter()
        language = question.language if question.language != "auto" else language_of(question.text)
        blank = Answer(id=str(next(self._ids)), status="answered", language=language)
        try:
            return self._answer(blank, plan, run_query(self.layer, plan.query, today=question.today), started)
        except WenshuError as error:
            return failed(blank, error)

    # conversation

    def _recall(self, question: Question) -> Query | None:
        with self._lock:
            return self._previous.get((question.user, question.conversation)) if question.conversation else None

    def _remember(self, question: Question, query: Query) -> None:
        if question.conversation:
            with self._lock:
                self._previous[question.user, question.conversation] = query
                self._previous.move_to_end((question.user, question.conversation))
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
            period=receipt.period.label if receipt.period else "",
            compared_period=receipt.compared_period.label if receipt.compared_period else None,
            filters=receipt.filters,
            superlative=plan.superlative,
            language=blank.language,
            complete=result.complete,
            ranked_by=result.query.order[0].by if result.query.order else None,
            others=OTHERS if result.query.others else None,
        )
        return replace(
            answer, text=explanation.markdown(), follow_ups=self.planner.follow_ups(result.query, blank.language)
        )


def _signed(answer: Answer, planned: Planned, started: float) -> Answer:
    """Return an answer whose receipt says who planned it, and what a language model had to do with it."""
    receipt = answer.receipt
    if receipt is None and planned.use is None:
        return answer
    elapsed = (perf_counter() - started) * 1000
    return replace(
        answer,
        receipt=replace(receipt or Receipt(), planner=planned.planner, llm=planned.use, elapsed_ms=elapsed),
    )


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
    dated = bool(result.query.metrics or result.query.period)
    receipt = Receipt(
        definitions=tuple(
            Definition(name=n, label=label.in_(language), definition=d.in_(language))
            for n, label, d in result.definitions
        ),
        period=period if dated else None,
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
        (f"{period.start} – {period.end}", *filters) if dated else filters
    )
    chart = choose_chart(result.table, title=chart_title(result.table, language), subtitle=subtitle, language=language)
    return replace(blank, query=result.query, table=result.table, sql=result.sql, chart=chart, receipt=receipt)


def _period(period: DateRange, label: str | None, language: Language) -> Period:
    """Return a period as the receipt shows it: as the asker called it, with its dates."""
    dates = str(period)
    shown = dates if not label else f"{label}（{dates}）" if language == "zh" else f"{label} ({dates})"
    return Period(start=period.start, end=period.end, label=shown)
