"""From finished runs to an answer: which arm is better, and how sure that is."""
