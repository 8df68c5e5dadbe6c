"""Each role sees what its policies allow, at every door, and is told of nothing else."""

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import yaml

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.describe import catalogue
from wenshu.semantic_layer.errors import ModelError, QueryError, WenshuError
from wenshu.semantic_layer.layer import SemanticLayer, plain_cell
from wenshu.semantic_layer.loader import load_model, parse_model
from wenshu.semantic_layer.policy import Principal
from wenshu.semantic_layer.query import Query, query_from_json
from wenshu.ui.present import to_csv

MATRIX = yaml.safe_load((Path(__file__).parent / "matrix.yml").read_text("utf-8"))
ATTRIBUTES = {
    "city_manager": {"city": "city_1"},
    "city_analyst": {"cities": ("city_1", "city_2")},
    "young_team": {"since": 1990},
    "both_teams": {"since": 1990, "city": "city_1"},
}


@pytest.fixture(scope="module")
def base(whole, layer_over):
    return layer_over(whole)


@pytest.fixture(scope="module")
def layer(base, person):
    """Return the function that gives the layer of a role with its usual attributes."""
    return lambda role: base.for_user(person(role, **ATTRIBUTES.get(role, {})))


@pytest.fixture(scope="module")
def database(whole):
    with duckdb.connect(str(whole), read_only=True) as connection:
        yield connection


def alike(found, expected) -> bool:
    """Tell whether two tables hold the same rows in any order, numbers of whatever type."""

    def plain(cell):
        cell = plain_cell(cell)
        return f"{cell:.4f}" if isinstance(cell, int | float) else str(cell)

    one, other = (sorted(tuple(map(plain, row)) for row in rows) for rows in (found, expected))
    return one == other


@pytest.mark.parametrize("case", MATRIX["questions"], ids=lambda case: f"{case['role']}: {case['text']}")
def test_question(case, layer, database):
    try:
        mine = layer(case["role"])
        answer = Assistant(mine, RulesPlanner(mine)).ask(Question(text=case["text"]))
        code = answer.problem.code if answer.problem else None
    except WenshuError as error:
        answer, code = None, error.code
    assert code == case.get("code")
    if code is None:
        expected = database.execute(case["check_sql"]).fetchall()
        assert alike([row[: len(expected[0])] for row in answer.table.rows], expected)
        assert answer.receipt.sources and to_csv(answer.table, "en").count(b"\n") >= len(expected)


@pytest.mark.parametrize("case", MATRIX["queries"], ids=lambda case: f"{case['role']}: {case['query']}")
def test_query(case, layer, database):
    mine = layer(case["role"])
    try:
        rows = mine.run(mine.compile(query_from_json(case["query"]))).rows
    except WenshuError as error:
        assert case.get("code") in (error.code, "*")
        assert error.status == "refused" and "gmv" not in error.message.en.replace("“gmv”", "").lower()
    else:
        assert alike([row[:1] for row in rows], database.execute(case["check_sql"]).fetchall())


@pytest.mark.parametrize("case", MATRIX["statements"], ids=lambda case: f"{case['role']}: {case['sql']}")
def test_statement(case, layer, database):
    try:
        rows = layer(case["role"]).sql(case["sql"])[1].rows
    except WenshuError as error:
        assert error.code == case.get("code")
    else:
        assert alike(rows, database.execute(case["check_sql"]).fetchall())


def test_the_matrix_is_broad():
    assert {case["role"] for cases in MATRIX.values() for case in cases} >= {*ATTRIBUTES, "analyst", "marketing", "support", "nobody"}
    assert sum(map(len, MATRIX.values())) >= 60


# before anybody is named


@pytest.mark.parametrize(
    "ask",
    [
        lambda layer: layer.compile(Query(metrics=("gmv",))),
        lambda layer: layer.sql("SELECT 1"),
        lambda layer: layer.check("SELECT count(*) FROM users"),
        lambda layer: layer.guarded("SELECT count(*) FROM users"),
        lambda layer: layer.profile,
        lambda layer: layer.run(layer.compile(Query(dimensions=("city",)))),
    ],
)
def test_a_model_with_policies_answers_nobody_unnamed(ask, base):
    with pytest.raises(QueryError) as refused:
        ask(base)
    assert refused.value.code == "user_needed"


def test_a_question_of_nobody_is_refused(base):
    answer = Assistant(base, RulesPlanner(base)).ask(Question(text="GMV", user="a city_manager"))
    assert (answer.status, answer.problem.code) == ("refused", "user_needed")


