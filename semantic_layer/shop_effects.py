"""Owns the sizes of the effects planted in the demo shop, so that analyses of it have a true answer.

Knows no data: shop_people and shop_visits apply the sizes, docs/demo-data.md tells them to readers.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Hold one size for each effect; survival factors multiply the share of users still around on any later day.

    The shares are probabilities of the rule they name, the other factors multiply a visit's chance to end in an order.
    """

    channel_survival: tuple[tuple[str, float], ...] = (
        ("organic", 1.20),
        ("douyin", 0.85),
        ("wechat", 1.00),
        ("baidu", 0.55),
        ("appstore", 1.05),
        ("referral", 1.45),
    )
    onboarded_survival: float = 1.50
    unonboarded_survival: float = 0.62
    broken_release_survival: float = 0.35
    sale_day_activity: float = 1.6
    sale_day_buying: float = 2.6
    afternoon_buying: float = 1.8
    shortage_share: float = 0.95
    pair_share: float = 0.60
    paying_campaign_buying: float = 4.0
    wasted_campaign_buying: float = 0.1
    lifted_repurchase_share: float = 0.14
    lost_assignment_share: float = 0.40
    unhappy_brand: bool = True


PLANTED = Effects()
NONE = replace(
    PLANTED,
    channel_survival=tuple((channel, 1.0) for channel, _ in PLANTED.channel_survival),
    onboarded_survival=1.0,
    unonboarded_survival=1.0,
    broken_release_survival=1.0,
    sale_day_activity=1.0,
    sale_day_buying=1.0,
    afternoon_buying=1.0,
    shortage_share=0.0,
    pair_share=0.0,
    paying_campaign_buying=1.0,
    wasted_campaign_buying=1.0,
    lifted_repurchase_share=0.0,
    lost_assignment_share=0.0,
    unhappy_brand=False,
)
