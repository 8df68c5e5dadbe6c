"""Owns the words of what stands beside the conversation: history, saved questions, board, metrics. In both languages."""

from wenshu.semantic_layer.text import Text

MENU = Text("Menu", "菜单")
CONVERSATIONS = Text("Conversations", "对话")
SEARCH = Text("Search conversations", "搜索对话")
NO_CONVERSATIONS = Text("What you ask will be listed here.", "您的对话会列在这里。")
NOTHING_FOUND = Text("Nothing found for “{}”.", "没有找到“{}”。")
TODAY = Text("Today", "今天")
YESTERDAY = Text("Yesterday", "昨天")
WEEK = Text("Last 7 days", "最近 7 天")
OLDER = Text("Older", "更早")
RENAME = Text("Rename “{}”", "重命名“{}”")
TITLE = Text("Title", "标题")
DELETE = Text("Delete “{}”", "删除“{}”")
DELETE_SURE = Text("Delete “{}” for good?", "确定删除“{}”？删除后无法恢复。")
DELETE_IT = Text("Delete", "删除")
CANCEL = Text("Cancel", "取消")
CLOSE = Text("Close", "关闭")
FAILED = Text("That did not work. Please try again.", "操作没有成功，请重试。")
GONE = Text("The connection was lost. It is being tried again …", "与服务器的连接已断开，正在重新连接……")
LOADING = Text("Loading …", "正在加载……")
RIGHTS_CHANGED = Text(
    "This answer was given under other rights than you have now. Ask again to see what you may see today.",
    "这个回答是按您当时的权限给出的，如今权限已变化。请重新提问，查看您现在可以看到的数据。",
)

ACTIONS = Text("What to do with this answer", "对这个回答的操作")
RETRY = Text("Ask again", "重新回答")
EDIT = Text("Edit the question", "修改问题")
EDITING = Text("Editing question {}: it and what follows are answered anew. Esc cancels.", "正在修改第 {} 个问题：发送后它和之后的内容将重新回答，按 Esc 取消。")
HELD = Text("Asked next: {}", "稍后提问：{}")
TAKE_BACK = Text("Take back", "撤回")
COPY_ANSWER = Text("Copy the answer", "复制回答")
COPIED = Text("Copied", "已复制")
COPY_SQL = Text("Copy SQL", "复制 SQL")
SAVE = Text("Save as a question", "存为常用问题")
PIN = Text("Pin to the board", "固定到看板")
PINNED = Text("Pinned to the board. It is asked anew whenever you open it.", "已固定到看板，每次打开都会重新计算。")
GOOD = Text("Good answer", "回答得好")
BAD = Text("Bad answer", "回答有问题")
REASON = Text("What was wrong? (optional)", "哪里有问题？（可不填）")
REASON_GOOD = Text("What was good? (optional)", "哪里好？（可不填）")
SEND_REASON = Text("Send", "提交")
THANKS = Text("Thank you, noted.", "谢谢，已记录。")
VERIFIED = Text("Verified question: {}", "已认证问题：{}")
SAVE_XLSX = Text("Download Excel", "下载 Excel")
SAVE_SVG = Text("Save chart (SVG)", "保存图片（SVG）")

SAVED = Text("Saved questions", "常用问题")
SAVED_HELP = Text(
    "Trusted questions: somebody looked at how each is computed. Fill in what you like and run it.",
    "可信的常用问题：每个问题的算法都有人核对过。填好参数即可运行。",
)
SEARCH_SAVED = Text("Search saved questions", "搜索常用问题")
NO_SAVED = Text("No saved questions yet. Save one from any answer.", "还没有常用问题，可以从任意回答中保存。")
RUN = Text("Run", "运行")
SHARE = Text("Copy link", "复制链接")
LINK_COPIED = Text("Link copied", "链接已复制")
EDIT_SAVED = Text("Edit", "编辑")
OWN = Text("own", "自建")
SAVE_TITLE = Text("Save this question", "保存这个问题")
EDIT_TITLE = Text("Edit the saved question", "编辑常用问题")
NAME = Text("Name (for links and the command line)", "名称（用于链接和命令行）")
NAME_HINT = Text("small letters, digits and _", "小写字母、数字和下划线")
CATEGORY = Text("Category", "分类")
WORDING = Text("Question in words; {period} stands for the time", "问题的说法，{period} 代表时间")
WORDING_NEW = Text("Question in words that stand alone; its time becomes a field to fill", "问题的完整说法（不依赖上文），其中的时间会成为可填写的参数")
DESCRIPTION = Text("Description (optional)", "说明（可不填）")
SAVE_IT = Text("Save", "保存")
SAVED_NOW = Text("Saved. It is under “Saved questions”.", "已保存，可在“常用问题”中找到。")
UNKNOWN_SAVED = Text("There is no saved question “{}” here.", "这里没有名为“{}”的常用问题。")
UNKNOWN_SAVED_HINT = Text("Choose one of this list, or ask and save it from the answer.", "请从列表中选择，或提问后从回答中保存。")
DELETED = Text("Deleted", "已删除")
NAME_TAKEN = Text("There is a saved question “{}” already.", "已有名为“{}”的常用问题。")
NAME_TAKEN_HINT = Text("Choose another name.", "请换一个名称。")
BROKEN = Text("Some files of saved questions have mistakes; the others work.", "部分常用问题文件有误，其余仍可使用。")

