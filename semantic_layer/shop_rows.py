"""Owns the rows that the demo shop's sessions leave in its tables: events, orders, their items and reviews.

Hands on one array a column, words as codes for the lists of shop_catalogue, money in fen, 0 for a missing id. Knows
nothing of databases or of why things happen.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wenshu.semantic_layer import shop_catalogue as catalogue
from wenshu.semantic_layer.shop_effects import Effects
from wenshu.semantic_layer.shop_people import Draws, Ints, day_number, weighted
from wenshu.semantic_layer.shop_visits import CAMPAIGN, CHECKOUT, NO_ORDER, PAID, PAY, REFUNDED, REVIEW, SLOTS, Sessions

Rows = Mapping[str, NDArray[Any]]

EVENT_OF_SLOT = np.array([catalogue.EVENTS.index(name) for name in SLOTS])
LINE_OF_SLOT = np.array([3, 3, 3, 3, 0, 0, 1, 1, 2, 2, 0, 3, 3, 0])  # 3: no product
PRICE_PERCENTS = np.array([100, 95, 90, 88])
COUPON_PERCENTS = np.array([5, 8, 10, 15])
COUPONS = 24  # those of no campaign
CAMPAIGN_COUPON = 1000  # + campaign_id: the coupon of that campaign


class Ledger:
    """Turn sessions, handed in in order of time, into numbered rows."""

    def __init__(self, draws: Draws, effects: Effects) -> None:
        self.draws, self.effects = draws, effects
        self.goods = catalogue.products()
        self.prices = np.array([good.list_price for good in self.goods])
        self.unhappy = np.array([good.brand == catalogue.UNHAPPY_BRAND for good in self.goods]) & effects.unhappy_brand
        self.written = {"events": 0, "sessions": 0, "orders": 0, "reviews": 0}

    def _number(self, what: str, count: int) -> Ints:
        start = self.written[what]
        self.written[what] += count
        return np.arange(start + 1, start + count + 1)

    def rows(self, made: Sessions) -> dict[str, Rows]:
        """Return the rows of each table that the sessions fill, in order of time."""
        return {"events": self._events(made), **self._orders(made), "reviews": self._reviews(made)}

    def _events(self, made: Sessions) -> Rows:
        session = self._number("sessions", len(made))
        row, slot = np.nonzero(made["happens"])
        time = made["times"][row, slot]
        order = np.argsort(time, kind="stable")
        row, slot, time = row[order], slot[order], time[order]
        products = np.concatenate([made["products"], np.zeros((len(made), 1), dtype=np.int64)], axis=1)
        return {
            "event_id": self._number("events", len(row)),
            "user_id": made["user"][row] + 1,
            "event_time": time,
            "event_name": EVENT_OF_SLOT[slot],
            "session_id": session[row],
            "platform": made["platform"][row],
            "app_version": made["version"][row],
            "product_id": products[row, LINE_OF_SLOT[slot]],
            "campaign_id": np.maximum(made["why"] - CAMPAIGN + 1, 0)[row],
        }

    def _orders(self, made: Sessions) -> dict[str, Rows]:
        made = made[made["status"] != NO_ORDER]
        made = made[np.argsort(made["times"][:, CHECKOUT], kind="stable")]
        order_id = self._number("orders", len(made))
        key, day, campaign = made["key"], made["day"], np.maximum(made["why"] - CAMPAIGN + 1, 0)

        order, line = np.nonzero(np.arange(3) < made["lines"][:, None])
        product = made["products"][order, line]
        item = key[order] * 4 + line  # keys of visits leave the lowest two bits of their last part to the line
        week = product * 1024 + day[order] // 7
        percent = PRICE_PERCENTS[weighted((60, 18, 14, 8))[self.draws.place("price", week)]]
        price = self.prices[product - 1] * percent // 100
        several = 1 + weighted((80, 14, 6))[self.draws.place("quantity", item)]
        quantity = np.where(price < 30_000, several, 1)
        total = np.zeros(len(made), dtype=np.int64)
        np.add.at(total, order, quantity * price)

        given = np.array([plan.kind == "coupon" for plan in catalogue.CAMPAIGNS])[campaign - 1] & (campaign > 0)
        found = self.draws.unit("coupon", key) < 0.22
        own = 1 + self.draws.below("which coupon", key, COUPONS)
        coupon = np.where(given, CAMPAIGN_COUPON + campaign, np.where(found, own, 0))
        cut = COUPON_PERCENTS[weighted((40, 30, 20, 10))[self.draws.place("coupon value", coupon)]]
        discount = np.where(coupon > 0, total * cut // 1000 * 10, 0)
        paid = (made["status"] == PAID) | (made["status"] == REFUNDED)
        orders = {
            "order_id": order_id,
            "user_id": made["user"] + 1,
            "ordered_at": made["times"][:, CHECKOUT],
            "paid_at": np.where(paid, made["times"][:, PAY], -1),
            "status": made["status"],
            "amount": total - discount,
            "discount": discount,
            "coupon_id": coupon,
            "campaign_id": campaign,
            "platform": made["platform"],
        }
        items = {"order_id": order_id[order], "product_id": product, "quantity": quantity, "unit_price": price}
        return {"orders": orders, "order_items": items}

    def _reviews(self, made: Sessions) -> Rows:
        made = made[made["happens"][:, REVIEW]]
        made = made[np.argsort(made["times"][:, REVIEW], kind="stable")]
        key, product = made["key"], made["products"][:, 0]
        unhappy = self.unhappy[product - 1] & (made["day"] >= day_number(catalogue.UNHAPPY_SINCE))
        ratings = np.stack([weighted(catalogue.RATING_WEIGHTS), weighted(catalogue.UNHAPPY_RATING_WEIGHTS)])
        rating = ratings[unhappy.astype(np.int64), self.draws.place("rating", key)]
        texts = len(catalogue.REVIEW_TEXTS[0])
        return {
            "review_id": self._number("reviews", len(made)),
            "user_id": made["user"] + 1,
            "product_id": product,
            "rating": rating + 1,
            "content": rating * texts + self.draws.below("text", key, texts),
            "created_at": made["times"][:, REVIEW],
        }
