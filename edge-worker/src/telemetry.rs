//! Names, records and figures.
