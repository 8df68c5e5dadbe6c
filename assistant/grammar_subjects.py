"""Owns the rules about what is asked for: metrics, the values and dimensions around them, and plain nouns."""

from sqlglot import exp

from wenshu.assistant.grammar_distribution import banded
from wenshu.assistant.linker import Mention, Target, words_of
from wenshu.assistant.naming import done_of, is_person, names_users, rows_of
from wenshu.assistant.people import newcomers, people, subject
from wenshu.assistant.reading import COMPARED_BY, Reading, ValueFilter
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Aggregation,
    AverageOver,
    Lifecycle,
    LifetimeValue,
    Metric,
    Ratio,
    Retention,
)
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Grain

BY_RULE = ("算", "来算", "计算", "口径", "标准", "模型", "定义")

WHOSE = ("of", "from", "by", "for", "on")


def read_averages(reading: Reading) -> None:
    """人均GMV, orders per buyer: the ratio in the model of the metric beside to the people or rows named."""
    for i, mention in enumerate(reading.mentions):
        if not mention.is_word("each_of", "each_order", "each_day") or not reading.free(i):
            continue
        passed = 2 if any(reading.mentions[k].is_word("average") for k in reading.near(i, +1, 1)) else 1
        for k in (*reading.near(i, +1, passed), *reading.near(i, -1, 4 if mention.is_word("each_order") else 2)):
            above = {target.name for target in reading.mentions[k].of("metric")}
            if not above and not mention.is_word("each_order") and (rows := rows_of(reading, reading.mentions[k])) is not None:
                above = {rows.name}  # 每个买家平均|下了|几单
            if reading.mentions[k].is_word("how_much"):
                above = {m.name for m in reading.model.metrics if _is_money(reading.model, m)}
            ratio = next((m.name for m in reading.model.metrics if _averages(reading, m, above, mention)), None)
            if ratio is not None:
                if reading.free(k):
                    reading.metrics.append((Target("metric", ratio),))
                    reading.claim(i, k, *(j for j in (i - 1, i + 1) if j != k and _says_average(reading, j)))
                    reading.claim(*(j for j in reading.near(k, +1, 1) if reading.mentions[j].is_word("how_many") and above & {t.name for t in reading.mentions[j].of("metric")}))
                break
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("average") and reading.free(i):
            for k in (*reading.near(i, -1, 1), *reading.near(i, +1, 1)):
                of = {(target.name, target.grain) for target in reading.mentions[k].of("metric") if target.grain}
                over = next((m for m in reading.model.metrics if isinstance(m, AverageOver) and (m.metric, m.over) in of), None)
                if over is not None and reading.free(k) and reading.free(i):
                    reading.metrics.append((Target("metric", over.name),))  # 日活|平均
                    reading.claim(i, k)
            named = [t.name for k in reading.near(i, +1, 2) for t in reading.mentions[k].of("metric")]
            if named and isinstance(reading.model.metric_by_name.get(named[0]), Ratio | AverageOver):
                reading.claim(i)  # on average, how many orders a buyer places


def _is_money(model: Model, metric: Metric) -> bool:
    return isinstance(metric, Aggregate) and metric.aggregation is Aggregation.SUM and metric.unit == model.currency


def _says_average(reading: Reading, position: int) -> bool:
    return reading.free(position) and reading.mentions[position].is_word("average")


def _averages(reading: Reading, metric: Metric, above: set[str], word: Mention) -> bool:
    """Say whether a metric is the quotient of one of `above` and the people, or the rows, that a word names."""
    if word.is_word("each_day"):
        return isinstance(metric, AverageOver) and metric.metric in above and metric.over is Grain.DAY
    if not isinstance(metric, Ratio) or metric.numerator not in above:
        return False
    below = reading.model.metric_by_name[metric.denominator]
    if not isinstance(below, Aggregate):
        return False
    of_people = bool(reading.model.dataset_by_name[subject(reading.model, below)].entity)
    return of_people if word.is_word("each_of") else below.aggregation is Aggregation.COUNT


