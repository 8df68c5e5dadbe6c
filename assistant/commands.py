"""Owns telling a command from a question: something to be done to people, prices or campaigns. Knows no model and no data.

A word alone makes no command (change in GMV, a cancelled order, 退款金额): its place in the sentence and what it is done to
do. Words that are one wherever they stand are the lexicon's.
"""

import re

_HEAD = (
    r"(?:^|[.;!?])\s*(?:(?:please|pls|kindly|now|just|also|then|and|ok|okay|hey|hi|let's|go ahead and|"
    r"(?:can|could|would|will) you|i(?: want|'d like| need) you to)[\s,]+)*"
)
_THE = r"(?:all|every|everyone|everybody|the|our|my|his|her|their|them|him|those|these|that|this|an?|any|each)\b"
_PEOPLE = r"(?:(?:new |old |top |loyal )?(?:users|customers|buyers|members|people))\b"
_DONE = (
    r"text|message|notify|phone|call|ring|refund|reimburse|pause|halt|stop|launch|relaunch|kick off|terminate|approve|reject|"
    r"assign|tag|block|unblock|hire|fire|promote|invite|alert|warn|ping|cancel(?! (?:that|this)\b)|publish|schedule|"
    r"reschedule|book|reserve|buy|pay|charge|restock|reward|enable|disable"
)
_CHANGED = (
    r"change|set|raise|lower|increase|decrease|reduce|boost|adjust|double|triple|halve|extend|end|start|fix|edit|apply|"
    r"turn (?:on|off)|close|restart"
)
_THING = (
    r"(?:price|discount|coupon|voucher|budget|campaign|experiment|test|salary|password|permission|account|balance|status|"
    r"newsletter|mailing list|record|database)(?:s|es)?\b"
)
_GIFT = r"(?:discount|coupon|voucher|gift|refund|bonus|credit|prize|point)s?\b"
_ENGLISH = (
    rf"{_HEAD}(?:{_DONE})\s+(?:{_THE}|{_PEOPLE})",
    rf"{_HEAD}(?:{_CHANGED})\s+(?:(?:all of|{_THE})\s+)*(?:(?!{_THE})[a-z']+\s+)?{_THING}(?!\s+(?:orders?|filter|users?|rate|share|cost))",
    rf"{_HEAD}turn\s+(?:the|this|that)\s+(?:[a-z']+\s+)?{_THING}\s+o(?:n|ff)\b",
    rf"{_HEAD}add\s+(?:[a-z']+\s+){{1,4}}to (?:the|our|my|their) (?:[a-z]+ )?{_THING}",
    rf"{_HEAD}(?:set|change|turn|make)\s+(?:[a-z']+\s+){{1,5}}to (?:zero|0|null|nothing)\b",
    rf"{_HEAD}(?:set|change)\s+(?:the |this |that )?(?:user|customer|buyer|member)(?:'s|s')\s+[a-z]+\s+to\b",
    rf"{_HEAD}mark\s+(?:[a-z']+\s+){{1,5}}as\b",
    rf"{_HEAD}(?:give|offer|grant)\s+(?!me\b|us\b)(?:(?!(?:with|using|who|by|of)\b)[a-z']+\s+){{1,5}}?(?:an?|some|free|\d+\S*)\s+(?:\d+\S*\s+)?{_GIFT}",
    rf"{_HEAD}(?:forward|share)\s+(?:this|that|it|these|those|them)\b",
    r"\bset up\s+an?\s+(?:alert|reminder|alarm|notification|meeting|call)\b|\b(?:alert|ping|notify|warn) me\b",
    r"\bremind me\s+(?:tomorrow|tonight|later|every|next|at|in (?:an?|\d+))\b",
    rf"{_HEAD}make\s+(?:[a-z']+\s+){{1,5}}look\s+(?:better|good|nicer|higher|lower|worse)\b",
)
_ASKING = "多少|几|哪|吗|什么|怎么|如何|率|数|额|占比|趋势|分布|排|各|按|每"
_POLITE = "(?:请|麻烦|帮我|帮忙|能不能|可以|快|赶紧|现在|马上|然后|再|那就|那|就|先)*"
_CHINESE = (
    r"(?:把|将)[^,，。?？]{0,16}(?:价格|售价|定价|折扣|预算|库存|权限|密码|余额|数据|数字)[^,，。?？]{0,6}(?:[改设调][成为到]?(?:\d|零|[一二三四五六七八九十百千]+[元块折])|调高|调低|上调|下调|涨|降(?!序)|翻倍|提高)(?!的)",
    "(?:把|将)[^,，。?？]{1,16}(?:清零|归零|翻倍(?!的)|打上[^,，。]*标签|拉进|拉入|踢出|移出|拉黑|下线|停了|停掉|关了|关掉|都?改成零)",
    f"(?:给|替)(?!我|出|个|下)(?:(?!{_ASKING}|的)[^,，。?？]){{1,12}}(?:退款|退钱|打个?电话|开通|充值|涨工资|加薪|(?:发|送|寄)[一个张条点封份些]|打个?折|打[0-9一二三四五六七八九]+折)(?!了|过|的|出|率|金额|订单|用户)(?!.*(?:{_ASKING}))",
    f"^{_POLITE}(?!取消订单$)(?:启动|开启|暂停|停止|终止|结束|延长|批准|驳回|拒绝|关闭|重启|发布|发起|冻结|通知|邀请|联系|致电|转告|取消)(?:一下|下)?(?:(?!{_ASKING}|的)[^,，。?？])*(?:活动|实验|订单|退款|申请|客户|用户|他们?|她们?|大家|老板|财务|同事|大促|投放|推送)(?:(?!{_ASKING}|的)[^,，。?？]){{0,6}}$",
    "(?:设置?|建|加|开|配置?)[个一]*(?:告警|报警|预警|提醒|闹钟)|(?:时候?|就|的话|了|明天|后天|每天|每周|下周|到点|记得)(?:再|请|也)?(?:提醒|通知|叫|喊)(?:一下|下)?我",
    "让[^,，。?？]{1,12}(?:好看|漂亮)",
    r"(?:预算|价格|售价|折扣|余额)(?:统一|都|全部|再)?(?:加|减|降|涨|提高|降低|上调|下调|增加|减少)到?\s*\d[\d.]*\s*[%元块个]*$",
)
COMMAND = re.compile("|".join((*_ENGLISH, *_CHINESE)))


def command_in(text: str) -> str | None:
    """Return the words of a normalised question that command something, or None.

    >>> command_in("pause the campaign"), command_in("change in gmv since july"), command_in("给这个客户退款")
    ('pause the', None, '给这个客户退款')
    """
    found = COMMAND.search(text)
    return found[0].strip(" ,.;!?") if found else None
