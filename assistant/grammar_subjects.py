"""Owns the rules about what is asked for: metrics, the values and dimensions around them, and plain nouns."""

from wenshu.assistant.reading import Reading, ValueFilter


def read_metrics(reading: Reading) -> None:
    """Every metric named, in order."""
    for i, mention in enumerate(reading.mentions):
        metrics = mention.of("metric")
        if not metrics or not reading.free(i):
            continue
        if mention.of("dimension") and _after_by(reading, i):
            continue
        if _is_noun(reading, i):
            continue
        if metrics not in reading.metrics:
            reading.metrics.append(metrics)
        reading.claim(i)


def _is_noun(reading: Reading, position: int) -> bool:
    """Say whether a word that names things and counts them (orders) is only what another metric is about."""
    if not reading.mentions[position].of("dataset"):
        return False
    if any(reading.mentions[k].is_word("and") for step in (-1, +1) for k in reading.near(position, step, 1)):
        return False
    return any(mention.of("metric") and not mention.of("dataset") for mention in reading.mentions) or reading.has_word(
        "vague"
    )


def _after_by(reading: Reading, position: int) -> bool:
    """Say whether a dimension stands where groups are named: after 各/by/哪个, or after a number to list."""
    before = reading.beside(position, -1)
    if before is None:
        return False
    mention = reading.mentions[before]
    if mention.is_word("by", "which") or mention.number is not None or mention.is_word("count_word", "most", "least"):
        return True
    return (
        mention.is_word("and")
        and (earlier := reading.beside(before, -1)) is not None
        and bool(reading.mentions[earlier].of("dimension"))
    )


def read_values(reading: Reading) -> None:
    """抖音渠道, not iOS, 除了百度, 北京和上海: filters, with the noun beside them."""
    i = 0
    while i < len(reading.mentions):
        if not reading.mentions[i].of("value") or not reading.free(i):
            i += 1
            continue
        group, last = [i], i
        while (joint := _joined_value(reading, last)) is not None:
            group.append(joint)
            last = joint
        before = reading.beside(i, -1)
        after = next((k for k in reading.near(last, +1) if not reading.mentions[k].is_word("exclude_tail")), None)
        negated = before is not None and reading.mentions[before].is_word("exclude")
        if before is not None and not negated and reading.mentions[before].of("dimension"):
            earlier = reading.beside(before, -1)
            negated = earlier is not None and reading.mentions[earlier].is_word("exclude")
        noun = _noun(reading, before, after)
        targets = tuple(reading.mentions[k].of("value") for k in group)
        reading.filters.append(ValueFilter(mentions=targets, negated=negated, noun=noun, joined=len(group) > 1))
        reading.claim(*range(i, last + 1))
        i = last + 1
    for position, mention in enumerate(reading.mentions):
        if mention.is_word("exclude", "exclude_tail", "only") and reading.filters:
            reading.claim(position)


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


def _noun(reading: Reading, before: int | None, after: int | None) -> str | None:
    """Return the dimension or dataset named beside a value (抖音渠道, iOS用户, city 上海), claiming it."""
    for position in (after, before):
        if position is None or not reading.free(position):
            continue
        mention = reading.mentions[position]
        if mention.of("dimension") and not _after_by(reading, position) and not mention.of("metric"):
            reading.claim(position)
            return mention.of("dimension")[0].name
        if position == after and mention.of("dataset"):
            return mention.of("dataset")[0].name
    return None


def read_dimensions(reading: Reading) -> None:
    """按渠道, by city, 哪个品类: what to break down by."""
    for i, mention in enumerate(reading.mentions):
        dimensions = mention.of("dimension")
        if not dimensions or not reading.free(i):
            continue
        names = [target.name for target in dimensions]
        if (
            mention.of("dataset")
            and not _after_by(reading, i)
            and reading.metrics
            and not reading.superlative
            and not reading.asks_which
        ):
            continue  # "users", "products" as the subject of the sentence
        if names[0] not in reading.dimensions:
            reading.dimensions.append(names[0])
        reading.claim(i)


def read_nouns(reading: Reading) -> None:
    """用户, orders: what the question is about; they carry no condition of their own."""
    for i, mention in enumerate(reading.mentions):
        if mention.of("dataset") and reading.free(i):
            reading.nouns.append(mention.of("dataset")[0].name)
            reading.claim(i)
