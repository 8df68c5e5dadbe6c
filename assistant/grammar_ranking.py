"""Owns the rules about the form of a result: ranking, limits, shares, trends."""

from wenshu.assistant.grammar_time import BUCKETS
from wenshu.assistant.question import normalise
from wenshu.assistant.reading import Reading, is_counted
from wenshu.semantic_layer.periods import Grain
from wenshu.tools.chart import WantedKind


def read_ranking(reading: Reading) -> None:
    """前5, top 10, 最高的3个渠道, 哪个城市最多, 从高到低."""
    for i, mention in enumerate(reading.mentions):
        if not reading.free(i):
            continue
        if mention.is_word("most", "least") and not mention.of("metric"):
            number = _limit_beside(reading, i)
            if normalise(mention.text) in ("前", "后") and number is None:
                continue
            reading.superlative = "least" if mention.is_word("least") else "most"
            reading.by_merit = mention.is_word("best", "worst")
            said = (k for k in reading.near(i, -1, 1) if reading.mentions[k].is_word("quality") and reading.by_merit)
            reading.claim(i, *said)  # 效果|最差
            if number is not None:
                reading.limit = int(reading.mentions[number].number or 0) or None
                reading.claim(number)
                unit = number + 1
                if (
                    unit < len(reading.mentions)
                    and reading.mentions[unit].is_word("day_unit")
                    and not reading.has_groups
                ):
                    reading.grain = Grain.DAY  # 最高的五天
                    reading.claim(unit)
                elif unit < len(reading.mentions) and not reading.has_groups:
                    grain = next((grain for name, grain in BUCKETS.items() if reading.mentions[unit].is_word(name)), None)
                    reading.grain = grain or reading.grain  # 最多的三个月
                    reading.claim(*([unit] if grain else []))
        elif mention.is_word("foremost") and reading.superlative is not None:
            reading.claim(i)  # most units first
        elif mention.is_word("descending", "ascending"):
            reading.order = "ascending" if mention.is_word("ascending") else "descending"
            reading.claim(i)
        elif mention.is_word("rank"):
            reading.order = reading.order or "descending"
            reading.claim(i)
        elif mention.is_word("others"):
            reading.others = True
            reading.claim(i)
        elif mention.is_word("which", "who"):
            reading.asks_which = True
            again = (k for k in reading.near(i, +1, 1) if reading.limit and reading.mentions[k].number == reading.limit)
            reading.claim(i, *again)  # 最高的两个是哪|两个
    if reading.limit is None and reading.superlative is not None:
        for i, mention in enumerate(reading.mentions):  # "下单最多的渠道，要5个": a number before a counting word
            following = reading.beside(i, +1)
            if mention.number is not None and reading.free(i) and following is not None:
                if reading.mentions[following].is_word("count_word") or reading.mentions[following].of("dimension"):
                    reading.limit = int(mention.number) or None
                    reading.claim(i)
    if reading.others and reading.limit is None:
        reading.others = False


def read_each(reading: Reading) -> None:
    """每个品类销量最高的商品, best channel in each city, 每月成交额最高的渠道: the first within each, not of all."""
    if reading.superlative is None:
        return
    ranked, within = set(), []
    for i, mention in enumerate(reading.mentions):
        names = [target.name for target in mention.of("dimension") if target.name in reading.dimensions]
        before = (reading.mentions[k] for k in reading.near(i, -1, 3))
        ahead = next((m for m in before if m.number is None and not m.is_word("count_word")), None)
        if not names or ahead is None:
            continue
        if ahead.is_word("which", "most", "least"):
            ranked.add(names[0])
        elif ahead.is_word("by"):
            within.append(names[0])
    for phrase in (mention.time for mention in reading.mentions if mention.time is not None):
        if reading.grain is not None and phrase.grain is reading.grain and phrase.text.lower().startswith(("每", "各", "each", "every", "per ")):
            within.append(str(reading.grain))
    if ranked and within and not ranked & set(within):
        reading.per = list(dict.fromkeys(within))


def _limit_beside(reading: Reading, position: int) -> int | None:
    before = list(reading.near(position, -1, 2))
    before = before[1:] if before and reading.mentions[before[0]].is_word("equals") else before[:1]  # which 3 are highest
    for beside in (*reading.near(position, +1, 1), *before):
        mention = reading.mentions[beside]
        if (
            mention.number is not None
            and reading.free(beside)
            and mention.number == int(mention.number)
            and 0 < mention.number <= 1000
            and not (normalise(reading.mentions[position].text) == "后" and any(reading.mentions[k].is_word("day_unit") for k in reading.near(beside, +1, 1)))
        ):
            return beside
    return None


CHARTS: dict[str, WantedKind] = {"bar_chart": "bar", "line_chart": "line", "as_table": "table"}


def read_chart(reading: Reading) -> None:
    """画成柱状图, as a line chart, 用表格看: how the result is to be shown."""
    for i, mention in enumerate(reading.mentions):
        for word, kind in CHARTS.items():
            if mention.is_word(word):
                reading.chart = kind
                before = reading.beside(i, -1)
                shown = before is not None and reading.mentions[before].is_word("switch")
                reading.claim(i, *([before] if shown and before is not None else []))


def read_shares_and_trends(reading: Reading) -> None:
    """占比, share of; 趋势, over time."""
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("share") and reading.free(i) and not (mention.of("value") and is_counted(reading, i)):
            reading.share = True
            reading.shares_part = any(reading.mentions[k].of("value") for k in reading.near(i, -1, 1))
            reading.claim(i)
        elif mention.is_word("trend") or (mention.is_word("curve") and reading.free(i)):
            reading.trend = True
            reading.claim(i)
