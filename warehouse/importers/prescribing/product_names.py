"""Drug, strength and dose form from a product's name, strictly: a name that leaves a doubt gives the reason instead.

Two spellings are read: dm+d's ("Methotrexate 2.5mg tablets", "Sertraline 50mg/5ml oral suspension") and the older BNF
one ("Warfarin Sod_Tab 500mcg").
"""

import dataclasses
import re

from forecasting.errors import InvalidInput

MILLIGRAMS = {
    "mg": 1.0,
    "milligram": 1.0,
    "milligrams": 1.0,
    "microgram": 0.001,
    "micrograms": 0.001,
    "mcg": 0.001,
    "nanogram": 0.000001,
    "nanograms": 0.000001,
    "g": 1000.0,
    "gram": 1000.0,
    "grams": 1000.0,
}
VOLUME_UNITS = ("ml", "millilitre", "millilitres")

SALTS = """
    acet acetate benzoate bes besil besilate besylate calc calcium cit citrate fum fumarate hbr hcl hydrobromide
    hydrochloride maleate malate mesil mesilate mg nit phos phosphate pot potassium sod sodium succ succinate suc sulf
    sulfate sulph sulphate tart tartrate trihydrate dihydrate
""".split()

OLD_FORMS = {
    "tab": "tablet",
    "cap": "capsule",
    "oral soln": "oral solution",
    "oral susp": "oral suspension",
    "linct": "oral solution",
    "orodisper tab": "orodispersible tablet",
    "tab disper": "dispersible tablet",
    "tab e/c": "gastro-resistant tablet",
    "cap e/c": "gastro-resistant capsule",
    "gran sach g/r": "gastro-resistant granules sachet",
}

CONTAINERS = re.compile(
    r"\b(vial|ampoule|syringe|device|cartridge|pen|bag|bottle|sachet|suppositor\w+|nebuliser liquid unit dose)", re.I
)
LIQUIDS = re.compile(r"\b(solution|suspension|liquid|elixir|syrup|linct\w*|drops|emulsion|infusion|soln|susp)\b", re.I)

NEW_NAME = re.compile(
    r"""^(?P<drug>[A-Za-z][A-Za-z' -]*?)\s
    (?P<amount>\d[\d,]*(?:\.\d+)?)(?P<unit>mg|micrograms?|nanograms?|g|mcg)
    (?:/(?P<volume>\d*(?:\.\d+)?)(?P<per>[a-z]+))?
    \s(?P<form>[a-z].*?)\.?$""",
    re.VERBOSE | re.IGNORECASE,
)
OLD_NAME = re.compile(
    r"""^(?P<drug>[A-Za-z][A-Za-z' -]*?)_(?P<form>[A-Za-z][A-Za-z/ -]*?)\s
    (?P<amount>\d[\d,]*(?:\.\d+)?)(?P<unit>mg|mcg|g)
    (?:/(?P<volume>\d*(?:\.\d+)?)(?P<per>[a-z]+))?
    (?P<rest>\s(?:S/F|M/R|E/C|\(E/C\s[A-Za-z]+\)))*$""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Strength:
    """What one dose unit holds: milligrams per tablet, capsule, container, or millilitre."""

    drug: str
    strength_mg: float
    dose_form: str


def parse_name(name: str, containers_in_ml: bool) -> Strength:
    """The strength that the name states; a name that does not state exactly one raises `InvalidInput` with the reason.

    `containers_in_ml` says how the publisher counts a filled vial or syringe: in millilitres (SCMD) or by number (EPD).

    >>> parse_name("Methotrexate 2.5mg tablets", containers_in_ml=True)
    Strength(drug='methotrexate', strength_mg=2.5, dose_form='tablet')
    >>> parse_name("Sertraline 50mg/5ml oral suspension", containers_in_ml=False).strength_mg
    10.0
    """
    if " / " in name or " and " in name.lower() or re.search(r"mg/\d+(\.\d+)?mg", name):
        raise InvalidInput("more than one active ingredient: there is no one strength")
    match = NEW_NAME.match(name.strip()) or OLD_NAME.match(name.strip())
    if match is None:
        raise InvalidInput("the name does not state drug, strength and form")
    amount_mg = float(match["amount"].replace(",", "")) * MILLIGRAMS[match["unit"].lower()]
    if amount_mg <= 0:
        raise InvalidInput("the strength must be more than 0")
    return Strength(
        drug_name(match["drug"]), _per_dose_unit(amount_mg, match, containers_in_ml), form_name(match["form"])
    )


def drug_name(text: str) -> str:
    """The ingredient in lower case, without the salt.

    >>> drug_name("Metoprolol Tart")
    'metoprolol'
    """
    parts = text.lower().split()
    while len(parts) > 1 and parts[-1] in SALTS:
        parts.pop()
    return " ".join(parts)


def form_name(text: str) -> str:
    """The dose form in lower case and the singular, without sweetener and flavour.

    >>> form_name("Modified-release capsules"), form_name("oral solution sugar free"), form_name("Tab E/C")
    ('modified-release capsule', 'oral solution', 'gastro-resistant tablet')
    """
    form = re.sub(r"\s+sugar-? ?free$", "", text.strip().lower())
    if form in OLD_FORMS:
        return OLD_FORMS[form]
    return re.sub(r"(tablet|capsule|vial|ampoule|syringe|device|cartridge|sachet)s$", r"\1", form)


def _per_dose_unit(amount_mg: float, match: re.Match[str], containers_in_ml: bool) -> float:
    per, form = match["per"], match["form"]
    in_containers = bool(CONTAINERS.search(form))
    if per is None:
        if LIQUIDS.search(form) and not in_containers:
            raise InvalidInput("a liquid without the volume its strength is stated for")
        return amount_mg
    volume = float(match["volume"] or 1)
    if per.lower() not in VOLUME_UNITS or volume <= 0:
        raise InvalidInput(f"a strength per {per} cannot be counted in dose units")
    return amount_mg if in_containers and not containers_in_ml else amount_mg / volume
