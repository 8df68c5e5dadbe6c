"""How numbers are written: signs, zeros, durations, percentages beyond a hundred."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenshu.tools.number_format import CURRENCY_SIGNS, UNIT_WORDS, format_number, format_short

UNITS = st.sampled_from([None, "%", "pp", *CURRENCY_SIGNS, *UNIT_WORDS])
NUMBERS = st.floats(-1e15, 1e15, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "unit", "zh", "en"),
    [
        (20.46, "day", "20.5 天", "20.5 days"),
        (31.0, "day", "31 天", "31 days"),
        (20.99, "hour", "21 小时", "21 hours"),
        (0.0461, "hour", "2.8 分钟", "2.8 minutes"),
        (0.005, "hour", "18 秒", "18 seconds"),
        (0, "hour", "0 小时", "0 hours"),
        (-0.001, "CNY", "¥0.00", "¥0.00"),
        (-0.0, None, "0", "0"),
        (-0.001, None, "0", "0"),
        (-0.000001, "%", "0.0%", "0.0%"),
        (12.5, "%", "1,250.0%", "1,250.0%"),
        (-3.5, "CNY", "-¥3.50", "-¥3.50"),
    ],
)
def test_numbers(value: float, unit: str | None, zh: str, en: str) -> None:
    assert (format_number(value, unit, "zh"), format_number(value, unit, "en")) == (zh, en)


@pytest.mark.parametrize(
    ("value", "unit", "zh", "en"),
    [
        (-37_900, "CNY", "-¥3.79万", "-¥37.9K"),
        (-5.0, "CNY", "-¥5", "-¥5"),
        (12.5, "%", "1,250%", "1,250%"),
        (2e7, "%", "20亿%", "2B%"),
        (1234.5, "%", "123,450%", "123,450%"),
        (-0.0, "CNY", "¥0", "¥0"),
        (9_999.6, None, "10,000", "10K"),
        (999_950, None, "100万", "1,000K"),
        (0.05, "pp", "+5", "+5"),
        (-0.05, "pp", "-5", "-5"),
        (1e12, None, "10,000亿", "1,000B"),
    ],
)
def test_short_numbers(value: float, unit: str | None, zh: str, en: str) -> None:
    assert (format_short(value, unit, "zh"), format_short(value, unit, "en")) == (zh, en)


@given(NUMBERS, UNITS, st.sampled_from(["zh", "en"]))
def test_a_number_has_one_sign_in_front_and_none_for_zero(value, unit, language) -> None:
    for written in (format_number(value, unit, language), format_short(value, unit, language)):
        assert re.match(r"[-+]?[¥$€£]?\d", written)
        assert not re.match(r"-[¥$€£]?0(\.0*)?(?![\d.])", written)
        assert "-" not in written[1:] or "e-" in written


@given(st.floats(1e-4, 1e12))
def test_a_short_number_is_close_to_the_number(value) -> None:
    written = format_short(value, None, "en")
    scale = {"K": 1e3, "M": 1e6, "B": 1e9}.get(written[-1], 1.0)
    assert float(written.rstrip("KMB").replace(",", "")) * scale == pytest.approx(value, rel=0.006)
