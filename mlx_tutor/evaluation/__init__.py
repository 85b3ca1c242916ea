"""What training changed: losses, answers, facts, ratings, and the reports of them."""
