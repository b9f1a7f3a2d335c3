// The room SQLiteLedger.
