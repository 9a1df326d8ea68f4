"""Work that takes a while: kept in a database, computed one after the other, told about as it goes."""
