"""Calendars, lead times, stock by lot, open orders, shortages."""
