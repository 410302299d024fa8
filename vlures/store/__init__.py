"""What a run must not lose: responses, jobs, the folder's lock, answers rescued from a failing disk."""
