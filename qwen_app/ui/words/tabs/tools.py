"""The tools tab."""

from __future__ import annotations

TOOLS: dict[str, tuple[str, str]] = {
    # the tools tab
    "tools_tab": ("Tools", "工具"),
    "tools_example": ("What is the weather in Paris?", "Shanghai 的天气怎么样？"),
    "tools_ready": ("Ready to use", "内置工具"),
    "tools_ready_info": (
        "Safe to run; the weather is invented. Upload a table to look things up in it.",
        "可放心运行；天气为虚构数据。上传表格后可在其中查找。",
    ),
    "tool_calculate": ("Calculator", "计算器"),
    "tool_current_time": ("Current time", "当前时间"),
    "tool_convert_units": ("Unit conversion", "单位换算"),
    "tool_example_weather": ("Example weather", "示例天气"),
    "tool_lookup_table": ("Table lookup", "表格查询"),
    "tool_search_files": ("Search in my files", "搜索我的文件"),
    "table_upload": ("Upload a CSV file", "上传 CSV 文件"),
    "table_read": ("{name}: {rows} {rows:row|rows} · {columns}", "{name}：{rows} 行 · {columns}"),
    "table_refused": ("{message}", "无法读取该文件：{message}"),
    "tools_definitions": ("Tools in OpenAI's format", "工具定义（OpenAI 格式）"),
    "tools_good": ("Tools offered: {count}.", "可提供 {count} 个工具。"),
    "tools_shown_only": (
        "{names}: no implementation here; calls are shown, not run.",
        "{names}：此处没有实现，只显示调用，不会运行。",
    ),
    "tool_choice": ("Tool choice", "工具选择"),
    "choice_auto": ("The model decides", "由模型决定"),
    "choice_required": ("At least one call", "至少调用一次"),
    "choice_none": ("No calls", "不调用"),
    "choice_named": ("Call {name}", "调用 {name}"),
    "steps_empty": (
        "Calls, arguments and results appear here, step by step.",
        "调用、参数和结果会逐步显示在这里。",
    ),
    "step_arguments": ("Arguments", "参数"),
    "step_result": ("Result", "结果"),
    "step_running": ("Running…", "运行中…"),
    "step_error": ("Error", "错误"),
    "step_not_run": (
        "This tool has no implementation here; the call is shown.",
        "此处没有该工具的实现，仅显示调用。",
    ),
    "step_broken_off": ("Not run.", "未运行。"),
    "end_not_implemented": (
        "The loop ends here: a called tool has no implementation on this page.",
        "到此为止：被调用的工具在本页面没有实现。",
    ),
    "end_rounds": (
        "Stopped after {rounds} {rounds:round|rounds} of calls without an answer.",
        "调用 {rounds} 轮后仍无回答，已停止。",
    ),
    "end_without_tool": (
        "Answered without a tool. “Tool choice” can ask for a call.",
        "未调用工具即作答。可在“工具选择”中要求调用。",
    ),
    "tools_line": (
        "{rounds} {rounds:round|rounds} · {prompt} + {completion} {completion:token|tokens} · {seconds} s",
        "{rounds} 轮 · {prompt} + {completion} 个词元 · {seconds} 秒",
    ),
}
