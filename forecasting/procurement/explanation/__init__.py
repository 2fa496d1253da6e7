"""Why this order: the calculation of a line, its steps, and the paragraph made from them."""
