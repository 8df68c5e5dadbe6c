"""Owns how an analysis becomes an answer like any other: run, told, drawn and receipted. Knows no single analysis."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import date

from wenshu.assistant.answer import AnalysisNote, Answer, Definition, MethodNote, Period, Receipt, ReceiptStep
from wenshu.assistant.planner import Investigation, Step
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart import choose_chart
from wenshu.tools.explain import Explanation
from wenshu.tools.insight.insight import SURENESS, Inquiry, Insight, request_to_json
from wenshu.tools.insight.plot import chart_of
from wenshu.tools.query import QueryResult

INVESTIGATE = "investigate"  # the key of the steps that an analysis announces


def investigated(
    layer: SemanticLayer, blank: Answer, outcome: Investigation, *, today: date | None
) -> Generator[Step, None, Answer]:
    """Yield what the analysis is about to do; return its answer. Raises `QueryError` and `EngineError` as queries do."""
    inquiry = Inquiry(layer, today)
    run = outcome.analysis.run(inquiry)
    while True:
        try:
            yield Step(INVESTIGATE, next(run))
        except StopIteration as end:
            insight: Insight = end.value
            return insight_answer(blank, outcome, insight)
        inquiry.pause()


def with_learning(receipt: Receipt, result: QueryResult, language: Language) -> Receipt:
    """Return a query's receipt with how the segments that it uses were learnt, and every statement of it."""
    if not result.learnt:
        return receipt
    told = {one.method: one for one in result.learnt}.values()
    listed = ReceiptStep(query=result.query, sql=result.sql, rows=len(result.table.rows))
    return replace(
        receipt,
        method=MethodNote(
            name=" · ".join(one.method.in_(language) for one in told),
            told=" ".join(one.told.in_(language) for one in told),
            assumptions=tuple(dict.fromkeys(text.in_(language) for one in told for text in one.assumptions)),
            source="; ".join(one.source for one in told),
        ),
        steps=(*(ReceiptStep(query=None, sql=sql, rows=rows) for one in result.learnt for sql, rows in one.steps), listed),
    )


def insight_answer(blank: Answer, outcome: Investigation, insight: Insight) -> Answer:
    """Return an insight in the answer's language, with the receipt of every statement that it rests on."""
    language = blank.language
    receipt = _receipt(outcome, insight, language)
    subtitle = ("；" if language == "zh" else "; ").join(
        [*(f"{period.start} – {period.end}" for period in (receipt.period, receipt.compared_period) if period), *receipt.filters]
    )
    title = insight.title.in_(language)
    if insight.plot is not None and insight.table.rows:
        chart = chart_of(insight.plot, insight.table, title=title, subtitle=subtitle, language=language)
    else:
        chart = choose_chart(insight.table, title=title, subtitle=subtitle, language=language)
    analysis, confidence = outcome.analysis, insight.confidence
    return replace(
        blank,
        query=insight.query,
        table=insight.table,
        sql=insight.evidence[0].sql if insight.evidence else None,
        text=_told(insight, language),
        chart=chart,
        receipt=receipt,
        follow_ups=tuple(text.in_(language) for text in insight.follow_ups),
        analysis=AnalysisNote(
            name=analysis.name,
            label=analysis.label.in_(language),
            request=request_to_json(analysis),
            confidence=confidence.level if confidence else None,
        ),
    )


def _told(insight: Insight, language: Language) -> str:
    findings = [text.in_(language) for text in insight.findings]
    if insight.confidence is not None:
        sure, why = SURENESS[insight.confidence.level], insight.confidence.why
        findings.append(Text(f"How sure: **{sure.en}**. {why.en}", f"把握程度：**{sure.zh}**。{why.zh}").in_(language))
    return Explanation(headline=insight.headline.in_(language), findings=tuple(findings)).markdown()


def _receipt(outcome: Investigation, insight: Insight, language: Language) -> Receipt:
    queries = [step for step in insight.evidence if isinstance(step, QueryResult)]
    definitions = {name: (label, meaning) for step in queries for name, label, meaning in step.definitions}
    method = insight.method
    return Receipt(
        definitions=tuple(
            Definition(name=name, label=label.in_(language), definition=meaning.in_(language))
            for name, (label, meaning) in definitions.items()
        ),
        period=_period(insight.period, outcome.period_label, language),
        compared_period=_period(insight.compared, None, language),
        filters=tuple(dict.fromkeys(text.in_(language) for text in (queries[0].filters if queries else ()))),
        sources=tuple(dict.fromkeys(source for step in insight.evidence for source in step.sources)),
        caveats=tuple(dict.fromkeys(text.in_(language) for text in _caveats(insight))),
        assumptions=tuple(text.in_(language) for text in outcome.assumptions),
        steps=tuple(
            ReceiptStep(query=step.query if isinstance(step, QueryResult) else None, sql=step.sql, rows=len(step.table.rows))
            for step in insight.evidence
        ),
        method=MethodNote(
            name=method.name.in_(language),
            told=method.told.in_(language),
            assumptions=tuple(text.in_(language) for text in method.assumptions),
            source=method.source,
        ),
    )


def _caveats(insight: Insight) -> Iterator[Text]:
    """Yield the analysis's own caveats; those of its queries are of steps that nobody sees, but the first's."""
    yield from insight.caveats
    yield from next((step.caveats for step in insight.evidence if isinstance(step, QueryResult)), ())


def _period(period: DateRange | None, label: str | None, language: Language) -> Period | None:
    if period is None:
        return None
    shown = str(period) if not label else f"{label}（{period}）" if language == "zh" else f"{label} ({period})"
    return Period(start=period.start, end=period.end, label=shown)
