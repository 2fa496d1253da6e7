"""What well-known guidelines say, a line for each drug: written down from the guidelines, not from the tables."""

import pytest

KEYS = {
    **{"UM": "Ultrarapid Metabolizer", "RM": "Rapid Metabolizer", "NM": "Normal Metabolizer"},
    **{"IM": "Intermediate Metabolizer", "PM": "Poor Metabolizer"},
    **{"IF": "Increased Function", "NF": "Normal Function", "DF": "Decreased Function", "PF": "Poor Function"},
    **{"MHS": "Malignant Hyperthermia Susceptibility", "unsure": "Uncertain Susceptibility"},
    **{"15:02+": "*15:02 positive", "15:02-": "*15:02 negative", "31:01+": "*31:01 positive"},
    **{"57:01+": "*57:01 positive", "58:01+": "*58:01 positive"},
    **{"deficient": "Deficient", "CNSHA": "Deficient with CNSHA", "variable": "Variable"},
    "risk": "increased risk of aminoglycoside-induced hearing loss",
    "unresponsive": "ivacaftor non-responsive in CF patients",
}
GRADES = {"S": "Strong", "M": "Moderate", "O": "Optional", "-": "No Recommendation"}
WORDS = {"switch": "alternative", "none": "no_recommendation"}

FACTS = """
clopidogrel, CVI ACS PCI | UM RM NM: standard S | IM PM: switch S (prasugrel;ticagrelor)
clopidogrel, CVI non-ACS non-PCI | UM RM IM: none - | NM: standard S | PM: switch M (prasugrel;ticagrelor)
clopidogrel, NVI | UM RM: none - | NM: standard S | IM PM: switch M
voriconazole, adults | UM RM: switch M (isavuconazole;liposomal amphotericin B;posaconazole) | NM: standard S
voriconazole, adults | IM: standard M | PM: switch/no_number M (isavuconazole;liposomal amphotericin B;posaconazole)
voriconazole, pediatrics | UM: switch M (liposomal amphotericin B;posaconazole) | RM: standard M
voriconazole, pediatrics | PM: switch/no_number M (liposomal amphotericin B;posaconazole)
omeprazole | UM: x2 O | RM NM: standard M | IM: x0.5 O | PM: x0.5 M
lansoprazole | UM: x2 O | RM NM: standard M | IM: x0.5 O | PM: x0.5 M
pantoprazole | UM: x2 O | RM NM: standard M | IM: x0.5 O | PM: x0.5 M
dexlansoprazole | UM: x2 O | RM NM: standard O | IM PM: x0.5 O
citalopram | UM: switch/no_number S | RM: standard O | NM: standard S | IM: no_number M | PM: switch/x0.5 S
escitalopram | UM: switch/no_number S | RM: standard O | NM: standard S | IM: no_number M | PM: switch/x0.5 S
sertraline | NM+NM: standard S | NM+IM IM+NM: no_number M | IM+IM: no_number O | NM+PM: x0.5 M
sertraline | PM+NM: x0.75 O | PM+IM: x0.5 O | PM+PM: switch O
paroxetine | 3.0: switch M | 2.0: standard S | 1.0 0.25: no_number O | 0.0: x0.5 M
fluvoxamine | 3.0: none - | 2.0: standard S | 1.0: standard M | 0.0: x0.5-0.75 O
venlafaxine | 3.0 1.0: none - | 2.0: standard S | 0.0: switch O
vortioxetine | 3.0: switch/x1.5 O | 2.0: standard S | 1.0: standard M | 0.0: x0.5 M
nortriptyline | 3.0: switch/no_number S | 2.0: standard S | 1.0 0.75: x0.75 O | 0.5 0.25: x0.75 M | 0.0: switch/x0.5 S
desipramine | 3.0: switch/no_number O | 2.0: standard S | 1.0 0.25: x0.75 O | 0.0: switch/x0.5 O
amitriptyline | NM+2.0: standard S | NM+0.5: x0.75 M | NM+0.0: switch/x0.5 S | PM+2.0: switch/x0.5 M
amitriptyline | UM+2.0 RM+2.0: switch/no_number O | NM+3.0: switch/no_number S | IM+3.0: switch/no_number O
clomipramine | NM+2.0: standard S | NM+0.5: x0.75 O | NM+0.0 PM+2.0: switch/x0.5 O | UM+2.0: switch/no_number O
doxepin | NM+2.0: standard S | NM+0.5: x0.75 O | NM+0.0 PM+2.0: switch/x0.5 O | UM+2.0: switch/no_number O
imipramine | NM+2.0: standard S | NM+0.5: x0.75 O | NM+0.0 PM+2.0: switch/x0.5 O | UM+2.0: switch/no_number O
trimipramine | NM+2.0: standard S | NM+0.5: x0.75 O | NM+0.0 PM+2.0: switch/x0.5 O | UM+2.0: switch/no_number O
atomoxetine, adults | 2.0 1.0: 80mg M | 0.75 0.25 0.0: 40mg M
atomoxetine, pediatrics | 2.0 1.0: standard M | 0.75 0.25: no_number M | 0.0: no_number S
codeine | 3.0 0.0: switch S | 2.0: standard S | 1.0: standard M
tramadol | 3.0 0.0: switch S | 2.0: standard S | 1.0: standard O
hydrocodone | 3.0: none - | 2.0: standard S | 1.0 0.0: standard O
metoprolol | 3.0: none - | 2.0: standard S | 1.0: standard M | 0.0: no_number M
tamoxifen | 2.0 1.25: standard S | 1.0: switch/x2 O | 0.75 0.25: switch/x2 M | 0.0: switch/x2 S
ondansetron | 3.0: switch M (granisetron) | 2.0: standard S | 1.0 0.0: none -
simvastatin | IF NF: standard S | DF: switch/<=20mg S | PF: switch S
atorvastatin | NF: standard S | DF: <=40mg M | PF: <=20mg M (rosuvastatin)
rosuvastatin | NF+NF: standard S | NF+PF DF+PF: <=20mg M | PF+NF: <=20mg O | PF+DF PF+PF: <=10mg O
pravastatin | DF: standard M | PF: <=40mg M
pitavastatin | DF: <=2mg M | PF: <=1mg M
lovastatin | DF: switch/<=20mg M | PF: switch M
fluvastatin | 2.0+NF: standard S | 1.0+NF: <=40mg M | 0.0+NF: <=20mg M | 1.0+DF: <=20mg O | 0.0+DF: switch O
celecoxib | 2.0: standard S | 1.5: standard M | 1.0: no_number M | 0.5 0.0: x0.25-0.5 M
ibuprofen | 2.0: standard S | 1.5: standard M | 1.0: no_number M | 0.5 0.0: x0.25-0.5 M
flurbiprofen | 2.0: standard S | 1.5: standard M | 1.0: no_number M | 0.5 0.0: x0.25-0.5 M
lornoxicam | 2.0: standard S | 1.5: standard M | 1.0: no_number M | 0.5 0.0: x0.25-0.5 M
meloxicam | 1.0: x0.5 M | 0.5 0.0: switch M
piroxicam | 1.0 0.5 0.0: switch M
tenoxicam | 1.0 0.5 0.0: switch O
phenytoin, PHT naive | 2.0+15:02-: standard S | 1.5+15:02-: standard M | 1.0+15:02-: x0.75 M | 0.5+15:02-: x0.5 S
phenytoin, PHT naive | 0.0+15:02-: x0.5 S | 2.0+15:02+ 0.0+15:02+: switch S
fosphenytoin, PHT naive | 1.5+15:02-: standard M | 1.0+15:02-: x0.75 M | 0.0+15:02-: x0.5 S | 2.0+15:02+: switch S
carbamazepine, CBZ naive | 31:01++15:02-: switch/standard S | 31:01++15:02+: switch S
carbamazepine, CBZ-no alternatives | 31:01++15:02-: standard O
carbamazepine, CBZ use >3mos | 31:01++15:02- 31:01++15:02+: standard O
oxcarbazepine, OXC naive | 15:02+: switch S
abacavir | 57:01+: switch S
allopurinol | 58:01+: switch S
azathioprine | IM+NM NM+IM: x0.3-0.8 S | IM+IM: x0.2-0.5 M | PM+NM IM+PM PM+PM: switch S
mercaptopurine | IM+NM NM+IM: x0.3-0.8 S | IM+IM: x0.2-0.5 S | PM+NM IM+PM PM+PM: x0.042857 S
thioguanine | IM+NM NM+IM: x0.3-0.8 M | IM+IM: x0.2-0.5 M | PM+NM IM+PM PM+PM: x0.042857 S
fluorouracil | 2.0: standard S | 1.5: x0.5 M | 1.0: x0.5 S | 0.5: switch/no_number S | 0.0: switch S
capecitabine | 2.0: standard S | 1.5: x0.5 M | 1.0: x0.5 S | 0.5: switch/no_number S | 0.0: switch S
tacrolimus | NM IM: x1.5-2 S | PM: standard S
efavirenz, child >40kg_adult | UM RM NM: standard S | IM: 400mg M | PM: x0.333333-0.666667 M
atazanavir | NM IM: standard S | PM: switch/standard S
hydralazine | RM IM: no_number M | PM: <=75mg M
rasburicase | deficient CNSHA: switch S | variable: none M
dapsone | deficient CNSHA: switch S | variable: none M
pegloticase | deficient CNSHA: switch S | variable: none M
methylene blue | deficient: switch M | CNSHA: switch S | variable: none M
primaquine | deficient: switch/no_number S | CNSHA: switch S
nitrofurantoin | deficient: standard O | CNSHA: switch M
gentamicin | risk: switch S
amikacin | risk: switch S
tobramycin | risk: switch S
streptomycin | risk: switch S
sevoflurane | MHS+MHS unsure+MHS: switch S | unsure+unsure: none S
succinylcholine | MHS+MHS unsure+MHS: switch S | unsure+unsure: none S
ivacaftor | unresponsive: switch M
"""
"""Drug and population | keys: advice and grade (drugs named).

Advice: a factor of the usual dose, a cap, a dose a day, a switch to another drug and what is asked for without it. Keys
of two genes, in the order of their symbols, have a + between them."""


