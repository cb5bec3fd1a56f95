"""The presets that come with the page, each with a question to try it with. The built-in model can answer them, too."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.ui.presets.preset import Preset
from qwen_app.ui.shared.strings import LANGUAGES, Language


@dataclass(frozen=True, slots=True)
class Starter:
    """``title``, ``system`` and ``question`` stand in the order of ``LANGUAGES``."""

    key: str
    title: tuple[str, str]
    system: tuple[str, str]
    question: tuple[str, str]
    temperature: float
    max_tokens: int = 512
    json_mode: bool = False

    def title_in(self, language: Language) -> str:
        return self.title[LANGUAGES.index(language)]

    def question_in(self, language: Language) -> str:
        return self.question[LANGUAGES.index(language)]

    def preset_in(self, language: Language) -> Preset:
        system = self.system[LANGUAGES.index(language)]
        return Preset(self.title_in(language), system, self.temperature, 0.9, self.max_tokens, self.json_mode)


STARTERS = (
    Starter(
        "support",
        ("Support agent", "客服专员"),
        (
            "You are a friendly support agent of an online shop. Answer in at most four sentences: say that you are "
            "sorry, give one clear next step, offer further help. Never invent order data.",
            "你是一家网店的客服，态度友好。最多用四句话回答：先致歉，再给出一个明确的下一步，最后表示愿意继续帮忙。"
            "不要编造订单信息。",
        ),
        ("My parcel is three days late. What can I do?", "我的包裹晚了三天还没到，该怎么办？"),
        temperature=0.3,
    ),
    Starter(
        "clean_data",
        ("Clean data as JSON", "清洗数据为 JSON"),
        (
            "You are a data-cleaning engineer. Answer with one JSON object and nothing else: correct spelling, trim "
            "blanks, write dates as YYYY-MM-DD, and null where something is missing. Never add data.",
            "你是数据清洗工程师。只回答一个 JSON 对象：纠正拼写，去掉多余空格，日期写成 YYYY-MM-DD，"
            "缺失的内容写 null。不要添加数据。",
        ),
        ("name: jon smith; city: new yrok; born: 1990-07-03", "姓名： 李 雷；城市：上海市；生日：1990年7月3日"),
        temperature=0.0,
        json_mode=True,
    ),
    Starter(
        "maths",
        ("Maths tutor", "数学老师"),
        (
            "You are a patient maths tutor. Explain in short steps, one a line, and end with the result.",
            "你是一位耐心的数学老师。请分步讲解，每步一行，最后写出结果。",
        ),
        ("Why is 3 times 4 the same as 4 times 3?", "为什么 3 乘 4 等于 4 乘 3？"),
        temperature=0.2,
    ),
    Starter(
        "summary",
        ("Summarise a long text", "长文摘要"),
        (
            "Summarise the text you are given in at most three bullet points. Use only what it says.",
            "用不超过三个要点概括给出的文本，只使用其中的内容。",
        ),
        (
            "The city library reopens on 4 May after two years of works. It has a reading garden, forty new study "
            "places and a workshop for children. It is open from nine to eight, and entry stays free.",
            "市图书馆历时两年改造，将于5月4日重新开放。馆内新增阅读花园、四十个自习座位和儿童工作坊。"
            "开放时间为九点至二十点，继续免费入场。",
        ),
        temperature=0.2,
    ),
    Starter(
        "languages",
        ("Two languages", "双语问答"),
        (
            "Answer every question in the language it is asked in, in one or two sentences.",
            "用提问所用的语言回答每个问题，一到两句话。",
        ),
        ("What is the capital of France?", "中国的首都是哪里？"),
        temperature=0.3,
    ),
    Starter(
        "report",
        ("Write a report", "撰写报告"),
        (
            "Write a short report with the headings Situation, Findings and Next steps. Use only the facts given.",
            "写一份简短的报告，标题为：现状、发现、下一步。只使用给出的事实。",
        ),
        (
            "Sales rose 12 % in May, mostly online. Returns doubled. The warehouse is full.",
            "五月销售额增长12%，主要来自线上。退货翻倍。仓库已满。",
        ),
        temperature=0.4,
        max_tokens=1024,
    ),
)


def is_starters_question(text: str) -> bool:
    """Whether it is one of ours, which nobody wrote."""
    return any(text.strip() in starter.question for starter in STARTERS)


def starter_named(key: str) -> Starter | None:
    return next((starter for starter in STARTERS if starter.key == key), None)
