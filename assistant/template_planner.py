"""Owns letting saved templates answer first: a planner around another one. Knows nothing of files or of how words are read."""

from collections.abc import Iterator
from dataclasses import replace

from wenshu.assistant.planner import Plan, Planned, Planner, Step, SteppingPlanner, steps_of
from wenshu.assistant.question import Question
from wenshu.assistant.template_files import Templates
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language


class TemplatePlanner(SteppingPlanner):
    """Answer a question that a template asks, word for word or by the same query, with the template's own query."""

    def __init__(self, planner: Planner, templates: Templates, layer: SemanticLayer) -> None:
        super().__init__(planner)
        self.layer = layer
        self.name = planner.name
        self.templates = templates

    def steps(
        self, question: Question, language: Language, previous: Query | None
    ) -> Iterator[Step | Planned]:
        as_of = self.layer.as_of(question.today)
        filled = self.templates.matching(question.text, as_of=as_of, language=language)
        if filled is not None:
            yield Planned(outcome=filled.plan(), planner=self.name)
            return
        for news in steps_of(self.inner, question, language, previous):
            yield self._named(news) if isinstance(news, Planned) else news

    def _named(self, planned: Planned) -> Planned:
        outcome = planned.outcome
        if isinstance(outcome, Plan) and (template := self.templates.asked_by(outcome.query)) is not None:
            return replace(planned, outcome=replace(outcome, template=template.title))
        return planned
