"""The web pages for operators, coordinators, admins and auditors."""
