"""Every stage of an exported graph against an independent reference."""
