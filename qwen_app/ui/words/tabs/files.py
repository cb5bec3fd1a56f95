"""The files tab."""

from __future__ import annotations

FILES: dict[str, tuple[str, str]] = {
    "files_tab": ("Files", "文件"),
    "files_collection": ("Collection", "文件集"),
    "files_collection_info": ("Pick one, or type a new name", "选择已有的，或输入新名称"),
    "files_add": ("Add files", "添加文件"),
    "files_files": ("Files in it", "其中的文件"),
    "files_files_info": ("A file of the same name is replaced", "同名文件会被替换"),
    "files_file": ("{name} · {characters} {characters:character|characters}", "{name} · {characters} 个字符"),
    "files_remove": ("Remove ticked", "移除所选"),
    "files_drop": ("Delete collection", "删除文件集"),
    "files_drop_sure": (
        "Delete the collection “{name}” with {count} {count:file|files}? This cannot be undone.",
        "删除文件集“{name}”及其中的 {count} 个文件？此操作无法撤销。",
    ),
    "files_drop_yes": ("Delete", "删除"),
    "files_drop_no": ("Keep it", "保留"),
    "files_dropped": ("The collection “{name}” is deleted.", "已删除文件集“{name}”。"),
    "files_no_collection": ("There is no collection to delete yet.", "还没有可删除的文件集。"),
    "files_none_ticked": ("Tick the files to remove first.", "请先勾选要移除的文件。"),
    "files_drop_here": ("Drop files to add them to this collection", "松开即可把文件加入此文件集"),
    "files_kept": ("{name} can be asked now.", "{name} 已可提问。"),
    "files_kept_words": (
        "{name} is found by its words alone for now: the embedding server does not answer, and is asked again.",
        "{name} 暂时只能按词语查找：向量服务器没有响应，稍后会再试。",
    ),
    "files_vectors": (
        "{count} {count:passage is|passages are} found by words alone until all have vectors, which are being made.",
        "{count} 个段落在生成向量之前只能按词语查找，向量正在生成。",
    ),
    "files_removed": ("Files removed: {count}.", "已移除 {count} 个文件。"),
    "files_nobody": (
        "This browser takes no cookies, so its files could not be told from those of others.",
        "此浏览器不接受 Cookie，无法区分其文件归属。",
    ),
    "files_question": ("Ask your files", "向文件提问"),
    "files_question_hint": ("What does the contract say about late payment?", "合同对逾期付款有什么规定？"),
    "files_ask": ("Ask", "提问"),
    "files_searching": ("Searching your files…", "正在查找文件…"),
    "files_nothing": (
        "Not in your files: no passage matches the question. Ask with other words, or add the file that says it.",
        "您的文件中没有相关内容：没有段落与问题相符。请换个说法，或添加相关文件。",
    ),
    "files_sources": ("Passages", "引用的段落"),
}
