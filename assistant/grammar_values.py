"""Owns the rules about values: what is kept, left out or set side by side, and the noun beside that says of which dimension."""

from sqlglot import exp

from wenshu.assistant.grammar_subjects import after_by
from wenshu.assistant.linker import Mention, Target
from wenshu.assistant.naming import is_person
from wenshu.assistant.reading import Reading, ValueFilter, is_counted
from wenshu.semantic_layer.metrics import LifetimeValue, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import PERIOD_START


def read_values(reading: Reading) -> None:
    """抖音渠道, not iOS, 除了百度, 北京和上海: filters, with the noun beside them."""
    i = 0
    while i < len(reading.mentions):
        if not reading.mentions[i].of("value") or not reading.free(i):
            i += 1
            continue
        if _is_said_already(reading, i) or _is_paid_by(reading, i):
            reading.claim(i)
            i += 1
            continue
        if _is_only_a_word(reading.mentions[i]) and not is_counted(reading, i):
            reading.claim(i)
            i += 1
            continue
        group, last = [i], i
        while (joint := _joined_value(reading, last)) is not None:
            group.append(joint)
            last = joint
        before = reading.beside(i, -1)
        negated = before is not None and reading.mentions[before].is_word("exclude")
        between = ("exclude_tail", "others") if negated else ("exclude_tail",)  # 除百度以外，|其他|渠道
        after = next((k for k in reading.near(last, +1, 5) if not _belongs_to_noun(reading.mentions[k], between)), None)
        said_between = before is not None and (reading.mentions[before].of("dimension", "dataset") or reading.mentions[before].is_word("entered"))
        if before is not None and not negated and said_between:  # excluding those |acquired through| TikTok
            earlier = reading.beside(before, -1)
            negated = earlier is not None and reading.mentions[earlier].is_word("exclude")
        left_out = (reading.mentions[k] for k in reading.near(last, +1, 1))
        negated = negated or _is_left_out(reading, last)
        negated = negated or any(m.is_word("exclude_tail") for m in left_out)  # 退款的|别算, 抖音|以外
        groups = not negated and _names_groups(reading, before, after)
        targets = tuple(reading.mentions[k].of("value") for k in group)
        noun = None if groups else _noun(reading, before, after, {t.name.rpartition(".")[2] for t in targets[0]})
        said_or = any(reading.mentions[k].is_word("or") for k in range(i, last)) and not reading.has_word("more", "versus", "who")  # not higher on iOS or Android
        either = said_or or reading.has_word("summed")  # of both together
        joined = len(set(targets)) > 1 and not either
        if (other := _other_side(reading, before, targets)) is not None and not negated:
            targets, noun, joined = (*other.mentions, *targets), other.noun, True
            reading.filters.remove(other)
        reading.filters.append(ValueFilter(mentions=targets, negated=negated, noun=noun, joined=joined, attributive=_is_attributive(reading, i, after)))
        reading.claim(*range(i, last + 1))
        known = {len(group), len({t.value for each in targets for t in each})} - {1}
        for k in reading.near(i, -1, 3):  # 两个渠道|抖音和微信
            if reading.free(k) and reading.mentions[k].number in known and any(reading.mentions[n].of("dimension") for n in range(k, i)):
                reading.claim(k, *(n for n in range(k, i) if reading.mentions[n].of("dimension")))
        for k in reading.near(last, +1, 1):  # 母婴和美妆|两个品类
            if reading.mentions[k].number in (len(group), len({t.value for each in targets for t in each})):
                reading.claim(k)
                reading.claim(*(n for n in reading.near(k, +1, 2) if reading.mentions[n].of("dimension")))
        i = last + 1
    for position, mention in enumerate(reading.mentions):
        if mention.is_word("missing") and reading.free(position):
            _read_missing(reading, position)
        elif mention.is_word("exclude", "exclude_tail", "only") and reading.filters:
            reading.claim(position)


def _other_side(reading: Reading, before: int | None, targets: tuple[tuple[Target, ...], ...]) -> ValueFilter | None:
    """Return the values that those right after a comparing word are compared with: do |iOS| people spend more than |Android| ones."""
    if before is None or not reading.mentions[before].is_word("versus", "above", "below") or not reading.filters or reading.filters[-1].negated:
        return None
    own, other = {t.name for t in targets[0]}, reading.filters[-1]
    if not own & set(other.dimensions) or not set(targets) - set(other.mentions):
        return None
    reading.versus = True
    reading.claim(before)  # do women order|more than|men
    return other


def _is_only_a_word(mention: Mention) -> bool:
    """Say whether a word of the grammar only looks like a value; as the data write it, it is the value (PRODUCE, but not produce)."""
    if mention.is_word("share"):
        return True
    as_written = len(mention.text) > 1 and any(target.value == mention.text for target in mention.of("value"))
    return mention.is_word("filler") and not as_written


def _is_attributive(reading: Reading, first: int, after: int | None) -> bool:
    """Say whether values only say whose or which rows: orders|from Beijing and Shanghai, 北京和上海的|用户."""
    if reading.mentions[first].text.isascii() or first and reading.mentions[first - 1].text.isascii():
        return first > 0 and reading.mentions[first - 1].text.lower() in ("from", "in", "of", "among", "across")
    entities = {dataset.name for dataset in reading.model.datasets if dataset.entity}
    return after is not None and any(t.name in entities for t in reading.mentions[after].of("dataset"))


