"""What work is charged at, and to whom: nodes' prices, and projects with their budgets."""
