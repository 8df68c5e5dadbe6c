"""Owns answering with a language model that works in steps, with tools, bounded in calls, tokens and seconds. Knows no library."""

from collections.abc import Generator

from wenshu.assistant.agent_tools import Workbench
from wenshu.assistant.ledger import Ledger
from wenshu.assistant.llm_planner import LlmPlanner
from wenshu.assistant.narrator import Narrator, joined, passing
from wenshu.assistant.planner import Outcome, RawResult, Report, Step
from wenshu.assistant.prompts import agent_question, agent_system
from wenshu.assistant.question import Question
from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.prose_check import ProseCheck
from wenshu.tools.query import QueryResult

WORKING = Text("The language model works with tools", "大模型正在使用工具")
DID = {
    "search_metrics": Text("Looked up metrics", "查找指标"),
    "list_values": Text("Looked up values", "查找取值"),
    "run_query": Text("Ran a query", "运行查询"),
    "run_sql": Text("Ran SQL of its own", "运行自写 SQL"),
    "draw_chart": Text("Chose a chart", "选择图表"),
    "explain": Text("Read the explanation", "阅读解读"),
}
REFUSED = Text("{}: refused", "{}：被拒绝")


class AgentPlanner(LlmPlanner):
    """Let the model find the answer itself, step by step, over the same words, names and checks."""

    def ask(
        self, question: Question, language: Language, previous: Query | None, ledger: Ledger
    ) -> Generator[Step, None, Outcome | None]:
        """Yield a step for each tool's result; return what was found, or None where nothing was.

        Raises `PlannerError` where the model cannot be used and had found nothing.
        """
        as_of = self.layer.as_of(question.today)
        evidence = self.evidence(question, language, previous)
        settings = self.language_model.settings
        bench = Workbench(self.layer, evidence, language, question.today, values=settings.values)
        yield Step("agent", WORKING)
        said = ""
        asked = agent_question(evidence, as_of, bench.usual_periods)
        try:
            for news in self.language_model.work(agent_system(self.layer.model, language), asked, bench.tools(), ledger):
                if isinstance(news, str):
                    said = news
                    continue
                did = DID[news.tool]
                yield Step(news.tool, Text(REFUSED.en.format(did.en), REFUSED.zh.format(did.zh)) if news.failed else did)
        except PlannerError as error:
            if not bench.results:
                raise
            stopped = Text(f"{error.message.en} This is what was found before.", f"{error.message.zh}以下是此前得到的结果。")
            return self._report(bench, "", language, (stopped,))
        return self._report(bench, said, language, ()) if bench.results else None

    def _report(self, bench: Workbench, said: str, language: Language, assumptions: tuple[Text, ...]) -> Report:
        narrator = Narrator(self.layer, self.language_model)
        checks = [
            narrator.check_of(result, (str(result.period),), language)
            if isinstance(result, QueryResult)
            else ProseCheck(result.table, language=language, whole=False)
            for result in bench.results
        ]
        text = joined(passing(said, checks), language) if self.language_model.settings.prose else ""
        main = bench.main if bench.main is not None else len(bench.results) - 1
        ordered = [*(r for i, r in enumerate(bench.results) if i != main), bench.results[main]]
        if any(isinstance(result, RawResult) for result in ordered):
            assumptions = (*assumptions, Text(
                "SQL that the language model wrote: guarded and read-only, but no metric of the model file defines its numbers.",
                "包含大模型自写的 SQL：只读且经过安全检查，但其数字没有模型文件中的指标定义。",
            ))  # fmt: skip
        return Report(results=tuple(ordered), text=text, assumptions=assumptions)
