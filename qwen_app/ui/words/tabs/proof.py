"""Proof on one's own machine: the performance tab, the scenarios tab."""

from __future__ import annotations

PROOF: dict[str, tuple[str, str]] = {
    # the scenarios tab
    "scenarios_tab": ("Scenarios", "场景"),
    "scen_about": (
        "Tasks this model is chosen for. Each answer is checked, and the verdict says what was found.",
        "选用此模型的典型任务。每个回答都会自动检查，并说明结论的原因。",
    ),
    "scen_run_all": ("Run all", "全部运行"),
    "scen_markdown": ("Report (Markdown)", "报告（Markdown）"),
    "scen_html": ("Report (HTML)", "报告（HTML）"),
    "scen_run_first": (
        "There is nothing to report yet: run a scenario first.",
        "还没有可写入报告的结果：请先运行一个场景。",
    ),
    "scen_running": ("{number} of {total} · {title}", "第 {number} / {total} 项 · {title}"),
    "scen_over": ("{passed} of {total} pass.", "{total} 项中通过 {passed} 项。"),
    "scen_none": (
        "Run one, or all: each verdict comes here, with what was asked, expected and answered.",
        "运行一项或全部：结论会显示在这里，并附提问、期望和回答。",
    ),
    # the performance tab
    "performance_tab": ("Performance", "性能"),
    "perf_about": (
        "Measures the loaded model on this machine: seconds to the first token and tokens per second, "
        "for each length of conversation and number of users.",
        "在本机上测量当前模型：不同对话长度、不同用户数下的首个词元用时和每秒词元数。",
    ),
    "perf_contexts": ("Length of the conversation", "对话长度"),
    "perf_contexts_info": ("in tokens; only what fits is offered", "以词元计；只列出放得下的长度"),
    "perf_users": ("Users at once", "同时使用的人数"),
    "perf_busy_too": ("Even while others chat", "他人对话时也测量"),
    "perf_busy_info": (
        "It slows them down, and they distort the figures. Otherwise it makes way for them.",
        "会拖慢他人，测得的数字也会失真。不勾选时，有人提问即让出。",
    ),
    "perf_run": ("Measure", "开始测量"),
    "perf_paste": ("To paste (Markdown)", "可粘贴的表格（Markdown）"),
    "perf_empty": (
        "Charts and tables appear here, with what the memory's bandwidth allows and what others published.",
        "图表和表格会显示在这里，并附内存带宽允许的上限和他人公开的数据。",
    ),
    "perf_running": (
        "{number} of {total} · {context} {context:token|tokens} · users answered: {begun} of {users}",
        "第 {number} / {total} 项 · {context} 词元 · 已开始回答 {begun} / {users} 位用户",
    ),
    "perf_done": ("Measured {done} of {total}.", "已测量 {done} / {total} 项。"),
    "perf_stopped": ("Stopped after {done} of {total}.", "已停止，完成 {done} / {total} 项。"),
    "perf_others": (
        "Made way after {done} of {total}: somebody else asked something.",
        "已完成 {done} / {total} 项：有其他人提问，测量已让出。",
    ),
    "perf_failed": ("The measurement broke off: {message}", "测量中断：{message}"),
    "perf_owner_only": (
        "Only the server's owner, its first login, can measure: it takes the whole machine.",
        "测量会占用整台机器，只有服务器所有者（第一个登录名）可以进行。",
    ),
    "perf_already": (
        "Somebody is measuring already. Wait until that has ended.",
        "已有人正在测量，请等待其结束。",
    ),
    "perf_busy": (
        "Somebody is being answered. Wait, or tick “Even while others chat”.",
        "有人正在对话。请稍候，或勾选“他人对话时也测量”。",
    ),
    "perf_nothing": ("Tick at least one length and one number of users.", "请至少选择一个长度和一个人数。"),
}
