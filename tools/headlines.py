"""Owns the sentence that names the winner of a ranking, with its number and period. Knows nothing of tables."""

from wenshu.tools.findings import Asked, Groups
from wenshu.tools.readings import first_ones, ranked


def ranking_headline(groups: Groups, asked: Asked, period: str) -> str:
    """Name the winner among groups with its value; the total and the number of groups where they are known."""
    words, column = asked.words, groups.measure.column
    label, by = words.label(column) + asked.filters, words.by(groups.keys)
    order = ranked(groups.named, least=bool(asked.least))
    if not order:
        return words.say(f"There is no data on {label} for {period} by {by}.", f"{period}各{by}的{label}都没有数据。")
    winners, value = first_ones(order), words.value(order[0].value, groups.unit)
    if asked.by == "change" and (sentence := _fastest(groups, asked, period)):
        return sentence
    if asked.by == "share" and (best := ranked(groups.named, "share", least=bool(asked.least))):
        winners, value = first_ones(best, "share"), words.value(best[0].share, "%")
        label = words.label(groups.measure.share or column) + asked.filters
    elif len(winners) == len(order) > 1:
        count = words.counted(len(order), groups.keys)
        return words.say(
            f"{words.opening(label)} for {period} {words.came_to(column)} {value} in each of {count} by {by}.",
            f"{period}，{count}的{label}都是 {value}。",
        )
    names, tied = groups.names(winners, words), len(winners) > 1
    if not tied and asked.by != "share":
        value = words.counted_value(winners[0], groups.unit)
    moved = "" if tied or asked.by == "share" else words.moved(winners[0], groups.unit, asked.compared)
    moved = moved and words.say(f", {moved}", f"，{moved}")
    if len(groups.readings) == 1 and asked.least is None:
        return words.say(
            f"{words.opening(label)} of {names} for {period} {words.came_to(column)} {value}{moved}.",
            f"{period}{names}的{label}为 {value}{moved}。",
        )
    end = words.say("lowest", "最低") if asked.least else words.say("highest", "最高")
    if tied:
        en = f"{names} tie for {end} in {label} for {period}, with {value} each"
        zh_end, zh_value = f"并列{end}", f"均为 {value}"
    else:
        en = f"{names} ranks {end} in {label} for {period}, with {value}{moved}"
        zh_end, zh_value = end, f"为 {value}{moved}"
    if asked.least is not None:
        zh = f"{names}是{period}{label}{zh_end}的{by}，{zh_value}"
    elif groups.complete:
        en, zh = f"By {by}, {en}", f"{period}按{by}看，{names}的{label}{zh_end}，{zh_value}"
    else:
        count = words.counted(len(groups.readings), groups.keys)
        en, zh = f"Of the {count} listed by {by}, {en}", f"{period}所列 {count}中，{names}的{label}{zh_end}，{zh_value}"
    return words.say(en, zh) + _whole(groups, asked) + words.say(".", "。")


def _fastest(groups: Groups, asked: Asked, period: str) -> str:
    """Name the group whose change is the highest or the lowest."""
    words = asked.words
    order = ranked(groups.comparable("change"), "change", least=bool(asked.least))
    if not order:
        return ""
    best, label = first_ones(order, "change"), words.label(groups.measure.column) + asked.filters
    fell = (order[0].change or 0) < 0
    large = fell == asked.least
    en = f"{'largest' if large else 'smallest'} {'fall' if fell else 'rise'}"
    zh = f"{'降' if fell else '升'}幅最{'大' if large else '小'}"
    names, by = groups.names(best, words), words.by(groups.keys)
    if len(best) > 1:
        change = words.value(order[0].change, groups.change_unit, signed=True)
        told_en, told_zh = f"{change} each against {asked.compared}", f"较 {asked.compared}均为 {change}"
    else:
        value, moved = words.value(best[0].value, groups.unit), words.moved(best[0], groups.unit, asked.compared)
        told_en, told_zh = f"{value}, {moved}", f"{value}，{moved}"
    return words.say(
        f"{names} had the {en} in {label} for {period}: {told_en}.", f"{names}是{period}{label}{zh}的{by}：{told_zh}。"
    )


def _whole(groups: Groups, asked: Asked) -> str:
    words = asked.words
    if not groups.complete or len(groups.readings) < 2:
        return ""
    folded = len(groups.named) < len(groups.readings)
    unknown = any(None in reading.keys for reading in groups.readings)
    count = len(groups.readings)
    counted = words.say(f"{count} groups", f"{count} 组") if unknown else words.counted(count, groups.keys)
    if groups.whole is not None:
        value = words.value(groups.whole, groups.unit)
        if folded:
            return words.say(f"; all groups total {value}", f"；全部合计 {value}")
        return words.say(f"; the {counted} total {value}", f"；{counted}合计 {value}")
    return "" if folded else words.say(f"; {counted} in all", f"；共 {counted}")
