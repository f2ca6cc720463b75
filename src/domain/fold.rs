//! What "ignoring case" means, the same on every engine.
//!
//! PostgreSQL compares `UPPER(a) = UPPER(b)`, which maps one character to one character. The
//! same mapping is made here for SQLite, whose own functions know ASCII only.

/// The upper-case form of `c` where that is a single character, else `c` itself.
#[must_use]
pub fn fold_char(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

/// `text` with every character folded; two texts are equal ignoring case when their folds are.
#[must_use]
pub fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_is_ignored_in_every_script() {
        for (a, b) in [
            ("jörg", "JÖRG"),
            ("Юлия", "юЛИЯ"),
            ("ΑΘΗΝΑ", "αθηνα"),
            ("a", "A"),
        ] {
            assert_eq!(fold(a), fold(b));
        }
    }

    #[test]
    fn a_letter_without_a_single_upper_case_form_stays() {
        assert_eq!(fold("straße"), "STRAßE");
    }
}
