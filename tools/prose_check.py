"""Owns checking prose that a language model wrote of a result: a sentence stays if all it says is in the table or derives from it.

A number must be a cell of the row that its clause speaks of, or derive from the table by a rule of `prose_facts`, in the
right direction; a superlative must be true; a name must be in the table; a cause is never in a table. Strict where in
doubt: a true sentence may be dropped, a false one may not stay.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import permutations

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language
from wenshu.tools.prose_facts import Fact, Facts
from wenshu.tools.prose_numbers import Mentioned, mentioned_numbers
from wenshu.tools.wording import MONTHS, bucket_label

SENTENCE = re.compile(r"[^。！？!?\n；]*?(?:[。！？；\n]|[!?](?=\s|$)|(?<!\d)\.(?=\s|$)|(?<=\d)\.(?=\s|$)|$)")
CLAUSE = re.compile(r"(?:[，,；;](?!\d)|(?<!\d)[，,](?=\d)|\bwhile\b|\bwhereas\b|\bfollowed by\b|，|而(?!且))")
RESPECTIVELY = re.compile(r"分别|依次|respectively", re.IGNORECASE)
CAUSE = re.compile(r"因为|由于|导致|原因|归因|得益于|受益于|源于|because|due to|caused|thanks to|owing to|driven by|result of", re.IGNORECASE)
ADDRESS = re.compile(r"://|\bwww\.|[\w.]+@\w|\b[\w-]+\.(?:com|net|org|cn|io|example)\b", re.IGNORECASE)
FORECAST = re.compile(r"预计|预测|将会|有望|未来|明年|\bwill\b|forecast|expected to|likely to", re.IGNORECASE)
UP = re.compile(r"增长|升幅|涨幅|增幅|上升|上涨|增加|提升|提高|增至|升至|涨|多出|高出|高于|更高|(?<!最)高|\bup\b|\bincreas|\brose\b|\brise|\bgrew\b|\bgrow|\bgain|\bhigher\b|\bmore\b|\babove\b", re.IGNORECASE)
DOWN = re.compile(r"下降|降幅|跌幅|减幅|下滑|下跌|减少|降低|降至|跌|低于|少于|更低|(?<!最)低(?!于)|\bdown\b|\bdecreas|\bfell\b|\bfall|\bdropp?|\bdeclin|\blower\b|\bless\b|\bbelow\b|\bfewer\b", re.IGNORECASE)
MOST = re.compile(r"最高|最多|最大|最好|居首|领先|首位|榜首|\bhighest\b|\bmost\b|\blargest\b|\bbiggest\b|\bleads?\b|\bleading\b|\bpeak", re.IGNORECASE)
LEAST = re.compile(r"最低|最少|最小|最差|垫底|末位|\blowest\b|\bleast\b|\bsmallest\b|\bfewest\b|\bworst\b", re.IGNORECASE)
WHOLE = re.compile(r"合计|总计|总共|共计|总体|整体|总和|总额|总量|平均|均值|全部|前\s?□?\d|前[三四五两十]|\btotal|\baltogether\b|\bsum\b|\baverage\b|\bmean\b|\boverall\b|\ball\b|\bcombined\b|\btop\b|\btogether\b|\brange", re.IGNORECASE)
SHARE_OF = re.compile(r"占\s?\S{0,4}?(?:合计|总体|总额|总量|总数|全部|整体)|\bof (?:the |all )?(?:total|whole|overall)\b", re.IGNORECASE)
COMPARED = re.compile(r"\b(?:higher|lower|more|fewer|less|greater)\b[^,;]*?\bthan\b|比\s?□+[^，。]*?(?:高|低|多|少)", re.IGNORECASE)
MOVED = re.compile(
    r"(?:增长|上升|上涨|增加|提升|提高|下降|下滑|下跌|减少|降低|涨|跌|升幅|涨幅|降幅|增幅|跌幅)(?:了|约|近|超过|不到|为|达|\s)*$"
    r"|(?<!makes )(?<!make )(?<!made )(?<!making )\b(?:up|down|rose|fell|grew|dropped|declined|increased|decreased|gained|lost)\b(?:\s(?:by|about|around|nearly|almost|over|some))*\s*$",
    re.IGNORECASE,
)
MEAN = re.compile(r"平均|均值|\baverage\b|\bmean\b", re.IGNORECASE)
AGAINST = re.compile(r"相差|差距|倍|\btimes\b|\bgap\b|\bapart\b|\bfrom the\b|\bthan the\b|与最|和最|较最|比最|(?:below|above|of|to|behind) the (?:highest|lowest)", re.IGNORECASE)
MARKUP = re.compile(r"\*\*|`|^\s*(?:[-*+•]|\d+[.)])\s+|^#+\s*|\\(?=[!-/:-@\[-`{-~])", re.MULTILINE)
UNITS_OF_TIME = re.compile(r"^\s?[-]?(?:日|天|周|个?月|年|小时|days?|weeks?|months?|hours?|d\b)", re.IGNORECASE)
MONTH_NAMES = [name.lower() for name in MONTHS] + [name[:3].lower() for name in MONTHS]
LARGER_BUCKET = re.compile(r"\d{1,2}月|[A-Z][a-z]+( \d{4})?|\d{4}年\d{1,2}月|\d{4}-\d\d|\d{4}年?")  # no name of a day or a week
MASK = "□"


@dataclass(frozen=True, slots=True)
class Dropped:
    """Hold a sentence that may not be shown, and why."""

    sentence: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckedProse:
    """Hold the sentences that may be shown, in order, and the others."""

    kept: tuple[str, ...]
    dropped: tuple[Dropped, ...]

    @property
    def text(self) -> str:
        """Return the kept sentences as one paragraph."""
        joined = ""
        for sentence in self.kept:
            joined += (" " if joined and joined[-1].isascii() else "") + sentence
        return joined


@dataclass(frozen=True, slots=True)
class _Named:
    """A phrase of the table that stands in a sentence: a row's name, or a column's label."""

    start: int
    end: int
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    key: int = -1  # the position of the column whose key it names


class ProseCheck:
    """Check sentences against one table; `context` are phrases that were said already, `known` names that may be foreign."""

    def __init__(
        self, table: ResultTable, *, language: Language, context: Iterable[str] = (), days: Iterable[date] = (),
        known: Iterable[str] = (), whole: bool = True,
    ) -> None:  # fmt: skip
        self.facts = Facts(table, whole=whole)
        self.table = table
        self.language = language
        self.context = [text for text in context if text]
        of_table = self._table_phrases()
        own = {phrase for phrase, _ in of_table}
        known = tuple(dict.fromkeys(name for name in known if len(name) > 1))
        listed = " ".join((*own, *self.context)).lower()
        self._foreign = [name for name in known if name.lower() not in listed]
        spoken = {name for name in known if name.lower() in listed}
        said = {*self.context, *spoken, *(text for day in days for text in _day_words(day, None))} - own
        phrases: list[tuple[str, _Named | None]] = [*of_table, *((phrase, None) for phrase in said)]
        self._phrases = sorted(phrases, key=lambda item: len(item[0]), reverse=True)
        self._label_numbers = {
            n.value for text in (*(c.label.in_(language) for c in table.columns), *self.context) for n in mentioned_numbers(text)
        }  # fmt: skip

    def check(self, text: str) -> CheckedProse:
        """Return which sentences of a text may be shown."""
        kept: list[str] = []
        dropped: list[Dropped] = []
        for sentence in sentences(text):
            reason = self.problem(sentence)
            if reason is None:
                kept.append(sentence)
            else:
                dropped.append(Dropped(sentence, reason))
        return CheckedProse(tuple(kept), tuple(dropped))

    def problem(self, sentence: str) -> str | None:
        """Return why a sentence may not be shown, or None."""
        if CAUSE.search(sentence):
            return "a cause is not in the table"
        if FORECAST.search(sentence):
            return "the future is not in the table"
        if ADDRESS.search(sentence):
            return "an address is not in the table"
        named, masked = self._mask(sentence)
        lowered = masked.lower()
        if foreign := next((name for name in self._foreign if _stands_in(name.lower(), lowered)), None):
            return f"“{foreign}” is not in the table"
        if month := next((name for name in MONTH_NAMES if re.search(rf"\b{name}\b", lowered) and name != "may"), None):
            return f"“{month}” is not in the table"
        if masked == sentence and not mentioned_numbers(sentence):
            return "it speaks of nothing in the table"
        groups: list[_Named] = []
        subjects: tuple[int, ...] = ()
        everyone = tuple(dict.fromkeys(row for phrase in named if len(phrase.rows) == 1 for row in phrase.rows))
        columns: tuple[int, ...] = ()
        for start, end in _clauses(masked):
            here = [phrase for phrase in named if start <= phrase.start < end]
            here = _met(here)
            rows = tuple(dict.fromkeys(row for phrase in here for row in phrase.rows))
            groups = [phrase for phrase in here if phrase.rows] or groups
            own_columns = tuple(dict.fromkeys(c for phrase in here for c in phrase.columns))
            columns = own_columns or columns
            clause = masked[start:end]
            aggregate = bool(WHOLE.search(SHARE_OF.sub("", clause))) and not rows
            subjects = rows or (() if aggregate else subjects)
            among = self._among(columns)
            if reason := self._superlative(clause, groups, among if own_columns else self.facts.columns, named=bool(rows)):
                return reason
            numbers = [n for n in mentioned_numbers(clause)]
            for position, mentioned in enumerate(numbers):
                row_here = self._subject(mentioned, position, numbers, here, start, clause, subjects)
                if not self._is_supported(mentioned, row_here, everyone, among, columns, clause, aggregate=aggregate):
                    return f"{mentioned.text} is not in the table and follows from it by no rule"
        return None

    # what a sentence names

    def _table_phrases(self) -> list[tuple[str, _Named]]:
        """Return what the table's rows and columns may be called, the longest first."""
        rows: dict[str, dict[int, list[int]]] = {}
        for i, column in enumerate(self.table.columns):
            if column.role in ("dimension", "time"):
                for r, row in enumerate(self.table.rows):
                    for name in _cell_words(column, row[i]):
                        rows.setdefault(name, {}).setdefault(i, []).append(r)
        columns: dict[str, list[int]] = {}
        for i, column in enumerate(self.table.columns):
            for label in {column.label.en, column.label.zh, column.label.en.lower(), column.name}:
                columns.setdefault(label, []).append(i)
        found = [(name, _Named(0, 0, rows=tuple(which), key=key)) for name, keys in rows.items() for key, which in list(keys.items())[:1]]
        found += [(name, _Named(0, 0, columns=tuple(which))) for name, which in columns.items() if name not in rows]
        return found

    def _mask(self, sentence: str) -> tuple[list[_Named], str]:
        """Return the phrases of the table that stand in a sentence, and the sentence without them."""
        masked, found = sentence, []
        for phrase, named in self._phrases:
            for start, end in _places(phrase, masked):
                if named is not None:
                    found.append(replace(named, start=start, end=end))
                masked = masked[:start] + MASK * (end - start) + masked[end:]
        return sorted(found, key=lambda phrase: phrase.start), masked

    def _among(self, columns: tuple[int, ...]) -> tuple[int, ...]:
        """Return the columns that a clause may speak of: those named, with what belongs to their metrics, or all."""
        measured = [i for i in columns if i in self.facts.columns]
        names = {self.table.columns[i].metric or self.table.columns[i].name for i in measured}
        return tuple(i for i in self.facts.columns if not names or (self.table.columns[i].metric or self.table.columns[i].name) in names)

    def _subject(
        self, mentioned: Mentioned, position: int, numbers: Sequence[Mentioned], here: Sequence[_Named], start: int, clause: str,
        subjects: tuple[int, ...],
    ) -> tuple[int, ...]:  # fmt: skip
        """Return the rows that a number may speak of: by order where it says so, else the name before it, else the one after."""
        phrases = [phrase for phrase in here if phrase.rows]
        if RESPECTIVELY.search(clause) and len(phrases) == len(numbers):
            return phrases[position].rows
        if len(phrases) == 2 and re.fullmatch(r"\s*(?:→|->|to|到|至)\s*", clause[phrases[0].end - start : phrases[1].start - start]):
            return (*phrases[0].rows, *phrases[1].rows)  # a step from one to the other
        if len(phrases) > 1:
            behind = re.match(r"\s?[^\w□]*\s?(?:for|in|of|from|at|on)\s□", clause[mentioned.end :])
            after = [phrase for phrase in phrases if phrase.start - start >= mentioned.end]
            if behind and after:  # 797 for January
                return after[0].rows
            before = [phrase for phrase in phrases if phrase.start - start < mentioned.start]
            return (before[-1] if before else phrases[0]).rows
        return subjects

    # what a sentence claims

    def _superlative(self, clause: str, groups: Sequence[_Named], among: Sequence[int], *, named: bool) -> str | None:
        """Return what is not so of a clause that calls something the highest or the lowest."""
        most, least = MOST.search(clause), LEAST.search(clause)
        if (most is None) == (least is None) or len(self.table.rows) < 2 or (not named and AGAINST.search(clause)):
            return None
        if not groups:
            return None if mentioned_numbers(clause) else f"“{(most or least).group()}” of nothing in the table"  # type: ignore[union-attr]
        falling = most is not None and DOWN.search(clause) is not None
        first = groups[0]
        for i in among:
            if self.facts.is_extreme(first.rows, first.key, i, least=least is not None or falling):
                return None
        return f"“{(most or least).group()}” is not so"  # type: ignore[union-attr]

    def _is_supported(
        self, mentioned: Mentioned, subjects: tuple[int, ...], everyone: tuple[int, ...], among: Sequence[int], columns: tuple[int, ...],
        clause: str, *, aggregate: bool,
    ) -> bool:  # fmt: skip
        after = clause[mentioned.end :]
        if mentioned.value in self._label_numbers and mentioned.form == "plain" and UNITS_OF_TIME.match(after):
            return True
        if not subjects and len(self.table.rows) == 1:
            subjects = (0,)
        gap = COMPARED.search(clause) and not mentioned.bound
        moved = mentioned.form in ("percent", "points") and MOVED.search(clause[: mentioned.start])
        return any(
            (not moved or fact.directed) and (not gap or fact.rule in ("difference", "change", "ratio", "rank")) and _agrees(mentioned, fact) and _goes(mentioned, fact, clause)
            and (not fact.unit or re.match(rf"\s?(?:{fact.unit})", after))
            for fact in self._facts(subjects, everyone, among, aggregate=aggregate, mentioned=mentioned, clause=clause)
        )

    def _facts(
        self, subjects: tuple[int, ...], everyone: tuple[int, ...], among: Sequence[int], *, aggregate: bool, mentioned: Mentioned, clause: str
    ) -> Iterator[Fact]:
        if key := self._shared_key(subjects):
            yield from self.facts.of_group(subjects, key - 1, among)
        else:
            for row in subjects[:3]:
                yield from self.facts.of_row(row, among, to_mean=MEAN.search(clause) is not None)
        pairs = permutations(dict.fromkeys((*subjects[:2], *everyone)), 2) if len(everyone) <= 4 else ()
        for one, other in pairs:
            if self.facts.is_series and one < other and not self._is_falling_order():
                continue  # of two buckets the later is compared with the earlier
            if not self.facts.is_series and everyone and (one, other)[0] != everyone[0] and one in everyone:
                continue  # of two groups the one named first is compared with the other
            yield from self.facts.of_rows(one, other, among)
        if 0 < len(subjects) < 3 and AGAINST.search(clause) and (MOST.search(clause) or LEAST.search(clause)):
            for i in among:
                value = self.facts.number(subjects[0], i)
                if value is not None:
                    for extreme in (min(self.facts.numbers[i]), max(self.facts.numbers[i])):
                        yield from self.facts.between(value, extreme, i)
        if aggregate or not subjects or len(self.table.rows) == 1 or mentioned.form == "top":
            yield from self.facts.of_all(among)
        elif mentioned.form in ("plain", "rank") and mentioned.value == len(self.table.rows):
            yield Fact("count", ("plain",), len(self.table.rows))

    def _shared_key(self, subjects: tuple[int, ...]) -> int:
        """Return one more than the position of a key that several rows share and no other row has; 0 where there is none."""
        keys = [i for i, column in enumerate(self.table.columns) if column.role in ("dimension", "time")]
        if len(subjects) < 2 or len(keys) < 2:
            return 0
        for i in keys:
            key = self.table.rows[subjects[0]][i]
            if subjects == tuple(r for r, row in enumerate(self.table.rows) if row[i] == key):
                return i + 1
        return 0

    def _is_falling_order(self) -> bool:
        """Say whether the table's buckets run backwards in time."""
        i = next(i for i, c in enumerate(self.table.columns) if c.role == "time")
        days = [row[i] for row in self.table.rows if isinstance(row[i], date)]
        return len(days) > 1 and str(days[0]) > str(days[-1])


