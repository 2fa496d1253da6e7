"""An invented hospital network, seeded and complete: the bundle that `pgx-supply demo` runs on and tests score against.

No hospital, town, wholesaler or person in it is real. Where each kind of figure comes from:

* allele frequencies by group and lookup keys: the reference content of `forecasting.pharmacogenomics`, where each row
  names its source; the sites' ancestry mixes and their departures from the published frequencies are invented
* what genotype does to a prescription: CPIC guidelines by PMID, for warfarin DPWG (`tables/moves.csv`, by row); where a
  guideline gives a range or leaves prescribers a choice, the factor and the shares are assumptions
* drugs, ATC codes, RxCUI: CPIC's drug table; usual daily doses: WHO ATC/DDD index (`tables/drugs.csv`, by row)
* strengths, dose forms, pack sizes: as marketed in the United Kingdom; pack prices and dm+d codes: NHS price concession
  list where it has the product, else illustrative (`tables/products.csv`, by row)
* opioid dose ratios: BNF equivalent doses; everything else about use, growth, seasons, testing programmes, suppliers,
  lead times, stock and policies is invented (`tables/facilities.csv`, `suppliers.csv`, `policies.csv`, ...)
"""

from forecasting.demo.network import DemoNetwork, Truth, demo_network, small_network

__all__ = ["DemoNetwork", "Truth", "demo_network", "small_network"]
