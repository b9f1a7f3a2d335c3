// The room AuditReport.