def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text, without markup; a last one that is cut off is left out only by its caller.

    >>> sentences("- **GMV** 为 ¥1.5 万。增长 3.2%。")
    ('GMV 为 ¥1.5 万。', '增长 3.2%。')
    """
    plain = MARKUP.sub("", text)
    return tuple(found for match in SENTENCE.finditer(plain) if (found := match.group().strip()) and re.search(r"\w", found))


def _clauses(sentence: str) -> Iterator[tuple[int, int]]:
    if RESPECTIVELY.search(sentence):
        yield 0, len(sentence)
        return
    start = 0
    for cut in CLAUSE.finditer(sentence):
        yield start, cut.start()
        start = cut.end()
    yield start, len(sentence)


def _met(phrases: list[_Named]) -> list[_Named]:
    """Return the phrases with those of different keys met in the rows that they share: 北京 × 女."""
    out: list[_Named] = []
    for phrase in phrases:
        last = out[-1] if out else None
        if last is not None and phrase.rows and last.rows and phrase.key != last.key and phrase.start - last.end <= 6:
            if shared := tuple(row for row in last.rows if row in phrase.rows):
                out[-1] = replace(last, end=phrase.end, rows=shared)
                continue
        out.append(phrase)
    return out


def _agrees(mentioned: Mentioned, fact: Fact) -> bool:
    """Say whether a number is a fact, rounded as it is written."""
    if mentioned.form not in fact.forms:
        return False
    said, true = mentioned.value, fact.value
    if fact.rule == "rank":
        return said == abs(true)
    if not mentioned.signed:
        said, true = abs(said), abs(true)
        if mentioned.value < 0:
            return False
    tiny = 1e-9 * max(1.0, abs(true))
    match mentioned.bound:
        case "over":
            return said - tiny <= true < said + 2 * mentioned.slack * _coarseness(mentioned)
        case "under":
            return said - 2 * mentioned.slack * _coarseness(mentioned) < true <= said + tiny
        case "about":
            return abs(said - true) <= mentioned.slack * _coarseness(mentioned) + tiny
        case _:
            return abs(said - true) <= mentioned.slack + tiny


def _coarseness(mentioned: Mentioned) -> float:
    """Return how many times coarser an approximate whole number is than its last digit: 240,000 is about to the ten thousand."""
    if mentioned.slack != 0.5 or mentioned.form in ("rank", "top"):
        return 1.0
    digits = f"{abs(mentioned.value):.0f}"
    return min(10.0 ** (len(digits) - len(digits.rstrip("0"))), 10.0 ** max(len(digits) - 1, 0))


def _goes(mentioned: Mentioned, fact: Fact, clause: str) -> bool:
    """Say whether a change goes the way the clause says; a rank counts from the end that it says."""
    near = clause[max(0, mentioned.start - 24) : mentioned.end + 12]
    if fact.rule == "rank":
        from_below = bool(LEAST.search(clause) or re.search(r"倒数|from the bottom|last", clause))
        return (fact.value < 0) == from_below
    if not fact.directed or mentioned.signed or fact.value == 0:
        return True
    up, down = UP.search(near), DOWN.search(near)
    if up and down:
        up = up if abs(up.start() - (mentioned.start - max(0, mentioned.start - 24))) < abs(down.start() - (mentioned.start - max(0, mentioned.start - 24))) else None
        down = None if up else down
    if up:
        return fact.value > 0
    return not down or fact.value < 0


def _cell_words(column: Column, cell: Cell) -> set[str]:
    """Return what a key of a row may be called, in either language."""
    labels = {name for value, label in column.value_labels if value == cell for name in (label.en, label.zh)}
    match cell:
        case date():
            words = set(_day_words(cell, column.grain))
            whole = column.grain in (Grain.MONTH, Grain.YEAR, None)
            return words if whole else {word for word in words if not LARGER_BUCKET.fullmatch(word)}
        case None:
            en, zh = column.label.en, column.label.zh
            return {f"unknown {en}", f"未知{zh}", f"{zh}未知", "未知", "unknown"}
        case bool():
            return labels
        case str():
            labels |= {cell, column.shown(cell, "en"), column.shown(cell, "zh")}
        case _:
            labels |= {f"{column.label.zh} {cell}", f"{column.label.en} {cell}", f"{column.label.zh}{cell}"}
    return {name for name in labels if len(name) > 1 or name > "\u3400"}


def _day_words(day: date, grain: Grain | None) -> Iterator[str]:
    """Yield how a date or its bucket may be written."""
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        yield bucket_label(day, grain, language)
    name = MONTHS[day.month - 1]
    yield from (f"{day:%Y-%m-%d}", f"{day.year}年{day.month}月{day.day}日", f"{day.month}月{day.day}日")
    yield from (f"{name} {day.day}, {day.year}", f"{name} {day.day}", f"{name[:3]} {day.day}, {day.year}", f"{name[:3]} {day.day}")
    yield from (f"{day.year}年{day.month}月", f"{name} {day.year}", f"{name[:3]} {day.year}", f"{day:%Y-%m}")
    yield from (f"{day.month}月", name, name[:3], f"{day.year}年", f"{day.year}")
    quarter = (day.month + 2) // 3
    if grain is Grain.QUARTER:
        zh = "一二三四"[quarter - 1]
        yield from (f"Q{quarter} {day.year}", f"Q{quarter}", f"第{zh}季度", f"{zh}季度", f"第{quarter}季度", f"{day.year}年{zh}季度")


def _places(phrase: str, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _pattern(phrase).finditer(text)]


def _blank(text: str, phrase: str) -> str:
    return _pattern(phrase).sub(lambda found: MASK * len(found.group()), text)


def _pattern(phrase: str) -> re.Pattern[str]:
    """Return what finds a phrase as a whole: not inside a word, nor inside a number."""
    left = r"(?<![A-Za-z0-9])" if phrase[:1].isascii() and phrase[:1].isalnum() else ""
    right = r"(?![A-Za-z])(?![0-9]|[.,][0-9])" if phrase[-1:].isascii() and phrase[-1:].isalnum() else ""
    flags = re.IGNORECASE if phrase.isascii() and not phrase.isdigit() else 0
    return re.compile(left + re.escape(phrase) + right, flags)


def _stands_in(name: str, text: str) -> bool:
    return bool(re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text)) if name.isascii() else name in text
