"""The command line with a language model: settings from the environment, clear words without one, nothing loaded for the rules."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wenshu.assistant.llm_settings import settings_from
from wenshu.semantic_layer.errors import PlannerError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.shop import build_shop

PROGRAM = "import sys; from wenshu.ui.cli import main\ntry: main(sys.argv[1:])\nfinally: print(*sorted({n.split('.')[0] for n in sys.modules} & {'langchain', 'langchain_core', 'openai'}), file=sys.stderr)"
SLANG = "上个月抖音吸金量多少"
PLAN = {"words": {"吸金量": "成交额"}, "metrics": ["成交额"]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    build_shop(path, users=1_000)
    return path


@pytest.fixture
def run(shop: Path, script, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    def command(*arguments: str, configured: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        for name in ("WENSHU_MODEL", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        if configured:
            more = {"WENSHU_MODEL": "scripted", "OPENAI_BASE_URL": f"http://127.0.0.1:{script.port}/v1", "OPENAI_API_KEY": "sk-hidden", **more}  # fmt: skip
        for name, value in {"WENSHU_LLM_CONFIRM": "off", "WENSHU_LLM_PROSE": "off", **more}.items():
            monkeypatch.setenv(name, value)
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments, "--db", str(shop)], capture_output=True, text=True, timeout=120
        )

    return command


def test_the_rules_load_nothing_of_a_language_model(run, script):
    done = run("ask", "上个月的成交额", "--planner", "rules")
    assert done.returncode == 0
    assert done.stderr.strip() == ""
    assert not script.requests


def test_auto_without_a_model_is_the_rules_silently(run):
    done = run("ask", "上个月的成交额", configured=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_llm_without_a_model_says_what_to_do(run):
    done = run("ask", "上个月的成交额", "--planner", "llm", configured=False)
    assert done.returncode == 5
    assert "WENSHU_MODEL" in done.stderr


def test_a_question_in_new_words_is_answered(run, script):
    script.says(PLAN)
    done = run("ask", SLANG, "--format", "json")
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["receipt"]["planner"]) == ("answered", "llm")
    assert answer["receipt"]["llm"]["sent"]
    assert "sk-hidden" not in done.stdout + done.stderr


def test_eval_prints_seconds_and_tokens(run, script, tmp_path):
    script.says(PLAN)
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"text": SLANG, "gold_sql": "SELECT count(*) FROM users"}), "utf-8")
    done = run("eval", str(questions), "--lang", "en")
    assert "1,050 tokens a question" in done.stdout
    assert json.loads(run("eval", str(questions), "--format", "json").stdout)["tokens"] == 1050


def test_a_trace_is_written_where_asked_for(run, script, tmp_path):
    script.says(PLAN)
    trace = tmp_path / "trace.jsonl"
    run("ask", SLANG, WENSHU_LLM_TRACE=str(trace))
    events = [json.loads(line)["event"] for line in trace.read_text("utf-8").splitlines()]
    assert events == ["asked", "answered"]
    assert "sk-hidden" not in trace.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WENSHU_LLM_SECONDS", "soon"), ("WENSHU_LLM_SECONDS", "-1"), ("WENSHU_LLM_SECONDS", "nan"), ("WENSHU_LLM_TOKENS", "1e3"),
        ("WENSHU_LLM_MODE", "wild"), ("WENSHU_LLM_PROSE", "perhaps"), ("WENSHU_LLM_PRICE", "1"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_read_is_named(name, value):
    with pytest.raises(PlannerError) as raised:
        settings_from({"WENSHU_MODEL": "m", "OPENAI_API_KEY": "sk-hidden", name: value})
    assert name in raised.value.message.en
    assert "sk-hidden" not in str(raised.value)


def test_the_key_is_in_no_representation(layer_of: Callable[[str], SemanticLayer]):
    assert "sk-hidden" not in repr(settings_from({"WENSHU_MODEL": "m", "OPENAI_API_KEY": "sk-hidden"}))
