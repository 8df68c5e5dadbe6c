"""Owns what a campaign did: its reach and its money, buyers it touched against equals it did not, and its best hours.

The equals are users of the same recent activity, past purchases and channel as of the day before the campaign, in the same days
(strata.py); who was touched was chosen by somebody, so a difference is no proof. The words are campaign_told.py's.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import ClassVar

from sqlglot import exp

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Ratio, Retention
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, Op, Query, Where
from wenshu.semantic_layer.resolver import MOST_METRICS
from wenshu.semantic_layer.table import Cell
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import TIME_PARTS
from wenshu.tools.insight.campaign_design import CampaignDesign, campaign_design, can_be_split
from wenshu.tools.insight.campaign_told import Against, Best, Review, insight_of_campaigns
from wenshu.tools.insight.insight import Inquiry, Insight
from wenshu.tools.insight.key_actions import stratum_dimension
from wenshu.tools.insight.significance import chi_square_tail
from wenshu.tools.insight.strata import Means, standardised
from wenshu.tools.insight.user_statement import AMOUNT, HAPPENED, plain_columns, real, user_rows

AFTER = 7  # days after the last touch in which a purchase counts
RECENT = 30  # days before, for how active a user is
LONGEST = 92  # days of a campaign, beyond which before and after cannot be told apart
FEWEST = 100  # users touched, and as many not, below which nothing is compared
FEWEST_OPENED = 5  # expected a slot, below which hours are not compared
CAMPAIGNS_AT_MOST = 200

COMPARED = """
SELECT u.stratum, least(coalesce(a.days, 0), 6) AS active_days, least((:first - coalesce(a.last_on, u.started_on)) // 30, 6) AS idle, least(coalesce(b.orders, 0), 3) AS orders_before, coalesce(b.recent, 0) AS bought_lately,
    t.user_id IS NOT NULL AS touched, count(*) AS users, avg(coalesce(s.spent, 0)) AS mean, coalesce(var_samp(coalesce(s.spent, 0)), 0) AS variance,
    avg(CAST(s.user_id IS NOT NULL AS INTEGER)) AS bought
FROM all_users AS u
LEFT JOIN touched_users AS t ON t.user_id = u.user_id
LEFT JOIN active_before AS a ON a.user_id = u.user_id
LEFT JOIN bought_before AS b ON b.user_id = u.user_id
LEFT JOIN spent_after AS s ON s.user_id = u.user_id
GROUP BY 1, 2, 3, 4, 5, 6
"""
TOUCHED = "SELECT DISTINCT user_id FROM touch_rows"
ACTIVE = """
SELECT user_id, count(DISTINCT CASE WHEN happened_at >= :since THEN CAST(happened_at AS DATE) END) AS days, CAST(max(happened_at) AS DATE) AS last_on
FROM activity_rows GROUP BY 1
"""
BEFORE = "SELECT user_id, count(*) AS orders, max(CAST(happened_at >= :lately AS INTEGER)) AS recent FROM earlier_orders GROUP BY 1"
SPENT = "SELECT user_id, sum(CAST(amount AS DOUBLE)) AS spent FROM later_orders GROUP BY 1"
USERS = "SELECT user_id, any_value(stratum) AS stratum, CAST(min(happened_at) AS DATE) AS started_on FROM start_rows GROUP BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReview:
    """Ask what a campaign did, or, where none is named, what each of them did. `period` keeps those that started in it."""

    name: ClassVar[str] = "campaign_review"
    label: ClassVar[Text] = Text("Campaign review", "活动复盘")

    campaign: str | None = None
    kind: Where | None = None
    period: DateRange | None = None

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Adding up reach, orders and cost", "汇总触达、订单与成本")
        design = campaign_design(inquiry.model)
        if design is None:
            raise no_campaigns()
        query = self._query(inquiry.model, design)
        table = inquiry.ask(query).table
        campaigns = _named_rows(table.rows)
        if not campaigns:
            raise QueryError(
                "no_such_campaign",
                Text("No campaign fits.", "没有符合条件的活动。"),
                Text("Name a campaign, or a period in which one started.", "请指定活动名称，或有活动开始的时间段。"),
            )
        against: Against | None = None
        best: tuple[Best, ...] = ()
        if len(campaigns) == 1:
            yield Text("Comparing with equals that were not touched", "与未触达的同类用户对比")
            against = _against(inquiry, design, str(campaigns[0][0]))
            yield Text("Looking at hours and weekdays", "查看时段与星期")
            best = tuple(_best(inquiry, design, query.filters))
        else:
            yield Text("Looking at hours and weekdays", "查看时段与星期")
            best = tuple(_best(inquiry, design, query.filters, self.period))
        return insight_of_campaigns(inquiry, Review(design=design, table=table, rows=tuple(campaigns), against=against, best=best, query=query))

    def _query(self, model: Model, design: CampaignDesign) -> Query:
        counted = tuple(m.name for m in (design.orders,) if m is not None)
        names = can_be_split(model, (*design.metrics, *counted), design.campaign.qualified)
        metrics = tuple(name for name in names if not _counts_campaigns(model, design, name) and not _repeats(model, name))[:MOST_METRICS]
        filters = Where(dimension=design.campaign.name, op=Op.EQ, values=(self.campaign,)) if self.campaign else self.kind
        return Query(metrics=metrics, dimensions=(design.campaign.name,), filters=filters, period=self.period, limit=CAMPAIGNS_AT_MOST)


def no_campaigns() -> QueryError:
    return QueryError(
        "no_campaigns",
        Text("This data has no campaigns that say whom they touched.", "这份数据中没有记录触达用户的活动。"),
        Text("Ask about metrics that the data has.", "请询问数据中已有的指标。"),
    )


def _counts_campaigns(model: Model, design: CampaignDesign, name: str) -> bool:
    metric = model.metric(name)
    return isinstance(metric, Aggregate) and metric.dataset == design.campaign.dataset and metric.expr is None


def _repeats(model: Model, name: str) -> bool:
    """Say whether a metric counts the users of rows that another counts one by one, which a review of campaigns does without."""
    metric = model.metric(name)
    return isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT_DISTINCT and metric.where is not None


def _named_rows(rows: Sequence[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    return [row for row in rows if row[0] is not None]


# Against equals ------------------------------------------------------------------------------------------------------


def _against(inquiry: Inquiry, design: CampaignDesign, campaign: str) -> Against | None:
    """Compare the users a campaign touched with equals it did not, in the same days; None where there are no equals."""
    model, rows = inquiry.model, user_rows(inquiry)
    start = _registration(model)
    if design.value is None or start is None:
        return None
    only = Where(dimension=design.campaign.name, op=Op.EQ, values=(campaign,))
    rows.permit(design.value.name, dimensions=(design.campaign.qualified,))
    touches = rows.of(design.touches, HAPPENED, filters=only)
    ends = rows.statement("SELECT CAST(min(happened_at) AS DATE) AS first_on, CAST(max(happened_at) AS DATE) AS last_on, count(DISTINCT user_id) AS users FROM touch_rows", {"touch_rows": touches})
    ((first, last, touched),) = inquiry.select(ends, plain_columns("first_on", "last_on", "users")).table.rows
    if not isinstance(first, date) or not isinstance(last, date) or (last - first).days >= LONGEST or real(touched) < FEWEST:
        return None
    until = min(last + timedelta(days=AFTER), inquiry.as_of)
    before = DateRange(date(1900, 1, 1), first - timedelta(days=1))
    strata = stratum_dimension(inquiry)
    parts = {
        "touch_rows": rows.of(design.touches, {}, filters=only),
        "touched_users": rows.statement(TOUCHED, {}),
        "start_rows": _with_stratum(rows.of(start, HAPPENED, dimensions=(strata,) if strata else (), period=before), strata),
        "all_users": rows.statement(USERS, {}),
        "activity_rows": rows.of(_activity(model, design.value), HAPPENED, period=before),
        "active_before": rows.statement(ACTIVE, {}, since=first - timedelta(days=RECENT)),
        "earlier_orders": rows.of(design.value, HAPPENED, period=before),
        "bought_before": rows.statement(BEFORE, {}, lately=first - timedelta(days=90)),
        "later_orders": rows.of(design.value, AMOUNT, period=DateRange(first, until)),
        "spent_after": rows.statement(SPENT, {}),
    }  # fmt: skip
    names = ("stratum", "active_days", "idle", "orders_before", "bought_lately", "touched", "users", "mean", "variance", "bought")
    table = inquiry.select(rows.statement(COMPARED, parts, first=first), plain_columns(*names)).table
    cells: dict[tuple[Cell, ...], dict[bool, tuple[int, float, float, float]]] = {}
    for *key, was_touched, users, mean, variance, bought in table.rows:
        cells.setdefault(tuple(key), {})[bool(was_touched)] = (int(real(users)), real(mean), real(variance), real(bought))
    spent, bought_share, touched_users, others = [], [], 0, 0
    for cell in cells.values():
        n1, mean1, var1, share1 = cell.get(True, (0, 0.0, 0.0, 0.0))
        n0, mean0, var0, share0 = cell.get(False, (0, 0.0, 0.0, 0.0))
        touched_users, others = touched_users + n1, others + n0
        spent.append(Means(n1, mean1, var1, n0, mean0, var0))
        bought_share.append(Means(n1, share1, share1 * (1 - share1), n0, share0, share0 * (1 - share0)))
    money, orders = standardised(spent), standardised(bought_share)
    if money is None or orders is None or min(touched_users, others) < FEWEST or money.matched < 0.5:
        return None
    return Against(touched=touched_users, others=others, spent=money, bought=orders, period=DateRange(first, until), strata=strata)


def _with_stratum(select: exp.Select, strata: str | None) -> exp.Select:
    if strata is None:
        return select.select(exp.alias_(exp.Literal.string(""), "stratum"), copy=False)
    select.expressions[-1].set("alias", exp.to_identifier("stratum"))
    return select


def _registration(model: Model) -> Aggregate | None:
    """Return the rows that make somebody a user: what retention starts from, else any count of users with a time."""
    starts = [model.metric(m.start) for m in model.metrics if isinstance(m, Retention) and m.first]
    counts = [m for m in model.metrics if isinstance(m, Aggregate) and model.dataset_by_name[m.dataset].entity]
    return next((m for m in (*starts, *counts) if isinstance(m, Aggregate) and model.dataset_by_name[m.dataset].time is not None), None)


def _activity(model: Model, fallback: Aggregate) -> Aggregate:
    """Return the rows that say who was active: what retention comes back to, else purchases."""
    found = next((model.metric(m.back) for m in model.metrics if isinstance(m, Retention) and m.first), fallback)
    return found if isinstance(found, Aggregate) else fallback


# Hours and weekdays --------------------------------------------------------------------------------------------------


def _best(inquiry: Inquiry, design: CampaignDesign, only: Filter | None, period: DateRange | None = None) -> Iterator[Best]:
    """Yield the best hour and weekday to touch users, by clicks (else opens), and those in which users buy most readily."""
    rate, buying = design.metric("click_rate", "open_rate"), _conversion(inquiry.model, design)
    for part in ("hour_of_day", "weekday"):
        if rate is not None:
            yield from _slots(inquiry, rate, part, Query(metrics=(rate,), dimensions=(part,), filters=only, period=period))
    if buying is not None:
        asked = Query(metrics=(buying,), dimensions=("hour_of_day",), period=period)
        yield from (replace(best, of_buying=True) for best in _slots(inquiry, buying, "hour_of_day", asked))


def _conversion(model: Model, design: CampaignDesign) -> str | None:
    """Return the headline's share of users who buy."""
    for name in model.headline:
        metric = model.metric(name)
        if isinstance(metric, Ratio) and metric.unit == "%" and design.value is not None:
            leaves = model.leaves(name)
            if leaves[0].dataset == design.value.dataset and all(leaf.aggregation is Aggregation.COUNT_DISTINCT for leaf in leaves):
                return name
    return None


def _slots(inquiry: Inquiry, name: str, part: str, asked: Query) -> Iterator[Best]:
    """Yield the slot with the best rate, of those with enough to be compared."""
    metric = inquiry.model.metric(name)
    if not isinstance(metric, Ratio):
        return
    parts = (metric.numerator, metric.denominator)
    table = inquiry.ask(replace(asked, metrics=parts)).table
    at = [table.index(metric_column(each)) for each in parts]
    rows = [(int(real(row[0])), real(row[at[0]]), real(row[at[1]])) for row in table.rows if row[0] is not None and real(row[at[1]])]
    got, of = sum(row[1] for row in rows), sum(row[2] for row in rows)
    enough = [row for row in rows if row[2] * got / of >= FEWEST_OPENED] if of else []
    if len(enough) < 2 or got >= of:
        return
    slot, here, users = max(enough, key=lambda row: row[1] / row[2])
    yield Best(
        part=TIME_PARTS[part].label, slot=slot, is_weekday=part == "weekday", rate=here / users, usual=got / of, users=int(users),
        chance=_unlike(enough), metric=name,
    )  # fmt: skip


def _unlike(rows: Sequence[tuple[int, float, float]]) -> float:
    """Return how often chance makes the rates of slots differ so (chi-square of a slots × 2 table)."""
    got, of = sum(row[1] for row in rows), sum(row[2] for row in rows)
    share = got / of
    chi = sum((row[1] - row[2] * share) ** 2 / (row[2] * share * (1 - share)) for row in rows) if 0 < share < 1 else 0.0
    return chi_square_tail(chi, len(rows) - 1)
