"""Owns the rules of time phrases: which words mean which dates. Knows nothing of how phrases combine in a question.

Three tables, read from the top: GRAMMAR says what words mean on their own, PARTS what they cut out of the period
beside them (the first week of September, 9月上旬), OPEN what they leave open on one side (since May, 截至9月).
A rule is a name, a pattern in the notation of `timewords`, and the function of `timemeanings` or `timeparts` that takes its slots.
"""

from collections.abc import Callable
from datetime import date
from functools import partial

from wenshu.assistant import timemeanings as means
from wenshu.assistant import timeparts as parts
from wenshu.assistant.timewords import AND, DAY, MONTH, QUARTER, TO, WEEK, YEAR, Side
from wenshu.semantic_layer.periods import DateRange, Grain

_WINDOW_EN = "(retention|retained|repurchase|churn|ltv|roi|conversion)"
_COUNTED = "星|元|块|个|人|件|单|名|次|天|万|千|%|岁|分|位|款|条|以上|以下|users|orders|customers|people|buyers|yuan|rmb|cny|units|items"
_FREE = "(?<![以线晚早网马成版样基根])(?<![查看一问算列拉比拆数](?=下))"  # 以上年轻人, 线上周活 and 成本月度 hold no 上年, 上周 or 本月, 查下周末 no 下周
_RECENT = "(最近|近|过去|刚过去|往前)的?这?"
_LAST = "(the )?(last|past|previous|trailing|preceding|prior|latest|most recent)"
_BY = "(by|per|each|every|which|what|across)"
_MOST = "(?<=[高低多少好差大小快慢强弱]的)(那|一|哪)?|(?<=[高低多少好差大小快慢强弱])那"
_MONTH_LIST = r"(?=( [、,和及与] ?(\d{1,2}|十[一二]?|[一二三四五六七八九]))+月)"
_PREVIOUS = "(去年|上年|前年|上一?个?(月|周|季度|年)|昨天|昨日)"
_VERBS = "i|we|you|they|be|have|not|also|need|want|still|churn|return|come|buy|leave"
_SHORT_DATE = (
    r"(?<![-/\d])({a:day_digits}-{b:day_digits}-{c:two_digits}|{a:day_digits}/{b:day_digits}/{c:two_digits})(?![-/\d])"
)

