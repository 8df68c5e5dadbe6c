"""Owns the card that says how a number came about: labelled lines of the receipt, and the SQL that ran. Pure, as present.py is."""

from dataclasses import dataclass

from wenshu.assistant.answer import MethodNote, Period, Receipt
from wenshu.semantic_layer.text import Language, Text

HOW = Text("How this number came about", "这个数怎么来的")
VERIFIED = Text("Verified question", "已认证问题")
DEFINITIONS = Text("Definition", "口径")
PERIOD = Text("Dates", "日期")
COMPARED_PERIOD = Text("Compared with", "对比日期")
FILTERS = Text("Filters", "筛选条件")
ASSUMPTIONS = Text("Assumptions", "默认理解")
CAVEATS = Text("Please note", "注意事项")
SOURCES = Text("Tables", "数据来源")
PLANNER = Text("Understood by", "理解方式")
ELAPSED = Text("Time", "用时")
STEPS = Text("Steps", "步骤")
METHOD = Text("Method", "方法")
LANGUAGE_MODEL = Text("Language model", "大模型")
SENT = Text("What was sent to it", "发送给大模型的内容")
PLANNERS = {"rules": Text("built-in rules", "内置规则"), "llm": Text("language model", "大模型")}
COLON = Text(": ", "：")
LIST = Text(", ", "、")
BRACKETED = Text("{} ({})", "{}（{}）")


@dataclass(frozen=True, slots=True)
class ReceiptCard:
    """Show how the number came about: labelled lines, and the SQL that ran."""

    title: str
    summary: str
    entries: tuple[tuple[str, tuple[str, ...]], ...]
    sql: str | None


def receipt_card(receipt: Receipt, sql: str | None, language: Language) -> ReceiptCard:
    """Return what a receipt says, in the answer's language; `sql` is the one statement that ran, where there was one."""
    planner = PLANNERS.get(receipt.planner)
    model, went_out = _language_model(receipt, language)
    definitions = tuple(f"{d.label}{COLON.in_(language)}{d.definition}" for d in receipt.definitions)
    entries = (
        (VERIFIED, (receipt.verified,) if receipt.verified else ()),
        (DEFINITIONS, definitions),
        (PERIOD, _dates(receipt.period, language)),
        (COMPARED_PERIOD, _dates(receipt.compared_period, language)),
        (FILTERS, receipt.filters),
        (ASSUMPTIONS, receipt.assumptions),
        (CAVEATS, receipt.caveats),
        (METHOD, _method(receipt.method)),
        (SOURCES, (LIST.in_(language).join(receipt.sources),) if receipt.sources else ()),
        (PLANNER, (planner.in_(language) if planner else receipt.planner,)),
        (ELAPSED, (_elapsed(receipt.elapsed_ms, language),)),
        (STEPS, _steps(receipt, language)),
        (LANGUAGE_MODEL, model),
        (SENT, went_out),
    )
    labels = [definition.label for definition in receipt.definitions]
    return ReceiptCard(
        title=HOW.in_(language),
        summary=" · ".join([*labels[:3], *_dates(receipt.period, language)]),
        entries=tuple((label.in_(language), lines) for label, lines in entries if lines),
        sql=_all_statements(receipt) if receipt.method else sql,
    )


def _steps(receipt: Receipt, language: Language) -> tuple[str, ...]:
    """Return the statements of an answer in several steps; how many there are where they stand under the receipt."""
    if receipt.method:
        return (Text(f"{len(receipt.steps)} statements, shown as SQL", f"共 {len(receipt.steps)} 条查询，见 SQL").in_(language),)
    return tuple(f"{i}. {step.sql}" for i, step in enumerate(receipt.steps, 1))


def _all_statements(receipt: Receipt) -> str:
    return "\n\n".join(f"-- {i} ({step.rows:,})\n{step.sql};" for i, step in enumerate(receipt.steps, 1))


def _method(method: MethodNote | None) -> tuple[str, ...]:
    return (f"{method.name}: {method.told}", *method.assumptions, *([method.source] if method.source else [])) if method else ()


def _language_model(receipt: Receipt, language: Language) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a language model took, and all that it was sent."""
    use = receipt.llm
    if use is None:
        return (), ()
    calls = Text("1 call" if use.calls == 1 else f"{use.calls} calls", f"{use.calls} 次调用")
    tokens = Text(f"{use.prompt_tokens:,} + {use.completion_tokens:,} tokens", f"{use.prompt_tokens:,} + {use.completion_tokens:,} 个 token")
    took = [use.model, calls.in_(language), tokens.in_(language), _elapsed(use.seconds * 1000, language)]
    if use.cost is not None:
        took.append(Text(f"cost {use.cost:.4f}", f"费用 {use.cost:.4f}").in_(language))
    return (" · ".join(took),), use.sent


def _dates(period: Period | None, language: Language) -> tuple[str, ...]:
    if period is None:
        return ()
    dates = f"{period.start}" if period.start == period.end else f"{period.start} – {period.end}"
    if dates in period.label:
        return (period.label,)
    return (BRACKETED.in_(language).format(dates, period.label) if period.label else dates,)


def _elapsed(milliseconds: float, language: Language) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f} {'毫秒' if language == 'zh' else 'ms'}"
    return f"{milliseconds / 1000:.1f} {'秒' if language == 'zh' else 's'}"
