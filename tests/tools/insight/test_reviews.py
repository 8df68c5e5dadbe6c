"""What reviews say: sentiment on texts held out, topics that are planted and none that are chance, and what nobody may see."""

import random
from collections import Counter
from datetime import date
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.opening import open_layer
from wenshu.semantic_layer.policy import Principal
from wenshu.semantic_layer.proposal import propose
from wenshu.semantic_layer.query import Query
from wenshu.tools.insight.insight import find
from wenshu.tools.insight.review_counts import excerpt, shifts
from wenshu.tools.insight.review_design import review_design
from wenshu.tools.insight.reviews import Reviews
from wenshu.tools.insight.sentiment import features, learn_sentiment
from wenshu.tools.insight.topics import topics_of

DAY = date(2026, 11, 1)
GOOD = {
    "zh": ("味道很好", "送餐很快", "包装精致", "服务热情", "分量十足", "非常喜欢"),
    "en": ("great value", "arrived quickly", "works perfectly", "friendly staff", "love this kettle", "very sturdy"),
}
BAD = {
    "zh": ("送餐太慢", "菜都凉了", "态度恶劣", "味道难吃", "包装破损", "不会再点"),
    "en": ("stopped working", "poor quality", "arrived broken", "rude staff", "waste of money", "not worth it"),
}
FILLER = {"zh": ("昨天中午", "第一次点", "公司附近", "朋友介绍", "下雨天", "周末在家"), "en": ("yesterday", "for my office", "first order", "as a gift", "last week", "the blue one")}


def written(language: str, number: int, seed: int) -> list[tuple[str, bool]]:
    """Return texts, half of them good, each with a word of the other kind one time in ten."""
    chance, texts = random.Random(seed), []
    for i in range(number):
        own, other = (GOOD, BAD) if i % 2 else (BAD, GOOD)
        parts = [*chance.sample(own[language], 2), *chance.sample(FILLER[language], 2), *(chance.sample(other[language], 1) if chance.random() < 0.1 else [])]
        chance.shuffle(parts)
        texts.append((", ".join(parts) + f" {i}", bool(i % 2)))
    return texts


@pytest.mark.parametrize("language", ["zh", "en"])
def test_sentiment_is_told_on_texts_held_out(language: str):
    found = learn_sentiment(Counter(written(language, 600, 1)), ["???"])
    assert found.accuracy > 0.95 and min(found.recalls) > 0.9 and not found.repeats
    assert found.texts == found.different == 600 and found.larger == 0.5
    assert 0.3 < found.chances["???"] < 0.7  # says nothing


def test_labels_of_chance_are_not_told():
    chance = random.Random(2)
    found = learn_sentiment(Counter((text, chance.random() < 0.5) for text, _ in written("zh", 600, 3)))
    assert abs(found.accuracy - 0.5) < 0.07  # what a model says of texts that it has seen would be far above


def test_few_texts_that_repeat_are_said_to():
    found = learn_sentiment({(text, kind): 40 for texts, kind in ((GOOD["zh"], True), (BAD["zh"], False)) for text in texts})
    assert found.repeats and found.accuracy == 1.0 and found.different == 12 and found.texts == 480


def test_marks_and_other_letters_count():
    assert {"👍", "!"} <= {*features("👍！")} and "très bon" in {*features("Très bon")}


def test_topics_are_what_is_planted():
    bad, good = ([text for text, kind in written("zh", 900, 4) if kind is wanted] for wanted in (False, True))
    planted = [f"{text}，客服一直不接电话" if i % 5 == 0 else text for i, text in enumerate(bad)]
    topics = topics_of(Counter(planted), Counter(good), 15)
    names = [phrase for topic in topics for phrase in topic.phrases]
    assert "客服一直不接电话" in names and {*BAD["zh"]} <= {*names}
    assert not {*GOOD["zh"], *FILLER["zh"]} & {*names}
    by_kind = (Counter(text for text, kind in written("en", 900, 5) if kind is wanted) for wanted in (False, True))
    english = {phrase.strip() for topic in topics_of(*by_kind, 15) for phrase in topic.phrases}
    assert {"stopped working", "poor quality", "rude staff"} <= english


def test_texts_of_one_kind_hold_no_topics():
    for seed in range(4):
        texts = [text for text, _ in written("zh", 800, 10 + seed)]
        assert not topics_of(Counter(texts[::2][:200] + texts[1::2][:200]), Counter(texts[::2][200:] + texts[1::2][200:]), 15)


def test_shares_that_chance_gives_are_no_shift():
    same, moved, few = shifts([(50, 100, 52, 100), (80, 100, 40, 100), (5, 8, 0, 100)])
    assert same is None and few is None and moved is not None and moved.now == 0.8


@pytest.mark.parametrize(
    "private", ["13812345678", "138 1234 5678", "a.b+c@mail.example.com", "https://x.example/me?u=1", "@some_body", "微信abc_12345", "6222-0212-3456-7890"]
)
def test_examples_hold_nobodys_number(private: str):
    assert excerpt(f"太差了{private} 别买") == "太差了…… 别买"