def test_a_model_without_policies_is_open_to_everybody(small_open_layer):
    assert small_open_layer.for_user(Principal(name="x", role="y")) is small_open_layer
    assert small_open_layer.policy_fingerprint == ""
    assert small_open_layer.sql("SELECT count(*) FROM users")[1].rows == ((400,),)


@pytest.fixture
def small_open_layer(whole, layer_over, model_file, base):
    model = load_model(str(model_file))
    return SemanticLayer(replace(model, policies=()), base.engine, clock=lambda: None)


@pytest.mark.parametrize(
    "attributes",
    [{}, {"city": None}, {"city": ""}, {"city": ("city_1", "city_2")}, {"City": "city_1"}, {"city": float("nan")}, {"role": "analyst"}],
)
def test_without_the_attribute_of_its_filter_a_role_sees_nothing(attributes, base):
    with pytest.raises(QueryError) as refused:
        base.for_user(Principal(name="x", role="city_manager", attributes=attributes))
    assert refused.value.code == "user_attribute"


@pytest.mark.parametrize("value", ["city_1' OR '1' = '1", "city_1' --", "*", "%", "city_1\x00", "$city", "{user.city}"])
def test_an_attribute_is_a_value_and_never_sql(value, base):
    mine = base.for_user(Principal(name="x", role="city_manager", attributes={"city": value}))
    try:
        assert mine.guarded("SELECT count(*) FROM users").tables == ("users",)
        assert base.engine.run(mine.guarded("SELECT count(*) FROM users"), max_rows=1).rows == ((0,),)
    except WenshuError as error:
        assert error.code == "sql_characters"


def test_lists_keep_any_of_their_values_and_none_where_they_are_empty(base):
    one = base.for_user(Principal(name="x", role="city_analyst", attributes={"cities": "city_1"}))
    assert one.sql("SELECT DISTINCT city FROM users")[1].rows == (("city_1",),)
    with pytest.raises(QueryError):
        base.for_user(Principal(name="x", role="city_analyst", attributes={"cities": ()}))


# what is told of hidden things


def test_values_that_only_hidden_rows_have_are_known_to_nobody_else(layer):
    manager, analyst = layer("city_manager"), layer("analyst")
    city = next(d for d in manager.model.dimensions if d.name == "city")
    assert [value.value for value in city.values] == ["city_1"]
    assert set(manager.profile.values["users.nickname"]) < set(analyst.profile.values["users.nickname"])
    planner = RulesPlanner(manager)
    assert "nick 2" not in planner.vocabulary.names and "nick 20" in planner.vocabulary.names
    assert not [word for word in planner.vocabulary.names if "Betatown" in word or "乙城" in word]
    listed = catalogue(manager.model, "en")
    assert "city_2" not in repr(listed) and "Betatown" not in repr(listed)


def test_a_hidden_value_is_answered_like_a_word_of_no_meaning(layer):
    mine = layer("city_manager")
    assistant = Assistant(mine, RulesPlanner(mine))
    for template in ("GMV of {}", "{}的成交额", "new users in {} by channel"):
        said = []
        for word in ("city_7", "city_777"):
            answer = assistant.ask(Question(text=template.format(word)))
            said.append(re.sub("7+", "…", repr((answer.status, answer.problem, answer.text, answer.options, answer.follow_ups))))
        assert said[0] == said[1]


def test_examples_and_follow_ups_are_what_the_role_may_ask(layer):
    for role, count in (("analyst", 3), ("city_manager", 2), ("marketing", 1)):
        mine = layer(role)
        assistant = Assistant(mine, RulesPlanner(mine))
        assert len(assistant.examples("en")) == count
        for example in assistant.examples("zh"):
            answer = assistant.ask(Question(text=example, conversation="c"))
            assert answer.status == "answered"
            for follow_up in answer.follow_ups:
                assert assistant.ask(Question(text=follow_up, conversation="c")).status == "answered"


def test_refusals_name_only_what_the_asker_wrote(layer):
    mine = layer("marketing")
    assistant = Assistant(mine, RulesPlanner(mine))
    for text in ("客单价", "GMV by channel", "orders by gvm", "成交", "what is the spend per buyer", "什么是客单价"):
        answer = assistant.ask(Question(text=text))
        said = repr((answer.problem, answer.options, answer.follow_ups, answer.text)).lower()
        for secret in ("gmv", "成交额", "客单价", "spend per buyer", "30-day value", "coupon", "year of birth"):
            assert secret in text.lower() or secret not in said
    for name in ("gvm", "gmw", "birthyear", "cupon"):
        for query in (Query(metrics=(name,)), Query(metrics=("orders",), dimensions=(name,))):
            with pytest.raises(QueryError) as refused:
                mine.compile(query)
            assert not re.search("gmv|birth_year|coupon", repr((refused.value.message, refused.value.hint)).replace(name, ""))


