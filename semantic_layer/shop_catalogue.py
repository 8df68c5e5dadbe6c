"""Owns what the demo shop sells, where and when: products, cities, campaigns, experiments, app releases, review texts.

Everything is invented. Knows nothing of users, visits or databases; the sizes of planted effects are in shop_effects.
"""

from dataclasses import dataclass
from datetime import date

FIRST_DAY = date(2025, 1, 1)
LAST_DAY = date(2026, 10, 31)
DAYS = (LAST_DAY - FIRST_DAY).days + 1

CHANNELS = ("organic", "douyin", "wechat", "baidu", "appstore", "referral")
CHANNEL_WEIGHTS = (23, 26, 20, 12, 10, 9)
DEVICES = ("ios", "android", "web")
DEVICE_WEIGHTS = (32, 57, 11)
APPSTORE_DEVICE_WEIGHTS = (96, 0, 4)
GENDERS = ("F", "M", None)
GENDER_WEIGHTS = (54, 45, 1)
AGE_WEIGHTS = ((2009, 2012, 3), (2002, 2008, 24), (1992, 2001, 36), (1982, 1991, 20), (1972, 1981, 11), (1955, 1971, 6))
CITIES = (
    ("北京", "北京", 14),
    ("上海", "上海", 20),
    ("广州", "广东", 10),
    ("深圳", "广东", 17),
    ("杭州", "浙江", 9),
    ("成都", "四川", 8),
    ("武汉", "湖北", 7),
    ("南京", "江苏", 5),
    ("西安", "陕西", 5),
    ("重庆", "重庆", 5),
)
EVENTS = (
    "sign_up", "app_open", "search", "view_product", "add_to_cart", "checkout", "pay", "share", "write_review", "push_open",
)  # fmt: skip
STATUSES = ("paid", "refunded", "cancelled", "pending")

