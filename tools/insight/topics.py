"""Owns what one set of texts speaks of more than another: phrases that set it apart, put together to topics.

Texts in, topics out; needs no dictionary of words. A phrase is a stretch of Chinese characters or English words that keeps
together and is not mostly part of a longer one (Zhang and others, 2000, on cohesion; its freedom is that of accessor
variety, Feng and others, 2004). How far it sets the texts apart is the weighted log-odds ratio with an informative
Dirichlet prior (Monroe, Colaresi and Quinn, 2008, Political Analysis 16:372–403), over texts instead of words, with the
false discovery rate held over all phrases (Benjamini and Hochberg, 1995).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from wenshu.tools.insight.sentiment import is_characters, plain, runs

LONGEST = {True: 8, False: 4}  # characters, words
FEWEST, LEAST_SHARE = 5, 0.004  # texts that must hold a phrase, and the share of them
PRIOR = 50.0  # texts that the prior weighs as much as
RATE = 0.01  # false discovery rate
TIMES = 1.5  # as often as in the other texts, to be worth a word
FREE = 0.7  # of a phrase's texts: as many with one same character beside it, and it is but a part
TOGETHER = 2.0  # times as often as its parts meet by chance
ALIKE = 0.6  # of a phrase's texts in a topic already, to be part of it
MOST_PHRASES, MOST_NAMES = 200, 3
MOST_TEXTS = 10_000  # different ones on either side that phrases are looked for in
# Where no phrase begins, or ends: words that need another beside them.
FIRST = frozenset("的了着过吗呢吧啊呀哦们么得地之而且但又与及和跟被把给让是在就都还也才再则所等个些到来去上下里中后前们")
LAST = frozenset("的我你他她它很太非常没不就也都还又再和与及跟被把给让在是这那一个些有最比更从到向对会要能可想以为因而但且或如若说真挺蛮还")
DONE = frozenset("了过着")  # 坏了 says something, 用了 only where nothing follows
EMPTY = frozenset(
    """什么 为什么 怎么 怎么样 怎样 已经 结果 还是 就是 不是 没有 可以 可能 可是 但是 不过 而且 然后 然而 因为 所以 如果 虽然 一个 一点 一些 一下 一样 一直 一次 一定
    现在 今天 昨天 刚刚 刚才 这么 那么 这样 那样 这个 那个 这些 那些 真的 感觉 觉得 知道 东西 时候 时间 第一 第一次 第二 每次 这次 下次 上次 最后 居然 竟然 根本 完全 简直
    自己 我们 你们 他们 大家 别人 别的 其他 其它 还有 只有 只是 只能 需要 应该 希望 起来 出来 下来 进去 过来 不能 不会 不要 不想 无法 以后 以前 之前 之后 评价 评论
    本来 原来 反正 不知道 是不是 有没有 能不能 不得不 算是 属于 关于 对于 以及 或者 甚至 尤其 特别 非常 比较 有点 有些 不少 很多 好多 许多 几个 多少""".split()
)
STOP = frozenset(
    """a an the this that these those i me my we our us you your he she it its they them their his her is are was were be been being am
    do does did have has had having will would can could should may might must shall to of in on at by for from with about as into and or but
    if so than then there here when where which who what how very really just too also only even still again all any some more most such own same
    one ones got get gets i'm i've it's that's they're we're much many other because while after before out up down over off""".split()
)
STARTS = frozenset("not no never don't doesn't didn't won't can't couldn't isn't wasn't nothing too".split())  # that a phrase may begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Hold phrases that stand in the same texts, the most telling first, and how far the first sets the texts apart."""

    phrases: tuple[str, ...]
    score: float

    @property
    def names(self) -> tuple[str, ...]:
        """Return the phrase to name it by, and a few others that are no part of each other."""
        chosen: list[str] = []
        for phrase in (each.strip() for each in self.phrases[1:]):
            if len(chosen) < MOST_NAMES - 1 and not any(phrase in other or other in phrase for other in chosen):
                chosen.append(phrase)
        return (self.phrases[0].strip(), *chosen)

    def is_in(self, searched: str) -> bool:
        return any(phrase in searched for phrase in self.phrases)


def searchable(text: str) -> str:
    """Return a text as phrases are looked for in it.

    >>> searchable("送餐慢，it was cold!")
    '送餐慢\\n it was cold '
    """
    return "\n".join("".join(run) if is_characters(run) else f" {' '.join(run)} " for run in runs(plain(text)))


def topics_of(own: Mapping[str, int], other: Mapping[str, int], most: int) -> tuple[Topic, ...]:
    """Return what sets texts apart from others, both counted by text: topics, the most telling first."""
    own, other = _some(own), _some(other)
    total, others = sum(own.values()), sum(other.values())
    fewest = max(FEWEST, math.ceil(total * LEAST_SHARE))
    counts = _phrases(own, fewest)
    searched = [(searchable(text), count) for text, count in other.items()]
    found = []
    for phrase, count in counts.items():
        elsewhere = sum(n for text, n in searched if phrase in text)
        found.append((phrase, log_odds(count, total, elsewhere, others), count / total > TIMES * elsewhere / others))
    found.sort(key=lambda each: (-each[1], each[0]))
    kept = [phrase for phrase, _, often in found[: _beyond_chance([z for _, z, _ in found])] if often][:MOST_PHRASES]
    scores = {phrase: z for phrase, z, _ in found}
    return _together(kept, scores, own, most)