def test_a_conversation_is_of_one_person(layer):
    mine = layer("analyst")
    assistant = Assistant(mine, RulesPlanner(mine))
    assert assistant.ask(Question(text="GMV", conversation="c", user="ann")).status == "answered"
    assert assistant.ask(Question(text="by channel", conversation="c", user="ann")).status == "answered"
    assert assistant.ask(Question(text="by channel", conversation="c", user="bob")).status == "clarify"


def test_what_is_kept_between_runs_is_kept_by_rights(whole, layer_over, person, tmp_path):
    base = layer_over(whole, tmp_path)
    for city in ("city_1", "city_2"):
        assert base.for_user(person("city_manager", city=city)).profile.values["users.city"] == (city,)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2 and all(("city_1" in f.read_text()) != ("city_2" in f.read_text()) for f in files)
    again = layer_over(whole, tmp_path).for_user(person("city_manager", city="city_2"))
    assert again.profile.values["users.city"] == ("city_2",)


def test_rights_have_a_fingerprint(base, person):
    def of(role, **attributes):
        return base.for_user(person(role, **attributes)).policy_fingerprint

    alike = Principal(name="another", role="city_manager", attributes={"city": "city_1", "shoe": 43})
    assert of("city_manager", city="city_1") == base.for_user(alike).policy_fingerprint
    several = [of("city_manager", city="city_1"), of("city_manager", city="city_2"), of("analyst"), of("marketing"), of("support")]
    assert len(set(several)) == 5 and "" not in several


# combination


def test_several_policies_of_a_role_keep_what_all_of_them_keep(base, person, database):
    young, manager = base.for_user(person("young_team", since=1990)), base.for_user(person("city_manager", city="city_1"))
    both = base.for_user(person("both_teams", since=1990, city="city_1"))
    for table, key in (("users", "user_id"), ("orders", "order_id"), ("events", "event_time"), ("order_items", "order_id")):
        kept = [set(base.engine.run(layer.guarded(f"SELECT {key} FROM {table}"), max_rows=10_000).rows) for layer in (young, manager, both)]  # fmt: skip
        assert kept[2] == kept[0] & kept[1] and kept[2] and kept[2] < kept[0]


def model_with(policies: str, model_file: Path) -> str:
    text = model_file.read_text("utf-8")
    return text[: text.index("policies:")] + "policies:\n" + policies


