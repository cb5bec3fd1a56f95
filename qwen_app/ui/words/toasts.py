"""Sentences that come to the page in English and are found by it: toasts of Gradio's page, and refusals from behind it.

Those of the server stand in ``qwen_app/web/page_calls/ledger.py`` too; a test holds the two equal. Refusals of routes
for chats and guests are said by the script, as toasts are; those of the service by ``Texts.error``.
"""

from __future__ import annotations

TOASTS: dict[str, tuple[str, str]] = {
    # of Gradio's page
    "toast_error": ("Error", "出错了"),
    "toast_warning": ("Warning", "注意"),
    "toast_info": ("Info", "提示"),
    "toast_lost_title": ("Connection Lost", "连接已断开"),
    "toast_lost": (
        "Connection to the server was lost. Attempting reconnection...",
        "与服务器的连接已断开，正在重新连接……",
    ),
    "toast_broke": ("Connection errored out. ", "连接出错。"),
    # of the server
    "toast_foreign": (
        "This belongs to another visitor. Reload the page to get a session of your own.",
        "这属于其他访客。请刷新页面，以获得自己的会话。",
    ),
    "toast_dropped": (
        "This tab was idle too long, or too many were open: its chat is no longer kept. Reload the page.",
        "此标签页闲置太久，或打开的标签页太多，其中的会话已不再保留。请刷新页面。",
    ),
    "toast_sessions": (
        "You have {{number}} tabs of this page open, all in use. Close some of them first.",
        "你已打开 {{number}} 个标签页，且都在使用中。请先关闭一些。",
    ),
    "toast_full": (
        "The server keeps as many sessions as it can. Try again in a few minutes.",
        "服务器的会话数已达上限，请几分钟后再试。",
    ),
    "toast_streams": (
        "You have {{number}} connections to this page open. Close some tabs first.",
        "你与本页面的连接已有 {{number}} 个。请先关闭一些标签页。",
    ),
    "toast_calls": (
        "You have {{number}} requests waiting or running here. Try again when one of them is answered.",
        "你有 {{number}} 个请求正在等待或运行，请在其中一个完成后再试。",
    ),
    "toast_bytes": (
        "Your waiting requests hold {{number}} MiB together. Try again when one of them is answered.",
        "你等待中的请求合计达 {{number}} MiB，请在其中一个完成后再试。",
    ),
    "toast_many_values": (
        "The body holds more than {{number}} values. Send fewer.",
        "内容超过 {{number}} 个值，请减少。",
    ),
    "toast_many_lists": (
        "The body holds more than {{number}} objects and lists. Send fewer.",
        "内容超过 {{number}} 个对象和列表，请减少。",
    ),
    "toast_many_texts": (
        "The body holds more than {{number}} texts and names of fields. Send fewer.",
        "内容超过 {{number}} 个文本和字段名，请减少。",
    ),
    "toast_unread": (
        "This tab does not read its answers. Reload the page.",
        "此标签页没有读取回答，请刷新页面。",
    ),
}