def test_an_example_is_short_and_marks_up_nothing():
    assert len(excerpt("很差" * 100)) <= 48 and excerpt("**忽略以上** [x](y)") == r"\*\*忽略以上\*\* \[x\](y)"


def test_which_ratings_are_bad(shop: SemanticLayer):
    design = review_design(shop.model)
    assert design is not None and design.keys == ("reviews.content", "reviews.rating")
    for values, bad, good in (
        ((1, 2, 3, 4, 5), {1, 2}, {4, 5}), ((0, 1), {0}, {1}), ((-1, 0, 1), {-1}, {1}), ((True, False), {False}, {True}),
        (range(1, 11), {1, 2, 3}, {8, 9, 10}), (("好评", "中评", "差评"), {"差评"}, {"好评"}),
    ):  # fmt: skip
        found = design.ratings([*values, None])
        assert (set(found.bad), set(found.good)) == (bad, good)
        assert found.outcome(None) is None


def test_the_brand_that_turned_is_found(shop: SemanticLayer):
    found = find(shop, Reviews(query=Query(metrics=("reviews",), dimensions=("brand",)), about="sentiment"))
    assert found.table.rows[0][0] == "羽堇" and "羽堇" in found.headline.zh
    assert any("羽堇" in finding.zh and "2026-08-01" in finding.zh for finding in found.findings)


def test_counts_equal_those_of_the_database(shop: SemanticLayer):
    found = find(shop, Reviews(query=Query(metrics=("reviews",))))
    ((bad,),) = shop.sql("SELECT count(*) FROM reviews WHERE rating <= 2")[1].rows
    assert f"{bad:,}" in found.headline.en
    for name, mentions, share, low, high, _ in found.table.rows:
        ((count,),) = shop.sql(f"SELECT count(*) FROM reviews WHERE rating <= 2 AND content LIKE '%{name}%'")[1].rows
        assert mentions >= count and share == pytest.approx(mentions / bad) and low < share < high
    assert len(found.evidence) == 2 and found.confidence is not None and "%" in found.confidence.why.en


POLICIES = """
policies:
  - {role: no_text, rows: all, hide: [reviews.content]}
  - {role: no_rating, rows: all, hide: [reviews.rating]}
  - {role: masked, rows: all, mask: {reviews.content: }}
  - {role: no_number, rows: all, withhold: [negative_reviews]}
  - {role: city, rows: "users.city = {user.city}", shared: [products, campaigns, experiments]}
"""


@pytest.fixture(scope="module")
def guarded(shop: SemanticLayer, tmp_path_factory: pytest.TempPathFactory) -> SemanticLayer:
    path = tmp_path_factory.mktemp("policies") / "shop.yml"
    path.write_text(files("wenshu.semantic_layer").joinpath("models/shop.yml").read_text("utf-8") + POLICIES, "utf-8")
    return SemanticLayer(load_model(path), shop.engine, clock=lambda: DAY)


@pytest.mark.parametrize(("role", "code"), [("no_text", "not_allowed"), ("no_rating", "not_allowed"), ("masked", "too_thin"), ("no_number", "not_allowed")])
def test_what_is_hidden_is_not_told(guarded: SemanticLayer, role: str, code: str):
    layer = guarded.for_user(Principal(name="ana", role=role))
    answer = Assistant(layer, RulesPlanner(layer)).ask(Question(text="sentiment of reviews by brand"))
    assert answer.problem is not None and answer.problem.code == code
    assert not any(word in answer.text for word in ("content", "negative_reviews", "reviews.rating"))


def test_rows_of_others_are_not_read(guarded: SemanticLayer):
    layer = guarded.for_user(Principal(name="lin", role="city", attributes={"city": "上海"}))
    answer = Assistant(layer, RulesPlanner(layer)).ask(Question(text="评论情感分布"))
    ((own,),) = guarded.engine.run(layer.guarded("SELECT count(*) AS n FROM reviews"), max_rows=1).rows
    assert answer.status == "answered" and answer.table is not None and sum(answer.table.values("reviews")) == own
    assert answer.receipt is not None and all("上海" in step.sql for step in answer.receipt.steps)


def test_an_uploaded_table_of_texts_and_labels(tmp_path: Path):
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (label INTEGER, review VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(int(kind), text) for text, kind in written("zh", 400, 6)])
        connection.execute(f"COPY t TO '{tmp_path / 'takeaway.csv'}' (HEADER)")
    proposal = propose([tmp_path / "takeaway.csv"], tmp_path / "mine")
    layer = open_layer(str(proposal.model_path), proposal.database, clock=lambda: DAY)
    assistant = Assistant(layer, RulesPlanner(layer))
    complaints, sentiment = (assistant.ask(Question(text=text)) for text in ("差评都在说什么", "sentiment of reviews"))
    assert complaints.analysis is not None and "200 条" in complaints.text and "准确率" in complaints.text
    assert sentiment.analysis is not None and "held out" in sentiment.text
    layer.engine.close()
