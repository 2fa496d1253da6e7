"""The worklist and its pages: rendered here, complete without JavaScript."""
