"""When and how much to order: service targets, stocking policies, limits, segments."""
