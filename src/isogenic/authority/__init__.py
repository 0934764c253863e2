"""Who may do what: people, roles, rules and signatures."""
