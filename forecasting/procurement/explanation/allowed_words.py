"""The words in which a paragraph about an order may be written, besides the calculation's own names.

A closed list is the only certain way to find a drug, product, person or place that somebody made up: names of these
are not in it, nor are words of clinical advice. Verbs stand in their telling forms (adds, added, adding): a command
needs the bare form, and those that are nouns too (`COMMANDS`) may not begin a sentence. A new word is added here, on
purpose.
"""

LITTLE_WORDS = """
a about above according across after again against ago all almost already also although amount an and another any
approximately are around as at away back be because been before being below beside besides between beyond both but by
can cannot current currently did do does done due during each earlier either end ends enough even every exactly extra
far few fewer for from further had hand has have having here high higher how however if in into is it its itself just
large larger largest last late later latest least less level levels likely little long longer low lower many mean
means more most mostly much near nearly never new next no none nor not nothing now of off on once one one's only onto
open or other others otherwise out over own part partly parts per plus possible present quite rather real rest right
round rounded same several short shortly since slightly small smaller smallest so some soon sooner such sum than that
the their them then there therefore these they this those through thus to today together too total totals toward
towards under unless until up usual usually very via was well were what when where whereas which while whole whose why
will with within without would yet zero
"""

WORDS_OF_ORDERING = """
added adding addition additional adds age aims allowed allows alternative among approved arrival arrivals arrive
arrived arrives assumed available average averaged averages balance baseline bridge bridged brings brought budget
buffer buyer calculated calculation calendar came capped cause caused causes cent chance change changed changes
cleaned cleaning closed combined come comes coming committed compared consumption cost costs count counted counting
counts cover covered covers critical currency cutoff cycle daily date dates day days deadline decrease decreased
delivered deliveries delivery demand difference dispensed dispensing dose doses effect estimate estimated exceeds
excess expectation expected expired expires expiry fall falls fill fixed followed following follows forecast forecasts
full fully future gap genetic genetics genotype genotype-guided genotyping gives goal group guidance guided guideline
held history hold holds horizon important impossible included includes including increase increased inside interaction
interval inventory item items keeps kept known lack lasting lasts launch lead leaves leaving left limit limited limits
line lines load lost lowers made main mainly makes margin meant meets merged met minimum minus missing money month
months move moved moves multiple needed needs net netted number numbers offset opposite order order's ordered ordering
orders pack packs past percent period periods pharmacy place placed plan planned plans policy position prescribing
price priced probability product projected proposed protection provisional pushes quantities quantity range rate rates
reach reached reaches reason receipt receipts received recent recently record recorded reduced reduces reduction
relation remaining remains replenishment required requires reserve result results return returned returns review
revised rise rises risk room run running runs safety service share shared shelf shift shifted shifts shipment shortage
shortages shown shows site sites spare standard stands stated stock stock-out stock-outs stocked stockout stocks store
strays strength supplier supplies supply taken takes taking target targets testing tests time times totalling
treatment treatment-day treatment-days trimmed typical uncertain uncertainty unit units unknown unused usable usage
use used uses using valid value variation wait waiting waits waste week weekly weeks withdrawal worth
"""

WORDS_OF_FORMS = """
ampoule ampoules capsule capsules g mcg mg microgram micrograms ml patch patches sachet sachets suppositories
suppository syringe syringes tablet tablets vial vials
"""

PLAIN_WORDS = frozenset(f"{LITTLE_WORDS} {WORDS_OF_ORDERING} {WORDS_OF_FORMS}".split())

COMMANDS = frozenset(
    """balance bridge budget cause change count cover decrease delay estimate fall fill forecast group hold increase
    item lack launch lead limit load margin move order pack patch place plan price reach record reserve return review
    round run share shelf shift stock store supply target use value wait waste""".split()
)
"""Words of the list that would be a command at the beginning of a sentence."""
