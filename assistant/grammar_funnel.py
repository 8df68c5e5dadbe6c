"""Owns the rule about funnels: which steps, in which order and within what time."""

from wenshu.assistant.naming import is_person
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, PATH
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Funnel, Lifecycle, PeriodReturn
from wenshu.semantic_layer.model import Model

ORDERS = {"strict_order": "strict", "any_order": "any", "in_order": "ordered"}
MINUTES = {"minute_unit": 1, "hours_unit": 60, "day_unit": 1440, "week_unit": 10_080}
LETTERS = {"minute_unit": "m", "hours_unit": "h", "week_unit": "w"}
SPANS = {"half_hour": "within=30m", "one_hour": "within=1h", "one_day": "n=1", "first_week": "n=7"}
ONE = ("a", "an", "one", "一个")
BETWEEN = ("so", "how_many", "share", "within", "at_most", "who", "among", *ORDERS, *MINUTES, *SPANS)
COMMAS = (",", "，", ">", "＞", ">>")  # noqa: RUF001 - search, add to cart and pay; sign up > pay
Chain = list[tuple[int, str]]  # steps, each with its position
Steps = dict[str, tuple[str, ...]]  # of each step, its words


def read_funnel(reading: Reading) -> None:
    """从注册到加购再到结算, checkout to pay within 2 hours: the steps of a funnel, its window and order, and whether each step is a row."""
    funnel = next((metric for metric in reading.model.metrics if isinstance(metric, Funnel)), None)
    if funnel is None or reading.own_key == PATH:
        return
    steps = _words(reading.model, funnel)
    named = any(target.name.partition("[")[0] == funnel.name for targets in reading.metrics for target in targets)
    window = next((found for i in range(len(reading.mentions)) if (found := _window_at(reading, i))), None)
    converts = window is not None and (named or reading.has_word("conversion", "share", "how_many"))
    best = _longest(reading, steps, adjacent=False)
    if len(best) < 2 and converts:
        best = _longest(reading, steps, adjacent=True)
    if len(best) < 2 and not named:
        return
    lost = {m.name for m in reading.model.metrics if isinstance(m, PeriodReturn)}
    if reading.has_word("step"):  # 每一步|掉了多少人
        gone = {m.name for m in reading.model.metrics if isinstance(m, Lifecycle) and m.stage == "dormant"}
        reading.metrics = [targets for targets in reading.metrics if not any(t.name in gone for t in targets)]
    for i, mention in enumerate(reading.mentions):
        if mention.of("metric") in reading.metrics and any(t.name in lost for t in mention.of("metric")):
            reading.metrics.remove(mention.of("metric"))  # 从加购到结算的流失率 is no churn of users: ask
            reading.claimed.discard(i)
    if window is not None:
        reading.window, positions = window
        reading.claim(*positions)
    if len(best) > 1:
        _take_steps(reading, best)
    else:
        ends = {funnel.steps[0].name, funnel.steps[-1].name}
        reading.claim(*(i for i in range(len(reading.mentions)) if _step_at(reading, i, steps) in ends))
    for i, mention in enumerate(reading.mentions):
        if order := next((order for word, order in ORDERS.items() if mention.is_word(word)), None):
            reading.step_order = None if order == funnel.order else order
            reading.claim(i)
        if mention.is_word("step", "conversion", "share", "to") and not mention.of("metric"):
            reading.claim(i)
        if mention.is_word("step"):
            reading.own_key = FUNNEL_STEP
    counted = len(best) > 2 and reading.asks_how_many and not reading.share
    if counted or (named and not reading.has_word("conversion")):
        reading.own_key = FUNNEL_STEP


def _words(model: Model, funnel: Funnel) -> Steps:
    """Return each step's name with the words for it."""
    words: Steps = {step.name: (step.label.zh, step.label.en) for step in (*funnel.steps, *funnel.choices)}
    for value in (value for dimension in model.dimensions for value in dimension.values):
        if value.value in words:
            words[str(value.value)] += tuple(value.synonyms)
    return {name: tuple(word.lower() for word in said) for name, said in words.items()}


def _take_steps(reading: Reading, chain: Chain) -> None:
    """Make the steps the funnel's, and claim their words with those between; a metric named there is none."""
    reading.steps = [name for _, name in chain]
    span = range(chain[0][0], chain[-1][0] + 1)
    inside = [reading.mentions[i].of("metric") for i in span]
    reading.metrics = [targets for targets in reading.metrics if targets not in inside]
    for i, mention in enumerate(reading.mentions):
        if any(target.value in reading.steps for target in mention.of("value")) or (
            i in span and mention.number is None and not mention.is_word(*MINUTES)
        ):
            reading.claim(i)