# Category: its brands, then its goods as (noun, list price in yuan, popularity); each brand sells each of them.
GOODS = {
    "手机数码": (
        ("曦岚", "栎舟", "星瑭", "砾石纪", "澈野"),
        (("智能手机", 1999, 8), ("平板电脑", 1599, 4), ("智能手表", 899, 6), ("蓝牙耳机", 299, 12), ("充电宝", 129, 12),
         ("机械键盘", 369, 5), ("路由器", 239, 5), ("监控摄像头", 199, 4), ("蓝牙音箱", 459, 4), ("数据线", 39, 10)),
    ),
    "家用电器": (
        ("霁川", "泊森", "云笈", "筑巢季", "暮野"),
        (("胶囊咖啡机", 599, 10), ("电饭煲", 399, 6), ("空气炸锅", 349, 8), ("扫地机器人", 1399, 2), ("吹风机", 259, 8),
         ("加湿器", 189, 7), ("电水壶", 119, 8), ("空气净化器", 999, 2), ("破壁机", 559, 4), ("电风扇", 229, 6)),
    ),
    "服饰鞋包": (
        ("予棉", "陌桐", "青笙", "纸鸢里", "朴禾"),
        (("纯棉短袖", 89, 14), ("连帽卫衣", 199, 9), ("羽绒服", 799, 4), ("牛仔裤", 239, 8), ("针织开衫", 269, 6),
         ("小白鞋", 299, 7), ("双肩包", 259, 5), ("托特包", 329, 4), ("棉袜六双装", 49, 12), ("真丝围巾", 359, 2)),
    ),
    "美妆个护": (
        ("羽堇", "棠梨记", "柠溪", "鹿弥", "汀兰社"),
        (("保湿面霜", 239, 8), ("修护精华", 429, 6), ("防晒霜", 139, 10), ("哑光口红", 159, 9), ("气垫粉底", 219, 6),
         ("氨基酸洁面", 89, 11), ("补水面膜", 109, 12), ("洗发水", 79, 10), ("身体乳", 99, 7), ("电动牙刷", 299, 5)),
    ),
    "食品生鲜": (
        ("麦芒街", "橘渡", "溪午", "拾穗集", "山箬"),
        (("咖啡胶囊", 99, 4), ("每日坚果", 119, 12), ("有机大米", 89, 10), ("冷鲜牛排", 199, 6), ("三文鱼", 259, 4),
         ("红富士苹果", 59, 12), ("蓝莓", 69, 9), ("鲜牛奶", 75, 13), ("龙井茶", 299, 3), ("手工水饺", 49, 11)),
    ),
    "母婴用品": (
        ("禾柚", "初榕", "小满树", "棉朵湾", "奶糯家"),
        (("婴儿纸尿裤", 149, 12), ("婴儿奶粉", 329, 9), ("宽口奶瓶", 119, 7), ("婴儿推车", 899, 2), ("安全座椅", 1199, 1),
         ("婴儿湿巾", 45, 13), ("儿童绘本", 99, 9), ("积木玩具", 199, 8), ("婴儿连体衣", 109, 7), ("温奶器", 169, 4)),
    ),
    "家居日用": (
        ("沐屿", "澄木间", "北岸集", "弦月堂", "苔原家"),
        (("四件套", 399, 6), ("乳胶枕", 269, 6), ("收纳箱", 79, 10), ("不粘炒锅", 229, 7), ("保温杯", 129, 10),
         ("香薰蜡烛", 89, 6), ("浴巾", 69, 9), ("洗衣凝珠", 59, 13), ("抽纸整箱", 55, 14), ("护眼台灯", 249, 5)),
    ),
    "运动户外": (
        ("岚起", "野芒", "逐峰社", "云杉道", "踏浪记"),
        (("跑步鞋", 499, 7), ("瑜伽垫", 129, 9), ("运动水壶", 79, 9), ("速干上衣", 149, 9), ("登山包", 399, 4),
         ("露营帐篷", 699, 3), ("折叠椅", 139, 6), ("羽毛球拍", 269, 5), ("哑铃套装", 229, 4), ("冲锋衣", 899, 3)),
    ),
}  # fmt: skip
BRAND_POPULARITY = (1.5, 1.2, 1.0, 0.8, 0.5)
BRAND_PRICE_PERCENT = (108, 92, 100, 118, 84)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Describe one product; money is in fen."""

    name: str
    category: str
    brand: str
    list_price: int
    cost: int
    popularity: float


def products() -> tuple[Product, ...]:
    """Return the 400 products; the one at index i has product_id i + 1.

    >>> len({product.name for product in products()}), len({product.brand for product in products()})
    (400, 40)
    """
    found = []
    for category, (brands, goods) in GOODS.items():
        for brand, liked, percent in zip(brands, BRAND_POPULARITY, BRAND_PRICE_PERCENT, strict=True):
            for rank, (noun, yuan, popularity) in enumerate(goods):
                price = yuan * percent // 10 * 10
                found.append(
                    Product(
                        name=brand + noun,
                        category=category,
                        brand=brand,
                        list_price=price,
                        cost=price * (46 + (7 * rank + percent) % 27) // 100,
                        popularity=popularity * liked,
                    )
                )
    return tuple(found)


# How much likelier a woman, a man, or someone of unknown gender is to look into each category, in the order of GOODS.
TASTES = (
    (1.1, 0.9, 1.4, 1.9, 1.1, 1.4, 1.1, 0.7),
    (2.4, 1.1, 0.8, 0.4, 0.9, 0.6, 0.9, 1.5),
    (1.7, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Describe one campaign: whom it reaches, what share of them, and what it costs in fen per 1,000 users of the shop."""

    name: str
    kind: str
    channel: str
    start: date
    end: date
    reaches: str
    share: float
    cost: int

    @property
    def rates(self) -> tuple[float, float]:
        """Return the shares of touched users who open, and of those who opened, who click."""
        return {"coupon": (0.34, 0.40), "push": (0.12, 0.40), "sms": (0.10, 0.22), "ads": (0.28, 0.12)}[self.kind]


def _campaign(
    name: str, kind: str, channel: str, start: str, end: str, reaches: str, share: float, cost: int
) -> Campaign:
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    return Campaign(
        name=name, kind=kind, channel=channel, start=first, end=last, reaches=reaches, share=share, cost=cost
    )