def read_metrics(reading: Reading) -> None:
    """Every metric named, in order."""
    for i, mention in enumerate(reading.mentions):
        metrics = mention.of("metric")
        if not metrics or not reading.free(i):
            continue
        if mention.of("dimension") and after_by(reading, i):
            continue
        if (leading := _leading_dimension(reading, i)) is not None:
            reading.dimensions.append(leading)
            if mention.text.isascii():
                reading.claim(i)
                continue
        elif _is_whose(reading, i) and not mention.of("dataset") and _says_no_more(reading, i):
            reading.claim(i)  # orders of users acquired via WeChat
            continue
        elif _is_noun(reading, i) or _is_part(reading, i) or _is_unknown_split(reading, i):
            continue
        if (rows := _rows_of_another(reading, i)) is not None:
            if rows:
                reading.filters.append(ValueFilter(mentions=(rows,)))
                reading.claim(i)
            continue
        if reading.is_people(mention) and mention.of("dataset") and _is_kept(reading, i):
            continue  # only iOS users
        ranked = any(reading.mentions[k].is_word("most", "least") for k in reading.near(i, -1, 1))
        if reading.is_people(mention) and (ranked or any(word in mention.text.lower() for word in words_of("how_many"))) and _counts_people_already(reading, i):
            reading.claim(i)
            continue  # 拉新|上周|多少人, how many users|did each campaign reach
        if reading.is_people(mention) and _counts_part_beside(reading, i):
            continue  # 新客|有多少人
        if mention.is_word("how_much") and _speaks_of_people(reading):
            continue  # 女用户花了多少钱 is what they spent, not what was spent on campaigns
        if reading.spread and any(t.name in reading.dimensions for t in mention.of("dimension")):
            continue
        if reading.spread and not reading.periods and mention.of("value") and _is_stage(reading, mention):
            continue  # 流失用户的渠道分布: who they are as of the last day
        if metrics not in reading.metrics:
            reading.metrics.append(metrics)
        reading.claim(i)


def read_money(reading: Reading) -> None:
    """买了多少钱, how much money did we make: the model's first sum of money, or that of the rows named."""
    for i, mention in enumerate(reading.mentions):
        if not mention.is_word("how_much") or not reading.free(i):
            continue
        if any(reading.mentions[k].is_word(*COMPARED_BY) for k in reading.near(i, +1, 1)) and not mention.of("metric"):
            continue  # 花了|超过5000块的人: a condition on them
        anyone = [targets for targets in reading.metrics if any(target.name == reading.everyone for target in targets)]
        if not any(m.is_word("how_many") and not m.is_word("how_much") for m in reading.mentions):
            reading.metrics = [targets for targets in reading.metrics if targets not in anyone]  # how much did users pay
        if reading.metrics and not _asks_besides(reading, i):
            continue
        sums = [m for m in reading.model.metrics if _is_money(reading.model, m)]
        named = [target for m in reading.mentions if (target := rows_of(reading, m, money=True)) is not None]
        first = reading.model.metric_by_name[named[0].name] if named else sums[0] if sums else None
        if first is not None:
            words = {first.label.en, first.label.zh, *first.synonyms}
            alike = [m for m in sums if words & {m.label.en, m.label.zh, *m.synonyms}]
            reading.metrics.append(tuple(Target("metric", m.name) for m in dict.fromkeys((first, *alike))))
            reading.claim(i)


def _asks_besides(reading: Reading, position: int) -> bool:
    """Say whether how much is asked for besides how many: 有多少人下单，|一共花了多少钱."""
    before = reading.linked.text[: reading.mentions[position].start]
    clause = before[max(before.rfind(mark) for mark in ",，、") + 1 :]  # noqa: RUF001
    start = len(before) - len(clause)
    joint = reading.beside(position, -1)
    if not clause.strip() or (joint is not None and reading.mentions[joint].is_word("and")):
        start = len(before)  # 多少件、|多少钱, 几件和|多少钱
    metrics = [reading.model.metric_by_name.get(t.name) for targets in reading.metrics for t in targets[:1]]
    counted = all(isinstance(m, Aggregate) and not _is_money(reading.model, m) for m in metrics)
    alone = not any(m.of("metric") and m.start >= start for i, m in enumerate(reading.mentions) if i != position)
    return 0 < start and counted and alone and not reading.users_with


