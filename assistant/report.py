"""Owns how a report comes about: each section of its template asked as one person, in order, and what came of it. Knows no file and no page.

A section that the model has nothing for is not there; one that the person may not see is named at the end; one without data says so.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from wenshu.assistant.answer import Answer, Problem
from wenshu.assistant.planner import Investigation, Plan, Step
from wenshu.assistant.question import Question
from wenshu.assistant.report_names import Name, label_of, names_of, trials_of
from wenshu.assistant.report_periods import ReportPeriod
from wenshu.assistant.report_templates import Ask, ReportTemplate, Section
from wenshu.assistant.template_files import Templates
from wenshu.assistant.templates import SLOT, put_in
from wenshu.semantic_layer.engine import failure
from wenshu.semantic_layer.errors import EngineError, QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import RepurchaseWithin
from wenshu.semantic_layer.periods import Compare, Grain
from wenshu.semantic_layer.query import Query, Where, query_from_json
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.tools.insight.campaign import CampaignReview
from wenshu.tools.insight.drivers import drivers_of
from wenshu.tools.insight.experiment import Experiment
from wenshu.tools.insight.insight import Analysis
from wenshu.tools.insight.split import is_splittable
from wenshu.tools.insight.unusual import Unusual

SECTION = "section"  # the key of the step that begins a section
LATE = frozenset(("changed", "found"))  # slots that earlier answers fill; what is found are values and no names
DATES = frozenset(
    ("period", "step", "lately", "year_ago", "days", "weeks", "months", "settled", "cohort_step", "cohorts")
)
NOT_OPEN = "not_allowed"
NOT_THERE = frozenset(
    "unknown_metric unknown_dimension not_joinable fan_out not_splittable no_daily_series not_testable no_campaigns".split()
)
NOTHING = Text("There are no data for this in the period.", "这一时段没有相关数据。")
BEYOND = 2.0  # robust deviations that a usual change stays within
FEWEST_CHANGES = 4  # below which nothing says how much a number usually moves

Carry = Callable[[Question, Plan | Investigation | None], Iterator[Step | Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Hold what came of a section: its answers or, in `note`, why there are none."""

    title: str
    section: Section
    answers: tuple[Answer, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """Hold a whole report in one language; `withheld` are the titles of the sections that the reader's role may not see."""

    title: str
    about: str
    period: ReportPeriod
    language: Language
    chapters: tuple[Chapter, ...]
    withheld: tuple[str, ...] = ()


def write_report(
    template: ReportTemplate, layer: SemanticLayer, period: ReportPeriod, *, language: Language, user: str | None, carry: Carry, saved: Templates
) -> Iterator[Step | WrittenReport]:  # fmt: skip
    """Yield the sections as they begin, then the report.

    `carry` answers a question, by what is planned already where that is given. Raises `QueryError` where nothing can be reported, and
    `EngineError` where the database fails or nobody waits any more.
    """
    if not layer.model.has_dates:
        raise QueryError(
            "no_dates",
            Text("These data have no dates, so there is no week to report on.", "这份数据没有日期，无法生成周报。"),
            Text("Ask about the whole of it instead.", "请直接询问整体数据。"),
        )
    writing = _Writing(template, layer, period, language, user, carry, saved)
    sections = [section for section in template.sections if writing.can_ask(section)]
    chapters: list[Chapter] = []
    for number, section in enumerate(sections, start=1):
        title = writing.titled(section)
        if title is not None:
            yield Step(SECTION, same(f"{number}/{len(sections)} {title}"))
            found = yield from writing.chapter(section, title)
            chapters += [found] if found else []
    if not any(chapter.answers for chapter in chapters):
        raise writing.nothing()
    yield WrittenReport(
        title=template.title.in_(language), about=layer.model.label.in_(language), period=period, language=language,
        chapters=tuple(chapters), withheld=tuple(writing.withheld),
    )  # fmt: skip


class _Writing:
    """One report under way: the slots that are filled, and what was not answered."""

    def __init__(
        self, template: ReportTemplate, layer: SemanticLayer, period: ReportPeriod, language: Language, user: str | None, carry: Carry, saved: Templates
    ) -> None:  # fmt: skip
        self._template, self._layer, self._period, self._language = template, layer, period, language
        self._user, self._carry, self._saved = user, carry, saved
        names = names_of(layer)
        first = _first_day(layer, names.get("main"))
        dates = period.around(first)
        self._slots: dict[str, Any] = dates | {
            slot: list(name) if isinstance(name, tuple) else name for slot, name in names.items()
        }
        cohorts = "weeks" if names.get("cohort_step") == Grain.WEEK else "months"
        if cohorts in dates:
            self._slots["cohorts"] = dates[cohorts]
        settled = period.months(first, layer.as_of() - timedelta(days=_window(layer, names.get("repurchase"))))
        if settled is not None:
            self._slots["settled"] = settled
        self.withheld: list[str] = []
        self._problems: list[Answer] = []

    def can_ask(self, section: Section) -> bool:
        """Say whether any of a section's asks finds what it needs in the model, or may find it in earlier answers."""
        return any(self._missing(ask) <= LATE for ask in section.asks)

    def titled(self, section: Section) -> str | None:
        """Return a section's title with its slots filled; None where one cannot be."""
        title = section.title.in_(self._language)
        for slot in SLOT.findall(title):
            if slot not in self._slots:
                return None
            title = title.replace(f"{{{slot}}}", self._called(slot))
        return title[:1].upper() + title[1:]

    def _called(self, slot: str) -> str:
        """Return how people call what is in a slot: names by their labels, dates and values as they are."""
        value = self._slots[slot]
        if slot in DATES or slot == "found":
            return str(value)
        names = [value] if isinstance(value, str) else value
        return ("、" if self._language == "zh" else ", ").join(
            label_of(self._layer.model, name).in_(self._language) for name in names
        )

    def chapter(self, section: Section, title: str) -> Generator[Step, None, Chapter | None]:
        """Yield the stages of a section's answers; return what came of them, None for what is not to be seen."""
        answers: list[Answer] = []
        refused: list[Answer] = []
        for ask in section.asks:
            self._slots.pop("found", None)
            if answers and (values := _first_values(answers[-1])):
                self._slots["found"] = values
            if self._missing(ask):
                continue
            answer = yield from self._answered(ask, title)
            if answer.problem is not None and answer.problem.code == "cancelled":
                raise failure("cancelled")
            (answers if _has_data(answer, zeros=section.show == "figures") else refused).append(answer)
        self._problems += refused
        if answers:
            self._note_change(answers)
            return Chapter(title=title, section=section, answers=tuple(answers))
        codes = {answer.problem.code if answer.problem else "" for answer in refused}
        if NOT_OPEN in codes:
            self.withheld.append(title)
            return None
        generic = any(_slots_of(ask) - DATES for ask in section.asks)
        if not refused or (generic and codes <= NOT_THERE):
            return None
        problem = refused[0].problem
        return Chapter(title=title, section=section, note=problem.message if problem else NOTHING.in_(self._language))

    def nothing(self) -> EngineError | QueryError:
        """Return the error of a report without any answer: the first failure, else that there is nothing."""
        for answer in self._problems:
            if answer.status == "error" and answer.problem is not None:
                return EngineError(answer.problem.code, same(answer.problem.message), same(answer.problem.hint))
        return QueryError(
            "nothing_to_report",
            Text(
                f"There is nothing to report on {self._period.named} that you may see.",
                f"{self._period.named} 没有您可以查看的数据。",
            ),
            Text("Choose another week.", "请换一周再试。"),
        )

    def _missing(self, ask: Ask) -> frozenset[str]:
        return frozenset(slot for slot in _slots_of(ask) if slot not in self._slots)

    def _answered(self, ask: Ask, title: str) -> Generator[Step, None, Answer]:
        question = Question(
            text=f"{self._template.title.in_(self._language)} · {title}", language=self._language, user=self._user
        )
        try:
            question, outcome = self._planned(ask, question)
        except QueryError as error:
            return Answer(id="", status="refused", language=self._language, problem=_problem(error, self._language))
        for news in self._carry(question, outcome):
            if isinstance(news, Answer):
                return news
            yield news
        raise AssertionError("the stream ends with the answer")

    def _planned(self, ask: Ask, question: Question) -> tuple[Question, Plan | Investigation | None]:
        """Return what is asked in words and, where it is more than words, as it runs."""
        period = self._period
        if ask.question is not None:
            return replace(question, text=ask.question.in_(self._language).replace("{period}", self._dates())), None
        if ask.saved is not None:
            return question, self._from_saved(ask)
        query = query_from_json(put_in(ask.query, self._slots))
        if period.is_cut and query.compare is not None and query.period == period.dates:
            query = replace(query, to_date=period.grain)
        label = period.short.in_(self._language) if query.period == period.dates and period.short else None
        if ask.analysis is not None:
            return question, Investigation(analysis=_analysis(ask.analysis, query, self._layer), period_label=label)
        return question, Plan(query=query, period_label=label)

    def _from_saved(self, ask: Ask) -> Plan:
        model, as_of = self._layer.model, self._layer.as_of()
        template = self._saved.get(ask.saved or "")
        dates = self._dates()
        ours = {p.name: dates for p in template.parameters if p.type == "period" and p.name not in ask.given}
        return template.filled({**ours, **ask.given}, model, as_of=as_of, language=self._language).plan()

    def _dates(self) -> str:
        """Return the period as a question names it."""
        between = "到" if self._language == "zh" else " to "
        return f"{self._period.dates.start}{between}{self._period.dates.end}"

    def _note_change(self, answers: Iterable[Answer]) -> None:
        """Fill the slot of the number that changed most, once answers with a comparison are there."""
        found = _most_changed(answers, lambda name: is_splittable(self._layer.model, name))
        if found is not None and "changed" not in self._slots:
            self._slots["changed"] = found


def _first_day(layer: SemanticLayer, main: Name | None) -> date:
    """Return the first day of the main number's data: a campaign planned before the shop opened is no year of sales."""
    known = layer.profile.coverage
    days = (
        [known[leaf.dataset].start for leaf in layer.model.leaves(main) if leaf.dataset in known]
        if isinstance(main, str)
        else []
    )
    return max(days, default=layer.coverage.start)


def _window(layer: SemanticLayer, repurchase: Name | None) -> int:
    """Return the days that first buyers have to buy again: of a month whose days are not over, only the quick ones would count."""
    metric = layer.model.metric(repurchase) if isinstance(repurchase, str) else None
    return metric.days if isinstance(metric, RepurchaseWithin) else 0


def _slots_of(ask: Ask) -> frozenset[str]:
    return frozenset(SLOT.findall(str(ask.query))) if ask.query is not None else frozenset()


def _analysis(name: str, query: Query, layer: SemanticLayer) -> Analysis:
    match name:
        case "drivers":
            return drivers_of(query)
        case "unusual":
            return Unusual(query=query)
        case "campaign_review":
            return CampaignReview(period=query.period, kind=query.filters if isinstance(query.filters, Where) else None)
        case "experiment":
            design = trials_of(layer)
            if design is None:
                raise QueryError("not_testable", Text("These data have no experiments.", "这份数据中没有实验。"))
            return Experiment(groups=design.groups.qualified, filters=query.filters, period=query.period)
        case _:
            raise AssertionError(name)


def _problem(error: QueryError, language: Language) -> Problem:
    return Problem(code=error.code, message=error.message.in_(language), hint=error.hint.in_(language))


def _has_data(answer: Answer, *, zeros: bool) -> bool:
    """Say whether an answer holds a number; nothing but zeros count where a zero is what is told."""
    table = answer.table
    if answer.status != "answered" or table is None:
        return False
    numbers = table.with_role("metric", "comparison") or table.columns
    empty = (None,) if zeros else (None, 0)
    return any(row[table.index(column.name)] not in empty for row in table.rows for column in numbers)


def _first_values(answer: Answer) -> list[Any]:
    """Return what the rows of an answer are of, for those that have any of its number."""
    table = answer.table
    keys, numbers = (table.with_role("dimension"), table.with_role("metric")) if table else ((), ())
    if table is None or not keys or not numbers:
        return []
    return [
        key
        for key, number in zip(table.values(keys[0].name), table.values(numbers[0].name), strict=True)
        if key is not None and number
    ]


def _most_changed(answers: Iterable[Answer], fits: Callable[[str], bool]) -> str | None:
    """Return the metric to explain, of those that fit: the first that moved beyond its usual, else the one that moved most.

    A model names its most telling numbers first. How much one usually moves is read from the answer with the series.
    """
    answers = tuple(answers)
    series = next((a.table for a in answers if a.table and a.query and a.query.grain and a.query.compare is None), None)
    moved: list[tuple[float, float, str]] = []
    for answer in answers:
        table, query = answer.table, answer.query
        if table is None or query is None or query.compare is not Compare.PREVIOUS or len(table.rows) != 1:
            continue
        for name in filter(fits, query.metrics):
            column = metric_column(name)
            now, before = (table.values(each)[0] for each in (column, f"{column}_previous"))
            if isinstance(now, int | float) and isinstance(before, int | float) and before:
                change = now / before - 1
                moved.append((_unusualness(change, series, column), abs(change), name))
    beyond = next((name for deviations, _, name in moved if deviations > BEYOND), None)
    return beyond or max(moved, default=(0.0, 0.0, None))[2]


def _unusualness(change: float, series: ResultTable | None, column: str) -> float:
    """Return by how many robust deviations a change is out of those before it; 0 where nobody can say."""
    if series is None or column not in [each.name for each in series.columns]:
        return 0.0
    values = [value for value in series.values(column)[:-1] if isinstance(value, int | float)]
    changes = [now / before - 1 for before, now in pairwise(values) if before]
    if len(changes) < FEWEST_CHANGES:
        return 0.0
    middle = median(changes)
    spread = 1.4826 * median(abs(each - middle) for each in changes)
    return abs(change - middle) / spread if spread else 0.0
