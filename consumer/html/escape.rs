//! Text from events as HTML: harmless, and with nothing hidden in it.

/// Escapes a text for an element's content or a quoted attribute. Characters that can't be seen, or that change
/// how others are shown, stand there as their code.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            hidden if is_hidden(hidden) => escaped.push_str(&format!("[U+{:04X}]", u32::from(hidden))),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// Controls, marks and overrides of the writing direction (Unicode Standard Annex 9), spaces without width,
/// separators of lines, invisible operators, tags.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_act_is_shown() {
        for (text, expect) in [
            ("arn:aws:iam::123456789012:user/Zoë", "arn:aws:iam::123456789012:user/Zoë"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload='x'", "&quot; onload=&#39;x&#39;"),
            ("&lt;", "&amp;lt;"),
            ("a\0b\n\u{1b}[31m\u{7f}\u{9b}", "a[U+0000]b[U+000A][U+001B][31m[U+007F][U+009B]"),
            ("user/\u{202e}nimda", "user/[U+202E]nimda"),
            ("\u{2066}a\u{2069}\u{200f}", "[U+2066]a[U+2069][U+200F]"),
            ("ad\u{200b}min\u{feff}\u{e0041}", "ad[U+200B]min[U+FEFF][U+E0041]"),
        ] {
            assert_eq!(escape(text), expect);
        }
    }

    proptest! {
        #[test]
        fn nothing_acts(text in any::<String>()) {
            let escaped = escape(&text);
            let is_free = !escaped.contains(['<', '>', '"', '\'', '\0', '\n', '\u{202e}']);
            prop_assert!(is_free);
            let entities = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            let is_entity = |rest: &str| entities.iter().any(|entity| rest.starts_with(entity));
            prop_assert!(escaped.split('&').skip(1).all(is_entity));
        }
    }
}
