"""Saved questions: what they ask, which questions they are recognised in, and how their files are read."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from wenshu.assistant.answer import Answer
from wenshu.assistant.assistant import Assistant
from wenshu.assistant.planner import Plan
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.assistant.template_files import Templates, template_to_yaml
from wenshu.assistant.template_planner import TemplatePlanner
from wenshu.assistant.templates import CATEGORIES, slots_in, template_of
from wenshu.semantic_layer.errors import EngineError, QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.text import Language

SHOP = load_model("shop")
BUILT_IN = Templates(SHOP)
AS_OF = date(2026, 10, 31)
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@pytest.fixture(scope="module")
def layer(layer_of: Callable[[str], SemanticLayer]) -> SemanticLayer:
    return layer_of("shop")


@pytest.fixture(scope="module")
def assistant(layer: SemanticLayer) -> Assistant:
    return Assistant(layer, TemplatePlanner(RulesPlanner(layer), BUILT_IN, layer))


def asked(assistant: Assistant, text: str) -> Answer:
    return assistant.ask(Question(text=text))


@pytest.mark.parametrize("template", BUILT_IN.all, ids=lambda template: template.name)
def test_a_built_in_template_is_what_its_question_asks(template, layer: SemanticLayer):
    """The planner, which knows no template, reads each language's question as the query a person vouches for."""
    planner = RulesPlanner(layer)
    filled = {language: template.filled({}, SHOP, as_of=AS_OF, language=language) for language in LANGUAGES}
    for language in LANGUAGES:
        plan = planner.plan(Question(text=template.asked({}, language), language=language), language)
        assert isinstance(plan, Plan)
        assert plan.query == filled[language].query
        assert template.asks(plan.query)
    assert layer.run(layer.compile(filled["zh"].query)).rows


def test_the_sets_cover_the_scenes():
    assert {template.category for template in BUILT_IN.all} == set(CATEGORIES) - {"other"}
    assert BUILT_IN.errors == []


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("9月各渠道的复购率", "各渠道复购率"),
        ("请问一下，上周各渠道的复购率是多少？", "各渠道复购率"),  # by its query: the words differ
        ("Repurchase rate by channel in Q3 2026", "Repurchase rate by channel"),
        ("What was the repurchase rate of each channel last week?", "Repurchase rate by channel"),
        ("9月各城市的复购率", None),
        ("9月各渠道的复购率，只看女性", None),
        ("上个月销售额前7的商品", "热销商品"),
    ],
)
def test_a_question_that_says_the_same_is_verified(assistant: Assistant, text: str, title: str | None):
    answer = asked(assistant, text)
    assert answer.status == "answered" and answer.receipt is not None
    assert answer.receipt.verified == title


def test_the_number_asked_for_is_the_number_of_rows(assistant: Assistant):
    answer = asked(assistant, "上个月销售额前7的商品")
    assert answer.table is not None and len(answer.table.rows) == 7


@pytest.mark.parametrize(
    ("pattern", "text", "slots"),
    [
        ("{period}各渠道的新用户数", "上周 各渠道的新用户数？", {"period": "上周"}),
        ("Top {n} products {period}", "top 5 products  last week", {"n": "5", "period": "last week"}),
        ("各渠道", "各渠道", {}),
        ("{period}各渠道的新用户数", "各渠道的新用户数", None),
        ("a.c", "abc", None),
    ],
)
def test_slots_are_found(pattern: str, text: str, slots: dict[str, str] | None):
    assert slots_in(pattern, text) == slots


