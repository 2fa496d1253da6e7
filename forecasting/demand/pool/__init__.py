"""The pool of forecasters: what each one forecasts, and which of them a series gets (`table.FORECASTERS`).

Belongs here: point forecasts of arrays, and the choice between them. Not here: intervals and sample paths around the
chosen forecast (`demand.forecast`).
"""