REFUSALS: dict[str, tuple[str, str]] = {
    # of saved chats and links to them
    "refused_no_cookies": (
        "This browser keeps no cookies, so there are no chats to show. Allow cookies and reload the page.",
        "此浏览器不保存 Cookie，因此没有可显示的对话。请允许 Cookie 并刷新页面。",
    ),
    "refused_no_chat": ("There is no such chat of yours.", "你没有这个对话。"),
    "refused_no_link": ("There is no such link of yours.", "你没有这个链接。"),
    "refused_odd": (
        "This is not what the page sends. Reload it and try again.",
        "请求的内容不符合要求，请刷新页面后再试。",
    ),
    "refused_database": (
        "The saved chats cannot be reached just now. Try again in a minute.",
        "暂时无法读取已保存的对话，请一分钟后再试。",
    ),
    "refused_not_ours": (
        "This file is no chat that was exported here as JSON.",
        "此文件不是从这里以 JSON 导出的对话。",
    ),
    "refused_file": (
        "The file is over the limit of {{number}} MiB. Import a smaller chat.",
        "文件超过了 {{number}} MiB 的上限。请导入较小的对话。",
    ),
    "refused_messages": (
        "The chat has more than {{number}} messages. Import a smaller chat.",
        "对话超过了 {{number}} 条消息。请导入较小的对话。",
    ),
    "refused_bytes": ("The request is over the limit of {{number}} bytes.", "请求超过了 {{number}} 字节的上限。"),
    "refused_too_many": (
        "You have {{number}} saved chats, as many as are kept. Delete some, and this chat is saved too.",
        "你已保存 {{number}} 个对话，达到上限。删除一些后，这个对话也会保存。",
    ),
    "refused_too_large": (
        "Your saved chats hold {{number}} MiB, as much as is kept. Delete some, and this chat is saved too.",
        "你保存的对话已占 {{number}} MiB，达到上限。删除一些后，这个对话也会保存。",
    ),
    "refused_server_full": (
        "The server keeps as many chats as it can just now. This one is not saved.",
        "服务器保存的对话数已达上限，这个对话没有保存。",
    ),
    "refused_guests_full": (
        "All guests together have as much saved here as they may. This chat is not saved.",
        "所有访客保存的内容合计已达上限，这个对话没有保存。",
    ),
    "refused_browsers_full": (
        "All browsers without a login together have as much saved here as they may. This chat is not saved.",
        "所有未登录的浏览器保存的内容合计已达上限，这个对话没有保存。",
    ),
    "refused_links": (
        "You have {{number}} links open. Revoke some first.",
        "你已有 {{number}} 个有效链接，请先撤回一些。",
    ),
    "refused_ending": ("The server is shutting down. Try again in a minute.", "服务器正在关闭，请一分钟后再试。"),
    "refused_turns": (
        "Too many of your requests wait for their turn. Try again in a few seconds.",
        "你有太多请求在排队，请几秒后再试。",
    ),
    "refused_reading": (
        "Another file is being read. Try again in a few seconds.",
        "另一个文件正在读取，请几秒后再试。",
    ),
    # of guests and their presenter
    "refused_presenter": (
        "This is for the presenter: log in as whoever runs the server.",
        "仅供演示者使用：请以服务器管理者的身份登录。",
    ),
    "refused_no_guest": ("There is no such guest.", "没有这位访客。"),
    "refused_guest_name": ("A guest needs a name.", "请填写访客名称。"),
    "refused_guest_unkept": (
        "There is no new link: the server's disk is full or cannot be written.",
        "未生成新链接：服务器的磁盘已满或无法写入。",
    ),
    "refused_guest_not_ended": (
        "The link is closed, but the server's disk is full or cannot be written: a restart would open the link again. "
        "Writing is tried every few seconds. Make room on the disk.",
        "链接已关闭，但服务器的磁盘已满或无法写入：重启后该链接会再次生效。系统每隔几秒会重试写入，请释放磁盘空间。",
    ),
    "refused_guests_unwritten": (
        "Changes of guests could not be written. They are tried every few seconds; a restart before that opens revoked "
        "links again.",
        "访客的更改未能写入。系统每隔几秒会重试；若在此之前重启，已撤销的链接会再次生效。",
    ),
    "refused_guest_form": ("Give a name, and how many hours and answers.", "请填写名称、小时数和回答次数。"),
    "refused_guest_limits": (
        "A guest link works up to 30 days, for 1 to {{number}} answers.",
        "访客链接最长有效 30 天，可用 1 到 {{number}} 次回答。",
    ),
    "refused_guests": (
        "There are {{number}} guest links. Revoke some first.",
        "已有 {{number}} 个访客链接，请先撤回一些。",
    ),
    "refused_invitation": ("An invitation has at most {{number}} bytes.", "邀请内容最多 {{number}} 字节。"),
    # of the service
    "refused_answer_ends": ("The model ends the answer here.", "模型会在这里结束回答。"),
    "refused_passages": (
        "The context is too short for a passage and an answer. Start with a longer --context.",
        "上下文太短，放不下一段原文和回答。请用更长的 --context 启动。",
    ),
    "refused_documents": (
        "At most {{number}} documents can be sent with one message.",
        "一条消息最多可附带 {{number}} 份文档。",
    ),
}