GRAMMAR: tuple[tuple[str, str, Callable[..., means.Meaning | None]], ...] = (
    # What looks like a time and is none: windows after an event, and what the words of a comparison own.
    ("window", "(?!(19|20)[0-9]{2}年)(第|前)?{n}{counted}(内的?|以内的?|之内的?)?(留存|回访|ltv)", means.nothing),
    (
        "window of an order",
        "(?<![月0-9])(?!(19|20)[0-9]{2}年)(第|前)?{n}{counted}(内的?|以内的?|之内的?)?(未)?(复购|回购|转化|召回|roi)",
        means.nothing,
    ),
    ("window en", "within (the )?(first)? {n} {unit:english_unit}", means.nothing),
    ("window of a cohort", f"(day|week|month|d|w|m) -?{{n}} {_WINDOW_EN}", means.nothing),
    ("same period", f"{_PREVIOUS}的?(同(期|比|周|季度?|一?时期|一?时间)|这个?时候|这个?时间|此时|这会儿)", means.nothing),
    ("compared with", f"(同比|环比)(于|较|比)?{_PREVIOUS}", means.nothing),
    (
        "same period en",
        "(the )?same (period|time|days?|dates?|weeks?|quarter) (of|in|the)? {english_offset} {english_unit}",
        means.nothing,
    ),
    ("this time last", "this time {english_offset} {english_unit}", means.nothing),
    ("period over period", "{english_unit} -?(over|on) -?{english_unit}", means.nothing),
    ("day of every month", "每个?月{day}(号|日)", means.nothing),
    ("average per unit", "平均每个?{chinese_unit}|(日|周|月)均", means.nothing),
    ("average per unit en", "(average|avg|mean) {adverb}|{adverb} (average|avg|mean|active)", means.nothing),
    ("middle to middle", "{month}月中(到|至|~|-){month}月中(?!旬)", means.nothing),
    ("born in", "{year}年?(以后|之后|以前|之前|后|前)?出生|(born in|birth year) {year}", means.nothing),
    # Beside today.
    ("day", "{offset:day_offset}", means.day_beside_today),
    ("now", "{now}", means.now),
    ("unit", _FREE + "{offset:chinese_offset}一?个?{unit:chinese_unit}(?![期间线半])", means.calendar_unit),
    ("the past unit", "the (past|trailing) {unit:english_unit}|trailing {unit:english_unit}", means.rolling),
    ("unit en", "(the )?{offset:english_offset} {unit:english_unit}", means.calendar_unit),
    ("unit before last", "(the )?{unit:english_unit} before last", partial(means.calendar_unit, offset=-2)),
    ("unit before", "the {unit:english_unit} before( that)?(?= $| [?.,)])", means.unit_before),
    ("year", _FREE + "{offset:year_offset}度?(?!级)", means.calendar_unit),
    (
        "same month",
        "(去年|上年|上一年)的?同月|(the )?same month (of |in )?(the )?(last|previous|prior) year",
        means.same_month,
    ),
    ("this day of another year", "{offset:year_offset}的?(今天|今日|这一天|同日)", means.day_of_year_beside),
    (
        "so far",
        "((the|this) )?(whole )?{unit:english_unit} so far|so far (this|in the) {unit:english_unit}",
        means.so_far,
    ),
    ("to date", "{unit:english_unit} -?to -?date", means.so_far),
    ("to date zh", "[今本]?{unit:chinese_unit}初(至今|到现在|到今天|以来)", means.so_far),
    ("year to date zh", "(今年)?(开年|年头|年初|全年)(到现在|到今天|到目前|到如今|至今|以来)", partial(means.so_far, unit=YEAR)),
    ("ytd", "ytd", partial(means.so_far, unit=YEAR)),
    ("qtd", "qtd", partial(means.so_far, unit=QUARTER)),
    ("mtd", "mtd", partial(means.so_far, unit=MONTH)),
    ("wtd", "wtd", partial(means.so_far, unit=WEEK)),
    ("the unit", "(the|my) {unit:english_unit}(?! (with|when|where|that|which|before|after))", means.the_unit),
    ("units ago today", "({n}|an?) {unit:english_unit} ago today|{n}{unit:counted}(之前|以前|前)的?(今天|今日|同一天)", means.day_units_ago),
    ("half of this month", "(?<![上下这近])(?<!一个){half:half_zh}半个?月", means.half_of_this_month),
    ("rest of", "(the )?(rest|remaining|remainder) (of )?(the|this|my)? {unit:english_unit}", means.rest_of),
    ("half year", _FREE + "{offset:chinese_offset}一?个半年", means.half_beside),
    ("ago", "({n}|an?) {unit:english_unit} ago|(?<![月0-9]){n}{unit:counted}(之前|以前|前)", means.ago),
    ("calendar units", f"{_LAST} {{n}} (full|complete|whole|calendar) {{unit:english_unit}}", means.whole_units),
    ("calendar units zh", f"{_RECENT}{{n}}个?(完整|自然|整)的?{{unit:chinese_unit}}", means.whole_units),
    ("calendar units before", _FREE + "上{n}个?{unit:chinese_unit}", means.whole_units),
    # Rolling.
    ("last n", f"{_LAST} {{n}} {{unit:english_unit}}", means.rolling),
    (
        "half a year",
        f"(the )?(last|past) half (an?|of an?)? year|{_RECENT}半年(内|里|以来)?",
        partial(means.rolling, n=6),
    ),
    ("half a month", f"{_RECENT}半个月(内|里|以来)?", partial(means.rolling, n=15, unit=DAY)),
    ("fortnight", "(the )?(last|past) fortnight", partial(means.rolling, n=14, unit=DAY)),
    ("recent n", f"({_RECENT}|这){{n}}个?{{unit:chinese_unit}}(内|以内|之内|里|以来)?", means.rolling),
    ("first quarters", "前{last:quarter}个?季度", means.quarters),
    (
        "n before that",
        "(the )?{n} {unit:english_unit} (before that|before then|prior|before(?=$|[?.,)]))|(再往前|再之前|再前面?|此前|之前)的?{n}个?{unit:chinese_unit}",
        means.rolling,
    ),
    ("preceding n", "(?<![册单购买付款后其户录货载组装动])前{n}个?{unit:chinese_unit}", means.preceding),
    ("next n", "(the )?next {n} {unit:english_unit}|(未来|接下来|今后)的?{n}个?{unit:chinese_unit}", means.coming),
    # Years, quarters, months.
    ("year zh", "({year}|{year:written_year})年度?", means.year),
    (
        "short year",
        "(?<![近去前满第每]){year:short_year}年(?=[0-9一二三四五六七八九十上下第双春国中端元五初底末q])",
        means.year,
    ),
    ("recent short year", "(?<![近去前满第每])(?=[23]){year:short_year}年(?![前后内以老多间之])", means.year),
    ("year en", rf"(?<![a-z#$¥><=/:]){{year}}(?! ?({_COUNTED})|[.,]\d|后)", partial(means.year, weak=True)),
    ("year cut short", "'{year:short_year}", partial(means.year, weak=True)),
    ("half of what is said beside it", "(the )?{half} half|(the )?{half}(?= (and|or|vs\\.?|versus|against) (the )?(first|second|1st|2nd) half)", partial(means.half, bare=True)),
    ("third of what is said beside it", "{third:third_zh}(?<=旬)|{third:third_en}(?= (and|or|vs\\.?|versus|against) (early|mid|late)\\b)", means.third_of_this_month),
    ("half", "(the )?{half} half of the year|{half:half_zh}半年度?|h{half:half_digit}", means.half),
    ("quarter", "第?{quarter}个?季度|q{quarter}|(the )?{quarter:ordinal} quarter (of the year)?", means.quarter),
    ("quarters", f"第?{{first:quarter}}季?度?({TO})第?{{last:quarter}}季度", means.quarters),
    ("quarter of a list", "{quarter}(?= [、,和及与]? ?[1-4一二三四]季度)", means.quarter),
    ("month", "(?<![第每近]){month}月份?(的?[这那]一?个月|一?整个?月)?(?!龄)", means.month),
    ("months", rf"(?<![月.-]){{first:month}} ({TO}) {{last:month}}月份?", means.months),
    ("month of a list", rf"(?<![年月a-z\d])(?!1[3-9]|[2-9]\d){{month}}{_MONTH_LIST}", means.month),
    ("month en", r"{month:month_name}(?<!may)(?<!march)", means.month_name),
    ("month or verb", rf"(?=may|march){{month:month_name}}(?! ({_VERBS})\b)", means.month_name),
    ("month, not the verb", r"(?<=\bin\x20)(?=may|march){month:month_name}", means.month_name),
    ("month beside today", "(the )?{offset:english_offset} {month:month_name}", means.month_beside),
    ("year and month", r"{year}[-/.]{month:month_digits}(?![-/.]\d{1,2}(?!\d))", means.year_month),
    ("month and year", r"(?<![-/.\d]){month:month_digits}[-/]{year}", means.year_month),
    ("edge of this year", "年{third:third_zh}(?![次始期])", means.edge_of_this_year),
    ("third of this month", "月{third:third_zh}(?![次始期])", means.third_of_this_month),
    # Weeks and days.
    ("week number", "week {n}|第{n:high}周", means.week),
    ("iso week", "{year} ?-? ?w(eek)? ?{n}", means.week),
    ("date", "{year:any_year}[-/.]{month:day_digits}[-/.]{day:day_digits}", means.full_date),
    ("compact date", "{year}{month:two_digits}{day:two_digits}", means.compact_date),
    ("date with the year last", "{a:day_digits}[-/.]{b:day_digits}[-/.]{year}", means.date_year_last),
    ("date with a short year", _SHORT_DATE, means.short_date),
    (
        "month/day",
        rf"(?<![\d/.]){{a:day_digits}}/{{b:day_digits}}(?![/.]\d| ?({_COUNTED}|的?用户|的?客户|of|星|折))",
        means.month_day,
    ),
    (
        "month-day",
        rf"(?<![\d/.-]){{a:day_digits}}-{{b:day_digits}}(?![-/.]\d| ?({_COUNTED}|[a-z]))",
        partial(means.month_day, weak=True),
    ),
    (
        "month.day",
        rf"(?<![\d.]){{a:day_digits}}[.]{{b:day_digits}}(?![.]\d| ?({_COUNTED}|折|倍))",
        partial(means.month_day, weak=True),
    ),
    ("day of this month", "{day}号(?![店楼线仓门商库位])", means.day_of_this_month),
    ("the nth", "the {day:ordinal}", partial(means.day_of_this_month, weak=True)),
    (
        "weekday",
        "(?<![每一两三四五六七八九十0-9]){weekday:chinese_weekday}(?![次单个件均端]|(?<=一)[共起般直]|(?<=日)活)|{weekday}",
        means.weekday,
    ),
    ("short weekday", "{weekday:short_weekday}", partial(means.weekday, weak=True)),
    (
        "weekday of a week",
        _FREE + "{offset:chinese_offset}个?{weekday:chinese_weekday}(?![个端]|(?<=一)[共起般直]|(?<=日)活)",
        means.weekday_of_week,
    ),
    ("weekday of a week en", "{offset:english_offset} {weekday}", means.weekday_of_week),
    ("weekend of a week", _FREE + "{offset:chinese_offset}个?(周末|周六日|周六周日)", means.days_of_week),
    ("weekend of a week en", "(the )?{offset:english_offset} weekend", means.days_of_week),
    (
        "days of a week",
        _FREE + "{offset:chinese_offset}个?{first:chinese_weekday} ?[到至~-] ?[本上这]?{last:chinese_weekday}",
        means.days_of_week,
    ),
    ("working week", "(this|the) (working|work|business) week", partial(means.days_of_week, offset=0, first=1, last=5)),
    ("working week zh", _FREE + "{offset:chinese_offset}个?周的?工作日", partial(means.days_of_week, first=1, last=5)),
    # Festivals.
    ("festival", f"(?<![过于到约](?=[0-9])){{festival}}(?! ?({_COUNTED}))", means.festival),
    ("festival holiday", "{festival}(期间|假期|长假|小长假)", means.festival_holiday),
    ("festival day", "{festival}的?(当天|当日|那天|那一天|正日)", means.festival_day),
    ("golden week", "(?<![一二三四五六七八九十])十一(?![一二三四五六七八九十月日号个点年天周级])", means.golden_week),
    # Filters by weekday.
    (
        "every weekday",
        "(每个?|逢){weekday:chinese_weekday}|(on )?(every|each) {weekday}|(on )?{weekday:plural_weekday}",
        means.every_weekday,
    ),
    ("weekdays", "每?个?{weekday:chinese_weekday} ?[到至~-] ?{last:chinese_weekday}", means.every_weekday),
    ("weekdays en", f"{{weekday:short_weekday}} ({TO}) {{last:short_weekday}}", means.every_weekday),
    ("day type", "(每个?)?{day_type}|(on|every|each) {day_type}", means.day_type),
    ("day types", f"{{day_type}}的? ({AND}) {{day_type}}|day type|是否为?(周末|工作日)", means.day_types),
    # Rows: by hour of the day, by day of the week, by calendar unit.
    ("by hour", "(24个?小时)?的?(各个?|每个?|按|分|哪个?|什么)(小时|时段|钟点|时间段)段?|(全天|一天)?24个?小时的?(分布|各段|走势|变化)|几点钟?|(哪个?|什么)点儿?(?![击位数名])", partial(means.part, name="hour")),
    (
        "by hour en",
        f"({_BY} (the )?)?(hours?|time) of (the )?day|{_BY} hours?|hourly|hour by hour",
        partial(means.part, name="hour"),
    ),
    (
        "by weekday",
        "(按照?|各个?|每个?|分|哪个?)?(周几|星期几|礼拜几)|(按照?|分)(星期|礼拜)",
        partial(means.part, name="weekday"),
    ),
    ("which weekday", "一(周|星期|个?礼拜)(里|中|内|当中)?的?哪一?天", partial(means.part, name="weekday")),
    ("by weekday en", f"({_BY} (the )?)?days? of (the )?week|{_BY} weekdays?", partial(means.part, name="weekday")),
    (
        "by unit",
        "(每一?个?|各个?|按照?每?个?|分|逐){unit:chinese_unit}[份度]?(?![龄纪级货薪后代轻期节数末客费])",
        means.grain,
    ),
    ("unit after unit", "一个?{unit:chinese_unit}一个?(天|日|周|星期|月|季度|年)地?的?", means.grain),
    ("trend by unit", "{unit:chinese_unit}度?(趋势|走势|变化|曲线|粒度|维度|明细|报表)", means.grain),
    ("unit as adjective", "(?<![个一二三四0-9]){unit:unit_adjective}", means.grain),
    ("which unit", "哪[几一些]?个?{unit:chinese_unit}份?", means.grain),
    ("unit with the most", f"({_MOST})个?{{unit:chinese_unit}}份?", means.grain),
    ("which day", "几号", partial(means.grain, unit=DAY)),
    ("which month", "几月份?", partial(means.grain, unit=MONTH)),
    ("by unit en", f"({_BY}|for each) -? (calendar )?{{unit:english_unit}}", means.grain),
    ("by date", "by (the )?date|(按|每个?|各个?)日期", partial(means.grain, unit=DAY)),
    ("adverb", "{unit:adverb}", means.grain),
    ("unit with the most en", r"((?<=est\s)|(?<=worst\s)|(?<=peak\s)){unit:english_unit}", means.grain),
    ("in turn", "{unit:english_unit} -?by -?{other:english_unit}", means.by_turns),
)

