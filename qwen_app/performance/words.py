"""The words of a performance report, in both languages."""

from __future__ import annotations

from qwen_app.reports.wording import Wording

TITLE = Wording("How fast {model} is here", "{model} 在本机的速度")
ABOUT = Wording(
    "{precision} on {device}; {slots} conversations of {context} tokens.",
    "{device} 上的 {precision}，可同时进行 {slots} 个对话，每个 {context} 个词元。",
)
SPEED = Wording("Speed", "速度")
MEMORY = Wording("Memory", "内存")
PUBLISHED = Wording("Published for the same model, tokens/s", "同一模型的公开数据（词元/秒）")

SPEED_CHART = Wording("Tokens per second, all users together", "每秒词元数（所有用户合计）")
FIRST_CHART = Wording("Seconds to the first token", "首个词元用时（秒）")
CONTEXT_AXIS = Wording("length of the conversation in tokens", "对话长度（词元）")
ONE_USER = Wording("1 user", "1 位用户")
USERS = Wording("{users} users", "{users} 位用户")

HEAD_CONTEXT = Wording("tokens", "词元")
HEAD_USERS = Wording("users", "用户数")
HEAD_FIRST = Wording("first token", "首个词元")
HEAD_SLOWEST = Wording("of the last user", "最后一位用户")
HEAD_EACH = Wording("tokens/s each", "每人词元/秒")
HEAD_ALL = Wording("tokens/s all", "合计词元/秒")
HEAD_LIMIT = Wording("limit", "上限")
HEAD_SHARE = Wording("reached", "达到")
LIMIT_NOTE = Wording(
    "The limit is what the memory's bandwidth allows: {device}, {bandwidths}.",
    "上限由内存带宽决定：{device}，{bandwidths}。",
)
STATED = Wording("{speed} by its maker", "厂商标称 {speed}")
COPIED = Wording("{speed} in a copy here", "本机复制实测 {speed}")
CARD_NOTE = Wording(
    " A card that reaches 60 % or more of it for one user does what it should.",
    "单个用户达到上限的 60% 以上，说明显卡工作正常。",
)
HEAD_PRECISION = Wording("precision", "精度")
HEAD_WEIGHTS = Wording("weights", "权重")
HEAD_CACHE = Wording("conversations", "对话缓存")
HEAD_NEED = Wording("in all", "总计")
HEAD_FROM = Wording("from", "来源")
MEASURED = Wording("measured, loaded now", "实测（当前加载）")
PLANNED = Wording("memory plan", "内存规划")
TOO_LARGE = Wording("memory plan: does not fit here", "内存规划：本机放不下")
HEAD_RUNTIME = Wording("program", "程序")
HEAD_INPUT = Wording("{tokens} in", "输入 {tokens}")
THIS_SERVER = Wording("this server", "本服务器")
SOURCE_NOTE = Wording("Source: {source} ({url}).{share}", "来源：{source}（{url}）。{share}")
OF_SOURCE = Wording(
    " This machine's memory has {share} of that card's bandwidth, and one user's speed follows it.",
    "本机内存带宽为该卡的 {share}，单个用户的速度与之成正比。",
)
