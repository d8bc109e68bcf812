"""Where events come in and answers go out: HTTP, the Scheduler, CloudFormation."""
