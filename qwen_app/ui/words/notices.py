"""What the server tells its owner, found by the English. What stands in braces is kept, or is one of these too."""

from __future__ import annotations

NOTICES: dict[str, tuple[str, str]] = {
    "notice_chats": ("Saved chats", "已保存的对话"),
    "notice_files": ("Files of the Files tab", "“文件”标签页中的文件"),
    "notice_begun_anew": (
        "{name} begin anew: {file} could not be used: {damage} It is kept as {old}; taken over from it: {rows}.",
        "{name}已重新开始：{file} 无法使用：{damage}原文件保留为 {old}；已取回：{rows}。",
    ),
    "notice_in_memory": (
        "{name} are kept in memory only, and end with this process: {reason}",
        "{name}仅保存在内存中，进程结束后即丢失：{reason}",
    ),
    "notice_links_ended": (
        "Saved chats are not those of the last start: links that were not open then are ended ({guests} of guests, "
        "{chats} to chats). Make new ones.",
        "已保存的对话并非上次启动时的内容：当时未开放的链接均已失效"
        "（访客链接 {guests} 个，对话链接 {chats} 个）。请重新创建。",
    ),
    "notice_links_unkept": (
        "{file} cannot be written ({why}): links end at the next start.",
        "{file} 无法写入（{why}）：所有链接将在下次启动时失效。",
    ),
    "notice_key_unused": (
        "{file} cannot be used ({why}): browsers without a login lose their chats at the end.",
        "{file} 无法使用（{why}）：未登录的浏览器在进程结束后会失去其对话。",
    ),
    "notice_key_lost": (
        "{file} was not whole and is kept as {old}. Browsers without a login begin anew, for their cookies were signed "
        "with it.",
        "{file} 不完整，原文件保留为 {old}。未登录的浏览器将重新开始，因为其 Cookie 是用它签名的。",
    ),
    "notice_damaged": ("the file is damaged ({detail}).", "文件已损坏（{detail}）。"),
    "notice_not_ours": ("it was not written by this app.", "它不是由本应用写入的。"),
    "notice_newer": ("it was written by a newer version of this app.", "它由本应用的较新版本写入。"),
    "notice_table": ("its table {table} is not the one of this app.", "其中的表 {table} 不属于本应用。"),
    "notice_refuses": ("the database refuses ({cause}).", "数据库拒绝访问（{cause}）。"),
    "notice_in_its_place": ("something else stands in its place.", "该位置上是别的东西。"),
    "notice_emptied": ("it is empty, though there are changes to it.", "文件为空，但存在对它的改动。"),
    "notice_unwritable": ("{file} cannot be written ({why}).", "{file} 无法写入（{why}）。"),
    "notice_nothing": ("nothing", "无"),
}
