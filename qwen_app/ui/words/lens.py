"""Texts of the context lens, and of what can be done with a turn or an answer. Each is English, then Chinese."""

from __future__ import annotations

LENS: dict[str, tuple[str, str]] = {
    "lens_system": ("System prompt and template: {tokens} {tokens:token|tokens}", "系统提示词与模板：{tokens} 个词元"),
    "lens_free": ("Free: {tokens} {tokens:token|tokens}", "空闲：{tokens} 个词元"),
    "lens_kept": (
        "Turn {number} · {tokens} {tokens:token|tokens} · {question}",
        "第 {number} 轮 · {tokens} 个词元 · {question}",
    ),
    "lens_pinned": (
        "Turn {number}, pinned · {tokens} {tokens:token|tokens} · {question}",
        "第 {number} 轮，已固定 · {tokens} 个词元 · {question}",
    ),
    "lens_trimmed": (
        "Turn {number}, left out for want of room · {tokens} {tokens:token|tokens} · {question}",
        "第 {number} 轮，因空间不足不发送 · {tokens} 个词元 · {question}",
    ),
    "lens_dropped": (
        "Turn {number}, left out by you · {tokens} {tokens:token|tokens} · {question}",
        "第 {number} 轮，由你排除 · {tokens} 个词元 · {question}",
    ),
    "lens_click_auto": ("Click: send it again, as there is room", "点击：恢复，视空间发送"),
    "lens_click_pin": ("Click: pin it, so that it is always sent", "点击：固定，始终发送"),
    "lens_click_drop": ("Click: leave it out", "点击：排除，不再发送"),
    "lens_over": ("{tokens} too many", "超出 {tokens}"),
    "lens_unread": (
        "{characters} {characters:character|characters}, and no more than {limit} can be read: shorten it, "
        "or send it as a document",
        "共 {characters} 个字符，最多读取 {limit} 个：请缩短，或作为文档发送",
    ),
    "lens_over_pinned": ("{tokens} too many: shorten it, or unpin a turn", "超出 {tokens}：请缩短，或取消固定某一轮"),
    "lens_out": ("{turns} {turns:turn|turns} left out ({tokens})", "{turns} 轮不发送（{tokens}）"),
    "hold_pin": ("Pin", "固定"),
    "hold_pin_info": ("Always send this turn, however long the chat gets", "无论对话多长，始终发送这一轮"),
    "hold_pinned": ("Pinned", "已固定"),
    "hold_drop": ("Leave out", "排除"),
    "hold_drop_info": ("Do not send this turn any more. It stays here to read", "不再发送这一轮，仍可在此阅读"),
    "hold_dropped": ("Left out", "已排除"),
    "go_on": ("Continue", "继续"),
    "go_on_info": ("Write on where the answer was cut", "从中断处继续写"),
    "shorter": ("Shorter", "更短"),
    "ask_shorter": ("Say that again, shorter.", "请更简短地再说一遍。"),
    "as_json": ("As JSON", "JSON 格式"),
    "ask_json": ("Give that as a JSON object.", "请以 JSON 对象的形式给出。"),
    "again": ("Run again exactly", "完全重跑"),
    "again_info": (
        "The same settings, seed and sent turns: the same text",
        "相同的设置、种子和已发送轮次，得到相同的文本",
    ),
    "compare_runs": ("Difference to the run before", "与上一次的差异"),
    "compare_runs_info": ("Word by word; click again to hide it", "逐词比较；再次点击隐藏"),
    "difference_none": ("The same text, word for word.", "文本逐字相同。"),
    "difference_rounding": (
        "Settings, seed and prompt were the same. The model computes in other steps where part of a "
        "prompt is reused or others are answered beside it, and that changes its numbers.",
        "设置、种子和提示词均相同。复用部分提示词或同时回答他人时，模型的计算步骤不同，数值随之改变。",
    ),
    "difference_too_long": (
        "Only answers of up to {words} {words:word|words} are compared.",
        "只比较不超过 {words} 个词的回答。",
    ),
    "card_dropped": ("Left out", "未发送"),
    "card_turns": ("{turns} {turns:turn|turns}, {tokens} {tokens:token|tokens}", "{turns} 轮，{tokens} 个词元"),
    "card_model": ("Model", "模型"),
    "card_top_k": ("Top-k", "Top-k"),
    "card_min_p": ("Min-p", "Min-p"),
    "card_repetition": ("Repetition penalty", "重复惩罚"),
    "card_presence": ("Presence penalty", "存在惩罚"),
    "card_frequency": ("Frequency penalty", "频率惩罚"),
    "start_with": ("Start the reply with", "回答的开头"),
    "start_hint": ("The model goes on from these words", "模型从这些词接着写"),
    "start_in_json": (
        "JSON mode decides how an answer starts. Empty “Start the reply with”, or switch JSON mode off.",
        "JSON 模式决定了回答的开头。请清空“回答的开头”，或关闭 JSON 模式。",
    ),
    "no_start": (
        "This server begins every answer itself. Empty “Start the reply with” in the settings.",
        "该服务器总是自行开始回答。请清空设置中的“回答的开头”。",
    ),
    "scores": ("Words and their alternatives", "每个词及其备选"),
    "scores_first": ("(the first {tokens} {tokens:token|tokens})", "（仅前 {tokens} 个词元）"),
    "scores_switch": ("Show alternatives", "显示备选词"),
    "scores_info": ("Under each answer: how likely every word was, and what else", "在回答下方显示每个词的概率与备选"),
    "no_logprobs": (
        "This server does not tell how likely words are.",
        "该服务器不提供词的概率。",
    ),
    "next_token": ("What comes next?", "下一个词？"),
    "next_token_label": ("Likeliest next tokens", "最可能的下一个词元"),
    "next_token_others": ("all others, about", "其余（约）"),
    "next_token_drawn": (
        "# can be drawn; the pale rest is cut off by top-k and top-p. Move the sliders.",
        "可从 # 个中抽取，变淡的部分被 top-k 和 top-p 舍去。可移动滑块查看变化。",
    ),
    "hold_undo_info": ("Send it again, as there is room", "恢复，视空间发送"),
}
