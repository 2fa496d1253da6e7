"""What inventory systems report: stock, dispensing, open orders, receipts."""
