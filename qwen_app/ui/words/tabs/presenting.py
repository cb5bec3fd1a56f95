"""The tab of whoever presents the server to others, and what guests read."""

from __future__ import annotations

PRESENTING: dict[str, tuple[str, str]] = {
    "presenting_tab": ("Present", "演示"),
    "present_about": (
        "Invite people to the chat alone: a link opens it without a password, for so long and so many answers.",
        "邀请他人只使用对话：链接无需密码即可打开，可限定时间和回答次数。",
    ),
    "present_name": ("Name", "名称"),
    "present_name_hint": ("Anna, or Table 3", "例如：小安，或 3 号桌"),
    "present_hours": ("Hours", "小时"),
    "present_turns": ("Answers", "回答次数"),
    "present_invite": ("Invite", "邀请"),
    "present_guests": ("Guests", "访客"),
    "present_none": ("Nobody is invited yet.", "还没有邀请任何人。"),
    "present_used": ("{{used}} of {{turns}} {{turns:answer|answers}}", "已用 {{used}} / {{turns}} 次"),
    "present_until": ("until {{time}}", "有效期至 {{time}}"),
    "present_busy": ("being answered", "正在回答"),
    "present_idle": ("idle", "空闲"),
    "present_over": ("over", "已失效"),
    "present_link": ("Show link", "显示链接"),
    "present_revoke": ("Revoke", "撤回"),
    "present_forget": ("Remove", "移除"),
    "present_local": (
        "This address opens on this machine alone. Start with --share, or open this page by its public address.",
        "此地址只能在本机打开。请用 --share 启动，或通过公网地址打开本页面。",
    ),
    "present_pause": ("Pause for all but me", "暂停（我除外）"),
    "present_resume": ("Resume", "恢复"),
    "present_paused": ("Paused: only you are answered.", "已暂停：只有你会得到回答。"),
    "present_stop": ("Stop all answers", "停止所有回答"),
    "present_stopped": ("Answers stopped: {{stopped}}", "已停止的回答：{{stopped}}"),
    "present_running": ("answers being written, of {{slots}}", "个回答正在生成，上限 {{slots}}"),
    "present_queued": ("waiting in the queue", "个请求排队中"),
    "present_speed": ("tokens/s, all together", "词元/秒（合计）"),
    "present_memory": ("GB: model and its cache", "GB：模型与缓存"),
    "present_gpu": ("GPU at work", "GPU 占用率"),
    "present_gpu_memory": ("GB of GPU memory in use", "GB 显存已用"),
    "present_gpu_heat": ("GPU temperature", "GPU 温度"),
    "present_others": ("of these, not of guests", "个来自非访客"),
    "present_not_you": (
        "This is for whoever runs the server: the first of its logins.",
        "仅供服务器的管理者（第一个登录名）使用。",
    ),
    # what guests read
    "guest_leave": ("Leave", "离开"),
    "guest_left": ("{{left}} of {{turns}} left", "还可问 {{left}}/{{turns}} 次"),
    "guest_paused": (
        "The presenter has paused the chat. What you write stays; send it when this line is gone.",
        "演示者已暂停对话。你输入的内容会保留，请在本提示消失后再发送。",
    ),
    "guest_over": (
        "This guest link is over. Ask whoever gave it to you for a new one. What stands here can still be copied.",
        "此访客链接已失效，请向提供者索取新的链接。这里的内容仍可复制。",
    ),
}
