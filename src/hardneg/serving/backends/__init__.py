"""Where vectors are searched: faiss, Qdrant, LanceDB, PostgreSQL, behind one thin protocol."""
