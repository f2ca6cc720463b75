//! What an operator can set: one struct per section, read once, validated once.