def _some(texts: Mapping[str, int]) -> Mapping[str, int]:
    """Return texts as they are or, of very many, the same sample each time."""
    if len(texts) <= MOST_TEXTS:
        return texts
    return {text: texts[text] for text in sorted(texts, key=lambda text: (crc32(text.encode()), text))[:MOST_TEXTS]}


def log_odds(own: float, total: float, other: float, others: float) -> float:
    """Return by how many standard errors a phrase's odds are higher in one set of texts than in another.

    >>> round(log_odds(30, 1000, 10, 1000), 2), log_odds(10, 1000, 10, 1000)
    (3.01, 0.0)
    """
    prior = PRIOR * (own + other) / (total + others)
    here = math.log((own + prior) / (total + PRIOR - own - prior))
    there = math.log((other + prior) / (others + PRIOR - other - prior))
    return (here - there) / math.sqrt(1 / (own + prior) + 1 / (other + prior))


def _beyond_chance(scores: Sequence[float]) -> int:
    """Return how many of falling scores are findings."""
    chances = [0.5 * math.erfc(z / math.sqrt(2)) for z in scores]
    return max((at for at, chance in enumerate(chances, 1) if chance <= RATE * at / len(chances)), default=0)


def _phrases(texts: Mapping[str, int], fewest: int) -> dict[str, int]:
    """Return the phrases that enough texts hold, each with how many do."""
    told = [(list(runs(plain(text))), count) for text, count in texts.items()]
    total = sum(texts.values())
    ending = Counter[tuple[str, ...]]()  # of stretches after which nothing follows
    frequent: dict[tuple[str, ...], int] = {}
    level: dict[tuple[str, ...], int] = {}
    for size in range(1, max(LONGEST.values()) + 1):
        counts: Counter[tuple[str, ...]] = Counter()
        for text, count in told:
            for gram in {gram for run in text for gram in _grams(run, size, level)}:
                counts[gram] += count
            for gram in {run[-size:] for run in text if len(run) >= size and run[-1] in DONE}:
                ending[gram] += count
        level = {gram: count for gram, count in counts.items() if count >= fewest}
        if not level:
            break
        frequent |= level
    longer: dict[tuple[str, ...], int] = {}
    for gram, count in frequent.items():
        for part in (gram[1:], gram[:-1]):
            longer[part] = max(longer.get(part, 0), count)
    return {
        _written(gram): count for gram, count in frequent.items()
        if _can_stand(gram) and (gram[-1] not in DONE or 2 * ending[gram] >= count) and longer.get(gram, 0) < FREE * count and _keeps_together(gram, frequent, total)
    }  # fmt: skip


def _grams(run: tuple[str, ...], size: int, level: Mapping[tuple[str, ...], int]) -> Iterable[tuple[str, ...]]:
    """Yield the stretches of a run of which both shorter ones are frequent."""
    if size > LONGEST[is_characters(run)]:
        return
    for at in range(len(run) - size + 1):
        gram = run[at : at + size]
        if size == 1 or (gram[1:] in level and gram[:-1] in level):
            yield gram


def _can_stand(gram: tuple[str, ...]) -> bool:
    """Say whether a stretch can be a phrase by where it begins and ends."""
    if is_characters(gram):
        return len(set(gram)) > 1 and gram[0] not in FIRST and gram[-1] not in LAST and "".join(gram) not in EMPTY
    if any(letter.isdigit() for word in gram for letter in word) or gram[-1] in STOP | STARTS:
        return False
    return gram[0] not in STOP or (len(gram) > 1 and gram[0] in STARTS)


def _keeps_together(gram: tuple[str, ...], counts: Mapping[tuple[str, ...], int], total: int) -> bool:
    """Say whether a stretch, wherever it is cut, is more frequent than its parts meeting by chance, or one part hardly stands without the other."""
    held = counts[gram]
    parts = [(counts[gram[:at]], counts[gram[at:]]) for at in range(1, len(gram))]
    return all(held * total >= TOGETHER * left * right or held >= FREE * min(left, right) for left, right in parts)


def _written(gram: tuple[str, ...]) -> str:
    return "".join(gram) if is_characters(gram) else f" {' '.join(gram)} "


def _together(phrases: Sequence[str], scores: Mapping[str, float], own: Mapping[str, int], most: int) -> tuple[Topic, ...]:
    """Return the phrases as topics: one that stands mostly where the first of a topic does is part of it."""
    searched = [(searchable(text), count) for text, count in own.items()]
    topics: list[tuple[list[str], set[int]]] = []
    for phrase in phrases:
        held = {at for at, (text, _) in enumerate(searched) if phrase in text}
        size = sum(searched[at][1] for at in held)
        home = next((names for names, texts in topics if sum(searched[at][1] for at in held & texts) >= ALIKE * size), None)
        if home is not None:
            home.append(phrase)
        elif len(topics) < most:
            topics.append(([phrase], held))
    return tuple(Topic(phrases=tuple(names), score=scores[names[0]]) for names, _ in topics)
