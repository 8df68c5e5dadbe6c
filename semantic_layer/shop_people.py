"""Owns who the demo shop's users are: when they register, how long they stay, what reaches them, which tests they are in.

Every value is drawn from a hash of the seed, the draw's name and the row's key, with integer and plain IEEE arithmetic
only, so that the same seed gives the same values on every machine, in any order and in chunks of any size. Knows nothing
of visits or databases; users are counted from 0 here, days and seconds from the first day of the shop.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from wenshu.semantic_layer import shop_catalogue as catalogue
from wenshu.semantic_layer.shop_effects import Effects

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DAY = 86_400
TABLE_BITS = 16
TABLE_SIZE = 1 << TABLE_BITS

# Share of users still around so many days after they registered, before any effect.
SURVIVAL = (
    (0, 1.0), (1, 0.92), (2, 0.77), (3, 0.68), (5, 0.55), (7, 0.47), (10, 0.40), (14, 0.34), (21, 0.27), (30, 0.22),
    (45, 0.17), (60, 0.142), (90, 0.108), (120, 0.088), (180, 0.065), (270, 0.046), (365, 0.034), (540, 0.022), (720, 0.015),
)  # fmt: skip
ACTIVITY = ((0.0, 0.06), (0.1, 0.16), (0.25, 0.29), (0.5, 0.45), (0.75, 0.60), (0.9, 0.73), (1.0, 0.88))
APPETITE = ((0.0, 0.006), (0.25, 0.032), (0.5, 0.06), (0.75, 0.10), (0.9, 0.15), (0.97, 0.23), (1.0, 0.35))
HOURS = (14, 8, 5, 3, 3, 5, 12, 24, 36, 44, 50, 52, 58, 54, 48, 46, 50, 54, 58, 66, 78, 84, 70, 38)


def day_number(day: date) -> int:
    """Return the days from the shop's first day to `day`."""
    return (day - catalogue.FIRST_DAY).days


def weighted(weights: Sequence[float]) -> Ints:
    """Return a table in which index i fills a part proportional to the weight i."""
    edges = [round(TABLE_SIZE * share / sum(weights)) for share in accumulate(weights)]
    return np.repeat(np.arange(len(weights)), np.diff(np.array([0, *edges])))


def quantiles(points: Sequence[tuple[float, float]]) -> Floats:
    """Return a table of a distribution's values at equal steps, from its (share, value) points."""
    table = []
    for (low, first), (high, last) in pairwise(points):
        steps = round(high * TABLE_SIZE) - round(low * TABLE_SIZE)
        table += [round(first + (last - first) * (step + 0.5) / steps, 6) for step in range(steps)]
    return np.array(table)


class Draws:
    """Draw values that depend on the seed, the name of the draw and the key alone.

    >>> Draws(7).unit("example", np.arange(2)).round(3).tolist()
    [0.827, 0.787]
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def bits(self, name: str, key: Ints) -> NDArray[np.uint64]:
        """Return 64 random bits a key: the splitmix64 finalizer of the key, salted with seed and name."""
        salt = int.from_bytes(hashlib.sha256(f"{self.seed}:{name}".encode()).digest()[:8], "big")
        mixed = key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed ^= mixed >> np.uint64(shift)
            mixed *= np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))

    def unit(self, name: str, key: Ints) -> Floats:
        """Return a number in [0, 1) a key."""
        return (self.bits(name, key) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, name: str, key: Ints, limit: Ints | int) -> Ints:
        """Return a whole number in [0, limit) a key."""
        return (self.unit(name, key) * limit).astype(np.int64)

    def place(self, name: str, key: Ints) -> Ints:
        """Return a place in a table of `weighted` or `quantiles` a key."""
        return (self.bits(name, key) >> np.uint64(64 - TABLE_BITS)).astype(np.int64)

    def time_of_day(self, name: str, key: Ints, hours: Ints) -> Ints:
        """Return a second of the day a key, its hour after a `weighted` table of hours."""
        return hours[self.place(f"{name} hour", key)] * 3600 + self.below(f"{name} second", key, 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Hold one array a trait of all users, ordered by registration. A life is a span of days; most users have only one."""

    key: Ints
    registered: Ints  # second since the shop opened
    day: Ints
    first_end: Ints
    second_start: Ints
    second_end: Ints
    activity: Floats
    appetite: Floats
    onboarded: Flags
    channel: Ints
    city: Ints
    device: Ints
    gender: Ints
    birth_year: Ints
    referrer: Ints  # user number + 1, 0 for none
    version_lag: Ints

    def around(self, day: Ints) -> Flags:
        """Return whether each user is in one of the two lives on the user's `day`."""
        first = (day >= self.day) & (day <= self.first_end)
        return first | ((day >= self.second_start) & (day <= self.second_end))


