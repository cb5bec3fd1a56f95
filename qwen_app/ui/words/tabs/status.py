"""The status tab, and the dot in the header."""

from __future__ import annotations

STATUS: dict[str, tuple[str, str]] = {
    "status_tab": ("Status", "状态"),
    "pulse": ("{{users}} here · {{queued}} waiting", "{{users}} 人在线 · {{queued}} 个排队"),
    "status_notices": ("For you, who run this server", "致服务器的运行者"),
    "status_see": ("Server notice", "服务器提示"),
    "status_speed": ("Speed, all answers together", "速度（所有回答合计）"),
    "status_first": ("Time to the first token", "首个词元用时"),
    "status_running": ("Answers being written", "正在生成的回答"),
    "status_queued": ("Waiting in the queue", "排队中的请求"),
    "status_memory": ("Memory of the server", "服务器内存"),
    "status_reused": ("Prompt taken from the cache", "提示词缓存命中"),
    "status_gpu": ("GPU at work", "GPU 占用率"),
    "status_gpu_memory": ("GPU memory in use", "已用显存"),
    "status_gpu_heat": ("GPU temperature", "GPU 温度"),
    "status_unit_speed": ("tokens/s", "词元/秒"),
    "status_unit_seconds": ("seconds", "秒"),
    "status_unit_memory": ("GB", "GB"),
    "status_unit_share": ("%", "%"),
    "status_unit_celsius": ("°C", "°C"),
    "status_note": (
        "The last five minutes, second by second. Everybody sees the same figures; no text is among them.",
        "最近五分钟，每秒一次。所有人看到的数据相同，其中不含任何文本。",
    ),
}
