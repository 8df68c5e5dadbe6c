"""Owns the simplified forms of traditional Chinese characters, one character for one. Knows nothing of words or regions.

The table is OpenCC's (Apache-2.0), read when the first character comes that the simplified character set lacks.
"""

from functools import cache
from importlib.resources import files

ALSO_TRADITIONAL = "乾夥後徵於菸麽"  # in the simplified set by mistake or for names


def simplified(char: str) -> str:
    """Return the simplified form of one character, or the character itself.

    >>> "".join(map(simplified, "各渠道的銷售額"))
    '各渠道的销售额'
    """
    return char if _is_in_simplified_set(char) else _table().get(char, char)


def _is_in_simplified_set(char: str) -> bool:
    if char in ALSO_TRADITIONAL:
        return False
    if not "\u3400" <= char <= "\u9fff":
        return True
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _table() -> dict[str, str]:
    text = files("opencc").joinpath("dictionary/TSCharacters.txt").read_text("utf-8")
    pairs = (line.split("\t") for line in text.splitlines() if "\t" in line)
    return {traditional: forms.split(" ")[0] for traditional, forms in pairs if len(forms.split(" ")[0]) == 1}