def _names_groups(reading: Reading, before: int | None, after: int | None) -> bool:
    """Say whether the noun after a value is what to break down by: each|sms|campaign, 各|短信|活动, 短信|活动|各自."""
    if after is None or not reading.mentions[after].of("dimension") or not reading.mentions[after].of("dataset"):
        return False
    severally = any(reading.mentions[k].is_word("severally") for k in reading.near(after, +1, 1))
    if not severally and (before is None or not reading.mentions[before].is_word("by")):
        return False
    name = reading.mentions[after].of("dimension")[0].name
    if name not in reading.dimensions:
        reading.dimensions.append(name)
    reading.claim(after)
    return True


def _is_left_out(reading: Reading, position: int) -> bool:
    """Say whether a value is left out by a word at the end of its sentence: 网页端的|不算."""
    text = reading.linked.text
    for k in reading.near(position, +1, 2):
        mention = reading.mentions[k]
        if mention.is_word("exclude") and not mention.text.isascii():
            said = any(word in text[reading.mentions[position].end : mention.start] for word in "的都")
            return said and not text[mention.end : mention.end + 1].strip(",，。.;；!！?？ ")  # noqa: RUF001
        if not (mention.of("dimension") or mention.of("dataset")):
            return False
    return False


def _belongs_to_noun(mention: Mention, between: tuple[str, ...]) -> bool:
    """Say whether a mention stands between a value and its noun (iOS|女性|用户, 百度|以外的|渠道)."""
    return mention.is_word(*between) or bool(
        mention.of("value") and not mention.of("metric", "dimension", "dataset")
    )


def _is_said_already(reading: Reading, position: int) -> bool:
    """Say whether a part of the users is what a cohort metric is about by itself (首购用户的30日复购率)."""
    cohorts = (Retention, LifetimeValue, RepurchaseWithin)
    names = {target.name.partition("[")[0] for targets in reading.metrics for target in targets}
    relative = {
        d.qualified for d in reading.model.dimensions
        if any(column.name == PERIOD_START for column in d.expr.find_all(exp.Column))
    }  # fmt: skip
    newly = any(t.name in relative and t.value == "new" for t in reading.mentions[position].of("value"))
    return newly and any(isinstance(m, cohorts) for m in reading.model.metrics if m.name in names)


def _is_paid_by(reading: Reading, position: int) -> bool:
    """Say whether a verb says what people did (users who |paid|), not which state an order is in."""
    if not reading.mentions[position].is_word("paying") or not reading.mentions[position].of("dataset"):
        return False
    for k in reading.near(position, -1, 2):
        mention = reading.mentions[k]
        if is_person(reading, k) or mention.is_word("persons", "who"):
            reading.nouns.append(reading.mentions[position].of("dataset")[0].name)
            return True
        if not mention.of("value"):
            return False
    return False


def _read_missing(reading: Reading, position: int) -> None:
    """性别未知, unknown gender: the rows whose value is missing."""
    included = [k for k in (position - 1, position + 1) if 0 <= k < len(reading.mentions) and reading.mentions[k].is_word("including")]
    if included:
        reading.claim(position, *included)  # unknowns |included|: a group of its own anyway
        return
    before = list(reading.near(position, -1, 2))
    equals = before[:1] if before and reading.mentions[before[0]].is_word("equals") else []  # whose gender is unknown
    for beside in (*before[len(equals) : len(equals) + 1], *reading.near(position, +1, 1)):
        names = {target.name for target in reading.mentions[beside].of("dimension")}
        targets = tuple(Target("value", d.qualified) for d in reading.model.dimensions if d.name in names)
        if targets and reading.free(beside):
            reading.filters.append(ValueFilter(mentions=(targets,)))
            reading.claim(position, beside, *equals)
            return


def _joined_value(reading: Reading, position: int) -> int | None:
    """Return the position of a value of the same dimension joined by 和/and/、/or/vs, passing over a noun."""
    mine = {target.name for target in reading.mentions[position].of("value")}
    here, joined = position, False
    for following in reading.near(position, +1, 4):
        mention = reading.mentions[following]
        if mention.of("value"):
            same = mine & {target.name for target in mention.of("value")}
            return following if same and (joined or following == here + 1) else None
        if mention.is_word("and", "or", "versus"):
            joined = True
        elif not (mention.of("dataset") or mention.of("dimension")):
            return None
        elif joined:
            return None
    return None


def _noun(reading: Reading, before: int | None, after: int | None, own: set[str]) -> str | None:
    """Return the dimension or dataset named beside a value (抖音渠道, iOS用户, city 上海), claiming it; `own` are those with the value."""
    for position in (after, before):
        if position is None or not reading.free(position):
            continue
        mention = reading.mentions[position]
        if mention.of("dimension") and mention.of("dataset") and reading.superlative:
            return mention.of("dataset")[0].name  # 销售额前3的美妆商品: the things to rank
        severally = any(reading.mentions[k].is_word("severally") for k in reading.near(position, +1, 1))
        if mention.of("dimension") and (reading.superlative or reading.order or severally) and not own & {t.name for t in mention.of("dimension")}:
            continue  # 运动户外|品牌|销量前5, 新手引导|两组|各有: what is ranked, what is told severally
        if mention.of("dimension") and not after_by(reading, position) and not mention.of("metric"):
            distributed = any(reading.mentions[k].is_word("distribution") for k in reading.near(position, +1, 1))
            if distributed and position == after:
                return None  # 加购未购用户的渠道|分布
            reading.claim(position)
            return mention.of("dimension")[0].name
        if position == after and mention.of("dataset"):
            return mention.of("dataset")[0].name
    return None
