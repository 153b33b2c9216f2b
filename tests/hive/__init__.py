"""Legacy Hive tables, on real metastores."""