def dose(row, prefix: str) -> str:
    action = row[f"{prefix}action"] if prefix else row["action"]
    if action == "dose_factor":
        low, high = row[f"{prefix}dose_factor_low"], row[f"{prefix}dose_factor_high"]
        return f"x{low:g}" if low == high else f"x{low:g}-{high:g}"
    if action == "dose_cap":
        return f"<={row[f'{prefix}dose_cap_mg_per_day']:g}mg"
    return f"{row['absolute_dose_mg_per_day']:g}mg" if action == "absolute_dose" else action


def told(row) -> str:
    """A row of the table in the words of `FACTS`."""
    words = {action: word for word, action in WORDS.items()}
    advice = dose(row, "")
    fallback = "/" + dose(row, "fallback_") if row["fallback_action"] else ""
    grade = {name: letter for letter, name in GRADES.items()}[row["strength"]]
    named = f" ({row['alternatives']})" if row["alternatives"] else ""
    return f"{words.get(advice, advice)}{fallback} {grade}{named}"


@pytest.mark.parametrize("line", FACTS.strip().splitlines())
def test_the_table_says_what_the_guideline_says(line, content):
    about, *facts = line.split(" | ")
    drug, _, population = about.partition(", ")
    of_drug = content.guidance[(content.guidance["drug"] == drug) & (content.guidance["source"] == "CPIC")]
    rows = of_drug[of_drug["population"] == (population or "general")].to_dict("records")
    by_keys = {(row["lookup_key_1"], row["lookup_key_2"]): told(row) for row in rows}
    for fact in facts:
        keys, _, advice = fact.rpartition(": ")
        for key in keys.split(" "):
            one, second = (key, "") if key in KEYS else split(key)
            assert by_keys[KEYS.get(one, one), KEYS.get(second, second)] == advice, key


def split(key: str) -> tuple[str, str]:
    """The keys of two genes; an allele's "+" (positive) is not the one between them."""
    at = key.find("+", key.find("++") + 1)
    return (key[:at], key[at + 1 :]) if at > 0 else (key, "")
