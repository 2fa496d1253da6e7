"""The orders themselves: inputs, plan, limits that items share, outlook, stock-out risk, reasons."""