_DAY, _LONG, _ANY = (
    frozenset({DAY}),
    frozenset({MONTH, QUARTER, YEAR}),
    frozenset({DAY, WEEK, MONTH, QUARTER, YEAR, None}),
)
_OF = "(of|in) (the)?"

# name, what it is a part of (a festival counts by its days only), whether it stands before or after, pattern, function
PARTS: tuple[tuple[str, frozenset[Grain | str | None], Side, str, Callable[..., DateRange]], ...] = (
    ("day", frozenset({MONTH}), "after", " 的?{day}[日号](?!内|以内|之内)", parts.day_of),
    ("days", frozenset({MONTH}), "after", f" 的?{{first:day}}[日号]? ({TO}) {{last:day}}[日号]", parts.days_of),
    ("third", frozenset({MONTH, QUARTER}), "after", " 的?月?{third:third_zh}(?![次始期])", parts.third_of),
    ("edge of a year", frozenset({YEAR}), "after", " 年?{third:third_zh}(?![次始期])", parts.edge_of_year),
    ("half of a month", frozenset({MONTH}), "after", " 的?{half:half_zh}半个?月", parts.half_of_period),
    ("nth unit", _LONG, "after", " 的?(第{n}|{n:last})一?个?{unit:chinese_unit}", parts.nth_of),
    ("nth weekday", _LONG, "after", " 的?(第{n}|{n:last}一?)个?{weekday:chinese_weekday}", parts.nth_weekday_of),
    ("first n", _LONG, "after", " 的?[前头]{n}个?{unit:chinese_unit}", parts.first_of),
    ("last n", _LONG, "after", " 的?最后{n}个?{unit:chinese_unit}", parts.last_of),
    ("before a festival", frozenset({"festival"}), "after", " 的?前{n}个?{unit:chinese_unit}", parts.just_before),
    ("after a festival", frozenset({"festival"}), "after", " 的?后{n}个?{unit:chinese_unit}(?!内)", parts.just_after),
    ("week of a day", _DAY, "after", " (所在的?|的?那一?)周", parts.week_holding),
    (
        "whole",
        frozenset({WEEK, MONTH, QUARTER, YEAR}),
        "after",
        " 的?(全年|全月|整月|整年|全季|整个?季度|当月|整周|期间|一整年|整个月)",
        parts.whole_of,
    ),
    ("whole before", _LONG, "before", "整个|全", parts.whole_of),
    ("day en", frozenset({MONTH}), "after", r"(?<=[a-z.])[.]? -? (the )?{day:day_en}(?! -? time)", parts.day_of),
    (
        "days en",
        frozenset({MONTH}),
        "after",
        rf"(?<=[a-z.])[.]? (the )?{{first:day_en}} ({TO}) (the )?{{last:day_en}}",
        parts.days_of,
    ),
    (
        "days between",
        frozenset({MONTH}),
        "after",
        "(?<=[a-z.]) between {first:day_en} and {last:day_en}",
        parts.days_of,
    ),
    (
        "day before its month",
        frozenset({MONTH}),
        "before",
        r"(?<!top\s)(?<!bottom\s)(the )?{day:day_en} -? (of)?",
        parts.day_of,
    ),
    (
        "days before their month",
        frozenset({MONTH}),
        "before",
        f"(the )?{{first:day_en}} ({TO}) (the )?{{last:day_en}} (of)?",
        parts.days_of,
    ),
    (
        "days between before",
        frozenset({MONTH}),
        "before",
        "between (the )?{first:day_en} and (the )?{last:day_en} (of)?",
        parts.days_of,
    ),
    ("days up to", _DAY, "before", f"(from|between) {{first:day_digits}} ({TO}|and)", parts.days_up_to),
    (
        "week of a day en",
        _DAY,
        "before",
        "(the )?week (of|commencing|starting|beginning|containing) (on )?(the)?",
        parts.week_holding,
    ),
    ("week up to a day", _DAY, "before", "(the )?week (ending|ended|to) (on )?(the)?", parts.week_up_to),
    ("nth unit en", _LONG, "before", f"(the )?({{n:ordinal}}|{{n:last}}) {{unit:english_unit}} {_OF}", parts.nth_of),
    (
        "nth weekday en",
        _LONG,
        "before",
        f"(the )?({{n:ordinal}}|{{n:last}}) {{weekday:short_weekday}} {_OF}",
        parts.nth_weekday_of,
    ),
    (
        "weekday of a week",
        frozenset({WEEK}),
        "before",
        f"{{weekday:short_weekday}} {_OF}",
        partial(parts.nth_weekday_of, n=1),
    ),
    ("first n en", _LONG, "before", f"(the )?first {{n}} {{unit:english_unit}} {_OF}", parts.first_of),
    ("last n en", _LONG, "before", f"(the )?(last|final) {{n}} {{unit:english_unit}} {_OF}", parts.last_of),
    ("half en", frozenset({MONTH, YEAR}), "before", f"(the )?{{half}} half {_OF}", parts.half_of_period),
    ("third en", _LONG, "before", "{third:third_en} -? (in)?|(the )?{third:edge_en} (part)? of (the)?", parts.third_of),
    (
        "just before",
        _ANY,
        "before",
        "(the )?(({n}|a) )?{unit:english_unit} (before|prior to|leading up to) (the)?",
        parts.just_before,
    ),
    ("just after", _ANY, "before", "(the )?(({n}|a) )?{unit:english_unit} (after|following) (the)?", parts.just_after),
    (
        "whole en",
        _ANY,
        "before",
        "(the )?(whole|entire|full) (of)?|all of|(the )?(month|quarter|year) of|(the )?year",
        parts.whole_of,
    ),
)

# name, what stands before the period, what stands after it, function
OPEN: tuple[tuple[str, str, str, Callable[[DateRange, date], DateRange]], ...] = (
    ("since zh", "(从|自|自从)?", "以来|起|开始|往后|以后", parts.since),
    ("since", "自从|自|since (the)?|(starting|beginning) (from|in|on|with)? (the)?", "", parts.since),
    ("from on", "from (the)?", "on|onwards?|forward|and (later|after)", parts.since),
    ("after zh", "(在)?", "之后|后(?![0-9一二三四五六七八九十两半第台端续期])", parts.after),
    ("after", "(after|later than) (the)?", "", parts.after),
    ("before zh", "(在)?", "之前|以前|前(?![0-9一二三四五六七八九十两半后端])", parts.before),
    ("before", "(before|prior to|earlier than) (the)?", "", parts.before),
    ("until zh", "(到|直到|迄|截至到?|截止到?)?", "为止|止", parts.until),
    (
        "until",
        "截至到?|截止到?|直到|迄|(up)? (until|till|thru|through) (the)?|((?<!run-)(?<!run\\s)(?<!lead-)(?<!leading\\s)(?<!build-)(?<!runs\\s)up to|as of|by|no later than) (the)?",
        "",
        parts.until,
    ),
)
