"""What the page's script says: names, explanations, commands, keys."""

from __future__ import annotations

SCRIPT: dict[str, tuple[str, str]] = {
    # what the page's script says
    "send": ("Send", "发送"),
    "you_said": ("Your message", "你的消息"),
    "answer_said": ("Answer", "回答"),
    "scroll_down": ("Go to the end", "回到最新"),
    "copy": ("Copy", "复制"),
    "copy_message": ("Copy message", "复制"),
    "copied": ("Copied", "已复制"),
    "retry": ("Retry", "重新回答"),
    "undo": ("Undo", "撤回"),
    "edit": ("Edit", "编辑"),
    "submit": ("Submit", "发送"),
    "cancel": ("Cancel", "取消"),
    "download": ("Download", "下载"),
    "fold": ("Fold", "折叠"),
    "nothing_yet": ("Nothing yet", "暂无内容"),
    "code_editor": ("Code editor", "代码编辑框"),
    "task_done": ("Done", "已完成"),
    "task_open": ("To do", "未完成"),
    "reset_settings": ("Reset", "恢复默认"),
    "about_temperature": (
        "How freely words are drawn: low is steady and repeats itself, high is lively and errs more.",
        "取词的随意程度：低则稳定、易重复，高则活泼、易出错。",
    ),
    "about_top_p": (
        "Only the likeliest words that together reach this share are drawn from; the rest is cut off.",
        "只从累计概率达到该值的最可能的词中选取，其余舍去。",
    ),
    "about_max_tokens": (
        "An answer that reaches this many tokens is cut off. A token is a short word or a part of one.",
        "回答达到这么多词元即被截断。词元是一个短词或词的一部分。",
    ),
    "about_context": (
        "What the model sees at once: system prompt, chat and answer together. Older turns are left out beyond it.",
        "模型一次能看到的内容：系统提示词、对话和回答合计。超出后，较早的轮次不再发送。",
    ),
    "about_seed": (
        "The same seed with the same settings and chat gives the same answer.",
        "相同的种子、设置和对话会得到相同的回答。",
    ),
    "show_earlier": ("Show {{turns}} earlier {{turns:turn|turns}}", "显示更早的 {{turns}} 轮"),
    "wrap_lines": ("Wrap lines", "自动换行"),
    "focus_composer": ("Write a message", "输入消息"),
    "copy_answer": ("Copy the last answer", "复制最近的回答"),
    "switch_look": ("Light or dark", "切换深浅色"),
    "switch_notice": ("Tell me when an answer is done: on or off", "回答完成时提醒我：开或关"),
    "notice_done": ("The answer is done.", "回答已完成。"),
    "switch_language": ("中文界面", "English"),
    "shortcuts": ("Keyboard shortcuts", "快捷键"),
    "more_tabs": ("More", "更多"),
    "palette_hint": ("What would you like to do?", "想做什么？"),
    "key_send": ("Send; in an edited question, a new line", "发送；编辑问题时为换行"),
    "key_line": ("New line", "换行"),
    "key_escape": ("Close, leave an edit, or stop the answer", "关闭、退出编辑或停止回答"),
    "key_recall": ("Write the last question again", "重新编辑上一个问题"),
    "key_palette": ("All commands", "全部命令"),
    "key_edit": ("Send, in an edited question too", "发送，编辑问题时亦然"),
    "show_all": ("Show all", "展开全文"),
}
