"""Events in, answers out: HTTP, the Scheduler, CloudFormation."""
