"""Why something could not be kept, read or answered, found by the English. What stands in braces is kept."""

from __future__ import annotations

FAULTS: dict[str, tuple[str, str]] = {
    # collections of files
    "wrong_collection_name": (
        "A collection needs a name of 1 to {most} characters.",
        "文件集需要一个名称：1 到 {most} 个字符。",
    ),
    "wrong_collection_gone": ("This collection is not there, or not any more.", "此文件集不存在，或已被删除。"),
    "wrong_collections": (
        "You have {most} collections, as many as are kept. Delete one first.",
        "你已有 {most} 个文件集，达到上限。请先删除一个。",
    ),
    "wrong_files": (
        "The collection has {most} files, as many as are kept. Remove some first.",
        "此文件集已有 {most} 个文件，达到上限。请先移除一些。",
    ),
    "wrong_files_characters": (
        "Your files would hold more than {most} characters, as many as are kept. Remove some first.",
        "你的文件合计将超过 {most} 个字符的上限。请先移除一些。",
    ),
    "wrong_files_parts": (
        "Your files would have more than {most} parts. Remove some first.",
        "你的文件合计将超过 {most} 段。请先移除一些。",
    ),
    "wrong_files_server": (
        "The server keeps as many files as it can just now. Remove some of yours first.",
        "服务器保存的文件已达上限。请先移除自己的一些文件。",
    ),
    "wrong_search": (
        "The search took too long. Ask in fewer words, or search a smaller collection.",
        "查找用时过长。请用更少的词提问，或在较小的文件集中查找。",
    ),
    # tables
    "wrong_table_size": ("The file is larger than {most} MB.", "文件超过 {most} MB。"),
    "wrong_table_limit": (
        "The file is over the limit of {most} MiB. Upload a smaller one.",
        "文件超过 {most} MiB 的上限。请上传较小的文件。",
    ),
    "wrong_table_rows": ("The file has more than {most} rows. Split it.", "文件超过 {most} 行，请拆分。"),
    "wrong_table_columns": (
        "The file has more than {most} columns. Leave some out.",
        "文件超过 {most} 列，请减少一些。",
    ),
    "wrong_table_empty": ("The file is empty.", "文件是空的。"),
    "wrong_table_names": (
        "Every column needs a name of its own in the first row.",
        "第一行中每一列都需要一个不同的名称。",
    ),
    "wrong_table_long_name": (
        "The name of a column is longer than {most} characters. Shorten it.",
        "有一列的名称超过 {most} 个字符，请缩短。",
    ),
    "wrong_table_encoding": (
        "The file is no text in an encoding that is known here. Save it as UTF-8.",
        "无法识别文件的文字编码。请另存为 UTF-8。",
    ),
    "wrong_table_csv": ("The file is not valid CSV: {problem}.", "文件不是有效的 CSV（{problem}）。"),
    "wrong_table_kept": ("The file was not kept. Upload it again.", "文件没有保留，请重新上传。"),
    "wrong_table_kind": (
        "Only a file whose name ends in .csv can be uploaded.",
        "只能上传名称以 .csv 结尾的文件。",
    ),
    "wrong_upload_slow": ("The file took too long to come in. Try again.", "文件上传用时过长，请再试一次。"),
    "wrong_upload_broken": ("The upload broke off. Try again.", "上传中断了，请再试一次。"),
    # answers
    "wrong_parts": (
        "The documents take {parts} parts at this context, and {most} can be read. Raise the context length, or choose "
        "pages.",
        "按当前上下文，文档需分 {parts} 段，最多可读 {most} 段。请增大上下文长度，或选择部分页。",
    ),
    "wrong_smallest": (
        "The smallest answer this schema allows takes {tokens} tokens, and there is room for {room}. Allow more "
        "tokens.",
        "符合此结构的最短回答需要 {tokens} 个词元，目前只有 {room} 个可用。请增大最长回答。",
    ),
    "wrong_nothing_asked": (
        "There is nothing to answer: give messages or a prompt.",
        "没有可回答的内容：请先输入消息或提示词。",
    ),
    "wrong_prompt_empty": ("The prompt is empty. Give it some text to continue.", "提示词是空的，请输入一些文本。"),
    "wrong_range": (
        "{name} must lie between {lowest} and {highest}; it is {value}.",
        "{name} 必须在 {lowest} 到 {highest} 之间，现为 {value}。",
    ),
    "wrong_long": ("This took too long. Use something simpler.", "用时过长，请用更简单的内容。"),
    "wrong_memory": ("This needed too much memory. Use something simpler.", "所需内存过多，请用更简单的内容。"),
    "wrong_output": ("This became too large. Use something simpler.", "结果过大，请用更简单的内容。"),
    "wrong_crash": ("This could not be worked out. Use something simpler.", "无法得出结果，请用更简单的内容。"),
    "wrong_tokenizer": (
        "This model cannot be held to a format, nor call tools: its tokenizer is of a kind that is not known here.",
        "此模型无法按指定格式回答，也不能调用工具：它的分词器类型不受支持。",
    ),
    # answers that were checked against a schema
    "wrong_answer_json": ("The answer is not valid JSON: {problem}.", "回答不是有效的 JSON（{problem}）。"),
    "wrong_answer_unchecked": ("The answer cannot be checked: {problem}.", "无法检查这个回答（{problem}）。"),
    "wrong_answer_place": ("At {place}: {problem}", "{place} 处：{problem}"),
    "wrong_answer_missing": ("{key} is a required property", "缺少必填的 {key}"),
}
