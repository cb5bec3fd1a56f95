"""What went wrong, by the error's code."""

from __future__ import annotations

ERRORS: dict[str, tuple[str, str]] = {
    # errors
    "too_long": (
        "Your message needs {needed} {needed:token|tokens} with the system prompt, but only {room} of the {context} "
        "{context:token|tokens} of context {room:is|are} free for it. Shorten it, lower the longest answer, or raise "
        "the context length in the settings.",
        "这条消息连同系统提示词需要 {needed} 个词元，而 {context} 个词元的上下文中只有 {room} 个可用。"
        "请缩短消息、减小最长回答，或在设置中增大上下文长度。",
    ),
    "context_length_exceeded": ("{message}", "提示词和回答超出了上下文长度。请缩短消息或减小最长回答。"),
    "rate_limit_exceeded": ("{message}", "排队的请求太多了，请几秒后再试。"),
    "server_full": ("{message}", "服务器保存的内容已达上限，请稍后再试，或先删除自己的一些内容。"),
    "service_unavailable": ("{message}", "服务暂时不可用，请一分钟后再试。"),
    "out_of_memory": ("{message}", "显存不足，无法完成这个请求。请缩短对话后再试。"),
    "disk_full": ("{message}", "服务器的磁盘已满或无法写入，未能保存。已有内容没有丢失。"),
    "upstream_error": ("{message}", "远程推理服务出错，请稍后再试。"),
    "invalid_schema": ("{message}", "无法使用：{message}"),
    "schema_not_met": ("{message}", "模型两次的回答都不符合这个 JSON 结构。请检查结构是否可以满足，或再试一次。"),
    "engine_error": ("{message}", "服务器出错了，请再试一次。"),
    "other_error": ("{message}", "出错了：{message}"),
    "paused_by_presenter": ("{message}", "已由演示者暂停，请稍后再试。"),
    "stopped_by_presenter": ("{message}", "演示者已停止所有回答。"),
    "turns_used_up": ("{message}", "你的访客链接的提问次数已用完，请向提供者索取新的链接。"),
    "guest_link_over": ("{message}", "你的访客链接已失效，请向提供者索取新的链接。"),
    "invalid_value": ("{message}", "{message}"),
    "bad_seed": (
        "The seed must be a whole number from 0 to 2147483647. Leave it empty for a new one each time.",
        "随机种子必须是 0 到 2147483647 之间的整数。留空则每次随机。",
    ),
}