@pytest.mark.parametrize(
    "policies, problem",
    [
        ("  - {role: a}", "“rows” is missing"),
        ("  - {rows: all}", "“role” is missing"),
        ("  - {role: a, rows: \"city = {user.city}\", shared: products}", "does not name the columns of one dataset"),
        ("  - {role: a, rows: \"users.city = '{user.city}'\", shared: products}", "does not use its attributes as values"),
        ("  - {role: a, rows: \"users.city = {users.city}\", shared: products}", "does not use its attributes as values"),
        ("  - {role: a, rows: \"users.city = orders.status\", shared: products}", "does not name the columns of one dataset"),
        ("  - {role: a, rows: \"usrs.city = {user.city}\", shared: products}", "there is no dataset “usrs”"),
        ("  - {role: a, rows: \"users.city = {user.city}\"}", "no row filter reaches the table “products”"),
        ("  - {role: a, rows: \"orders.status = 'paid'\", shared: products}", "no row filter reaches the table “users”"),
        ("  - {role: a, rows: \"users.city IN (SELECT 'x')\", shared: products}", "not an SQL expression"),
        ("  - {role: a, rows: \"users.generation = 'x'\", shared: products}", "not the same for a row at all times"),
        ("  - {role: a, rows: \"first_orders.first_on > {user.day}\", shared: products}", "does not name the columns of one dataset"),
        ("  - {role: a, rows: all, shared: products}", "“shared” has no meaning"),
        ("  - {role: a, rows: \"users.city = {user.city}\", shared: [products, nothing]}", "there is no table or dataset over a table"),
        ("  - {role: a, rows: all, metrics: [gvm]}", "Did you mean gmv"),
        ("  - {role: a, rows: all, withhold: [gvm]}", "Did you mean gmv"),
        ("  - {role: a, rows: all, withhold: [gmv], sql: true}", "who may write SQL can compute every metric"),
        ("  - {role: a, rows: all, metrics: [orders], sql: true}", "who may write SQL can compute every metric"),
        ("  - {role: a, rows: all, hide: [first_orders.first_on], sql: true}", "is made by a SELECT"),
        ("  - {role: a, rows: all, hide: [usrs.city]}", "there is no dataset “usrs”"),
        ("  - {role: a, rows: all, hide: [city]}", "there is no dataset"),
        ("  - {role: a, rows: all, mask: {users.fone: }}", "there is no dimension “users.fone”"),
        ("  - {role: a, rows: all, mask: {users.generation: }}", "is not a column of a table"),
        ("  - {role: a, rows: all, mask: {users.phone: orders.status}}", "not made from its own row"),
        ("  - {role: a, rows: all, colour: red}", "is not a key"),
        ("  - {role: [], rows: all}", "“role”"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_policy_is_found_before_anybody_asks(policies, problem, model_file):
    with pytest.raises(ModelError) as found:
        parse_model(model_with(policies + "\n", model_file), "shop.yml")
    assert re.search(problem, found.value.message.en)
    assert re.search(r"shop\.yml:\d+: ", found.value.message.en) and re.search("[\u4e00-\u9fff]", found.value.message.zh)


def test_a_policy_that_hides_what_the_database_lacks_is_no_open_door(whole, layer_over, model_file, base, tmp_path):
    path = tmp_path / "model.yml"
    path.write_text(model_with("  - {role: a, rows: all, hide: [users.phonne], sql: true}\n", model_file), "utf-8")
    mine = SemanticLayer(load_model(str(path)), base.engine, clock=lambda: None).for_user(Principal(name="x", role="a"))
    with pytest.raises(WenshuError) as refused:
        mine.sql("SELECT count(*) FROM users")
    assert refused.value.code == "column_missing"


# datasets that are a SELECT


def model_of(tmp_path: Path, model_file: Path, changes: dict[str, str]) -> str:
    text = model_file.read_text("utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "model.yml").write_text(text, "utf-8")
    return str(tmp_path / "model.yml")


def test_a_filter_reaches_the_table_that_a_select_shows_rows_of(tmp_path, model_file, base, database):
    path = model_of(tmp_path, model_file, {"    source: orders\n": "    source: SELECT *, user_id AS buyer FROM orders WHERE status <> 'open'\n"})
    mine = SemanticLayer(load_model(path), base.engine, clock=lambda: None).for_user(Principal(name="x", role="city_manager", attributes={"city": "city_1"}))  # fmt: skip
    for table in ("orders", "order_items"):
        [[count]] = base.engine.run(mine.guarded(f"SELECT count(*) FROM {table}"), max_rows=1).rows
        joined = "" if table == "orders" else "JOIN orders USING (order_id)"
        [expected] = database.execute(f"SELECT count(*) FROM {table} {joined} JOIN users USING (user_id) WHERE city = 'city_1'").fetchone()
        assert count == expected


@pytest.mark.parametrize(
    "select",
    [
        "SELECT order_id, max(user_id) AS user_id, any_value(ordered_at) AS ordered_at, sum(amount) AS amount, any_value(status) AS status, NULL AS coupon FROM orders GROUP BY order_id",
        "SELECT DISTINCT * FROM orders",
        "SELECT * REPLACE (user_id + 1 AS user_id) FROM orders",
        "SELECT order_id, user_id + 0 AS user_id, ordered_at, amount, status, coupon FROM orders",
        "SELECT o.* FROM orders o JOIN users u USING (user_id)",
        "SELECT * FROM orders LIMIT 10",
        "WITH o AS (SELECT * FROM orders) SELECT * FROM o",
    ],
)
def test_a_select_that_makes_rows_of_its_own_passes_no_filter_on(select, tmp_path, model_file):
    with pytest.raises(ModelError) as found:
        load_model(model_of(tmp_path, model_file, {"    source: orders\n": f"    source: {select}\n"}))
    assert "no row filter reaches the table “orders”" in found.value.message.en


def test_personal_columns_behind_a_select_are_hidden_from_sql(tmp_path, model_file, base):
    columns = "user_id, city, channel, nickname, birth_year, left(phone, 9) AS phone, email, registered_at"
    path = model_of(tmp_path, model_file, {"    source: users\n": f"    source: SELECT {columns} FROM users\n"})
    text = Path(path).read_text("utf-8")
    Path(path).write_text(text[: text.index("policies:")] + "policies:\n  - {role: analyst, rows: all, hide: [users.birth_year], sql: true}\n", "utf-8")
    mine = SemanticLayer(load_model(path), base.engine, clock=lambda: None).for_user(Principal(name="x", role="analyst"))
    assert mine.sql("SELECT count(*) FROM users")[1].rows == ((400,),)
    for column in ("phone", "email", "birth_year"):
        with pytest.raises(WenshuError) as refused:
            mine.sql(f"SELECT {column} FROM users")
        assert refused.value.code == "sql_column"