def _is_kept(reading: Reading, position: int) -> bool:
    """Say whether users are only those to keep or to leave out: only iOS users, exclude web users."""
    before = list(reading.near(position, -1, 2))
    left_out = len(before) == 2 and bool(reading.mentions[before[0]].of("value"))
    return reading.has_word("only") or (left_out and reading.mentions[before[1]].is_word("exclude"))


def _speaks_of_people(reading: Reading) -> bool:
    """Say whether users are named, by a noun, a pronoun or an attribute of theirs."""
    own = {d.name for d in reading.model.datasets if d.entity or d.is_segment}
    counted = set(people(reading.model))
    theirs = {d.name for d in reading.model.dimensions if d.dataset in own}
    return reading.has_word("they") or any(
        any(target.name in counted for target in mention.of("metric")) or is_person(reading, k) or own & {t.name.rpartition(".")[0] for t in mention.of("value")}
        or {t.name for t in mention.of("dimension")} & theirs
        for k, mention in enumerate(reading.mentions)
    )


def _is_unknown_split(reading: Reading, position: int) -> bool:
    """Say whether a metric stands where groups are named (users by number of orders): not answered as a metric."""
    before = reading.beside(position, -1)
    if before is None or not reading.mentions[before].is_word("by"):
        return False
    if reading.mentions[before].is_word("severally") and any(reading.mentions[k].of("value") for k in reading.near(before, -1, 1)):
        return False  # 男的女的|各|下了多少单
    groups = any(m.of("dimension") and not m.of("metric") for m in reading.mentions) or reading.grain or reading.parts
    return not groups and not reading.has_word("most", "least", "rank", "which", "so", "switch")


def _leading_dimension(reading: Reading, position: int) -> str | None:
    """Return the dimension that a metric's name begins with where groups are named (各|活动带来的成交额)."""
    before, mention = reading.beside(position, -1), reading.mentions[position]
    if before is None or not reading.mentions[before].is_word("by", "which") or mention.of("dimension"):
        return None
    text = mention.text.lower()
    if text.isascii():  # which |product sold| the most units
        others = any(m.of("metric") for m in reading.mentions[position + 1 :])
        words = {d.name: (d.label.en, d.name) for d in reading.model.dimensions if d.dataset not in _facts(reading.model)}
        begins = (name for name, said in words.items() if any(text.startswith(f"{word.lower()} ") for word in said))
        return next(begins, None) if others and reading.mentions[before].is_word("which") else None
    named = {d.name: (d.label.zh, *d.synonyms) for d in reading.model.dimensions if d.dataset not in _facts(reading.model)}
    rest = {said.lower() for t in mention.of("metric") if (m := reading.model.metric_by_name.get(t.name)) for said in (m.label.zh, *m.synonyms)}
    for name, spoken in named.items():
        for word in (w.lower() for w in spoken if len(w) > 1 and text.startswith(w.lower())):
            if "的" in text or "多少" in text or text.removeprefix(word) in rest:  # 各活动|成本
                return name
    return None


def _facts(model: Model) -> set[str]:
    """Return the datasets of what users did, which name no groups."""
    entities = {dataset.name for dataset in model.datasets if dataset.entity}
    return {r.many for r in model.relationships if r.one in entities}


def _is_noun(reading: Reading, position: int) -> bool:
    """Say whether a word that names things and counts them (orders) is only what another metric is about."""
    if not reading.mentions[position].of("dataset"):
        return False
    if _is_whose(reading, position):
        return True
    if any(reading.mentions[k].is_word("and") for step in (-1, +1) for k in reading.near(position, step, 1)):
        return False
    if _is_listed(reading, position):
        return False  # orders, refund rate and AOV
    before = reading.beside(position, -1)
    if before is not None and reading.mentions[before].text.lower() in ("how many", "多少") and not reading.is_people(reading.mentions[position]):
        return False  # how many |orders| and how much revenue
    others = (k for k, m in enumerate(reading.mentions) if m.of("metric") and not m.of("dataset"))
    split = (k for k in others if not (reading.mentions[k].of("dimension") and after_by(reading, k)))  # trips by |store|
    return any(not _is_whose(reading, k) for k in split) or reading.has_word("vague")


