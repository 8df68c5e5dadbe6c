"""Owns the rule about people counted by what they did or how they came: how many women ordered, users who joined via WeChat."""

from wenshu.assistant.linker import Target
from wenshu.assistant.naming import done_of, is_person, rows_of
from wenshu.assistant.people import newcomers
from wenshu.assistant.reading import COMPARED_BY, Reading


def read_counted_people(reading: Reading) -> None:
    """有几个人下过单, how many users signed up: people counted by what they did, where only people are asked for."""
    for i, mention in enumerate(reading.mentions):
        if not mention.is_word("how_many") or reading.metrics or not reading.everyone:
            continue
        for beside in (_counted(reading, i), reading.beside(i, -1)):  # 有几个人下过单, 付过款的用户有几位
            if beside is not None and is_person(reading, beside) and reading.free(beside):
                reading.metrics.append((Target("metric", reading.everyone),))
                reading.claim(i, beside)
                break
            verb = _done_by_persons(reading, i)
            if verb is not None and not reading.metrics:  # how many women ordered
                reading.metrics.append((Target("metric", reading.everyone),))
                reading.claim(i)
    persons = (i for i, m in enumerate(reading.mentions) if m.is_word("persons"))
    if (first := next(persons, None)) is not None and not reading.metrics and reading.everyone and not reading.has_word("so", "list"):
        doing = (k for i, m in enumerate(reading.mentions) if i > first and m.is_word("who") for k in reading.near(i, +1, 1))
        if any(done_of(reading, reading.mentions[k]) is not None and not reading.mentions[k].of("metric") for k in doing):
            reading.metrics.append((Target("metric", reading.everyone),))  # men over 40 who ordered
    entered = any(m.is_word("entered") and reading.free(i) for i, m in enumerate(reading.mentions))
    things = any(rows_of(reading, mention) or mention.of("metric") for mention in reading.mentions)
    if entered and not reading.metrics and not things and reading.has_word("most", "least") and (came := list(newcomers(reading.model))):
        reading.metrics.append(tuple(Target("metric", name) for name in came))  # 老带新|拉来的人|，哪3个城市最多
        reading.claim(*(i for i, m in enumerate(reading.mentions) if m.is_word("entered")))
    if not entered or any(done_of(reading, m) for m in reading.mentions if not m.is_word("entered")):
        return
    named = any(m.is_word("entered") and " who " in f" {m.text.lower()} " for m in reading.mentions)
    if (named or reading.asks_how_many) and not reading.metrics and not reading.numbers and not reading.has_word("so", "only", "list", "exclude", "among", "switch", "versus"):
        reading.metrics.append(tuple(Target("metric", name) for name in newcomers(reading.model)))  # users who joined via WeChat
    for k, targets in enumerate(reading.metrics):
        if any(target.name == reading.everyone for target in targets):
            reading.metrics[k] = tuple(Target("metric", name) for name in newcomers(reading.model)) or targets


def _done_by_persons(reading: Reading, position: int) -> int | None:
    """Return the verb that says what people named by an attribute did: how many |women| ordered, how many men in Wuhan |searched|."""
    persons = False
    for k in reading.near(position, +1, 5):
        mention = reading.mentions[k]
        if persons and not mention.of("metric") and done_of(reading, mention) is not None:
            return k
        persons = persons or mention.is_word("persons")
        if not mention.of("value"):
            return None
    return None


def _counted(reading: Reading, position: int) -> int | None:
    """Return what stands after “how many”, past what says which of them: 有多少|35|岁|及以上|的人, 多少|位|女|顾客."""
    for k in reading.near(position, +1, 6):
        mention = reading.mentions[k]
        said = mention.number is not None or mention.is_word("count_word", *COMPARED_BY) or mention.of("value")
        if not (said or (mention.of("dimension") and not mention.of("dataset"))):
            return k
    return None
