"""How atoms are evaluated and moved."""
