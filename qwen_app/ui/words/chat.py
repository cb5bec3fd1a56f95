"""The chat tab, its settings, and the lines under an answer."""

from __future__ import annotations

CHAT: dict[str, tuple[str, str]] = {
    # the chat
    "chat_label": ("Conversation", "对话"),
    "composer_label": ("Message", "消息"),
    "composer_hint": ("Ask anything", "想问点什么？"),
    "keys": ("Enter sends · Shift+Enter new line · Esc stops", "Enter 发送 · Shift+Enter 换行 · Esc 停止"),
    "welcome": ("What would you like to know?", "想聊点什么？"),
    "example_capital": ("What is the capital of Japan?", "日本的首都是哪里？"),
    "example_code": (
        "Write a Python function that checks whether a word is a palindrome.",
        "用 Python 写一个函数，判断一个单词是否为回文。",
    ),
    "example_explain": (
        "Explain what a context window is, in three sentences.",
        "用三句话解释什么是上下文窗口。",
    ),
    # settings
    "system_prompt": ("System prompt", "系统提示词"),
    "system_hint": ("How the model should behave", "希望模型如何回答"),
    "temperature": ("Temperature", "温度"),
    "temperature_info": ("0 always takes the likeliest word", "0 总是选择最可能的词"),
    "top_p": ("Top-p", "Top-p"),
    "top_p_info": ("Share of likely words to choose from", "候选词的累计概率"),
    "max_tokens": ("Longest answer", "最长回答"),
    "context": ("Context length", "上下文长度"),
    "tokens_info": ("in tokens", "以词元计"),
    "seed": ("Seed", "随机种子"),
    "seed_hint": ("random", "随机"),
    "json_mode": ("JSON mode", "JSON 模式"),
    "json_info": ("Every finished answer is a JSON object", "每个完整回答都是一个 JSON 对象"),
    # while waiting
    "queued": ("Waiting · {position} before you", "排队中 · 前面还有 {position} 个请求"),
    "starting": ("Starting…", "正在开始…"),
    "prefill": (
        "Reading the prompt · {done} of {total} {total:token|tokens} · {percent} %",
        "正在读取提示词 · {done} / {total} 个词元 · {percent}%",
    ),
    "thinking": ("Writing…", "正在生成…"),
    # under an answer
    "run_stop": ("Finished", "已完成"),
    "run_length": ("Cut off: the answer reached its longest length (a setting)", "达到最长回答后截断"),
    "run_tool_calls": ("Tool call", "工具调用"),
    "run_cancelled": ("Stopped", "已停止"),
    "run_deadline": ("Out of time", "超时结束"),
    "run_failed": ("Failed", "失败"),
    "run_interrupted": ("Interrupted by a restart of the server", "因服务器重启而中断"),
    "run_unwatched": ("Stopped: nobody was looking on", "无人查看，已停止"),
    "run_closed": ("closed to valid JSON", "已补全为有效 JSON"),
    "run_first_token": ("first token {seconds} s", "首个词元 {seconds} 秒"),
    "run_speed": ("{speed} tokens/s", "{speed} 词元/秒"),
    "run_tokens": ("{prompt} + {completion} {completion:token|tokens}", "{prompt} + {completion} 个词元"),
    "run_reused": ("{reused} reused", "复用 {reused}"),
    "run_seed": ("seed {seed}", "种子 {seed}"),
    "run_seconds": ("{seconds} s", "{seconds} 秒"),
    "live_tokens": ("{tokens} {tokens:token|tokens}", "{tokens} 个词元"),
    "card_end": ("Ended", "结束方式"),
    "card_prompt": ("Tokens read", "读取的词元"),
    "card_reused": ("of them reused", "其中复用"),
    "card_answer": ("Tokens written", "生成的词元"),
    "card_first": ("First token after", "首个词元用时"),
    "card_speed": ("Speed", "速度"),
    "card_seed": ("Seed", "随机种子"),
    "run_partial": ("What was written so far is kept.", "已生成的内容已保留。"),
    "left_out": (
        "The conversation is longer than the context. What is dimmed above is no longer sent to the model.",
        "对话已超出上下文长度，上方变淡的内容不再发送给模型。",
    ),
    # the meter
    "meter": ("{used} of {context} {context:token|tokens}", "{used} / {context} 个词元"),
    "meter_about": ("about {used} of {context} {context:token|tokens}", "约 {used} / {context} 个词元"),
    "meter_draft": ("draft {draft}", "草稿 {draft}"),
    "meter_reserve": ("{reserve} kept for the answer", "为回答预留 {reserve}"),
    "meter_label": ("Context used", "上下文用量"),
}