BOARD = Text("Board", "看板")
BOARD_HELP = Text("Pinned answers, asked anew just now.", "已固定的回答，打开时重新计算。")
NO_PINS = Text("Nothing pinned yet. Use the pin below an answer.", "还没有固定的回答，可点击回答下方的图钉。")
UNPIN = Text("Remove from the board: {}", "从看板移除：{}")
RUN_AT = Text("as of {}", "更新于 {}")
OPEN_QUESTION = Text("Ask in the conversation", "在对话中提问")

REPORT = Text("Weekly report", "周报")
METRICS = Text("Metrics", "指标目录")
METRICS_HELP = Text("What can be asked, and how each number is computed.", "可以问什么，每个数怎么算。")
SEARCH_METRICS = Text("Search metrics, dimensions and segments", "搜索指标、维度和分群")
KINDS = {
    "metrics": Text("Metrics", "指标"),
    "dimensions": Text("Dimensions", "维度"),
    "segments": Text("Segments", "分群"),
}
ALSO = Text("also: {}", "也叫：{}")
VALUES = Text("values: {}", "取值：{}")
TRY = Text("Ask", "提问")

SIGNED_IN = Text("Signed in as {}", "已登录：{}")
SIGN_OUT = Text("Sign out", "退出登录")

GUIDE = Text("How to ask", "怎么问")
GUIDE_ABOUT = Text(
    "A question names a metric and, if you like, a time, a split and a condition. Click one to try it.",
    "一个问题说出指标即可，也可以加上时间、拆分方式和条件。点一下就能试。",
)
GUIDE_TEXTS = (
    (
        Text("Going on", "接着问"),
        Text(
            "Just say what is to change: “and by city?”, “only Beijing”, “vs the month before”, “weekly”.\n"
            "Where a question can mean several things, you are asked which.",
            "只说要改的部分：“按城市呢？”“只看北京”“和上个月比”“按周看”。\n问题有多种理解时，会请您选择。",
        ),
    ),
    (
        Text("Can I trust the number?", "这个数可信吗？"),
        Text(
            "“How this number came about” shows definition, dates, filters, assumptions and the SQL.\n"
            "“Verified question” means that somebody looked at how it is computed. What the data do not hold is refused, never guessed.",
            "“这个数怎么来的”会列出口径、日期、筛选、默认理解和 SQL。\n“已认证问题”表示算法有人核对过。数据里没有的内容会直接说明，不会猜。",
        ),
    ),
)
KEYBOARD = Text("Keys", "快捷键")
GUIDE_KEYS = (
    ("Enter", Text("send; while an answer is made, ask next", "发送；正在回答时则排在下一个")),
    ("Shift + Enter", Text("new line", "换行")),
    ("↑ ↓ Tab", Text("choose a suggestion", "选择输入建议")),
    ("Esc", Text("close, cancel", "关闭、取消")),
)

MODEL = Text("Data to ask", "要查询的数据")
DATA = Text("Your data", "我的数据")
DATA_HELP = Text(
    "Bring files, and ask about them at once. They are copied, and only you can ask them.",
    "上传文件后即可提问。文件会被复制保存，只有您自己可以查询。",
)
FILES = Text("Choose files or drop them here", "选择文件，或拖放到这里")
FILE_KINDS = Text("CSV, TSV, Excel (.xlsx) or Parquet", "CSV、TSV、Excel（.xlsx）或 Parquet")
NO_FILES = Text("Choose a file first.", "请先选择文件。")
FILES_HINT = Text(
    "Up to 20 files of 300 MB each; files that belong together are related by columns of one name.",
    "最多 20 个文件，每个不超过 300 MB；同名列会把相关的文件关联起来。",
)
UPLOAD_IT = Text("Upload", "上传")
UPLOADING = Text("Sending {} …", "正在上传 {}……")
READING = Text("Reading the files and trying questions … {} s", "正在读取文件并试问几个问题…… {} 秒")
TOO_LARGE = Text("{} is larger than 300 MB. Export fewer rows or columns.", "{} 超过 300 MB，请减少导出的行或列。")
UNDERSTOOD = Text("This is how your data were understood", "数据已读取，理解如下")
ASK_IT = Text("Ask about it", "开始提问")
EDIT_MODEL = Text("Edit the model", "修改模型")
EDIT_MODEL_HELP = Text(
    "Labels, synonyms and metrics are yours to change; mistakes are named with their line and nothing is saved.",
    "可以修改名称、同义词和指标；有错误时会指出行号，并且不会保存。",
)
MODEL_SAVED = Text("Saved. The next question is answered by it.", "已保存，下一个问题起生效。")
SWITCHED = Text("Other data were chosen in another window.", "您在另一个窗口切换了数据。")
SWITCHED_HINT = Text("Reload this page to go on.", "请刷新本页后继续。")