def sale_days() -> Iterator[tuple[int, float]]:
    """Yield the days around 06-18 and 11-11 with the strength of the sale on each, 1 at its peak."""
    for peak in (date(2025, 6, 18), date(2025, 11, 11), date(2026, 6, 18)):
        for offset, strength in ((-3, 0.15), (-2, 0.25), (-1, 0.5), (0, 1.0), (1, 0.35), (2, 0.15)):
            yield day_number(peak) + offset, strength


def weekend(day: int) -> bool:
    """Return whether the shop's day number is a Saturday or Sunday."""
    return (catalogue.FIRST_DAY.weekday() + day) % 7 >= 5


def registration_times(users: int, draws: Draws) -> Ints:
    """Return ascending seconds: registrations grow until mid-2026, rise at weekends and sales and jump on opening day."""
    growth = [0.5 + 0.9 * min(1.0, day / 540) for day in range(catalogue.DAYS)]
    growth = [weight * (1.15 if weekend(day) else 1.0) for day, weight in enumerate(growth)]
    growth[0] *= 4
    for day, strength in sale_days():
        growth[day] *= 1 + 0.6 * strength
    hours = np.array([round(weight * 1000) * hour for weight in growth for hour in HOURS])
    ends = np.cumsum(hours)
    position = (np.arange(users) + draws.unit("registration", np.arange(users))) / users * float(ends[-1])
    hour = np.minimum(np.searchsorted(ends, position, side="right"), len(hours) - 1)
    part = (position - (ends - hours)[hour]) / hours[hour]
    seconds: Ints = (hour * 3600 + np.clip(part * 3600, 0, 3599)).astype(np.int64)
    return seconds


def lifetime(chance: Floats) -> Ints:
    """Return for each `chance` in (0, 1) how many days the user stays, after SURVIVAL; 1 and over stay none."""
    shares: list[float] = []
    for (low, first), (high, last) in pairwise(SURVIVAL):
        shares += [first + (last - first) * (day - low) / (high - low) for day in range(low, high)]
    shorter = np.searchsorted(np.array(shares[::-1]), chance, side="left")
    return np.maximum(len(shares) - 1 - shorter, 0).astype(np.int64)


