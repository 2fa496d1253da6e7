"""The orders themselves: plan, limits that items share, outlook, stock-out risk, reasons."""