def _is_whose(reading: Reading, position: int) -> bool:
    """Say whether people or things are only whose rows are counted: orders of Douyin users, 5-star reviews of beauty products."""
    mentions, before = reading.mentions, position - 1
    while before > 0 and mentions[before].of("value"):
        before -= 1
    came = any(target.name in set(newcomers(reading.model)) for target in mentions[position].of("metric")) and not mentions[position].of("value")
    person = reading.is_people(mentions[position]) or is_person(reading, position) or came
    things = {target.name for target in mentions[position].of("dataset")}
    kept = any(t.name.rpartition(".")[0] in things for k in range(before + 1, position) for t in mentions[k].of("value"))
    return (person or kept) and before > 0 and mentions[before].text.lower() in WHOSE and bool(mentions[before - 1].of("metric"))


def _says_no_more(reading: Reading, position: int) -> bool:
    """Say whether newcomers are all users of a value named after, or those that a cohort metric is about by itself."""
    named = [reading.model.metric(target.name) for targets in reading.metrics for target in targets]
    of_cohorts = any(isinstance(m, Retention | LifetimeValue) for m in named)
    return of_cohorts or any(reading.mentions[k].of("value") for k in reading.near(position, +1, 1))


def _is_listed(reading: Reading, position: int) -> bool:
    """Say whether a metric stands between commas beside another."""
    mention, text = reading.mentions[position], reading.linked.text
    before = text[: mention.start].rstrip().endswith((",", "，"))
    after = text[mention.end :].lstrip().startswith((",", "，"))
    sides = ((-1, before), (+1, after))
    return any(comma and any(reading.mentions[k].of("metric") for k in reading.near(position, step, 1)) for step, comma in sides)


def _is_part(reading: Reading, position: int) -> bool:
    """Say whether a word that counts a part of the users (新客) is that part of what another metric counts."""
    if not reading.mentions[position].of("value"):
        return False
    before = reading.beside(position, -1)
    if before is not None and reading.mentions[before].is_word("only") and not any(m.of("metric") and not m.of("value") for m in reading.mentions):
        return True  # only|orders with a coupon: of what was asked before
    others = [
        k for k, m in enumerate(reading.mentions)
        if k != position and m.of("metric") and not m.of("value") and not reading.is_people(m)
    ]  # fmt: skip
    if _is_one_of_two(reading, position):
        return True
    joined = any(reading.mentions[k].is_word("and") for step in (-1, +1) for k in reading.near(position, step, 1))
    joined = joined or _is_listed(reading, position)
    return reading.has_word("among") or bool(others) and not joined


def _counts_part_beside(reading: Reading, position: int) -> bool:
    """Say whether people are counted right after a word that counts a part of them itself."""
    for k in reading.near(position, -1, 1):
        mention = reading.mentions[k]
        if mention.of("metric") and mention.of("value") and mention.of("metric") in reading.metrics:
            reading.claim(position)
            return True
    return False


def _counts_people_already(reading: Reading, position: int) -> bool:
    """Say whether another metric of the question counts people of some kind, with no “and” or comma between."""
    kinds = {*people(reading.model), *newcomers(reading.model)} - {reading.everyone}
    for k, mention in enumerate(reading.mentions):
        if not any(target.name in kinds for target in mention.of("metric")[:1]) or reading.is_people(mention):
            continue
        first, second = sorted((k, position))
        between = reading.linked.text[reading.mentions[first].end : reading.mentions[second].start]
        joined = any(reading.mentions[n].is_word("and") for n in range(first, second))
        if not joined and not any(mark in between for mark in ",，、;；。"):  # noqa: RUF001
            return True
    return False


def _is_one_of_two(reading: Reading, position: int) -> bool:
    """Say whether another value of the same dimension is joined to a word (用券订单|与|未用券订单)."""
    mine = {target.name for target in reading.mentions[position].of("value")}
    for step in (-1, +1):
        beside = list(reading.near(position, step, 2))
        if len(beside) == 2 and reading.mentions[beside[0]].is_word("and", "versus"):
            other = reading.mentions[beside[1]]
            if mine & {target.name for target in other.of("value")}:
                return True
    return False


