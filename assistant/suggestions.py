"""Owns suggestions: near questions that are sure to be answerable, to click. Knows nothing of how they are understood."""

from datetime import date

from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Metric
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language


class Suggestions:
    """Phrase questions near one that was asked, in its language."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def options(self, reading: Reading, metric: str | None, language: Language = "zh") -> tuple[str, ...]:
        """Return two to four complete questions near the one asked, each of which can be answered."""
        when = reading.periods[0].text if reading.periods else ""
        if metric is not None:
            dimensions: tuple[str | None, ...] = (
                *(tuple(reading.dimensions[:1]) or (None,)),
                *self.dimensions_of(self.model.metric(metric))[:2],
            )
            return tuple(
                dict.fromkeys(self.phrase(language, self.model.metric(metric), when, name) for name in dimensions)
            )[:4]
        names = self.model.headline or tuple(m.name for m in self.model.metrics[:4])
        out = []
        for name in names:
            by = reading.dimensions[0] if reading.dimensions else None
            if by is None or by in self.dimensions_of(self.model.metric(name), every=True):
                out.append(self.phrase(language, self.model.metric(name), when, by))
        return tuple(out[:4])

    def dimensions_of(self, metric: Metric, every: bool = False, most: int | None = None) -> tuple[str, ...]:
        """Return the dimensions a metric can be split by that are good to suggest, the first `most` of them."""
        binder = Binder(self.model, date.min)
        out: list[str] = []
        for dimension in self.model.dimensions:
            if len(out) == most:
                break
            wanted = every or (dimension.indexed and dimension.values)
            if wanted and not dimension.pii and dimension.name not in out:
                try:
                    for leaf in self.model.leaves_of(metric):
                        binder.dimension(dimension.name, leaf)
                    out.append(dimension.name)
                except QueryError:
                    continue
        return tuple(out)

    def phrase(self, language: Language, metric: Metric, when: str, dimension: str | None, form: str = "") -> str:
        label = Binder(self.model, date.min).candidates(dimension)[0].label if dimension else None
        if language == "zh":
            return f"{when}{f'各{label.zh}的' if label else '的' if when else ''}{metric.label.zh}{'环比' if form == 'compare' else ''}"
        by = f" by {label.en}" if label else ""
        return f"{metric.label.en}{by}{f' {when}' if when else ''}{' vs previous period' if form == 'compare' else ''}"

    def follow_ups(self, query: Query, language: Language) -> tuple[str, ...]:
        """Return three next questions that are sure to be answerable, as edits of the query just answered."""
        if not query.metrics:
            return ()
        metric = self.model.metric(query.metrics[0])
        out: list[str] = []
        if query.compare is None and query.period is not None:
            out.append("环比呢" if language == "zh" else "vs previous period")
        if query.grain is None and self.model.has_dates:
            out.append("按月看" if language == "zh" else "by month")
        for name in self.dimensions_of(metric):
            if name not in query.dimensions and len(out) < 3:
                label = Binder(self.model, date.min).candidates(name)[0].label
                out.append(f"分{label.zh}看" if language == "zh" else f"by {label.en}")
        return tuple(out[:3])