def test_a_template_of_an_answer_comes_back_from_its_file(tmp_path: Path, assistant: Assistant, layer: SemanticLayer):
    question = "上周北京的成交额"
    query = asked(assistant, question).query
    assert query is not None
    made = template_of("beijing", query, question=question, title="北京", as_of=AS_OF, language="zh")
    store = Templates(SHOP, tmp_path / "own")
    store.save(made)
    again = Templates(SHOP, tmp_path / "own").get("beijing")
    assert again == made
    assert again.filled({}, SHOP, as_of=AS_OF, language="zh").query == query
    earlier = again.filled({"period": "2026年8月"}, SHOP, as_of=AS_OF, language="zh")
    verified = Assistant(layer, TemplatePlanner(RulesPlanner(layer), store, layer))
    answer = asked(verified, "2026年8月北京的成交额")
    assert answer.query == earlier.query and answer.receipt is not None and answer.receipt.verified == "北京"
    store.delete("beijing")
    assert list((tmp_path / "own").iterdir()) == []
    assert store.all == BUILT_IN.all


def test_a_value_is_named_as_people_name_it(tmp_path: Path):
    (tmp_path / "one.yml").write_text(
        """
channel_gmv:
  title: 渠道成交额
  question: {zh: "{period}来自{channel}的成交额", en: "GMV from {channel} {period}"}
  parameters:
    period: {type: period, default: {zh: 上个月, en: last month}}
    channel: {type: value, dimension: channel, default: {zh: 抖音, en: Douyin}}
  query: {metrics: [gmv], period: "{period}", filters: {dimension: channel, op: "=", values: ["{channel}"]}}
""",
        "utf-8",
    )
    templates = Templates(SHOP, tmp_path)
    for text, language in (("9月来自微信的成交额", "zh"), ("GMV from WeChat in September 2026", "en")):
        filled = templates.matching(text, as_of=AS_OF, language=language)
        assert filled is not None and filled.query.filters is not None
        assert filled.query.filters.values == ("wechat",)
        assert filled.query.period is not None and filled.query.period.start == date(2026, 9, 1)


def test_a_broken_file_is_named_with_line_and_fix_and_the_others_work(tmp_path: Path):
    (tmp_path / "broken.yml").write_text(
        "good:\n  title: 好\n  question: 成交额\n  query: {metrics: [gmv]}\n"
        "bad:\n  title: 坏\n  query: {metrics: [gmv]}\n"
        "worse:\n  title: 更坏\n  question: '{when}成交额'\n  query: {metrics: []}\n",
        "utf-8",
    )
    (tmp_path / "no_yaml.yml").write_text("a: [1\n", "utf-8")
    (tmp_path / "latin.yml").write_bytes(b"a: \xff\xfe")
    templates = Templates(SHOP, tmp_path)
    names = {template.name for template in templates.all}
    assert "good" in names and not {"bad", "worse"} & names and len(names) == len(BUILT_IN.all) + 1
    said = " ".join(error.message.en for error in templates.errors)
    assert "broken.yml:5: question: Field required" in said
    assert "broken.yml:11:" in said and "no_yaml.yml:2:" in said and "latin.yml" in said


@pytest.mark.parametrize(
    ("given", "code"),
    [({"period": "foo"}, "invalid_parameter"), ({"n": "0"}, "invalid_parameter"), ({"x": "1"}, "invalid_parameter")],
)
def test_a_wrong_parameter_is_refused(given: dict[str, str], code: str):
    with pytest.raises(QueryError) as refused:
        BUILT_IN.get("top_products").filled(given, SHOP, as_of=AS_OF, language="en")
    assert refused.value.code == code


def test_unknown_names_get_the_near_one(tmp_path: Path):
    with pytest.raises(QueryError) as refused:
        BUILT_IN.get("top_product")
    assert "top_products" in refused.value.hint.en
    query = BUILT_IN.get("rfm_sizes").filled({}, SHOP, as_of=AS_OF, language="en").query
    with pytest.raises(QueryError):
        template_of("../evil", query, question="q", title="t", as_of=AS_OF, language="en")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("")
    made = BUILT_IN.get("rfm_sizes")
    with pytest.raises(EngineError) as failed:
        Templates(SHOP, tmp_path / "file").save(made)
    assert failed.value.code == "cannot_write"
    assert "rfm_sizes" in template_to_yaml(made)