CAMPAIGNS = (
    _campaign("新年开门红 2025", "coupon", "app", "2025-01-02", "2025-01-12", "alive", 0.50, 2_000),
    _campaign("新客首单礼", "coupon", "app", "2025-01-01", "2026-10-31", "new", 0.60, 150_000),
    _campaign("春季上新 2025", "push", "app", "2025-03-10", "2025-03-23", "all", 0.50, 30_000),
    _campaign("618大促 2025", "coupon", "app", "2025-06-08", "2025-06-20", "all", 0.55, 80_000),
    _campaign("抖音夏日投放", "ads", "douyin", "2025-07-15", "2025-08-15", "all", 0.35, 110_000),
    _campaign("开学季 2025", "push", "app", "2025-08-25", "2025-09-07", "all", 0.50, 30_000),
    _campaign("双11预热 2025", "push", "app", "2025-10-25", "2025-11-10", "all", 0.50, 30_000),
    _campaign("双12返场", "sms", "sms", "2025-12-08", "2025-12-14", "all", 0.30, 45_000),
    _campaign("年货节 2026", "coupon", "wechat", "2026-01-20", "2026-02-08", "all", 0.30, 90_000),
    _campaign("春季上新 2026", "push", "app", "2026-03-09", "2026-03-22", "all", 0.50, 30_000),
    _campaign("百度搜索投放", "ads", "baidu", "2026-04-01", "2026-05-31", "all", 0.25, 160_000),
    _campaign("618大促 2026", "coupon", "app", "2026-06-08", "2026-06-20", "all", 0.55, 150_000),
    _campaign("沉睡唤醒短信", "sms", "sms", "2026-08-03", "2026-08-16", "dormant", 0.60, 90_000),
    _campaign("开学季 2026", "push", "app", "2026-08-24", "2026-09-06", "all", 0.50, 30_000),
    _campaign("国庆出游季", "ads", "wechat", "2026-09-24", "2026-10-07", "alive", 0.20, 30_000),
    _campaign("双11预热 2026", "push", "app", "2026-10-25", "2026-11-10", "all", 0.50, 30_000),
)
PAYING_CAMPAIGN = "618大促 2026"
WASTED_CAMPAIGN = "沉睡唤醒短信"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Describe one experiment: who enters it (only users who register, or those already there too) and what share."""

    name: str
    start: date
    end: date
    newcomers_only: bool
    share: float


EXPERIMENTS = (
    Experiment(name="新手引导改版", start=date(2026, 3, 2), end=date(2026, 6, 14), newcomers_only=True, share=1.0),
    Experiment(name="首页推荐算法", start=date(2026, 5, 11), end=date(2026, 6, 7), newcomers_only=False, share=0.8),
    Experiment(name="包邮门槛", start=date(2026, 7, 6), end=date(2026, 8, 2), newcomers_only=False, share=1.0),
    Experiment(name="评价有礼", start=date(2026, 9, 1), end=date(2026, 10, 31), newcomers_only=False, share=0.5),
)
LIFTED_EXPERIMENT = "新手引导改版"
UNEVEN_EXPERIMENT = "包邮门槛"

RELEASES = {
    "4.6.0": "2025-01-01", "4.7.0": "2025-03-12", "4.8.0": "2025-06-04", "4.9.0": "2025-09-10", "5.0.0": "2025-12-03",
    "5.1.0": "2026-03-18", "5.2.0": "2026-06-10", "5.2.1": "2026-08-05", "5.3.0": "2026-09-14", "5.3.1": "2026-09-28",
}  # fmt: skip
BROKEN_RELEASE = "5.3.0"  # went out on Android only
BROKEN_DAYS = (date(2026, 9, 14), date(2026, 9, 27))
VERSIONS = (*RELEASES, "web")

SHORTAGE_CATEGORY = "手机数码"
SHORTAGE_CITIES = ("上海", "深圳")
SHORTAGE_DAYS = (date(2026, 10, 1), date(2026, 10, 31))
PAIR = ("霁川胶囊咖啡机", "麦芒街咖啡胶囊")
UNHAPPY_BRAND = "羽堇"
UNHAPPY_SINCE = date(2026, 8, 1)

RATING_WEIGHTS = (3, 5, 12, 30, 50)
UNHAPPY_RATING_WEIGHTS = (58, 27, 9, 4, 2)
REVIEW_TEXTS = (
    (
        "质量太差，用了两天就坏了",
        "与描述不符，已申请退货",
        "客服一直不回复，非常失望",
        "做工粗糙，异味很重",
        "不会再买",
    ),
    ("不太好用，有点后悔", "包装破损，体验不好", "声音很大，影响休息", "用了一周就出问题", "性价比低，不推荐"),
    ("一般般，凑合用", "物流慢了点，东西还行", "和想象的有差距", "中规中矩", "价格偏高，质量尚可"),
    ("挺好的，推荐购买", "物流很快，包装完好", "比预期好一些", "家人都说不错", "颜色好看，细节还能再改进"),
    ("非常满意，会回购", "质量很好，物超所值", "第二次买了，一如既往的好", "客服耐心，发货快", "超出预期，五星好评"),
)
