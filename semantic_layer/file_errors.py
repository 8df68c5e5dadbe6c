"""Owns the errors of files that people bring, and the limits that files are held to. Reads no file."""

from wenshu.semantic_layer.errors import FileError
from wenshu.semantic_layer.text import Text

MOST_BYTES = 1_000_000_000  # of one file
MOST_ROWS = 20_000_000
MOST_COLUMNS = 300
MOST_FILES = 20
MOST_UNPACKED = 1_500_000_000  # of what a compressed file holds
MOST_SHARED_TEXT = 200_000_000  # of an Excel file's texts, which are held in memory
MOST_TIMES_PACKED = 200  # how much larger a workbook may be than its file, where it is large


def empty(name: str) -> FileError:
    return FileError(
        "file_empty",
        Text(f"{name} holds no table: it is empty.", f"{name} 中没有表格：文件是空的。"),
        Text(
            "Export the data again, with a row of headers and at least one row below it.",
            "请重新导出数据，首行为列名，其下至少有一行数据。",
        ),
    )


def no_rows(name: str) -> FileError:
    return FileError(
        "file_no_rows",
        Text(f"{name} has headers but no row of data.", f"{name} 只有列名，没有数据行。"),
        Text(
            "Export the data again, with at least one row below the headers.", "请重新导出数据，列名下至少有一行数据。"
        ),
    )


def missing(name: str) -> FileError:
    return FileError(
        "file_missing",
        Text(f"There is no file {name} that can be read.", f"文件 {name} 不存在或无法读取。"),
        Text("Check its name, its folder and that you may read it.", "请检查文件名、所在文件夹和读取权限。"),
    )


def unknown(name: str, looks_like: Text) -> FileError:
    return FileError(
        "file_unknown",
        Text(
            f"{name} is {looks_like.en}, not a table in CSV, TSV, Excel (.xlsx) or Parquet.",
            f"{name} 是{looks_like.zh}，而不是 CSV、TSV、Excel（.xlsx）或 Parquet 表格。",
        ),
        Text(
            "Open it where it comes from and save or export it as CSV or .xlsx.",
            "请在原程序中打开，另存或导出为 CSV 或 .xlsx。",
        ),
    )


def encoding(name: str) -> FileError:
    return FileError(
        "file_encoding",
        Text(
            f"The text of {name} is in an encoding that is not known: neither UTF-8, UTF-16 nor GB18030 (GBK).",
            f"无法识别 {name} 的文字编码：既不是 UTF-8、UTF-16，也不是 GB18030（GBK）。",
        ),
        Text("Save it as “CSV UTF-8” and try again.", "请另存为“CSV UTF-8”后重试。"),
    )


def broken(name: str, kind: str) -> FileError:
    return FileError(
        "file_broken",
        Text(
            f"{name} cannot be read as {kind}: it is damaged or cut off.",
            f"无法将 {name} 作为 {kind} 读取：文件已损坏或不完整。",
        ),
        Text(
            "Download or export it again; if it opens in its program, save it anew.",
            "请重新下载或导出；若能在原程序中打开，请另存一份。",
        ),
    )


def encrypted(name: str) -> FileError:
    return FileError(
        "file_encrypted",
        Text(f"{name} is protected by a password.", f"{name} 设有密码保护。"),
        Text(
            "Open it in Excel, remove the password and save it as .xlsx.", "请在 Excel 中打开，取消密码后另存为 .xlsx。"
        ),
    )


def too_large(name: str, what: Text, most: Text) -> FileError:
    return FileError(
        "file_too_large",
        Text(f"{name} is too large: {what.en}, and at most {most.en} can be taken in.", f"{name} 过大：{what.zh}，最多可接收 {most.zh}。"),
        Text("Bring the part that you need, or load it into a database and write a model for it (docs/model.md).",
             "请只上传需要的部分，或将其导入数据库并编写模型（见 docs/model.md）。"),
    )  # fmt: skip


def taken(place: str) -> FileError:
    return FileError(
        "place_taken",
        Text(f"{place} holds a model already.", f"{place} 中已有模型。"),
        Text(
            "Name another folder with --out, or replace it with --replace.",
            "请用 --out 指定其他文件夹，或用 --replace 覆盖。",
        ),
    )


def not_written(place: str) -> FileError:
    return FileError(
        "cannot_write",
        Text(f"{place} cannot be written to.", f"无法写入 {place}。"),
        Text("Name a folder that you may write to, on a disk with room.", "请指定有写入权限且空间充足的文件夹。"),
    )