def _longest(reading: Reading, steps: Steps, *, adjacent: bool) -> Chain:
    best: Chain = []
    for i in range(len(reading.mentions)):
        chain = _chain(reading, i, steps, adjacent) if reading.free(i) or not reading.users_with else []
        best = chain if len(chain) > len(best) else best
    return best


def _chain(reading: Reading, start: int, steps: Steps, adjacent: bool) -> Chain:
    """Return the steps from a position on that are joined by 到/→/to/then or, if `adjacent`, stand one after the other.

    People named after what they did first are a step too: 注册用户7天内支付.
    """
    name = _step_at(reading, start, steps) or _step_in(reading, start, steps, anywhere=True)
    if name is None:
        return []
    chain, joined, here = [(start, name)], False, reading.beside(start, +1)
    while here is not None:
        mention = reading.mentions[here]
        step = _step_at(reading, here, steps)
        comma = reading.linked.text[reading.mentions[chain[-1][0]].end : mention.start].strip() in COMMAS
        if comma and _step_at(reading, start, steps) is None:
            return []  # revenue, |paid orders|, buyers: metrics
        joined = joined or comma
        if step is None and joined:
            step = _step_in(reading, here, steps)
        if step is None and (joined or adjacent):
            step = _last_step(reading, here)
        if step is not None and (joined or adjacent):
            chain.append((here, step))
            joined = False
        elif mention.is_word("to", "and"):
            joined = True
        elif step is not None or not (
            mention.is_word(*BETWEEN) or mention.time is not None or mention.number is not None or is_person(reading, here)
        ):
            break
        here = reading.beside(here, +1)
    return chain


def _step_at(reading: Reading, position: int, steps: Steps) -> str | None:
    values = (str(target.value) for target in reading.mentions[position].of("value"))
    return next((value for value in values if value in steps), None)


def _step_in(reading: Reading, position: int, steps: Steps, *, anywhere: bool = False) -> str | None:
    """Return the step that a longer metric's name begins with (结算到|支付转化率) or, of people, has in it (注册用户)."""
    mention = reading.mentions[position]
    text = mention.text.lower()
    if not mention.of("metric") or mention.of("value"):
        return None
    for name, words in steps.items():
        if text not in words and any(text.startswith(word) or (anywhere and word in text) for word in words):
            return name
    return None


def _last_step(reading: Reading, position: int) -> str | None:
    """Return the last step of the model's funnel where a word names the rows that it ends with (搜索到|下单, search to|purchase)."""
    model, mention = reading.model, reading.mentions[position]
    funnel = next(metric for metric in model.metrics if isinstance(metric, Funnel))
    sold = {m.dataset for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.SUM and m.unit == model.currency}
    datasets = (dataset for dataset in model.datasets if dataset.name in sold)
    words = tuple(word.lower() for d in datasets for word in (d.label.zh, d.label.en, *d.synonyms) if len(word) > 1)
    text = mention.text.lower()
    named = text in words or (bool(mention.of("metric")) and text.startswith(words))
    return funnel.steps[-1].name if named else None


def _window_at(reading: Reading, position: int) -> tuple[str, tuple[int, ...]] | None:
    """Return the parameter of “within 7 days”, “30分钟内” or “半小时内”, and the positions of its words."""
    mention = reading.mentions[position]
    before = reading.beside(position, -1)
    words = (before,) if before is not None and reading.mentions[before].is_word("at_most", "within") else ()
    if span := next((span for word, span in SPANS.items() if mention.is_word(word)), None):
        return span, (*words, position)
    number = 1.0 if mention.text.lower() in ONE else mention.number
    if number is None or not reading.free(position) or position + 1 == len(reading.mentions):
        return None
    unit = next((unit for unit in MINUTES if reading.mentions[position + 1].is_word(unit)), None)
    minutes = number * MINUTES[unit] if unit else 0.5
    if unit is None or minutes != int(minutes):
        return None
    whole = number == int(number)
    said = f"within={int(minutes)}m" if not whole else f"{'n=' if unit == 'day_unit' else 'within='}{int(number)}"
    return said + (LETTERS.get(unit, "") if whole else ""), (*words, position, position + 1)
