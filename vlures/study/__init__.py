"""Several runs, their judges, tables and a report as one job: a list of commands, of which only what is missing is
done."""