def people(users: int, draws: Draws, effects: Effects) -> People:
    """Return all users of the shop."""
    key = np.arange(users, dtype=np.int64)
    registered = registration_times(users, draws)
    day = registered // DAY
    channel = weighted(catalogue.CHANNEL_WEIGHTS)[draws.place("channel", key)]
    referral = catalogue.CHANNELS.index("referral")
    channel[:1] = 0
    devices = np.stack([weighted(catalogue.DEVICE_WEIGHTS), weighted(catalogue.APPSTORE_DEVICE_WEIGHTS)])
    device = devices[(channel == catalogue.CHANNELS.index("appstore")).astype(np.int64), draws.place("device", key)]
    onboarded = draws.unit("onboarded", key) < 0.38

    survival = np.array([dict(effects.channel_survival)[name] for name in catalogue.CHANNELS])[channel]
    survival = survival * np.where(onboarded, effects.onboarded_survival, effects.unonboarded_survival)
    first, last = (day_number(edge) for edge in catalogue.BROKEN_DAYS)
    broken = (device == catalogue.DEVICES.index("android")) & (day >= first) & (day <= last)
    survival = survival * np.where(broken, effects.broken_release_survival, 1.0)
    first_end = day + lifetime(draws.unit("first life", key) / survival)
    second_start = first_end + 31 + draws.below("comeback", key, 170)
    second_end = second_start + lifetime(draws.unit("second life", key))
    never = draws.unit("comes back", key) >= 0.12
    second_start[never] = catalogue.DAYS
    second_end[never] = catalogue.DAYS

    spread = [
        (year, weight / (last - first + 1))
        for first, last, weight in catalogue.AGE_WEIGHTS
        for year in range(first, last + 1)
    ]
    years, year_weights = zip(*spread, strict=True)
    birth_year = np.array(years)[weighted(year_weights)[draws.place("birth", key)]]
    return People(
        key=key,
        registered=registered,
        day=day,
        first_end=first_end,
        second_start=second_start,
        second_end=second_end,
        activity=quantiles(ACTIVITY)[draws.place("activity", key)],
        appetite=quantiles(APPETITE)[draws.place("appetite", key)],
        onboarded=onboarded,
        channel=channel,
        city=weighted([weight for _, _, weight in catalogue.CITIES])[draws.place("city", key)],
        device=device,
        gender=weighted(catalogue.GENDER_WEIGHTS)[draws.place("gender", key)],
        birth_year=np.where(draws.unit("birth known", key) < 0.99, birth_year, 0),
        referrer=np.where(channel == referral, draws.below("referrer", key, key) + 1, 0),
        version_lag=draws.below("version lag", key, 15),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """Hold the touches of one campaign, in order of time."""

    campaign: int
    user: Ints
    second: Ints
    opened: Flags
    clicked: Flags


def touches(crowd: People, draws: Draws, campaign: int) -> Touches:
    """Return whom the campaign (its place in the catalogue) reached and when, always after the day of registration."""
    plan = catalogue.CAMPAIGNS[campaign]
    name = f"campaign {campaign}"
    start, end = day_number(plan.start), min(day_number(plan.end), catalogue.DAYS - 1)
    day = start + draws.below(f"{name} day", crowd.key, end - start + 1)
    if plan.reaches == "new":
        day = crowd.day + 1
    reached = draws.unit(f"{name} reached", crowd.key) < plan.share
    reached &= (day > crowd.day) & (day >= start) & (day <= end)
    if plan.reaches == "alive":
        reached &= crowd.around(day)
    elif plan.reaches == "dormant":
        reached &= (day > crowd.first_end + 30) & ~crowd.around(day)
    user = np.flatnonzero(reached)
    daytime = weighted([hour if 9 <= number <= 20 else 0 for number, hour in enumerate(HOURS)])
    second = day[user] * DAY + draws.time_of_day(name, user, daytime)
    order = np.argsort(second, kind="stable")
    user, second = user[order], second[order]
    opens, clicks = plan.rates
    opened = draws.unit(f"{name} opened", user) < opens
    clicked = opened & (draws.unit(f"{name} clicked", user) < clicks)
    return Touches(campaign=campaign, user=user, second=second, opened=opened, clicked=clicked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignments:
    """Hold who is in one experiment, in order of time; `treated` says in which of its two variants."""

    experiment: int
    user: Ints
    second: Ints
    treated: Flags


def assignments(crowd: People, draws: Draws, effects: Effects, experiment: int) -> Assignments:
    """Return the users in the experiment: newcomers as they register, earlier ones in its first week."""
    plan = catalogue.EXPERIMENTS[experiment]
    name = f"experiment {experiment}"
    start, end = day_number(plan.start), day_number(plan.end)
    first_week = start * DAY + draws.below(f"{name} time", crowd.key, 7 * DAY)
    second = np.where(crowd.day >= start, crowd.registered, first_week)
    chosen = (draws.unit(f"{name} chosen", crowd.key) < plan.share) & (crowd.day <= end)
    chosen &= crowd.day >= start if plan.newcomers_only else crowd.around(second // DAY)
    treated = draws.unit(f"{name} variant", crowd.key) < 0.5
    if plan.name == catalogue.UNEVEN_EXPERIMENT:
        android = crowd.device == catalogue.DEVICES.index("android")
        chosen &= ~(treated & android & (draws.unit(f"{name} lost", crowd.key) < effects.lost_assignment_share))
    user = np.flatnonzero(chosen)
    user = user[np.argsort(second[user], kind="stable")]
    return Assignments(experiment=experiment, user=user, second=second[user], treated=treated[user])
