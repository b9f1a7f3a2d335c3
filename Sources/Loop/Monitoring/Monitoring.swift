// The room Monitoring.
