"""What there is and what comes: calendars, lead times, stock by lot, open orders, shortages."""