def _is_stage(reading: Reading, mention: Mention) -> bool:
    """Say whether a metric counts the users of a stage of the lifecycle, which only a period has."""
    return isinstance(reading.model.metric_by_name.get(mention.of("metric")[0].name.partition("[")[0]), Lifecycle)


def _rows_of_another(reading: Reading, position: int) -> tuple[Target, ...] | None:
    """Return the values that a count of some rows stands for where another metric is of those rows (GMV of pending orders).

    None where it is no attribute of another metric, empty where no dimension has such values.
    """
    mentions = reading.mentions
    joint, other = (position - 1, position - 2) if mentions[position].text.isascii() else (position + 1, position + 2)
    inside = 0 <= min(joint, other) and max(joint, other) < len(mentions)
    if not inside or mentions[joint].text.lower() not in ("of", "from", "的") or not mentions[other].of("metric"):
        return None
    counted = reading.model.metric_by_name.get(mentions[position].of("metric")[0].name)
    if not isinstance(counted, Aggregate) or counted.aggregation is not Aggregation.COUNT or counted.where is None:
        return None
    if not list(counted.where.find_all(exp.Literal)):
        return None
    same = {(str(e.this), e.expression.name) for e in counted.where.find_all(exp.EQ) if isinstance(e.expression, exp.Literal)}
    return tuple(
        Target("value", d.qualified, v.value)
        for d in reading.model.dimensions if d.dataset == counted.dataset
        for v in d.values if (str(d.expr), str(v.value)) in same
    )  # fmt: skip


def after_by(reading: Reading, position: int) -> bool:
    """Say whether a dimension stands where groups are named: after 各/by/哪个, or after a number to list."""
    before = reading.beside(position, -1)
    if before is None:
        return False
    mention = reading.mentions[before]
    if any(number.span[0] <= before <= number.span[1] for number in reading.numbers):
        return False
    if mention.is_word("count_word") and not mention.is_word("by", "most", "least") and mention.number is None:
        return (ahead := reading.beside(before, -1)) is not None and after_by(reading, before) and not reading.mentions[ahead].of("value")
    if mention.is_word("by", "which", "most", "least") or mention.number is not None:
        return True
    return (
        mention.is_word("and")
        and (earlier := reading.beside(before, -1)) is not None
        and bool(reading.mentions[earlier].of("dimension"))
    )


def read_dimensions(reading: Reading) -> None:
    """按渠道, by city, 哪个品类: what to break down by."""
    for i, mention in enumerate(reading.mentions):
        dimensions = mention.of("dimension")
        if not dimensions or not reading.free(i):
            continue
        names = [target.name for target in dimensions]
        before = reading.beside(i, -1)
        if mention.is_word("our_place") and before is None and _is_whole(reading, i):
            reading.claim(i)
            continue
        if mention.is_word("by") and before is not None and reading.mentions[before].of("dimension"):
            continue  # 按性别城市|分组
        filtered = any(name in {d.rpartition(".")[2] for d in item.dimensions} for item in reading.filters for name in names)
        if filtered and reading.linked.text[mention.end :].lstrip().startswith(BY_RULE):
            reading.claim(i)  # 按RFM算, 流失风险用户…: how it is told, not what to split by
            continue
        if (
            mention.of("dataset")
            and not after_by(reading, i)
            and (reading.metrics or reading.asks_how_many)
            and not reading.superlative
            and not reading.asks_which
        ):
            continue  # "users", "products" as the subject of the sentence
        money = {d.name for d in reading.model.dimensions if d.type == "number" and d.unit == reading.model.currency}
        if mention.is_word("filler") and names[0] in money and reading.metrics and not after_by(reading, i):
            reading.claim(i)  # the amount of revenue by city
            continue
        name = banded(reading.model, names[0]) if names[0] in money and reading.metrics else names[0]
        if name not in reading.dimensions:
            reading.dimensions.append(name)
        reading.claim(i)
        for k in reading.near(i, -1, 2):  # 三个平台各有多少: how many there are of them is known
            if reading.mentions[k].number is not None and reading.superlative is None and reading.limit is None:
                reading.claim(k)
            elif not reading.mentions[k].is_word("count_word"):
                break


