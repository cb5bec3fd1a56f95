"""The list of saved chats, links to them, and what waits to be sent."""

from __future__ import annotations

CHATS: dict[str, tuple[str, str]] = {
    # saved chats
    "chats_all": ("Chats", "对话列表"),
    "chats_new": ("New chat", "新对话"),
    "chats_temporary": ("Temporary chat: saved nowhere", "临时对话：不保存"),
    "chats_temporary_on": ("Temporary chat. Nothing of it is saved.", "临时对话，内容不会保存。"),
    "chats_search": ("Search chats", "搜索对话"),
    "chats_none": ("Your chats will be listed here.", "对话会列在这里。"),
    "chats_nothing_found": ("Nothing found.", "没有找到。"),
    "chats_pinned": ("Pinned", "已置顶"),
    "chats_today": ("Today", "今天"),
    "chats_yesterday": ("Yesterday", "昨天"),
    "chats_earlier": ("Earlier", "更早"),
    "chats_menu": ("More for", "更多操作："),
    "chats_rename": ("Rename", "重命名"),
    "chats_pin": ("Pin", "置顶"),
    "chats_unpin": ("Unpin", "取消置顶"),
    "chats_share": ("Share a link", "分享链接"),
    "chats_replay": ("Replay", "重放"),
    "chats_export_markdown": ("Export as Markdown", "导出为 Markdown"),
    "chats_export_html": ("Export as HTML", "导出为 HTML"),
    "chats_export_json": ("Export as JSON", "导出为 JSON"),
    "chats_delete": ("Delete", "删除"),
    "chats_deleted": ("Chat deleted.", "对话已删除。"),
    "chats_undo": ("Undo", "撤销"),
    "chats_import": ("Import", "导入"),
    "chats_delete_all": ("Delete everything", "全部删除"),
    "chats_delete_all_sure": (
        "Delete all your chats and links for good? This cannot be undone.",
        "永久删除你的所有对话和链接？此操作无法撤销。",
    ),
    "chats_cancel": ("Cancel", "取消"),
    "chats_link_note": (
        "Whoever has the link can read this chat as it is now. What is said later is not shown.",
        "任何持有链接的人都能阅读此对话的当前内容，之后的内容不会显示。",
    ),
    "chats_days": ("#-day link", "# 天"),
    "chats_valid": ("How long the link works", "链接有效期"),
    "chats_make_link": ("Make a link", "生成链接"),
    "chats_links_open": ("Links that work until", "有效链接的到期时间"),
    "chats_revoke": ("Revoke", "撤回"),
    "waiting_now": ("Stop the answer and send this now", "停止当前回答并立即发送"),
    "waiting_edit": ("Edit", "编辑"),
    "waiting_remove": ("Take back", "收回"),
    "replay_label": ("Replay of a recorded chat. No model is asked.", "录制对话的重放，没有向模型提问。"),
    "replay_timed": ("Waiting and writing as it was.", "等待和生成用时与录制时相同。"),
    "replay_assumed": ("Some times were not kept: a usual speed instead.", "部分用时没有记录，以通常速度显示。"),
    "replay_pause": ("Pause", "暂停"),
    "replay_go_on": ("Go on", "继续"),
    "replay_speed": ("Speed", "速度"),
    "replay_end": ("End the replay", "结束重放"),
    "server_lost": (
        "The connection to the server is lost. It is tried again until it is back. Saved chats, drafts and messages "
        "that wait to be sent are kept; documents that are not sent yet may have to be added again.",
        "与服务器的连接已断开，正在重试。已保存的对话、草稿和等待发送的消息都会保留；尚未发送的文档可能需要重新添加。",
    ),
    "server_lost_temporary": (
        "The connection to the server is lost. It is tried again until it is back. This temporary chat is saved "
        "nowhere: copy what you need of it.",
        "与服务器的连接已断开，正在重试。此临时对话不会保存，请复制需要的内容。",
    ),
    "server_new_temporary": (
        "The server has begun anew, so this temporary chat cannot go on. Copy what you need of it, then reload the "
        "page.",
        "服务器已重新启动，此临时对话无法继续。请复制需要的内容，然后刷新页面。",
    ),
    "not_saved": (
        "This chat could not be saved: the database does not answer. It is tried again with the next message.",
        "无法保存此对话：数据库没有响应。发送下一条消息时会重试。",
    ),
    "not_saved_full": (
        "This chat is not saved: as many are kept as may be. Delete some at the left.",
        "此对话未保存：已达到保存上限。请在左侧删除一些对话。",
    ),
    "not_saved_server_full": (
        "This chat is not saved: the server keeps as many chats as it can just now.",
        "此对话未保存：服务器保存的对话已达上限。",
    ),
    "not_saved_disk": (
        "This chat could not be saved: the server's disk is full or cannot be written. It stays in this tab, and is "
        "saved with the next message once there is room.",
        "无法保存此对话：服务器的磁盘已满或无法写入。对话仍保留在此标签页中，有空间后会随下一条消息保存。",
    ),
    "chat_gone": (
        "The chat of this address is not there: it was deleted, or it belongs to another browser or login. This is a "
        "new one.",
        "该地址的对话不存在：已被删除，或属于其他浏览器或账号。这是一个新对话。",
    ),
    "variant_before": ("Earlier version", "上一个版本"),
    "variant_after": ("Later version", "下一个版本"),
    "fork": ("Fork", "分叉"),
    "fork_info": ("Go on from here in a new chat", "从这里开始新的对话"),
    "code_title": ("<h2>Use from code</h2>", "<h2>代码调用</h2>"),
    "code_language": ("Programming language", "编程语言"),
}
