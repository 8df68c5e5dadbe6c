"""The Python interface for notebooks: three lines from a question to a DataFrame, a figure and the SQL."""

import io
from importlib.resources import files

import pytest

from wenshu.assistant import Assistant
from wenshu.semantic_layer.errors import QueryError, WenshuError
from wenshu.semantic_layer.policy import Principal
from wenshu.ui.workspace import build, database_of


@pytest.fixture(scope="module")
def notebook() -> Assistant:
    if not database_of("shop").exists():
        build("shop", database_of("shop"), users=2_000)
    return Assistant.open("shop")


def test_a_frame_holds_the_table(notebook) -> None:
    answer = notebook.ask("上个月各渠道的成交额")
    frame = answer.dataframe()
    assert list(frame.columns) == ["channel", "gmv"]
    assert [tuple(row) for row in frame.itertuples(index=False)] == list(answer.table.rows)
    shown = answer.dataframe(labels=True)
    assert "抖音" in set(shown.iloc[:, 0])
    assert "成交额" in shown.columns[1]
    months = notebook.ask("Monthly GMV in 2026").dataframe()
    assert months["month"].dt.year.unique().tolist() == [2026]
    assert notebook.ask("What is the weather in Paris tomorrow?").dataframe().empty
    assert "SELECT" in answer.sql


def test_a_figure_is_the_picture_of_the_page(notebook) -> None:
    figure = notebook.ask("GMV by channel last month").figure()
    written = io.BytesIO()
    figure.savefig(written, format="png")
    assert len(written.getvalue()) > 10_000
    assert figure.axes
    with pytest.raises(QueryError) as raised:
        notebook.ask("What is the weather in Paris tomorrow?").figure()
    assert raised.value.code == "no_chart"


def test_saved_questions_and_the_conversation_are_there(notebook) -> None:
    assert notebook.ask("上个月各渠道的新用户数").receipt.verified


def test_a_model_with_policies_wants_to_know_who_asks(notebook, tmp_path) -> None:
    built_in = files("wenshu.semantic_layer").joinpath("models/shop.yml").read_text("utf-8")
    path = tmp_path / "shop.yml"
    path.write_text(f"{built_in}\npolicies:\n  - {{role: north, rows: \"users.city = {{user.city}}\", shared: [products, campaigns, experiments]}}\n")
    with pytest.raises(WenshuError) as raised:
        Assistant.open(str(path), database_of("shop"))
    assert raised.value.code == "user_needed"
    person = Principal(name="ann", role="north", attributes={"city": "beijing"})
    north = Assistant.open(str(path), database_of("shop"), principal=person)
    assert {row[0] for row in north.ask("GMV by city last month").table.rows} <= {"beijing"}