def _is_whole(reading: Reading, position: int) -> bool:
    """Say whether the place a sentence begins with is all of it (平台|9月GMV, 平台|一共多少用户), not what to break down by."""
    told_apart = reading.superlative or reading.share or reading.order or reading.has_word("severally", "rank", "which", "others")
    following = next(iter(reading.mentions[position + 1 :]), None)
    if told_apart or following is None or following.start != reading.mentions[position].end:
        return False
    return following.is_word("altogether") or (following.time is not None and following.time.period is not None)


def read_counted_groups(reading: Reading) -> None:
    """哪些品牌的商品超过10个, 最贵的5件商品: what a condition or a price is about is what is asked for."""
    if reading.asks_for_number:
        return
    for number in reading.numbers:
        if number.metric and not reading.metrics and reading.has_groups:
            reading.metrics.append(number.metric)
            reading.claim(*(k for k in range(number.span[0], number.span[1] + 1) if reading.mentions[k].of("dataset")))
    if reading.has_word("priced") and reading.superlative and not reading.metrics:
        nouns = {t.name for m in reading.mentions for t in m.of("dataset")}
        prices = [
            d.name for d in reading.model.dimensions
            if d.dataset in nouns and d.type == "number" and d.unit == reading.model.currency
        ]  # fmt: skip
        reading.dimensions.extend(prices[:1])


def _is_other_rows(reading: Reading, position: int) -> bool:
    """Say whether rows made from others (首单) are named beside a metric that is not of them (首单|客单价)."""
    datasets = [reading.model.dataset_by_name[target.name] for target in reading.mentions[position].of("dataset")]
    leaves = [leaf.dataset for targets in reading.metrics for target in targets for leaf in reading.model.leaves(target.name)]
    anyone = any(target.name == reading.everyone for targets in reading.metrics for target in targets)
    made = all(not isinstance(dataset.source, str) and not dataset.is_segment and dataset.name not in leaves for dataset in datasets)
    return made and bool(leaves) and not anyone


def read_nouns(reading: Reading) -> None:
    """用户, orders: what the question is about; they carry no condition of their own."""
    came = [i for i, m in enumerate(reading.mentions) if m.is_word("was_active") and reading.free(i)]
    entities = {dataset.name for dataset in reading.model.datasets if dataset.entity}
    cohorts = [m for m in reading.model.metrics if isinstance(m, Retention) and reading.model.leaves(m.start)[0].dataset in entities]
    of_cohort = any(m.is_word("entered", "again", "since_entry") for m in reading.mentions) or len({p.period for p in reading.periods}) > 1
    if came and cohorts and not of_cohort and (names_users(reading) or any(map(reading.is_people, reading.mentions))):
        reading.nouns.append(reading.model.leaves(cohorts[0].back)[0].dataset)  # 9月|来过的人
        reading.claim(*came)
    for i, mention in enumerate(reading.mentions):
        if mention.of("dataset") and reading.free(i) and not _is_other_rows(reading, i):
            reading.nouns.append(mention.of("dataset")[0].name)
            reading.claim(i)
    people_ranked = reading.superlative and any(
        m.of("dataset") and is_person(reading, k) for k, m in enumerate(reading.mentions)
    )
    if not reading.asks_for_number and people_ranked and reading.dimensions and reading.everyone:
        reading.metrics.append((Target("metric", reading.everyone),))  # 哪个城市的用户最多
    things = reading.asks_how_many and not any(is_person(reading, k) for k in range(len(reading.mentions)))
    named = reading.metrics or reading.users_with or reading.steps
    if not named and (things or (not reading.asks_for_number and (reading.superlative or reading.parts or reading.share))):
        said = [m for m in reading.mentions if not m.is_word("share")]  # as shares, not the event of sharing
        done = [rows_of(reading, m, money=m.is_word("spends")) if things or m.is_word("spends") else (d.metric if (d := done_of(reading, m)) else None) for m in said]
        counted = [target for target in done if target is not None]
        if len(set(counted)) == 1 and (
            things or not any(m.of("dimension") and m.of("dataset") for m in reading.mentions)
        ):
            reading.metrics.append((counted[0],))  # 几点下单最多
