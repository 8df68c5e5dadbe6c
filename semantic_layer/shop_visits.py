"""Owns what the demo shop's users do: when they visit, what they look at, what they buy.

Works through spans of whole days in order, so that a shop of any size is made in bounded memory and sorted by time.
Knows nothing of databases; shop_rows turns the sessions into the rows of tables.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from wenshu.semantic_layer import shop_catalogue as catalogue
from wenshu.semantic_layer.shop_effects import Effects
from wenshu.semantic_layer.shop_people import (
    DAY,
    HOURS,
    Assignments,
    Draws,
    Flags,
    Floats,
    Ints,
    People,
    Touches,
    day_number,
    sale_days,
    weekend,
    weighted,
)

SLOTS = (
    "sign_up", "push_open", "app_open", "search", "view_product", "add_to_cart", "view_product", "add_to_cart",
    "view_product", "add_to_cart", "share", "checkout", "pay", "write_review",
)  # fmt: skip
SIGN_UP, PUSH_OPEN, APP_OPEN, SEARCH, SHARE, CHECKOUT, PAY, REVIEW = 0, 1, 2, 3, 10, 11, 12, 13
VIEWS, CARTS = (4, 6, 8), (5, 7, 9)
FIRST, AGAIN, FOLLOW_UP, WRITE, CAMPAIGN = 0, 1, 2, 3, 8  # why a visit happens; CAMPAIGN + n: for the campaign at n
NO_ORDER, PAID, REFUNDED, CANCELLED, PENDING = -1, 0, 1, 2, 3
WEB = catalogue.DEVICES.index("web")

VISIT = np.dtype([(name, np.int64) for name in ("user", "day", "second", "why", "product")])
SESSION = np.dtype(
    [(name, np.int64) for name in ("user", "day", "start", "why", "key", "platform", "version", "lines", "status")]
    + [("happens", np.bool_, len(SLOTS)), ("times", np.int64, len(SLOTS)), ("products", np.int64, 3)]
)
Visits = NDArray[np.void]
Sessions = NDArray[np.void]


def _visits(user: Ints, day: Ints, second: Ints, why: Ints | int, product: Ints | int = 0) -> Visits:
    made: Visits = np.empty(len(user), dtype=VISIT)
    made["user"], made["day"], made["second"], made["why"], made["product"] = user, day, second, why, product
    return made


def _key(user: Ints, day: Ints, why: Ints | int) -> Ints:
    return ((user << 10 | day) << 6) | why


def _due(later: Visits, why: int, last: int) -> Visits:
    """Return the visits for the reason `why` that fall due by day `last`, at most one a day for each user."""
    due = later[(later["why"] == why) & (later["day"] <= last)]
    key = _key(due["user"], due["day"], due["why"])
    order = np.lexsort((due["product"], key))
    _, once = np.unique(key[order], return_index=True)
    chosen: Visits = due[order[once]]
    return chosen


def _versions() -> NDArray[np.int64]:
    """Return the newest release by device and day."""
    released = np.zeros((len(catalogue.DEVICES), catalogue.DAYS), dtype=np.int64)
    for device, name in enumerate(catalogue.DEVICES):
        for code, (version, day) in enumerate(catalogue.RELEASES.items()):
            if version != catalogue.BROKEN_RELEASE or name == "android":
                released[device, day_number(date.fromisoformat(day)) :] = code
    released[WEB] = catalogue.VERSIONS.index("web")
    return released


class Visitors:
    """Let the users of the shop visit it, span by span of days."""

    def __init__(
        self,
        crowd: People,
        draws: Draws,
        effects: Effects,
        campaigns: Sequence[Touches],
        experiments: Sequence[Assignments],
    ) -> None:
        self.crowd, self.draws, self.effects = crowd, draws, effects
        self.hours = weighted(HOURS)
        self.versions = _versions()
        self.goods = catalogue.products()
        categories = list(catalogue.GOODS)
        self.category = np.array([categories.index(good.category) for good in self.goods])
        self.clicks = self._clicks(campaigns)
        self.tastes = np.stack(
            [
                weighted([good.popularity * taste[categories.index(good.category)] for good in self.goods])
                for taste in catalogue.TASTES
            ]
        )
        self.day_activity, self.day_buying = self._calendar()
        self.hour_buying = np.array([effects.afternoon_buying if hour in (16, 17) else 1.0 for hour in range(24)])
        self.response = np.ones(CAMPAIGN + len(catalogue.CAMPAIGNS))
        names = [campaign.name for campaign in catalogue.CAMPAIGNS]
        self.response[CAMPAIGN + names.index(catalogue.PAYING_CAMPAIGN)] = effects.paying_campaign_buying
        self.response[CAMPAIGN + names.index(catalogue.WASTED_CAMPAIGN)] = effects.wasted_campaign_buying
        self.pushes = np.zeros(len(self.response), dtype=np.bool_)
        self.pushes[CAMPAIGN:] = [campaign.kind == "push" for campaign in catalogue.CAMPAIGNS]
        self.pair = [[good.name for good in self.goods].index(name) for name in catalogue.PAIR]
        self.lift_start, self.lift_end = self._lifted(experiments)

    def _clicks(self, campaigns: Sequence[Touches]) -> Visits:
        parts = []
        for touched in campaigns:
            user, second = touched.user[touched.clicked], touched.second[touched.clicked]
            pause = 60 + self.draws.below(f"campaign {touched.campaign} pause", user, 3 * 3600)
            arrival = np.minimum(second % DAY + pause, DAY - 1)
            parts.append(_visits(user, second // DAY, arrival, CAMPAIGN + touched.campaign))
        clicks = np.concatenate(parts)
        return clicks[np.argsort(clicks["day"], kind="stable")]

    def _calendar(self) -> tuple[Floats, Floats]:
        activity = np.array([1.08 if weekend(day) else 0.97 for day in range(catalogue.DAYS)])
        buying = np.array([1.06 if weekend(day) else 0.98 for day in range(catalogue.DAYS)])
        for day in range(catalogue.DAYS):
            if (catalogue.FIRST_DAY + timedelta(days=day)).month == 10:
                buying[day] *= 0.94  # people wait for 11-11
        for day, strength in sale_days():
            activity[day] *= 1 + (self.effects.sale_day_activity - 1) * strength
            buying[day] *= 1 + (self.effects.sale_day_buying - 1) * strength
        return activity, buying

    def _lifted(self, experiments: Sequence[Assignments]) -> tuple[Ints, Ints]:
        """Return the days from which and to which each user buys again more often, none for most."""
        start, end = np.full(len(self.crowd.key), catalogue.DAYS), np.full(len(self.crowd.key), -1)
        for assigned in experiments:
            plan = catalogue.EXPERIMENTS[assigned.experiment]
            if plan.name == catalogue.LIFTED_EXPERIMENT:
                treated = assigned.user[assigned.treated]
                start[treated] = assigned.second[assigned.treated] // DAY
                end[treated] = day_number(plan.end) + 45
        return start, end

    def spans(self, width: int) -> Iterator[tuple[int, Sessions]]:
        """Yield the shop's days in order, `width` at a time: how many are done, and the sessions in order of time.

        The sessions are the same whatever the `width`.
        """
        later = np.empty(0, dtype=VISIT)
        for first in range(0, catalogue.DAYS, width):
            last = min(first + width, catalogue.DAYS) - 1
            clicked = slice(*np.searchsorted(self.clicks["day"], [first, last + 1]))
            shopping = self._sessions(np.concatenate([self._own_visits(first, last), self.clicks[clicked]]))
            later = np.concatenate([later, self._follow_ups(shopping)])
            followed = self._sessions(_due(later, FOLLOW_UP, last))
            later = np.concatenate([later, self._writings(shopping), self._writings(followed)])
            written = self._sessions(_due(later, WRITE, last))
            later = later[later["day"] > last]
            sessions = np.concatenate([shopping, followed, written])
            yield last + 1, sessions[np.lexsort((sessions["key"], sessions["start"]))]

    def _own_visits(self, first: int, last: int) -> Visits:
        """Return the visits that users make of their own accord from day `first` to `last`."""
        crowd, draws = self.crowd, self.draws
        parts = []
        for starts, ends in ((crowd.day, crowd.first_end), (crowd.second_start, crowd.second_end)):
            there = np.flatnonzero((starts <= last) & (ends >= first))
            days = np.arange(first, last + 1)
            row, column = np.nonzero((days >= starts[there, None]) & (days <= ends[there, None]))
            user, day = there[row], days[column]
            registers = day == crowd.day[user]
            chance = np.minimum(crowd.activity[user] * self.day_activity[day], 0.97)
            active = registers | (draws.unit("active", _key(user, day, FIRST)) < chance)
            user, day, registers = user[active], day[active], registers[active]
            key = _key(user, day, FIRST)
            second = np.where(registers, crowd.registered[user] % DAY, draws.time_of_day("visit", key, self.hours))
            parts.append(_visits(user, day, second, FIRST))
            again = ~registers & (draws.unit("again", key) < 0.15)
            user, day, key = user[again], day[again], key[again]
            parts.append(_visits(user, day, draws.time_of_day("second visit", key, self.hours), AGAIN))
        return np.concatenate(parts)

    def _sessions(self, visits: Visits) -> Sessions:
        """Return what happens in the visits."""
        user, day, why = visits["user"], visits["day"], visits["why"]
        key = _key(user, day, why)
        made: Sessions = np.zeros(len(visits), dtype=SESSION)
        made["user"], made["day"], made["why"], made["key"] = user, day, why, key
        made["start"] = day * DAY + visits["second"]
        device = self.crowd.device[user]
        made["platform"] = np.where(self.draws.unit("on the web", key) < 0.06, WEB, device)
        installed = np.maximum(self.crowd.day[user], day - self.crowd.version_lag[user])
        made["version"] = self.versions[made["platform"], installed]
        self._shop(made, visits["second"] // 3600)
        written = made["why"] == WRITE
        made["happens"][written, SEARCH : PAY + 1] = False
        made["happens"][written, REVIEW] = True
        made["status"][written] = NO_ORDER
        made["products"][written, 0] = visits["product"][written]
        made["times"] = self._times(made, visits["second"])
        return made

    def _chance(self, name: str, made: Sessions, share: Floats | float) -> Flags:
        return self.draws.unit(name, made["key"]) < share

    def _basket(self, made: Sessions, hour: Ints) -> Flags:
        """Fill in up to three products a session, of which so many lines are bought; return who means to buy them."""
        user, day, why = made["user"], made["day"], made["why"]
        gender, count = self.crowd.gender[user], len(self.goods)
        first, second, third = (self.tastes[gender, self.draws.place(f"product {n}", made["key"])] for n in (1, 2, 3))
        appetite = self.crowd.appetite[user] * self.day_buying[day] * self.hour_buying[hour] * self.response[why]
        short = self._chance("short", made, self.effects.shortage_share)
        buys = self._chance("buys", made, np.minimum(appetite, 0.9)) | (why == FOLLOW_UP)
        buys &= ~(short & self._short(user, day, first))

        machine, capsules = self.pair
        paired = buys & (first == machine) & self._chance("pair", made, self.effects.pair_share)
        second = np.where(paired, capsules, second)
        second = np.where(second == first, (second + 1) % count, second)
        for _ in range(2):
            third = np.where((third == first) | (third == second), (third + 1) % count, third)
        lines = 1 + weighted((62, 26, 12))[self.draws.place("lines", made["key"])]
        lines = np.where(paired, np.maximum(lines, 2), lines)
        lines = np.where((why == FIRST) & (day == self.crowd.day[user]) & ~self.crowd.onboarded[user], 1, lines)
        lines = np.where(short & self._short(user, day, third), np.minimum(lines, 2), lines)
        lines = np.where(short & self._short(user, day, second), 1, lines)
        made["products"] = np.stack([first, second, third], axis=1) + 1
        made["lines"] = np.where(buys, lines, 1)
        wanted: Flags = buys
        return wanted

    def _shop(self, made: Sessions, hour: Ints) -> None:
        """Fill in what happens in each session and how its order ends, if there is one."""
        user, why = made["user"], made["why"]
        buys = self._basket(made, hour)
        two, three = buys & (made["lines"] >= 2), buys & (made["lines"] >= 3)
        registers = (why == FIRST) & (made["day"] == self.crowd.day[user])
        onboarded, hesitant = registers & self.crowd.onboarded[user], registers & ~self.crowd.onboarded[user]
        happens = made["happens"]
        happens[:, SIGN_UP] = registers
        happens[:, PUSH_OPEN] = self.pushes[why]
        happens[:, APP_OPEN] = True
        happens[:, SEARCH] = (self._chance("search", made, 0.36) | onboarded) & ~hesitant
        views = buys | onboarded | self._chance("view 1", made, 0.70)
        happens[:, VIEWS[0]] = views
        happens[:, VIEWS[1]] = two | onboarded | (views & ~hesitant & self._chance("view 2", made, 0.34))
        happens[:, VIEWS[2]] = three | (happens[:, VIEWS[1]] & self._chance("view 3", made, 0.30))
        carts = buys | (views & self._chance("cart", made, 0.15))
        happens[:, CARTS[0]], happens[:, CARTS[1]], happens[:, CARTS[2]] = carts, two, three
        happens[:, SHARE] = views & self._chance("share", made, 0.04)
        checks_out = buys | (carts & self._chance("checkout", made, 0.15))
        happens[:, CHECKOUT] = checks_out
        pays = buys & (self._chance("pays", made, 0.9) | (why == FOLLOW_UP))
        happens[:, PAY] = pays

        clothes = self.category[made["products"][:, 0] - 1] == list(catalogue.GOODS).index("服饰鞋包")
        settled = np.where(self._chance("refund", made, np.where(clothes, 0.075, 0.038)), REFUNDED, PAID)
        fate = self.draws.unit("unpaid", made["key"])
        unpaid = np.where(fate < 0.30, CANCELLED, np.where(fate < 0.35, PENDING, NO_ORDER))
        made["status"] = np.where(pays, settled, np.where(checks_out, unpaid, NO_ORDER))

    def _short(self, user: Ints, day: Ints, product: Ints) -> Flags:
        """Return where the planted shortage keeps a user from buying."""
        cities = [place for place, (city, _, _) in enumerate(catalogue.CITIES) if city in catalogue.SHORTAGE_CITIES]
        first, last = (day_number(edge) for edge in catalogue.SHORTAGE_DAYS)
        category = list(catalogue.GOODS).index(catalogue.SHORTAGE_CATEGORY)
        there = np.isin(self.crowd.city[user], cities) & (day >= first) & (day <= last)
        short: Flags = there & (self.category[product] == category)
        return short

    def _times(self, made: Sessions, second: Ints) -> Ints:
        """Return when each slot happens: some seconds after the one before, and before midnight."""
        low, high = self.draws.bits("pauses 1", made["key"]), self.draws.bits("pauses 2", made["key"])
        fields = [(low >> np.uint64(6 * n)) & np.uint64(63) for n in range(10)]
        fields += [(high >> np.uint64(6 * n)) & np.uint64(63) for n in range(len(SLOTS) - 1 - 10)]
        pauses = np.stack([4 + 2 * field.astype(np.int64) for field in fields], axis=1)
        pauses *= made["happens"][:, 1:]
        pauses[:, 0] = 0
        pauses[:, 1] *= made["happens"][:, SIGN_UP] | made["happens"][:, PUSH_OPEN]
        elapsed = np.concatenate([np.zeros((len(made), 1), dtype=np.int64), np.cumsum(pauses, axis=1)], axis=1)
        left, longest = DAY - 1 - second, elapsed[:, -1]
        squeezed = longest > left
        elapsed[squeezed] = elapsed[squeezed] * left[squeezed, None] // longest[squeezed, None]
        times: Ints = made["start"][:, None] + elapsed
        return times

    def _follow_ups(self, made: Sessions) -> Visits:
        """Return the visits of those who come back to buy again within a week."""
        paid = made[(made["status"] == PAID) | (made["status"] == REFUNDED)]
        user, day = paid["user"], paid["day"]
        lifted = (day >= self.lift_start[user]) & (day <= self.lift_end[user])
        share = 0.07 + np.where(lifted, self.effects.lifted_repurchase_share, 0.0)
        day = day + 1 + self.draws.below("days to buy again", paid["key"], 6)
        chosen = (self.draws.unit("buy again", paid["key"]) < share) & (day < catalogue.DAYS)
        return self._return(paid[chosen], day[chosen], FOLLOW_UP)

    def _writings(self, made: Sessions) -> Visits:
        """Return the visits of those who come back to review what they bought first in an order."""
        paid = made[(made["status"] == PAID) | (made["status"] == REFUNDED)]
        day = paid["day"] + 2 + self.draws.below("days to review", paid["key"], 11)
        chosen = (self.draws.unit("review", paid["key"]) < 0.20) & (day < catalogue.DAYS)
        return self._return(paid[chosen], day[chosen], WRITE)

    def _return(self, made: Sessions, day: Ints, why: int) -> Visits:
        second = self.draws.time_of_day("return", _key(made["user"], day, why), self.hours)
        return _visits(made["user"], day, second, why, made["products"][:, 0])
