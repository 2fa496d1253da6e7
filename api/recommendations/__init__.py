"""What people do with recommendations: decisions, second approval, triage, routine rules."""
