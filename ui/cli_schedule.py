"""Owns the commands about schedules: list, check, run one now, serve. Presentation only."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.cli_options import (
    DbOption,
    Format,
    FormatOption,
    Lang,
    LangOption,
    ModelOption,
    PlannerName,
    UsersOption,
    reception_of,
    reply_language,
)
from wenshu.ui.console import EXIT_CODES, complain, reported, write, write_json

if TYPE_CHECKING:
    from wenshu.ui.reception import Reception
    from wenshu.ui.schedule_runs import Run
    from wenshu.ui.scheduler import Scheduler, Send

schedule_app = typer.Typer(
    no_args_is_help=True, help="Reports and alerts that are sent by themselves. 定时报告与预警。"
)
FileOption = Annotated[
    Path | None, typer.Option("--file", help="The file of schedules; else schedules.yml in WENSHU_HOME.")
]

STATES = {
    "done": Text("sent", "已发送"),
    "quiet": Text("nothing to tell", "无需通知"),
    "failed": Text("failed", "失败"),
    "unknown": Text("may not have arrived", "可能未送达"),
    "begun": Text("under way", "进行中"),
    "sending": Text("under way", "进行中"),
}
NEVER = Text("not yet", "尚未运行")
NO_SCHEDULES = Text(
    "No schedules. docs/schedules.md shows how to write {}.", "没有定时任务。{} 的写法见 docs/schedules.md。"
)


@schedule_app.command("list")
def schedule_list(
    model: ModelOption = "shop",
    db: DbOption = None,
    users: UsersOption = None,
    file: FileOption = None,
    lang: LangOption = Lang.AUTO,
    format: FormatOption = Format.TEXT,
) -> None:
    """List what is sent: when next, where to, and how it went last. 列出定时任务。"""
    from wenshu.ui.history import now
    from wenshu.ui.parcels import FILE, RUNS
    from wenshu.ui.schedule_runs import Runs
    from wenshu.ui.schedules import read_schedules
    from wenshu.ui.terminal import aligned
    from wenshu.ui.workspace import home

    language = reply_language(lang)
    with reported(language):
        from wenshu.semantic_layer.loader import load_model

        path, runs = file or home() / FILE, Runs(home() / RUNS)
        found = []
        for schedule in read_schedules(path, timezone=load_model(model).timezone, language=language):
            due = schedule.cron.after(now())
            found.append((schedule, due.astimezone(schedule.cron.zone) if due else None, runs.last(schedule.name)))
        if format is Format.JSON:
            listed = [
                {"name": s.name, "due": due.isoformat() if due else None, "to": {s.to.kind: s.to.address}, "user": s.user,
                 "last": {"due": run.due.isoformat(), "state": run.state, "detail": run.detail} if run else None}
                for s, due, run in found
            ]  # fmt: skip
            write_json({"schedules": listed})
        elif found:
            rows = [
                [
                    s.name,
                    f"{due:%Y-%m-%d %H:%M %Z}" if due else "—",
                    f"{s.to.kind} {s.to.address}",
                    _last(run, language),
                ]
                for s, due, run in found
            ]
            write(*aligned(rows, (False, False, False, False)))
        else:
            write(NO_SCHEDULES.in_(language).format(path))


@schedule_app.command("check")
def schedule_check(
    model: ModelOption = "shop",
    db: DbOption = None,
    users: UsersOption = None,
    file: FileOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Report every mistake of the file, and what keeps a schedule from running; send nothing. 检查定时任务。"""
    language = reply_language(lang)
    with reported(language), ExitStack() as held:
        scheduler = _scheduler(
            reception_of(model, db, PlannerName.RULES, language, users, door="schedule"), file, language, held
        )
        problems = {each.name: scheduler.problems(each) for each in scheduler.schedules()}
        for name, found in problems.items():
            said = " ".join(f"{problem.message.in_(language)} {problem.hint.in_(language)}" for problem in found)
            write(f"{name}: {said or '✓'}")
    raise typer.Exit(EXIT_CODES["error"] if any(problems.values()) else 0)


@schedule_app.command("run")
def schedule_run(
    name: Annotated[str, typer.Argument(help="The schedule's name.")],
    model: ModelOption = "shop",
    db: DbOption = None,
    users: UsersOption = None,
    file: FileOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Run one schedule now, due or not. 立即运行一个定时任务。"""
    language = reply_language(lang)
    with reported(language), ExitStack() as held:
        from wenshu.ui.parcels import RUNS
        from wenshu.ui.schedule_runs import Runs
        from wenshu.ui.workspace import home

        scheduler = _scheduler(
            reception_of(model, db, PlannerName.RULES, language, users, door="schedule"), file, language, held
        )
        scheduler.run_now(name)
        write(f"{name}: {_last(Runs(home() / RUNS).last(name), language)}")


@schedule_app.command("serve")
def schedule_serve(
    model: ModelOption = "shop",
    db: DbOption = None,
    users: UsersOption = None,
    file: FileOption = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Send what is due until Ctrl-C. 持续运行定时任务。"""
    language = reply_language(lang)
    with reported(language), ExitStack() as held:
        from wenshu.ui.cli_slack import until_stopped
        from wenshu.ui.one_program import only_program
        from wenshu.ui.parcels import LOCK
        from wenshu.ui.scheduler import running
        from wenshu.ui.workspace import home

        held.enter_context(only_program(home() / LOCK))
        stopped = until_stopped()
        scheduler = _scheduler(
            reception_of(model, db, PlannerName.RULES, language, users, door="schedule"), file, language, held
        )
        with running(scheduler):
            write("问数 Wenshu: schedules 定时任务   (Ctrl-C to stop 按 Ctrl-C 退出)")
            stopped.wait()


def _scheduler(reception: "Reception", file: Path | None, language: Language, held: ExitStack) -> "Scheduler":
    """Return the scheduler; it can send to Slack where there is a token. Raises `ModelError` for a file with mistakes."""
    from wenshu.ui.parcels import FILE, scheduler_of
    from wenshu.ui.schedules import read_schedules
    from wenshu.ui.workspace import home

    held.callback(reception.close)
    path = file or home() / FILE
    found = read_schedules(path, timezone=reception.timezone, language=language)
    slack = _slack(reception, language) if any(each.to.kind == "slack" for each in found) else None
    return scheduler_of(reception, home(), slack, path=path, language=language, on_notice=_notice)


def _slack(reception: "Reception", language: Language) -> "Send | None":
    """Return what sends to Slack; None, with a word about it, where it cannot be reached with what is set."""
    from wenshu.ui.cli_slack import needs_slack
    from wenshu.ui.inbox import INBOX, Inbox
    from wenshu.ui.parcels import SlackDestination
    from wenshu.ui.slack_setup import slack_settings
    from wenshu.ui.workspace import home

    try:
        needs_slack()
        from wenshu.ui.slack_app import SlackMessenger

        return SlackDestination(SlackMessenger(slack_settings(http=None), _notice), Inbox(home() / INBOX), reception)
    except EngineError as error:
        complain(error, language)
        return None


def _last(run: "Run | None", language: Language) -> str:
    if run is None:
        return NEVER.in_(language)
    said = STATES[run.state].in_(language)
    return f"{run.due:%Y-%m-%d %H:%M} UTC {said}" + (f" ({run.detail})" if run.detail else "")


def _notice(text: Text) -> None:
    print(text.en, text.zh, file=sys.stderr)
