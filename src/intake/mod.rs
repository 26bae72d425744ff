//! From a message to rows in the log: decode, validate, mask, enrich, route.
