"""Below everything: ranks, whole files, the shared cache, memory, and what libraries say."""
