"""The notes and questions of ``bench.retrieval``: all of ours, English and Chinese, about things that are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Note:
    """``in_its_words`` can be found by the note's own words; ``otherwise`` asks the same in other words."""

    name: str
    language: Literal["en", "zh"]
    text: str
    in_its_words: str
    otherwise: str


def _en(name: str, text: str, in_its_words: str, otherwise: str) -> Note:
    return Note(name, "en", text, in_its_words, otherwise)


def _zh(name: str, text: str, in_its_words: str, otherwise: str) -> Note:
    return Note(name, "zh", text, in_its_words, otherwise)


NOTES = (
    _en("lease", "The lease of the warehouse in Hull ends on 30 June; notice must be given ninety days before.",
        "When does the lease of the warehouse end?", "How long ahead must we tell the landlord that we leave?"),
    _en("payment", "Invoices are due within thirty days. A late payment costs two per cent of the sum for each month.",
        "What does a late payment cost?", "What happens if a customer pays after the deadline?"),
    _en("warranty", "The pump has a warranty of two years. Opening the housing ends it at once.",
        "How long is the warranty of the pump?", "May I take the machine apart while it is still covered?"),
    _en("holiday", "Employees have twenty-eight days of holiday. Five of them may be carried into the next spring.",
        "How many days of holiday do employees have?", "Can unused leave be kept for next year?"),
    _en("backup", "Databases are backed up at two each night and kept for fourteen days on the second site.",
        "When are databases backed up?", "For how long could we restore lost data?"),
    _en("travel", "Flights are booked in economy class. A first-class train ticket is allowed above three hours.",
        "Which class of train ticket is allowed?", "Am I allowed to fly business?"),
    _en("fire", "At the alarm everybody leaves by the nearest stairs and meets at the flagpole. Lifts are not used.",
        "Where do people meet at the alarm?", "What should I do when the building burns?"),
    _en("visitor", "Visitors sign in at the desk, wear a badge and are never left alone in the laboratory.",
        "What do visitors wear in the laboratory?", "Can a guest walk around by himself?"),
    _en("recipe", "The dough rests for twelve hours in the cold, then bakes for forty minutes at 230 degrees.",
        "How long does the dough rest?", "At what temperature is the bread made?"),
    _en("parking", "The yard has twelve places for cars; two with a charger are kept for electric ones.",
        "How many places for cars has the yard?", "Where can I plug in my vehicle?"),
    _zh("合同", "本合同的违约金为合同总额的百分之五，自逾期之日起按日计算，最高不超过百分之二十。",
        "违约金是多少？", "如果不按约定履行要赔多少钱？"),
    _zh("付款", "买方应在收到发票后三十日内付款，逾期付款每月加收百分之二的利息。",
        "逾期付款加收多少利息？", "晚交钱会有什么后果？"),
    _zh("保修", "水泵保修期为两年，自行打开外壳则保修立即失效。",
        "水泵的保修期多长？", "我可以自己拆开机器修理吗？"),
    _zh("年假", "员工每年享有十五天年假，未休完的年假最多可结转五天到次年三月。",
        "员工每年有几天年假？", "没用完的假期明年还能休吗？"),
    _zh("备份", "数据库每天凌晨两点备份，备份文件在异地机房保留十四天。",
        "数据库什么时候备份？", "丢失的数据最多能恢复到多久以前？"),
    _zh("差旅", "出差机票一律预订经济舱，三小时以上的火车可以购买一等座。",
        "火车可以购买一等座吗？", "我能坐商务舱飞过去吗？"),
    _zh("消防", "听到警报后，所有人应从最近的楼梯撤离，到旗杆下集合，禁止使用电梯。",
        "警报后到哪里集合？", "着火了该怎么办？"),
    _zh("访客", "访客须在前台登记并佩戴胸牌，在实验室内必须有人陪同。",
        "访客需要佩戴什么？", "客人可以独自四处走动吗？"),
    _zh("面包", "面团冷藏发酵十二小时，然后以二百三十度烘烤四十分钟。",
        "面团发酵多长时间？", "做这种面点要用多高的温度？"),
    _zh("停车", "院内有十二个停车位，其中两个带充电桩，专供电动车使用。",
        "院内有多少停车位？", "哪里可以给车充电？"),
)  # fmt: skip
ABSENT = (
    "Who wrote the symphony in nine movements?",
    "How tall is the volcano on Réunion?",
    "Which enzymes digest lactose?",
    "红楼梦的作者生于哪一年？",
    "量子纠缠能否超过光速？",
    "长颈鹿吃哪些树叶？",
)
