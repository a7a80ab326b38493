//! The short flash of a cell whose number changed.

/// The class of a cell whose number went up or down. It differs from the class before, because a browser repeats an
/// animation only when its name changes.
pub fn flash(is_up: bool, before: &str) -> &'static str {
    match (is_up, before) {
        (true, "flash-up") => "flash-up again",
        (true, _) => "flash-up",
        (false, "flash-down") => "flash-down again",
        (false, _) => "flash-down",
    }
}
