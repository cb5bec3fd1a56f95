"""A white paper of our own, about 12,000 tokens long: what a sea-water heat network is made of, what is hard in it.

Its first part is written; the reports of sites behind it are made of figures: a reader has to find what matters.
"""

from __future__ import annotations

COMPONENTS = ("heat pump", "ring", "ice store", "controller", "pipe", "substation")
CHALLENGES = ("fouling", "permit", "skill", "tariff", "grid", "corrosion", "noise")
_HEAD = """# Warmth from the harbour: a white paper on sea-water heat networks

## Summary for those who decide
A harbour town can heat and cool itself with the water at its quays. This paper describes the network that the
towns of the Northern Bay have run for six winters. It consists of four components: sea-water heat pumps at the
quay, an uninsulated ring of pipes at the temperature of the ground, ice stores under public squares, and a
controller that decides an hour ahead when to freeze and when to melt. Four challenges decided whether a site did
well: fouling of the intakes by mussels, permits that took longer than the building, a shortage of skilled
fitters, and tariffs that punished heat pumps for the hours in which the grid needed them most.

## The components
**Heat pumps.** Each quay has two or three machines of one to four megawatts. They lift heat from water of two to
fourteen degrees to the ring's eight to eighteen. Their coefficient of performance lay between 5.1 and 6.8 over a
year, since the lift is small. A second lift, in the houses, makes the water that people use.

**The ring.** Plastic pipes without insulation lie one and a half metres deep. They lose nothing, because they are
as warm as the ground; they even gain in autumn. Every building can take heat and give it back: the ice rink warms
the school.

**Ice stores.** A store of five thousand cubic metres holds as much as three days of a town quarter's heating.
Freezing water gives the heat of eighty degrees of cooling at a constant temperature, and the ice then cools the
hospital in June.

**The controller.** It forecasts demand and the price of power for thirty-six hours, and chooses each hour what to
freeze, melt or draw from the sea. A simple one, which followed fixed hours, cost eleven per cent more than the
forecasting one.

## The challenges
**Fouling.** Mussels settled in the intakes within five weeks of summer. Nets of copper wire, drawn up each
fortnight, worked better than chlorine, which the permits forbade in any case.

**Permits.** The median site waited nineteen months for the right to take water, and seven for the right to build.
Towns that asked the fishery office first, before any drawing was made, waited half as long.

**Skills.** No school taught the joint of a low-temperature ring. The towns trained forty-one fitters themselves;
nine stayed.

**Tariffs and the grid.** Network charges by the highest quarter of an hour in a year made it dear to freeze at
night, when wind was plenty. Two towns agreed on a charge by the hour, and their ice stores paid for themselves
within four winters.

## Reports of the sites
"""
_SITES = (
    "Alderquay", "Brantholm", "Cormouth", "Dunhaven", "Eskerby", "Farrow Point", "Gullwick", "Hestness", "Inverlea",
    "Jarrowfleet", "Kelderport", "Lindsey Cross", "Marrick Sands", "Norrvik", "Oddershall", "Penmere", "Quarrylea",
)  # fmt: skip
_QUARTERS = ("the old town", "the fish market", "the northern mole", "the railway quarter", "the school hill")
_WEATHER = ("a mild autumn", "two weeks of easterly storms", "a late frost", "fog for most of March", "an early thaw")
_EVENTS = (
    "a valve in the third shaft stuck half open and was found only by the noise it made",
    "the intake was cleaned eleven times, twice by divers",
    "the harbour master closed the quay for a regatta, and the store carried the load alone",
    "a digger cut the return pipe, which was mended within nine hours",
    "the power company asked for a pause of two hours, and nobody in the houses noticed",
)


def white_paper() -> str:
    """The whole text."""
    return _HEAD + "\n".join(_report(number, site) for number, site in enumerate(_SITES, 1))


def _report(number: int, site: str) -> str:
    quarter, weather, event = (
        one[number * step % len(one)] for one, step in ((_QUARTERS, 3), (_WEATHER, 2), (_EVENTS, 1))
    )
    houses, megawatts, store = 140 + 37 * number % 460, 1 + number % 4, 900 + 310 * number % 4200
    winters = "\n".join(_winter(number, year) for year in range(1, 7))
    return f"""### {number}. {site}
The network of {site} serves {houses} houses around {quarter}, with machines of {megawatts} megawatts and a store of
{store:,} cubic metres. Building began in the spring of the second year and ended {7 + number % 9} months later; the
last {3 + number % 5} houses were joined in the winter after. In its first year there was {weather}, and {event}.
{winters}
The town council keeps the books of the network apart from its own. Residents pay for the room they heat and not for the
heat, which they asked for in a vote of {52 + number % 31} per cent. The technical director's advice to others is to buy
valves from one maker, to draw every joint on one map, and to let the fitters name the shafts.
"""


def _winter(number: int, year: int) -> str:
    heat, power = 2100 + (number * 613 + year * 271) % 5200, 380 + (number * 97 + year * 53) % 900
    stops, hours = (number + year * 3) % 7, 4 + (number * year) % 40
    coldest, warmest = f"{1 + (number + year) % 5}.{number * year % 10}", f"{6 + year % 4}.{number % 10}"
    return (
        f"- Winter {year}: {heat:,} MWh of heat from {power:,} MWh of power; {stops} stops, the longest of {hours} "
        f"hours; the sea at the intake was coldest at {coldest} degrees, and the ring at {warmest}; "
        f"{10 + (number * 7 + year) % 60} calls to the office, {year % 3} of them about noise."
    )
